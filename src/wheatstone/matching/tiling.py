"""Matching in overlapping tiles, for pairs that do not fit into memory.

A pixel of the left view at column x has its partner at x - d, to its left: a tile cannot know the first `max_disparity` of its
columns, so tiles overlap by that much more there, and those columns are taken from the tile before.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import quantiles
from wheatstone.matching.base import StereoMatcher, pair_batch
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import Match

__all__ = ["in_row_bands", "match_tiled"]

OVERLAP = 64


def match_tiled(
    matcher: StereoMatcher,
    left: Any,
    right: Any,
    tile: tuple[int, int],
    overlap: int = OVERLAP,
    iterations: int | None = None,
    progress: ProgressCallback | None = None,
    *,
    max_disparity: float | None = None,
) -> Match:
    """Match two views tile by tile and blend the results.

    Away from the seams a tile gives what the whole pair would, as far as the matcher looks at a neighbourhood only; a network
    that normalises by statistics of its input (instance norm) sees those of the tile.

    Args:
        matcher: any matcher.
        left: as for `StereoMatcher`.
        right: the same for the other view.
        tile: height and width of a tile in pixels; a side longer than the image is cut to it.
        overlap: pixels over which neighbouring tiles are blended.
        iterations: refinement steps; the matcher's own number by default.
        progress: told after every tile.
        max_disparity: largest disparity to expect in pixels; by default it is measured on the pair reduced to the size of a
            tile, with a tenth added.

    Returns:
        Disparity `[B,1,H,W]` in pixels, float32, on the device of `left`; without the single steps.

    Raises:
        ShapeError: the views differ in size.
        InputError: tiles too small for the overlap and the largest disparity.
    """
    left, right = pair_batch(left, right)
    height, width = left.shape[-2:]
    tile = (min(tile[0], height), min(tile[1], width))
    if min(*tile, overlap) < 1:
        raise InputError(f"tiles and overlap must be positive, got {tile[0]}x{tile[1]} and {overlap}")
    margin = 0
    if tile[1] < width:
        known = max_disparity if max_disparity is not None else _largest(matcher, left, right, tile, iterations)
        margin = max(0, math.ceil(known))
    rows = _starts(height, tile[0], overlap, "high", "")
    columns = _starts(width, tile[1], margin + overlap, "wide", f" with disparities up to {margin} px")
    clock = Clock("match", len(rows) * len(columns))
    told = 0

    def one(vertical: slice, horizontal: slice) -> list[Tensor]:
        nonlocal told
        found = matcher(left[..., vertical, horizontal], right[..., vertical, horizontal], iterations).disparity
        told += 1
        if progress is not None:
            progress(clock.at(told))
        return [found]

    def band(vertical: slice) -> list[Tensor]:
        return _blended(lambda horizontal: one(vertical, horizontal), columns, tile[1], width, margin, overlap, -1)

    return Match(_blended(band, rows, tile[0], height, 0, overlap, -2)[0], None)


def in_row_bands(
    run: Callable[[slice], list[Tensor]], height: int, rows: int, overlap: int = OVERLAP
) -> list[Float[Tensor, "B 1 H W"]]:
    """Maps made band by band of the rows of a pair, blended where bands overlap; in one piece where `rows` are enough.

    Rows of a pair can be cut anywhere: a pixel and its partner lie in the same one.

    Args:
        run: from the rows of a band to its maps `[B,1,h,W]`, the same number for every band.
        height: rows of the pair.
        rows: rows of a band.
        overlap: rows over which neighbouring bands are blended.

    Raises:
        InputError: bands too low for the overlap.
    """
    if rows >= height:
        return run(slice(0, height))
    return _blended(run, _starts(height, rows, overlap, "high", ""), rows, height, 0, overlap, -2)


def _blended(
    run: Callable[[slice], list[Tensor]],
    starts: list[int],
    size: int,
    length: int,
    margin: int,
    overlap: int,
    side: int,
) -> list[Tensor]:
    """What `run` makes of each piece along one side, put together."""
    totals: list[Tensor] = []
    weights = torch.zeros(length)
    for start in starts:
        piece = slice(start, start + size)
        weight = _ramp(size, margin, overlap, start > 0, start + size < length)
        weights[piece] += weight
        for index, found in enumerate(run(piece)):
            shape = list(found.shape)
            shape[side] = length
            if index == len(totals):
                totals.append(found.new_zeros(shape))
            totals[index].narrow(side, start, size).add_(found * _along(weight, side).to(found.device))
    return [total / _along(weights, side).to(total.device) for total in totals]


def _along(weight: Float[Tensor, "length"], side: int) -> Tensor:
    """Weights along the rows (-1) or the columns (-2) of a map."""
    return weight if side == -1 else weight[:, None]


def _largest(
    matcher: StereoMatcher, left: Tensor, right: Tensor, tile: tuple[int, int], iterations: int | None
) -> float:
    """Largest disparity of a pair in its own pixels, with a tenth added, from the pair reduced to the size of a tile."""
    height, width = left.shape[-2:]
    share = min(tile[0] / height, tile[1] / width)
    size = (max(1, round(share * height)), max(1, round(share * width)))
    small_left, small_right = (functional.interpolate(view, size, mode="area") for view in (left, right))
    found = matcher(small_left, small_right, iterations).disparity * (width / size[1])
    return 1.1 * float(quantiles(found.flatten().double(), 0.999)[0])


def _starts(length: int, tile: int, overlap: int, way: str, also: str) -> list[int]:
    """Where tiles begin so that neighbours share at least `overlap` and the last one ends at the border."""
    if tile >= length:
        return [0]
    if tile <= overlap:
        raise InputError(f"a tile of {tile} px is too small: tiles must be more than {overlap} px {way}{also}")
    count = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def _ramp(size: int, margin: int, overlap: int, has_before: bool, has_after: bool) -> Float[Tensor, "{size}"]:
    """Weights along one side: 0 in the margin towards a tile before, rising and falling over the overlaps, else 1."""
    at = torch.arange(size, dtype=torch.float32)
    weight = torch.ones(size)
    if has_before:
        weight = weight * ((at - margin + 1) / (overlap + 1)).clamp(0, 1)
    if has_after:
        weight = weight * ((size - at) / (overlap + 1)).clamp(0, 1)
    return weight
