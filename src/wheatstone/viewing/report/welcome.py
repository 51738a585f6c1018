"""The page that greets whoever has run the demo: what was made, where its reports are, what to do next."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from wheatstone.files import write_bytes
from wheatstone.viewing.report.gather import ReportData, gather
from wheatstone.viewing.report.markup import Markup, element, join, relative_address
from wheatstone.viewing.report.matched import MatchedPair, matched_section
from wheatstone.viewing.report.page import frame, resource
from wheatstone.viewing.report.pictures import cells_of
from wheatstone.viewing.report.rows import cell_figure
from wheatstone.viewing.report.sections import placeholder_notice, placeholder_part

__all__ = ["write_welcome"]

_SHOWN = ("Left", "Wiggle", "Anaglyph", "Disparity")
_WIDTH = 480


def write_welcome(
    folder: str | Path, datasets: Mapping[str, tuple[str, str]], matched: MatchedPair | None = None
) -> Path:
    """Write `report.html` into a folder of data sets: one self-contained file with pictures of every sample.

    Args:
        folder: where the page goes.
        datasets: name of each data set's folder inside `folder`, with a title and a sentence about it; each has a report.
        matched: a pair with truth to show after the first data set.

    Returns:
        Path of the page.

    Raises:
        DatasetError: a folder that is no data set of ours, or one with a damaged file.
        OutputError: the page cannot be written.
    """
    folder = Path(folder)
    read = {name: gather(folder / name, 12) for name in datasets}
    parts = [_heading()]
    placeholder = next((part for data in read.values() if (part := placeholder_part(data)) is not None), None)
    if placeholder is not None:
        parts.append(placeholder_notice(placeholder))
    shown = [_dataset(name, title, words, read[name]) for name, (title, words) in datasets.items()]
    if matched is not None:
        shown.insert(1, matched_section(matched))
    parts += shown
    parts.append(_next((folder / next(iter(datasets))).as_posix()))
    path = folder / "report.html"
    page = frame("Wheatstone demo", element("main", join(parts, "\n")), Markup(resource("dialog.html")))
    write_bytes(path, page.encode(errors="backslashreplace"))
    return path


def _heading() -> Markup:
    words = (
        "Every photograph below became a stereo pair: its depth was estimated, the picture was warped to where the right eye "
        "stands, and what came into view there was painted. The wiggle rocks between the two eyes; red-cyan glasses show the "
        "anaglyph in depth; in the disparity red is near and blue is far. Tap a picture to enlarge it."
    )
    return element(
        "header",
        element("p", "Wheatstone · demo", class_="eyebrow"),
        element("h1", "One photo, two eyes"),
        element("p", words, class_="lead"),
        element(
            "label", element("input", type="checkbox", id="still"), " hide the wiggles", for_="still", class_="control"
        ),
    )


def _dataset(name: str, title: str, words: str, data: ReportData) -> Markup:
    samples = []
    for chosen in data.chosen:
        cells = [cell for cell in cells_of(data.store, chosen.line, _WIDTH) if cell.name in _SHOWN]
        # The full-size files lie one folder further down than those of a data set's own page.
        figures = [cell_figure(cell, folder=name) for cell in cells]
        samples.append(
            element(
                "article", element("h3", chosen.key), element("div", *figures, class_="cells large"), class_="sample"
            )
        )
    report = element("a", "its full report", href=relative_address(f"{name}/report.html"))
    return element(
        "section",
        element("h2", title, id=f"{name}-title"),
        element("p", f"{words} The data set lies in {name}/: ", report, "."),
        *samples,
        id=name,
        aria_labelledby=f"{name}-title",
    )


def _next(first: str) -> Markup:
    """Commands to try; `first` is the path of the first data set as the user would type it."""
    python = (
        "import wheatstone",
        f"pairs = wheatstone.load_dataset({first!r})",
        'left, right = pairs[0].views["left"], pairs[0].views["right"]',
        "disparity_px, valid = pairs[0].disparity, pairs[0].valid",
    )
    steps = (
        ("Your own photos", "wheatstone generate my-photos/ my-pairs/"),
        ("The same with real depth", "wheatstone generate my-photos/ my-pairs/ --depth depth-anything-v2-small"),
        ("Your own stereo pair to disparity and a point cloud", "wheatstone match left.png right.png"),
        ("Check every promise of a data set", f"wheatstone verify {shlex.quote(first)}"),
        ("Use it in Python", "\n".join(python)),
        ("What else there is", "wheatstone --help\nwheatstone info"),
    )
    items = [item for title, code in steps for item in (element("h3", title), element("pre", code, tabindex="0"))]
    return element(
        "section", element("h2", "What next", id="next-title"), *items, id="next", aria_labelledby="next-title"
    )
