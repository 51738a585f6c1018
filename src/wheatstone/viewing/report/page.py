"""The frame of the page: head, style, sections, script. No address outside the file, and a policy that forbids any."""

import base64
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from wheatstone.errors import InputError
from wheatstone.files import write_bytes
from wheatstone.viewing.colours import ERROR_COLOURS, ORIGIN_COLOURS, REGION_COLOURS, colour_table
from wheatstone.viewing.report.gather import ReportData, gather
from wheatstone.viewing.report.markup import Markup, element, join
from wheatstone.viewing.report.sections import SECTIONS, Section, title_of

__all__ = ["frame", "render", "resource", "write_report"]


def write_report(folder: str | Path, *, samples: int = 48) -> Path:
    """Write `report.html` into a data set: one self-contained file that opens offline.

    It reads the data set on disk and nothing else, so it can be made again at any time; the same data set gives the same
    bytes. It has at most `samples` rows (the most suspicious samples first, then a random draw), so it stays small for any
    data set.

    Args:
        folder: a data set in the library's own format, finished or not.
        samples: largest number of rows; each takes about 0.1 MB.

    Returns:
        Path of the page.

    Raises:
        DatasetError: the folder is no such data set.
        InputError: a negative number of rows.
        OutputError: the page cannot be written.
    """
    if samples < 0:
        raise InputError(f"`samples` must be 0 or more, got {samples}")
    path = Path(folder) / "report.html"
    write_bytes(path, render(gather(folder, samples)).encode(errors="backslashreplace"))
    return path


def render(data: ReportData, sections: Sequence[Section] = SECTIONS) -> str:
    """The page as text, made of `sections` from top to bottom."""
    parts = [made for section in sections if (made := section(data)) is not None]
    skip = element("a", "Skip to the samples", href="#samples", class_="skip")
    return frame(title_of(data), skip, element("main", join(parts, "\n")), Markup(resource("dialog.html")))


def frame(title: str, *body: Markup) -> str:
    """A whole page around its body: style, script, and a policy under which the browser fetches nothing.

    Args:
        title: of the page.
        body: what it shows; the dialog of `dialog.html` must be part of it for pictures that enlarge.
    """
    style = resource("report.css") + _colours()
    script = resource("report.js")
    # Only this very style and script run, pictures come from inside the file, and nothing is ever fetched.
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(style)),
    )
    whole = element("html", head, element("body", *body, element("script", Markup(script))), lang="en")
    return f"<!doctype html>\n{whole}\n"


def resource(name: str) -> str:
    """Text of a file beside this module."""
    return files("wheatstone.viewing.report").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def _colours() -> str:
    """Style rules for the colour bars and the swatches, from the tables that paint the pictures."""
    stops = ",".join(f"rgb({r} {g} {b})" for r, g, b in colour_table("turbo")[::15].tolist())
    rules = [f".turbo{{background-image:linear-gradient(90deg,{stops})}}"]
    share = 100 / len(ERROR_COLOURS)
    steps = [f"rgb({r} {g} {b}) {n * share:g}% {(n + 1) * share:g}%" for n, (r, g, b) in enumerate(ERROR_COLOURS)]
    rules.append(f".errors{{background-image:linear-gradient(90deg,{','.join(steps)})}}")
    rules += [f".error-{n}{{background:rgb({r} {g} {b})}}" for n, (r, g, b) in enumerate(ERROR_COLOURS)]
    rules += [f".region-{name}{{background:rgb({r} {g} {b})}}" for name, (r, g, b) in REGION_COLOURS.items()]
    for origin, (red, green, blue) in ORIGIN_COLOURS.items():
        rules.append(f".origin-{int(origin)}{{background:rgb({red} {green} {blue})}}")
    return "\n".join(rules) + "\n"
