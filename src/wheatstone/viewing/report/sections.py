"""The sections of the page: each is a function from the gathered data to HTML, or None where it has nothing to say.

To add one (figures of a matcher, say), write such a function and put it into `SECTIONS`.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from wheatstone.checkpoints import MODELS, model_entry
from wheatstone.viewing.report.charts import histogram, percent, pixels, quantiles, short
from wheatstone.viewing.report.gather import FIGURES, ReportData
from wheatstone.viewing.report.markup import Markup, element, join
from wheatstone.viewing.report.rows import ORIGIN_WORDS, sample_row

__all__ = ["SECTIONS", "Section", "placeholder_notice", "placeholder_part", "title_of"]

MOST_REJECTS = 200
FEW_ROWS, WIDE_THUMBNAIL, NARROW_THUMBNAIL = 12, 400, 256  # a short page can afford sharper pictures


def title_of(data: ReportData) -> str:
    """Title of the page."""
    return f"{data.store.name}: stereo data set"


def heading(data: ReportData) -> Markup:
    """Name, one sentence on how it was made, and the numbers that matter."""
    count, rejected = len(data.store), len(data.rejected)
    tiles = [
        _tile(f"{count:,}", "stereo pair" if count == 1 else "stereo pairs"),
        _tile(f"{rejected:,}", "rejected"),
    ]
    if data.disparity_px.size:
        (middle,) = quantiles(data.disparity_px, (0.5,), data.disparity_weights)
        tiles.append(_tile(pixels(middle), "median disparity"))
    for name, label in (
        ("hole_share", "holes, median"),
        ("mean_confidence", "confidence, median"),
        ("label_agreement", "labels confirmed, median"),
    ):
        if name in data.figures:
            tiles.append(_tile(percent(quantiles(data.figures[name], (0.5,))[0]), label))
    places = [("figures", "Figures"), ("samples", "Samples"), ("making", "How it was made")]
    if data.rejected:
        places.insert(2, ("rejected", "Rejected"))
    return element(
        "header",
        element("p", "Wheatstone · report of a data set", class_="eyebrow"),
        element("h1", data.store.name),
        element("p", _made_by(data), class_="lead"),
        element("dl", *tiles, class_="tiles"),
        element("nav", *(element("a", name, href=f"#{place}") for place, name in places), aria_label="On this page"),
    )


def notices(data: ReportData) -> Markup | None:
    """What a user of the data must know: placeholder depth, remarks of the manifest, an unfinished run."""
    found = []
    notes = [str(note) for note in data.header.get("notes") or []]
    if (part := placeholder_part(data)) is not None:
        found.append(placeholder_notice(part))
        notes = [note for note in notes if "placeholder" not in note.lower()]
    if not data.header.get("complete"):
        found.append(
            _notice(
                "This data set is not finished.",
                element(
                    "p", "The run that makes it has not ended, or was stopped. Start the same command again to go on."
                ),
            )
        )
    found += [_notice("Note", element("p", note)) for note in notes]
    return join(found) if found else None


def distributions(data: ReportData) -> Markup | None:
    """Histograms of disparity and of the quality figures."""
    charts = {}
    if data.disparity_px.size:
        charts["disparity"] = histogram(
            data.disparity_px,
            title="Disparity",
            label="disparity (px)",
            count_label="pixels, %",
            unit="px",
            weights=data.disparity_weights,
        )
    for name, values in data.figures.items():
        if name not in FIGURES:
            continue
        figure = FIGURES[name]
        label = f"{figure.label} (% of pixels)" if figure.unit == "%" else f"{figure.label} (px)"
        if name == "mean_confidence":
            label = "mean confidence (%)"
        limits = (0.0, 1.0) if name in ("mean_confidence", "visible_share", "label_agreement") else None
        title = figure.label[0].upper() + figure.label[1:]
        charts[name] = histogram(
            values, title=title, label=label, count_label="samples", unit=figure.unit, bins=25, limits=limits
        )
    if not charts:
        return None
    words = f"Disparity counts the pixels of {_count(data.drawn, 'sample')}"
    words += " drawn at random, each with the same weight" if data.drawn < len(data.store) else ""
    words += f"; everything else counts all {_count(len(data.store), 'sample')}."
    words += _label_words(data)
    leading = ("disparity", "hole_share", "mean_confidence", "label_agreement")
    first = [charts.pop(name) for name in leading if name in charts]
    more = element("details", element("summary", "More figures"), element("div", *charts.values(), class_="plots"))
    shown = element("div", *first, class_="plots")
    return _section("figures", "Figures", element("p", words), shown, more if charts else None)


def _label_words(data: ReportData) -> str:
    """What label agreement means, for a data set that has it."""
    check = data.header.get("label_check")
    if "label_agreement" not in data.figures or not isinstance(check, Mapping):
        return ""
    name, limit = check.get("matcher", {}).get("part"), float(check.get("threshold_px", 1))
    return (
        f" Labels confirmed: the share of the pixels seen in both views where the matcher {name}, which never saw the labels, "
        f"finds the same disparity within {short(limit)} px. Untextured surfaces lower it as much as bad warps do."
    )


def _guide() -> Markup:
    """How to read the pictures, with the meaning of the colours."""
    swatches = [
        element(
            "li",
            element("span", class_=f"swatch origin-{int(origin)}", aria_hidden="true"),
            element("span", element("strong", word), f" {meaning}"),
        )
        for origin, (word, meaning) in ORIGIN_WORDS.items()
    ]
    items = [
        _meaning("Left, right", "The pair. Cross your eyes, or look through the page, to see depth without any help."),
        _meaning(
            "Wiggle", "Rocks between both views about the median disparity. Things that tear or wobble show faults."
        ),
        _meaning(
            "Anaglyph", "For red-cyan glasses, red on the left eye. Things at the median disparity lie on the screen."
        ),
        _meaning(
            "Disparity",
            "How many pixels a point moves to the left from the left view to the right one. "
            "Red is near, blue is far, grey is unknown; the bar below each picture says how many pixels that is.",
            element("span", class_="bar turbo", aria_hidden="true"),
        ),
        _meaning("Confidence", "How far to trust the disparity: white is 1, black is 0."),
        _meaning(
            "Holes",
            "Where no pixel of the photo lands in the new view, so that it was painted, with the share of the view "
            "(in rendered and measured pairs: what the right eye alone sees):",
            element("ul", *swatches, class_="swatches"),
        ),
    ]
    return element(
        "details", element("summary", "How to read the pictures"), element("dl", *items, class_="guide"), id="guide"
    )


def samples(data: ReportData) -> Markup:
    """The rows of the chosen samples."""
    shown, total = len(data.chosen), len(data.store)
    flagged = sum(1 for chosen in data.chosen if chosen.reasons)
    if total == 0:
        return _section("samples", "Samples", element("p", "There is no sample in this data set."))
    words = f"{_count(total, 'sample')}, all shown. " if shown == total else f"{shown} of {total:,} samples. "
    if flagged:
        words += (
            f"The first {flagged} of them are the most suspicious of {data.suspicious:,}: "
            if flagged < data.suspicious
            else f"The first {'one looks' if flagged == 1 else f'{flagged} look'} suspicious: "
        )
        words += "a figure lies far on its bad side compared with the rest of this data set "
        words += "(2.5 robust standard deviations from the median or more). "
        words += (
            "The others stand in the order of their names. " if shown == total else "The others are a random draw. "
        )
    else:
        words += (
            "None has figures that stand out. "
            if shown == total
            else "A random draw; none has figures that stand out. "
        )
    words += "Tap a picture to enlarge it and to flip through the others."
    width = WIDE_THUMBNAIL if shown <= FEW_ROWS else NARROW_THUMBNAIL
    rows = [sample_row(data.store, chosen, width) for chosen in data.chosen]
    pause = element(
        "label", element("input", type="checkbox", id="still"), " hide the wiggles", for_="still", class_="control"
    )
    return _section("samples", "Samples", element("p", words), _guide(), pause, *rows)


def rejected(data: ReportData) -> Markup | None:
    """What gave no sample, and why."""
    if not data.rejected:
        return None
    kinds = Counter(str(line.get("kind", "file")) for line in data.rejected)
    summary = ", ".join(f"{count:,} × {_KIND_WORDS.get(kind, kind)}" for kind, count in sorted(kinds.items()))
    rows = [
        element(
            "tr",
            element("th", line["key"], scope="row"),
            element("td", line.get("reason", "")),
        )
        for line in data.rejected[:MOST_REJECTS]
    ]
    table = element(
        "table",
        element("thead", element("tr", element("th", "Photo", scope="col"), element("th", "Reason", scope="col"))),
        element("tbody", *rows),
    )
    rest = len(data.rejected) - MOST_REJECTS
    more = element("p", f"{rest:,} more stand in rejected.jsonl.") if rest > 0 else None
    scroll = element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Rejected photos")
    return _section(
        "rejected", "Rejected", element("p", f"{_count(len(data.rejected), 'photo')}: {summary}."), scroll, more
    )


_KIND_WORDS = {
    "file": "a file that cannot be read",
    "name": "a name that cannot be kept",
    "quality": "below a quality threshold",
    "part": "too hard for a part",
}


def making(data: ReportData) -> Markup:
    """Parts with their licences, configuration, conventions."""
    rows = []
    for role, part in data.header["parts"].items():
        part = part if isinstance(part, Mapping) else {"part": part}
        digest = part.get("weights_sha256")
        rows.append(
            element(
                "tr",
                element("th", role, scope="row"),
                element("td", part.get("part") or "-"),
                element("td", _licence(role, part)),
                element("td", element("code", str(digest)[:16], title=digest) if digest else "no weights"),
            )
        )
    names = ("Role", "Part", "Licence", "Weights, SHA-256")
    table = element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in names))),
        element("tbody", *rows),
    )
    versions = ", ".join(f"{name} {version}" for name, version in data.header["versions"].items())
    children: list[object] = []
    if rows:
        children.append(element("div", table, class_="scroll", tabindex="0", role="region", aria_label="Parts"))
    digest = element("code", str(data.header["config_sha256"])[:16])
    children.append(element("p", f"Seed {data.header['seed']}, made with {versions}, configuration ", digest, "."))
    for name, key in (("Configuration", "config"), ("Command", "call"), ("Conventions of the files", "conventions")):
        if data.header.get(key):
            body = json.dumps(data.header[key], indent=2, ensure_ascii=False)
            children.append(element("details", element("summary", name), element("pre", body, tabindex="0")))
    return _section("making", "How it was made", *children)


Section = Callable[[ReportData], Markup | None]
SECTIONS: tuple[Section, ...] = (heading, notices, distributions, samples, rejected, making)
"""The page from top to bottom."""


def _section(name: str, title: str, *children: object) -> Markup:
    return element(
        "section", element("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title"
    )


def _tile(value: str, label: str) -> Markup:
    return element("div", element("dt", label), element("dd", value))


def _meaning(name: str, *words: object) -> Markup:
    return element("div", element("dt", name), element("dd", *words))


def _notice(title: str, *children: object) -> Markup:
    return element("aside", element("strong", title), *children, class_="notice")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _made_by(data: ReportData) -> Markup:
    named = {
        role: part.get("part") if isinstance(part, Mapping) else part for role, part in data.header["parts"].items()
    }
    rule = data.header["config"].get("rule")
    if rule := rule.get("rule") if isinstance(rule, Mapping) else rule:
        named["rule"] = rule
    named["seed"] = data.header["seed"]
    if "disparity" in data.header["config"]:
        named["disparity"] = "given"
    if side := data.header["config"].get("synthetic_view"):
        named["synthetic view"] = side
    order = [role for role in ("depth", "rule", "disparity", "synthesizer", "synthetic view") if role in named]
    order += [role for role in named if role not in order]
    return join([join([f"{role} ", element("b", named[role])]) for role in order], " · ")


def placeholder_part(data: ReportData) -> str | None:
    """Name of the depth estimator if it is a placeholder, by its name or by a note of the manifest, else None."""
    depth = data.header["parts"].get("depth")
    name = str(depth.get("part") if isinstance(depth, Mapping) else depth)
    noted = any("placeholder depth" in str(note).lower() for note in data.header.get("notes") or [])
    return name if noted or name == "embedded" else None


def placeholder_notice(part: str) -> Markup:
    """Say that the depth is a stand-in, and name what to use instead.

    Args:
        part: name of the depth estimator.
    """
    choices = []
    for model in MODELS.values():
        if model.kind != "depth" or model.ships or model.commercial is None:
            continue
        use = "free to use" if model.commercial else "not for commercial use"
        choices.append(element("li", element("code", f"--depth {model.name}"), f" {model.licence}, {use}"))
    words = (
        "The depth behind these pairs was estimated by ",
        element("b", part),
        ", which comes with the package so that everything runs without network, GPU or account. The shapes are roughly "
        "right at best. For data to train on, choose a real depth estimator:",
    )
    return _notice("Placeholder depth", element("p", *words), element("ul", *choices))


def _licence(role: str, part: Mapping[str, Any]) -> str:
    if part.get("licence"):
        return str(part["licence"])
    entry = model_entry(str(part.get("part")), role)
    if entry is not None:
        return entry.licence
    return "Apache-2.0" if not part.get("weights_sha256") else "not stated"
