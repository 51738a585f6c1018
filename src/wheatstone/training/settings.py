"""Values of a recipe as dataclasses: JSON has lists for tuples; an unknown name is answered by those that are known."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from wheatstone.errors import InputError

__all__ = ["from_settings"]

Kind = TypeVar("Kind")


def from_settings(kind: type[Kind], settings: Mapping[str, Any], what: str, *, besides: Collection[str] = ()) -> Kind:
    """Make a dataclass from plain values.

    Args:
        kind: the dataclass.
        settings: its fields.
        what: what to call it in an error.
        besides: fields that are no plain values, so no settings.

    Raises:
        InputError: no such setting, or whatever the dataclass refuses.
    """
    known = [entry.name for entry in fields(kind) if entry.name not in besides]  # type: ignore[arg-type]
    if unknown := sorted(set(settings) - set(known)):
        raise InputError(f"{what} has no setting {', '.join(unknown)}; it has {', '.join(known)}")
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()})
