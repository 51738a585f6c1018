"""Fields of a recipe set from outside, by text: `steps=1000`, `optimiser.lr=1e-4`, `data.crop=192,256`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import NoneType
from typing import Any, get_args, get_type_hints

from wheatstone.errors import InputError
from wheatstone.training.recipe import Build, Recipe

__all__ = ["with_settings"]


@dataclass(frozen=True)
class _Setting:
    """One `PATH=TEXT`, and what the text means."""

    path: str
    text: str
    value: Any


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Replace fields of a recipe, or options of what it builds.

    Args:
        recipe: the recipe.
        settings: `FIELD=VALUE`. A field is one of the recipe's, or goes on after a dot: `optimiser.lr`, `schedule.kind`,
            `data.OPTION`, `objective.OPTION`, `evaluate.OPTION`, `parts.ROLE.OPTION`, `start.ROLE`, and deeper into options
            that are tables. A value is JSON, or a word, or several with commas.

    Raises:
        InputError: no such field or option, or a value of another kind; the message lists what there is.
    """
    for setting in settings:
        path, separator, text = setting.partition("=")
        if not separator or not path:
            raise InputError(f"cannot read the setting {setting!r}: write FIELD=VALUE, for example steps=1000")
        recipe = _changed(recipe, path.split("."), _Setting(path, text, _value(text)))
    return recipe


def _value(text: str) -> Any:
    """JSON where it is some, a tuple where there are commas, Python's words for nothing and truth, else the text itself."""
    words = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return _tuples(json.loads(text))
    except json.JSONDecodeError:  # a text, or several values without brackets
        if "," not in text or text.startswith(("[", "{")):
            return text
        return tuple(_value(part.strip()) for part in text.split(",") if part.strip())


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def _changed(owner: Any, names: list[str], setting: _Setting) -> Any:
    """A copy of `owner` (recipe, settings, build, table) with one entry replaced."""
    (name, *rest), path = names, setting.path
    if isinstance(owner, Build):
        given = ("folder", "seed") if path.startswith("data.") else ()  # the trainer hands these to every source
        known = [option for option in owner.known() if option not in given]
        if name in given or not owner.takes(name):
            raise InputError(f"no option {path!r}: {owner.target} has {', '.join(known) or 'none'}")
        return replace(owner, options=_entry(owner.options, name, rest, setting))
    if isinstance(owner, Mapping):
        return _entry(owner, name, rest, setting)
    if is_dataclass(owner) and not isinstance(owner, type):
        if name not in (known := [entry.name for entry in fields(owner)]):
            raise InputError(f"no field {path!r}: a {type(owner).__name__.lower()} has {', '.join(known)}")
        old = getattr(owner, name)
        if name == "parts" and rest and rest[0] not in old:
            raise InputError(f"no part {rest[0]!r} in {path!r}: the parts are {', '.join(old)}")
        if rest:
            return replace(owner, **{name: _changed(old, rest, setting)})
        _check_field(owner, name, setting.value, path)
        return replace(owner, **{name: _like(old, setting)})
    raise InputError(f"{path!r} goes deeper than the recipe does")


def _entry(table: Mapping[str, Any], name: str, rest: list[str], setting: _Setting) -> dict[str, Any]:
    old = table.get(name)
    if rest:
        return {**table, name: _changed({} if old is None else old, rest, setting)}
    return {**table, name: _like(old, setting)}


def _check_field(owner: Any, name: str, value: Any, path: str) -> None:
    """Refuse what a field cannot be: a word outside its list, nothing where something is needed."""
    hint = get_type_hints(type(owner))[name]
    choices = get_args(hint)
    if choices and all(isinstance(choice, str) for choice in choices) and value not in choices:
        raise InputError(f"{path} is one of {', '.join(choices)}, not {value!r}")
    if isinstance(getattr(owner, name), Build | Mapping) or hint is Build:
        raise _one_at_a_time(path)
    if value is None and NoneType not in choices:
        raise InputError(f"{path} cannot be none")
    default = {entry.name: entry.default for entry in fields(owner)}[name]
    if getattr(owner, name) is None and isinstance(value, str) and float in choices and default is not MISSING:
        raise InputError(f"{path} is a number, not {value!r}")


def _one_at_a_time(path: str) -> InputError:
    return InputError(f"{path} is set one option at a time: {path}.OPTION=VALUE")


def _like(old: Any, setting: _Setting) -> Any:
    """The value in the kind of the old one, where that says anything."""
    value, path = setting.value, setting.path
    if isinstance(old, Build):
        raise _one_at_a_time(path)
    if old is None or value is None:
        return value
    if isinstance(old, bool) != isinstance(value, bool):
        raise InputError(f"{path} is {_kind(old)}, not {value!r}")
    if isinstance(old, tuple | list):
        value = value if isinstance(value, tuple) else (value,)
        if old and not isinstance(old[0], str) and any(isinstance(entry, str) for entry in value):
            raise InputError(f"{path} is {_kind(old)}, not {value!r}")
        return value
    if isinstance(old, int) and not isinstance(old, bool):
        if isinstance(value, float) and value.is_integer():
            return int(value)  # 1e4
        if not isinstance(value, int | float):
            raise InputError(f"{path} is a number, not {value!r}")
        return value
    if isinstance(old, float):
        if not isinstance(value, int | float):
            raise InputError(f"{path} is a number, not {value!r}")
        return float(value)
    if isinstance(old, str):
        return value if isinstance(value, str) else setting.text  # as it was written, commas and all
    return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "numbers with commas between" if isinstance(value, tuple | list) else "a number"
