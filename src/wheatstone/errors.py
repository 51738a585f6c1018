"""Exceptions of the library: every message says what is wrong, where, and what to do about it.

The command line prints the message of a `WheatstoneError` on one line and exits with code 2; anything else is a defect.
"""

import importlib
from types import ModuleType

__all__ = [
    "CheckpointError",
    "DatasetError",
    "FileFormatError",
    "InputError",
    "MissingExtraError",
    "OutputError",
    "ShapeError",
    "TrainingError",
    "WheatstoneError",
    "require",
]


class WheatstoneError(Exception):
    """Base of all errors that a user can mend; the message is written for that user."""


class InputError(WheatstoneError, ValueError):
    """An argument, option or input file that cannot be used."""


class ShapeError(InputError):
    """A tensor or array whose shape, dtype or value range breaks the contract of the function called."""


class FileFormatError(InputError):
    """A file that is broken, truncated, or not of the format its place or name promises."""


class CheckpointError(WheatstoneError):
    """Weights that are missing, incomplete, left over, or unsafe to load."""


class DatasetError(WheatstoneError):
    """A data set whose files do not have the layout or content its format promises."""


class OutputError(WheatstoneError, OSError):
    """An output that cannot be written: not writable, disk full, or made by a different configuration."""


class TrainingError(WheatstoneError, RuntimeError):
    """A training that cannot go on: the loss or its gradient is no longer a number."""


class MissingExtraError(WheatstoneError, ImportError):
    """An optional dependency that is not installed; the message names the extra that brings it."""


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency or say which extra brings it.

    Args:
        module: dotted module name, for example `"numba"`.
        extra: the extra of this package that installs it, for example `"scenes"`.
        purpose: what it is needed for, as the subject of a sentence, for example `"Rendering scenes"`.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package {module!r}, which is not installed: pip install 'wheatstone[{extra}]'"
        ) from error
