"""Presets `rows`, `smooth-rows` and `warp`: second views without any weights.

`rows` continues the background: a hole opens beside a nearer thing, so what belongs into it is what lies behind, and that is
the known pixel of the row on the side with the smaller disparity. `smooth-rows` also averages what was
copied far. `warp` leaves holes black.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import hole_ends
from wheatstone.synthesis.composition import HoleFiller, WarpedView
from wheatstone.synthesis.push_pull import push_pull

__all__ = ["RowFill", "RowSynthesizer", "SmoothRows", "WarpSynthesizer", "fill_rows", "load"]


@dataclass(frozen=True)
class RowFill:
    """A view whose holes are filled from their rows.

    Attributes:
        image: 0..1; known pixels as in the warped view.
        disparity: px at baseline 1 of the pixel copied; known pixels keep their own.
        distance: columns between a hole pixel and the pixel it was copied from; 0 on known pixels.
    """

    image: Float[Tensor, "B 3 H W"]
    disparity: Float[Tensor, "B 1 H W"]
    distance: Float[Tensor, "B 1 H W"]


def fill_rows(warped: WarpedView) -> RowFill:
    """Let every hole pixel copy the nearest known pixel of its row, on the side with the smaller disparity.

    Equal disparities: the closer side. Runs that reach an image side have one neighbour only. Rows without any known pixel
    copy the nearest filled row; an image without any is mid-grey.

    Source: own; 2.8 dB above Telea in holes inside the image on nine pairs with dense truth (`docs/synthesis.md`).
    """
    width = warped.hole.shape[-1]
    ends = warped.ends
    column = torch.arange(width, device=warped.hole.device)
    from_left = warped.disparity.gather(-1, ends.left.clamp(min=0))
    from_right = warped.disparity.gather(-1, ends.right.clamp(max=width - 1))
    closer = column - ends.left <= ends.right - column
    behind = (from_left < from_right) | ((from_left == from_right) & closer)
    take_left = (ends.left >= 0) & (behind | (ends.right >= width))
    source = torch.where(take_left, ends.left, ends.right.clamp(max=width - 1))
    filled = RowFill(
        image=warped.image.gather(-1, source.expand(-1, 3, -1, -1)),
        disparity=warped.disparity.gather(-1, source),
        distance=(column - source).abs().to(warped.disparity.dtype),
    )
    return _fill_empty_rows(filled, warped)


def _fill_empty_rows(filled: RowFill, warped: WarpedView) -> RowFill:
    """Copy rows that hold nothing from the nearest row that holds something."""
    empty = warped.hole.all(-1)  # [B,1,H]
    if not bool(empty.any()):
        return filled
    height = empty.shape[-1]
    ends = hole_ends(empty[:, :, None])
    row = torch.arange(height, device=empty.device)
    above, below = ends.left[:, :, 0], ends.right[:, :, 0]
    take_above = (above >= 0) & ((row - above <= below - row) | (below >= height))
    source = torch.where(take_above, above, below.clamp(max=height - 1))[..., None].expand_as(warped.hole)
    blank = empty.all(-1)[..., None, None]
    return RowFill(
        image=filled.image.gather(-2, source.expand(-1, 3, -1, -1)).masked_fill(blank, 0.5),
        disparity=filled.disparity.gather(-2, source),
        distance=filled.distance.gather(-2, source),
    )


class RowSynthesizer(HoleFiller):
    """Warp, then continue the background along the rows (`fill_rows`)."""

    name = "rows"
    tells_sides = True

    def __init__(self) -> None:
        self.config = {}

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:  # noqa: ARG002 (nothing random)
        """Copy background pixels along the rows."""
        return fill_rows(warped).image


class SmoothRows(RowSynthesizer):
    """Continue the background along the rows, and smooth what was copied far by push-pull, which leaves no streaks.

    Only copies count, with a weight that falls with the distance they were copied over; so no colour of the foreground enters.

    Args:
        fade: distance in px at which the weight has fallen to 1 / e.

    Raises:
        InputError: a distance that is not positive.
    """

    name = "smooth-rows"

    def __init__(self, fade: float = 4.0) -> None:
        if not fade > 0:
            raise InputError(f"rows fade over a positive distance, got {fade}")
        self.config = {"fade": float(fade)}

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:  # noqa: ARG002 (nothing random)
        """Copy along the rows, then smooth."""
        rows = fill_rows(warped)
        return push_pull(rows.image, torch.exp(-rows.distance / self.config["fade"]).masked_fill(~warped.hole, 0))


class WarpSynthesizer(HoleFiller):
    """Warp only: holes stay black."""

    name = "warp"
    takes_sparse = True

    def __init__(self) -> None:
        self.config = {}

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:  # noqa: ARG002 (nothing random)
        """Leave the holes as the warp left them."""
        return warped.image


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> HoleFiller:  # noqa: ARG001 (no original)
    """Make the preset `rows`, `smooth-rows` (option `fade`) or `warp`; none has weights or a published original."""
    if weights is not None:
        raise InputError(f"the synthesizer {name!r} has no weights to load from {weights}")
    kinds: dict[str, type[HoleFiller]] = {kind.name: kind for kind in (RowSynthesizer, SmoothRows, WarpSynthesizer)}
    return kinds[name](**options)
