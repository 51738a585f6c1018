"""The page of an evaluation: tables, the worst items with prediction and error map, all items; one file, opens offline."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wheatstone.evaluation.gallery import REGIONS, Gallery, Sheet, error_limit
from wheatstone.evaluation.matcher_protocol import MatcherProtocol
from wheatstone.evaluation.protocols import DepthProtocol
from wheatstone.evaluation.report import Column, Report, arrow
from wheatstone.files import write_bytes
from wheatstone.viewing.colours import error_limits
from wheatstone.viewing.report.charts import NO_BREAK, histogram, percent, short
from wheatstone.viewing.report.markup import Markup, element, join
from wheatstone.viewing.report.page import frame, resource
from wheatstone.viewing.report.rows import cell_figure

__all__ = ["render_page", "write_page"]

_FEW = 5  # a distribution of fewer items says less than their table


def write_page(path: str | Path, report: Report, gallery: Gallery) -> Path:
    """Write an evaluation as one self-contained HTML file that opens offline.

    Args:
        path: the file.
        report: what `evaluate` returned.
        gallery: what watched it.

    Returns:
        The path.

    Raises:
        OutputError: the page cannot be written.
    """
    path = Path(path)
    write_bytes(path, render_page(report, gallery).encode(errors="backslashreplace"))
    return path


def render_page(report: Report, gallery: Gallery) -> str:
    """The page as text."""
    sections = [
        _header(report),
        _notices(report),
        _tables(report),
        _distribution(report),
        _sheets(report, gallery),
        _items(report, gallery),
        _protocol(report),
    ]
    skip = element("a", "Skip to the samples", href="#samples", class_="skip")
    main = element("main", join([section for section in sections if section is not None], "\n"))
    return frame(report.title, skip, main, Markup(resource("dialog.html")))


def _header(report: Report) -> Markup:
    part = report.parts[0]
    kind, _, rest = report.title.partition(" ")
    chosen = [column for column in report.columns if column.per_item]
    chosen += [column for column in report.columns if column.figure in ("d1", "seconds")]
    tiles = [_tile(f"{len(report.items):,}", "item" if len(report.items) == 1 else "items")]
    tiles += [_tile(_value(column, report.mean(part, column.figure)), column.label) for column in chosen]
    places = [("figures", "Figures"), ("samples", "Worst samples"), ("items", "All items"), ("protocol", "Protocol")]
    others = ", ".join(report.parts[1:])
    return element(
        "header",
        element("p", f"Wheatstone · evaluation of a {kind}", class_="eyebrow"),
        element("h1", rest),
        element("p", "protocol ", element("b", report.protocol["name"]), f" · beside {others}", class_="lead"),
        element("dl", *tiles, class_="tiles"),
        element("nav", *(element("a", name, href=f"#{place}") for place, name in places), aria_label="On this page"),
    )


def _notices(report: Report) -> Markup | None:
    found = []
    if not report.complete:
        words = "It was interrupted. The figures are those of the items measured so far."
        found.append(element("strong", "This evaluation is not finished."))
        found.append(element("p", words))
    found += [element("p", remark) for remark in report.remarks]
    return element("aside", *found, class_="notice") if found else None


def _tables(report: Report) -> Markup:
    tables = []
    for title, columns in report.groups():
        heading = report.heading(title, columns)
        tables.append(element("h3", heading[0].upper() + heading[1:]))
        tables.append(_mean_table(report, columns))
    return _section("figures", "Figures", *tables)


def _mean_table(report: Report, columns: Sequence[Column]) -> Markup:
    head = element(
        "tr", element("th", "", scope="col"), *(element("th", f"{c.label}{arrow(c)}", scope="col") for c in columns)
    )
    rows = []
    for part in report.parts:
        cells = []
        for column in columns:
            means = [_comparable(report, other, column) for other in report.parts]
            best = _is_best(column, _comparable(report, part, column), means)
            cells.append(element("td", column.show(report.mean(part, column.figure)), class_="best" if best else None))
        rows.append(element("tr", element("th", part, scope="row"), *cells))
    return _scroll(element("table", element("thead", head), element("tbody", *rows), class_="numbers"), "Means")


def _comparable(report: Report, part: str, column: Column) -> float:
    """The mean; NaN for an end-point error over fewer pixels than were asked, which may be low for that reason alone."""
    prefix, slash, figure = column.figure.rpartition("/")
    partial = figure == "epe" and report.mean(part, f"{prefix}{slash}density") < 0.999
    return math.nan if partial else report.mean(part, column.figure)


def _is_best(column: Column, value: float, all_values: Sequence[float]) -> bool:
    known = [other for other in all_values if not math.isnan(other)]
    if not column.better or len(known) < 2:
        return False
    return value == (min(known) if column.better == "low" else max(known))


def _distribution(report: Report) -> Markup | None:
    if len(report.items) < _FEW:
        return None
    charts = []
    for column in (column for column in report.columns if column.per_item):
        values = np.array(list(report.values(report.parts[0], column.figure).values()))
        unit = "%" if column.percent else "px" if "px" in column.label else ""
        label = f"{column.label}, %" if column.percent else column.label
        title = f"{report.parts[0]}: {column.label}"
        charts.append(histogram(values, title=title, label=label, count_label="items", unit=unit, bins=25))
    return element("div", *charts, class_="plots")


def _sheets(report: Report, gallery: Gallery) -> Markup:
    sheets = gallery.sheets
    figure = gallery.protocol.ranking[0]
    column = next(column for column in report.columns if column.figure == figure)
    many = (
        "All items" if len(sheets) == len(report.items) else f"The worst {len(sheets)} of {len(report.items):,} items"
    )
    words = f"{many} by {column.label} of {report.parts[0]}, the worst first. Tap a picture to enlarge it."
    return _section(
        "samples", "Worst samples", element("p", words), _guide(gallery), *(_sheet(s, report) for s in sheets)
    )


def _guide(gallery: Gallery) -> Markup:
    """How to read the pictures."""
    matcher, depth = (isinstance(gallery.protocol, kind) for kind in (MatcherProtocol, DepthProtocol))
    limit = error_limit(gallery.protocol)
    say = _pixels if matcher else percent if depth else short
    what = "px of disparity" if matcher else "of the true depth" if depth else "grey levels of 255"
    borders = [0.0, *error_limits(limit)]
    classes = [
        element("li", element("span", class_=f"swatch error-{n}", aria_hidden="true"), element("span", text))
        for n, text in enumerate(
            [f"to {say(high)}" for high in borders[1:]] + [f"more than {say(borders[-1])}"],
        )
    ]
    meaning = f"Blue is within {say(limit)} ({what}), from pale yellow to red is beyond it; each class is twice as wide as the "
    meaning += "one before. Grey: not scored or no truth. Black: no answer, which counts as wrong."
    entries: list[tuple[str, str, Markup | None]] = [
        ("Error", meaning, element("ul", *classes, class_="swatches legend"))
    ]
    if not isinstance(gallery.protocol, MatcherProtocol | DepthProtocol):
        source = (
            "true disparity"
            if gallery.protocol.depth is None
            else "disparity of a depth estimator, fitted to the pair,"
        )
        entries.insert(
            0, ("Views", f"Right views that were made of the left view and the {source} beside the real one.", None)
        )
        marks = (("occ", "inside the image"), ("edge", "at its border, where nothing was ever seen"))
        entries.append(("Holes", "Where the warp leaves nothing:", _legend(marks)))
    else:
        words = "Truth and answers share one scale of colours: red is near, blue is far, grey is unknown."
        entries.insert(0, ("Truth and answers", words, None))
    # a data set may know neither what is hidden nor, with sparse truth, where steps are
    cells = [cell for sheet in gallery.sheets for row in sheet.rows for cell in row]
    if any(cell is not None and cell.name == REGIONS for cell in cells):
        marks = (("occ", "seen by the left view alone"), ("edge", "near a step of the true disparity"))
        entries.append((REGIONS, "Parts with figures of their own:", _legend(marks)))
    guide = [element("div", element("dt", name), element("dd", words, more)) for name, words, more in entries]
    return element(
        "details", element("summary", "How to read the pictures"), element("dl", *guide, class_="guide"), open=True
    )


def _legend(marks: Sequence[tuple[str, str]]) -> Markup:
    colours = [
        element("li", element("span", class_=f"swatch region-{name}", aria_hidden="true"), element("span", word))
        for name, word in marks
    ]
    return element("ul", *colours, class_="swatches")


def _sheet(sheet: Sheet, report: Report) -> Markup:
    pictures = [
        cell_figure(cell) if cell is not None else element("span", class_="spacer", aria_hidden="true")
        for row in sheet.rows
        for cell in row
    ]
    columns = [column for column in report.columns if column.per_item]
    facts = []
    for part in report.parts:
        own = next((row.figures for row in report.rows if (row.item, row.part) == (sheet.key, part)), {})
        values = " · ".join(f"{c.label} {_value(c, own.get(c.figure, math.nan))}" for c in columns)
        facts.append(element("div", element("dt", part), element("dd", values)))
    return element(
        "article",
        element("h3", sheet.key),
        element("div", *pictures, class_="cells large"),
        element("dl", *facts, class_="facts below"),
        class_="sample",
    )


def _items(report: Report, gallery: Gallery) -> Markup:
    columns = [column for column in report.columns if column.per_item]
    figure, sign = gallery.protocol.ranking
    found = {(row.item, row.part): row.figures for row in report.rows}
    first = report.values(report.parts[0], figure)
    # the worst first; items without the figure last
    order = sorted(
        first, key=lambda item: (math.isnan(first[item]), -sign * first[item] if first[item] == first[item] else 0)
    )
    labels = [f"{part}, {c.label}{arrow(c)}" for part in report.parts for c in columns]
    head = element("tr", *(element("th", label, scope="col") for label in ("Item", *labels)))
    rows = []
    for item in order:
        cells = [
            element("td", c.show(found.get((item, part), {}).get(c.figure, math.nan)))
            for part in report.parts
            for c in columns
        ]
        rows.append(element("tr", element("th", item, scope="row"), *cells))
    table = element("table", element("thead", head), element("tbody", *rows), class_="numbers")
    return _section(
        "items", "All items", element("p", "The worst of the first part first."), _scroll(table, "All items")
    )


def _protocol(report: Report) -> Markup:
    body = json.dumps(dict(report.protocol), indent=2, ensure_ascii=False)
    return _section("protocol", "Protocol", element("pre", body, tabindex="0"))


def _section(name: str, title: str, *children: object) -> Markup:
    return element(
        "section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title"
    )


def _scroll(table: Markup, label: str) -> Markup:
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _tile(value: str, label: str) -> Markup:
    return element("div", element("dt", label), element("dd", value))


def _pixels(value: float) -> str:
    return f"{short(value)}{NO_BREAK}px"


def _value(column: Column, value: float) -> str:
    return f"{column.show(value)}\u00a0%" if column.percent and not math.isnan(value) else column.show(value)
