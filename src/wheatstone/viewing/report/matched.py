"""A matched pair with its truth as a section of a page: what the matcher found, what is true, and where they differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from wheatstone.viewing.colours import colour_errors, colour_map
from wheatstone.viewing.report.charts import pixels
from wheatstone.viewing.report.markup import Markup, element
from wheatstone.viewing.report.pictures import Cell
from wheatstone.viewing.report.rows import cell_figure
from wheatstone.viewing.thumbnails import encode_webp, thumbnail

__all__ = ["MatchedPair", "matched_section"]

LIMIT_PX = 1.0
"""Error up to which a pixel is blue in the error picture."""
_WIDTH = 640


@dataclass(frozen=True)
class MatchedPair:
    """What the section shows.

    Attributes:
        title: heading.
        words: a sentence or two on the pair and the matcher.
        left: the left view, RGB, 0..255.
        prediction: disparity in pixels; not finite means no answer.
        truth: disparity in pixels.
        known: where the truth is known.
        figures: label and value, as they shall be read.
        files: full-size files by the name of the picture, as paths from the page.
    """

    title: str
    words: str
    left: UInt8[np.ndarray, "H W 3"]
    prediction: Float[np.ndarray, "H W"]
    truth: Float[np.ndarray, "H W"]
    known: Bool[np.ndarray, "H W"]
    figures: Mapping[str, str]
    files: Mapping[str, str]


def matched_section(pair: MatchedPair) -> Markup:
    """Left view, prediction and truth in the same colours, errors, and the figures below."""
    low, high = (float(end) for end in (pair.truth[pair.known].min(), pair.truth[pair.known].max()))
    ends = (pixels(low), pixels(high))
    errors = np.abs(pair.prediction.astype(np.float64) - pair.truth)
    span = f"from {pixels(low)} to {pixels(high)}"
    pictures = (
        ("Left", "Left view", pair.left, None, "grey"),
        ("Prediction", f"Predicted disparity {span}", colour_map(pair.prediction, low=low, high=high), ends, "turbo"),
        ("Truth", f"True disparity {span}", colour_map(pair.truth, pair.known, low=low, high=high), ends, "turbo"),
        (
            "Errors",
            f"Errors: blue up to {pixels(LIMIT_PX)}, red beyond, grey where the truth is unknown",
            colour_errors(errors, pair.known, limit=LIMIT_PX),
            (pixels(0.0), f"over {pixels(16 * LIMIT_PX)}"),
            "errors",
        ),
    )
    cells = []
    for name, alt, picture, scale, bar in pictures:
        small = thumbnail(picture, _WIDTH)
        size = (small.shape[1], small.shape[0])
        data = encode_webp(small, 80)
        cells.append(
            Cell(name, f"{alt} ({pair.title})", data, "image/webp", size, pair.files.get(name), scale, bar=bar)
        )
    facts = [element("div", element("dt", label), element("dd", value)) for label, value in pair.figures.items()]
    return element(
        "section",
        element("h2", pair.title, id="matched-title"),
        element("p", pair.words),
        element(
            "article",
            element("div", *(cell_figure(cell) for cell in cells), class_="cells large"),
            element("dl", *facts, class_="facts below"),
            class_="sample",
        ),
        id="matched",
        aria_labelledby="matched-title",
    )
