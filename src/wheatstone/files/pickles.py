"""Pickled containers of numbers, read without running what else a pickle may ask for."""

import io
import pickle
from pathlib import Path
from typing import Any

from wheatstone.errors import FileFormatError
from wheatstone.files.reading import read_bytes

__all__ = ["read_pickle"]

# What NumPy's own numbers and arrays are made of; `numpy.core` is its name before version 2.
_ALLOWED = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy", "ndarray"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("_codecs", "encode"),
    }
)


def read_pickle(path: str | Path) -> Any:
    """Read a pickle of lists, tuples, dictionaries, texts, numbers and NumPy arrays.

    Raises:
        FileFormatError: missing, broken, or it asks for anything else, since a pickle may run any program.
    """
    try:
        return _Plain(io.BytesIO(read_bytes(path))).load()
    except FileFormatError:
        raise
    # what the unpickler raises on damaged files
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        ValueError,
        TypeError,
        KeyError,
    ) as error:
        raise FileFormatError(f"{path}: not a pickle of plain numbers: {error}") from error


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Look up what an array is made of; anything else is refused."""
        place = module.replace("numpy.core", "numpy._core")
        if (place, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(place, name)
