"""HTML and SVG that is escaped by construction: text is escaped unless it was made by `element`."""

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

__all__ = ["Markup", "element", "join", "relative_address", "text"]

_VOID = frozenset({"img", "meta", "input", "br", "hr", "link", "source"})


class Markup(str):
    """A string that is HTML already, so it is not escaped again."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Any value as escaped text; `Markup` passes through."""
    return value if isinstance(value, Markup) else Markup(escape(str(value), quote=True))


def join(parts: Sequence[object], separator: str = "") -> Markup:
    """Several values behind one another, each escaped as `text` does."""
    return Markup(escape(separator).join(text(part) for part in parts))


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element: `element("p", "1 < 2", class_="note")` is `<p class="note">1 &lt; 2</p>`.

    Args:
        name: the element's name.
        children: text (escaped) or `Markup`; None is left out.
        attributes: values are escaped; a trailing underscore is dropped and inner ones become hyphens (`class_`,
            `aria_label`); True writes the bare name, None and False leave the attribute out.
    """
    head = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        head.append(key if value is True else f'{key}="{text(str(value))}"')
    opening = f"<{' '.join(head)}>"
    if name in _VOID:
        return Markup(opening)
    return Markup(opening + "".join(text(child) for child in children if child is not None) + f"</{name}>")


def relative_address(path: str) -> str:
    """A path inside the data set as a relative URL; never an address elsewhere, whatever the file is called."""
    return "./" + quote(path, safe="/")
