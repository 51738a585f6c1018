"""The pictures of one sample, small: each cell of its row is made by one function from the files on disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from wheatstone.datasets.layout import decode_unit, origin_folder, view_folder
from wheatstone.samples import Origin, image_batch, to_uint8
from wheatstone.viewing.colours import ORIGIN_COLOURS, colour_map, colour_origins
from wheatstone.viewing.report.charts import pixels, short
from wheatstone.viewing.report.gather import Store
from wheatstone.viewing.stereo import anaglyph, converge, wiggle
from wheatstone.viewing.thumbnails import encode_jpeg, encode_webp, thumbnail

__all__ = ["CELLS", "Cell", "Pictures", "cells_of"]


@dataclass(frozen=True)
class Cell:
    """One picture of a row.

    Attributes:
        name: short caption.
        alt: what is to be seen, for those who cannot.
        data: bytes of the picture.
        media_type: `image/webp` or `image/jpeg`.
        size: width and height of the thumbnail in pixels.
        file: path of the full-size file inside the data set, if there is one.
        scale: labels of the two ends of the colour bar, if the picture has one.
        moving: whether it is animated.
        origins: share of the pixels of each origin that occurs, if the picture is painted in their colours.
        bar: colours of the bar: `turbo`, `grey` or `errors`.
    """

    name: str
    alt: str
    data: bytes
    media_type: str
    size: tuple[int, int]
    file: str | None = None
    scale: tuple[str, str] | None = None
    moving: bool = False
    origins: Mapping[Origin, float] = field(default_factory=dict)
    bar: str = "grey"


class Pictures:
    """The files of one sample, decoded when asked for and shared by the cells."""

    def __init__(self, store: Store, line: Mapping[str, Any], width: int) -> None:
        """Look at the sample `line` of a data set; thumbnails are at most `width` pixels wide."""
        self.store, self.line, self.width = store, line, width
        self.key = str(line["key"])

    def has(self, *folders: str) -> bool:
        """Whether the sample has all these products."""
        return all(folder in self.line["files"] for folder in folders)

    def step(self, values: np.ndarray) -> int:
        """Every how many pixels a large map is painted, so that four or more still make one of the thumbnail."""
        return max(1, values.shape[1] // (4 * self.width))

    def small(self, folder: str) -> np.ndarray:
        """Thumbnail of a picture, uint8."""
        return thumbnail(self.store.decode(self.line, folder), self.width)

    @cached_property
    def left(self) -> np.ndarray:
        """Thumbnail of the left view."""
        return self.small("left")

    @cached_property
    def right(self) -> np.ndarray:
        """Thumbnail of the right view."""
        return self.small("right")

    @cached_property
    def disparity(self) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels of the full width, and where it is known, at full size."""
        codes = self.store.decode(self.line, "disparity")
        return codes / float(self.line["disparity_scale"] or 1), codes > 0

    @cached_property
    def converged(self) -> tuple[Tensor, Tensor]:
        """Both thumbnails, cropped so that the median disparity lies on the plane of the screen."""
        left, right = image_batch(self.left), image_batch(self.right)
        if not self.has("disparity"):
            return left, right
        values, known = self.disparity
        middle = float(np.median(values[known])) if known.any() else 0.0
        pivot = round(middle * left.shape[-1] / values.shape[1])
        left, right = converge(left, right, min(pivot, left.shape[-1] // 2))
        # Rows are cut in proportion, so that all cells of a row have the same shape.
        rows = max(1, round(left.shape[-2] * left.shape[-1] / self.left.shape[1]))
        start = (left.shape[-2] - rows) // 2
        return left[..., start : start + rows, :], right[..., start : start + rows, :]


def cells_of(store: Store, line: Mapping[str, Any], width: int = 256) -> list[Cell]:
    """All pictures that can be made of a sample.

    Raises:
        DatasetError: a file that is missing or broken.
    """
    pictures = Pictures(store, line, width)
    cells = [cell for make in CELLS if (cell := make(pictures)) is not None]
    return cells + _further_views(pictures)


def _left(of: Pictures) -> Cell | None:
    if not of.has("left"):
        return None
    return _photo("Left", f"{_kind(of, 'left')} of {of.key}", of.left, of.line["files"]["left"])


def _right(of: Pictures) -> Cell | None:
    if not of.has("right"):
        return None
    return _photo("Right", f"{_kind(of, 'right')} of {of.key}", of.right, of.line["files"]["right"])


def _kind(of: Pictures, view: str) -> str:
    """What a view is called: whether it was photographed or made."""
    painted = of.line["baselines"].get(view, {}).get("synthetic")
    return f"Synthesised {view} view" if painted else f"{view.capitalize()} view"


def _wiggle(of: Pictures) -> Cell | None:
    if not of.has("left", "right"):
        return None
    left, right = of.converged
    data = wiggle(left, right, quality=55)
    alt = f"Animation rocking between left and right view of {of.key}"
    return Cell("Wiggle", alt, data, "image/webp", (left.shape[-1], left.shape[-2]), moving=True)


def _anaglyph(of: Pictures) -> Cell | None:
    if not of.has("left", "right"):
        return None
    picture = to_uint8(anaglyph(*of.converged)[0])
    # JPEG with full colour resolution: the chroma subsampling of lossy WebP would make ghosts.
    data = encode_jpeg(picture, 78)
    return Cell("Anaglyph", f"Red-cyan anaglyph of {of.key}", data, "image/jpeg", _size(picture))


def _disparity(of: Pictures) -> Cell | None:
    if not of.has("disparity"):
        return None
    values, known = of.disparity
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    every = of.step(values)
    picture = thumbnail(colour_map(values[::every, ::every], known[::every, ::every], low=low, high=high), of.width)
    alt = f"Disparity of {of.key}, from {pixels(low)} to {pixels(high)}"
    ends = (pixels(low), pixels(high))
    return _map("Disparity", alt, picture, of.line["files"]["disparity"], ends, "turbo")


def _confidence(of: Pictures) -> Cell | None:
    if not of.has("confidence"):
        return None
    values = decode_unit(of.store.decode(of.line, "confidence"))
    every = of.step(values)
    picture = thumbnail(colour_map(values[::every, ::every], name="grey", low=0.0, high=1.0), of.width)
    alt = f"Confidence of {of.key}, {values.mean():.0%} on average"
    return _map("Confidence", alt, picture, of.line["files"]["confidence"], ("0", "1"))


def _holes(of: Pictures) -> Cell | None:
    return _holes_of(of, "right", "Holes")


def _left_holes(of: Pictures) -> Cell | None:
    return _holes_of(of, "left", "Holes, left view")


def _holes_of(of: Pictures, view: str, name: str) -> Cell | None:
    folder = origin_folder(view)
    if not of.has(view, folder):
        return None
    origin = of.store.decode(of.line, folder)
    picture = thumbnail(colour_origins(of.store.decode(of.line, view), origin), of.width)
    shares = {code: float((origin == int(code)).mean()) for code in ORIGIN_COLOURS}
    alt = f"Holes of the {view} view of {of.key} by origin, {float((origin > 0).mean()):.1%} of its pixels"
    found = {code: share for code, share in shares.items() if share > 0}
    return Cell(
        name, alt, encode_webp(picture, 80), "image/webp", _size(picture), of.line["files"][folder], origins=found
    )


CELLS: tuple[Callable[[Pictures], Cell | None], ...] = (
    _left,
    _right,
    _wiggle,
    _anaglyph,
    _disparity,
    _confidence,
    _holes,
    _left_holes,
)
"""What makes the cells of a row, from left to right; each returns None where the sample lacks what it shows."""


def _further_views(of: Pictures) -> list[Cell]:
    found = []
    for name, baseline in sorted(of.line["baselines"].items(), key=lambda item: float(item[1]["nominal"])):
        folder = view_folder(name)
        if name not in ("left", "right") and of.has(folder):
            caption = f"View at {short(float(baseline['nominal']))}"
            if of.line["baselines"]["left"]["synthetic"] and not baseline["synthetic"]:
                caption = "Photo, between both"
            found.append(_photo(caption, f"{caption} of {of.key}", of.small(folder), of.line["files"][folder]))
    return found


def _photo(name: str, alt: str, picture: np.ndarray, file: str) -> Cell:
    return Cell(name, alt, encode_webp(picture, 72), "image/webp", _size(picture), file)


def _map(name: str, alt: str, picture: np.ndarray, file: str, scale: tuple[str, str], bar: str = "grey") -> Cell:
    return Cell(name, alt, encode_webp(picture, 80), "image/webp", _size(picture), file, scale, bar=bar)


def _size(picture: np.ndarray) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0]
