"""What several verbs share about parts: loading NAME or NAME=PATH, choosing a device, saying what a licence forbids."""

import sys
from typing import Any

__all__ = ["load_part", "pick_device", "say_licences"]


def load_part(loader: Any, text: str, settings: dict[str, Any]) -> Any:
    """Load NAME or NAME=PATH with those settings that were given (None means: not given).

    Args:
        loader: `load_depth` or `load_synthesizer`.
        text: what the user typed.
        settings: keyword arguments by name.

    Raises:
        InputError: an unknown name, or a setting that this part does not have.
        CheckpointError: weights that are missing or do not fit.
    """
    from wheatstone.errors import InputError
    from wheatstone.synthesis.registry import split_place, unknown_setting

    name, weights = split_place(text)
    given = {key: value for key, value in settings.items() if value is not None}
    try:
        return loader(name, weights=weights, **given)
    except TypeError as error:
        if (unknown := unknown_setting(error, given)) is None:
            raise
        raise InputError(f"{name!r} has no setting --{unknown.replace('_', '-')}") from error


def pick_device(name: str) -> str:
    """The device to run on; `auto` is a GPU if there is one.

    Raises:
        InputError: a device that cannot be used here.
    """
    import torch

    from wheatstone.errors import InputError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"the device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return name


def say_licences(*names: str) -> None:
    """Tell on standard error what the licences of the parts of these names forbid."""
    from wheatstone.checkpoints import licence_note

    for text in names:
        if note := licence_note(text.partition("=")[0]):
            print(f"note: {note}", file=sys.stderr)
