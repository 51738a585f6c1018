"""Forward warp: move every pixel of the reference view to where the new view sees it, with exact visibility and holes.

A pixel of column x lands at `x - d`. Larger d is nearer, whatever its sign, so of two pixels of a row that land on the same
cell the one further right is the nearer: visibility needs no depth values, only the right-most column that reaches a cell.
That turns the published row scans (quadratic in the width) into a few integer scatter-reductions, exact in any order.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from wheatstone.errors import InputError, ShapeError
from wheatstone.samples import ForwardWarp

__all__ = ["ForwardWarper", "Landing", "Method", "forward_warp"]

Method = Literal["two-tap", "nearest"]

# Landing positions are fixed-point numbers of 2^-40 px, exact for every float32 disparity above 2^-17 px. A splat key holds
# the cost (40 bits) above the column (20 bits), so one integer minimum finds the closest landing and breaks ties.
_FRACTION_BITS = 40
_COLUMN_BITS = 20
_ONE = 1 << _FRACTION_BITS
_MISSING = torch.iinfo(torch.int64).max
_MISSING_COST = 10_000.0  # what a layer that nothing hit weighs, as published
_BLOCK_PIXELS = 1 << 17


@dataclass(frozen=True)
class Landing:
    """Which reference columns make up each pixel of the new view: the geometry of a warp, without colours.

    A cell takes the pixel that landed closest to it of those that are rounded up to it, and of those that are rounded down.

    Attributes:
        up: column of the pixel rounded up to this cell; that of `down` where there is none; -1 in holes.
        down: column of the pixel rounded down to this cell; that of `up` where there is none; -1 in holes.
        weight: share of `down` in the blend, 0..1.
        gain: factor on the blend: 1 where both exist or coincide, at least 0.9999 where one is missing (as published).
        hole: frame of the new view, True where no pixel lands.
        visible: frame of the reference, True where a pixel is seen in the new view.
    """

    up: Int32[Tensor, "B 1 H W"]
    down: Int32[Tensor, "B 1 H W"]
    weight: Float[Tensor, "B 1 H W"]
    gain: Float[Tensor, "B 1 H W"]
    hole: Bool[Tensor, "B 1 H W"]
    visible: Bool[Tensor, "B 1 H W"]

    def splat(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Blend the two landings of every cell; holes are 0. Differentiable with respect to `image`."""
        near = self._fetch(image, self.up)
        if self.down is not self.up:
            # Separate operations, each rounded once: the same bits on every device and for every batch size, and exactly the
            # source colour where both layers hold the same pixel.
            step = self._fetch(image, self.down).sub_(near).mul_(self.weight.to(image.dtype))
            near = step.add_(near).mul_(self.gain.to(image.dtype))
        return near.masked_fill_(self.hole, 0)

    def pick(self, values: Tensor) -> Tensor:
        """Take `values` `[B,C,H,W]` of the heavier landing of every cell, never a mixture; holes are 0."""
        return self._fetch(values, torch.where(self.weight > 0.5, self.down, self.up)).masked_fill_(self.hole, 0)

    def pick_disparity(self, disparity: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Disparity in the frame of the new view: what landed there, interpolated like the colours along a surface.

        The landings of a cell are blended where they differ by at most one pixel, that is on one surface; at a step the heavier
        one is taken, never a mixture. Holes are 0.

        Args:
            disparity: frame of the reference, px; the map that was warped, or one proportional to it.
        """
        up, down = (self._fetch(disparity.double(), column) for column in (self.up, self.down))
        blended = (down - up).mul_(self.weight.double()).add_(up)
        same_surface = (down - up).abs() <= 1
        heavier = torch.where(self.weight > 0.5, down, up)
        return torch.where(same_surface, blended, heavier).to(disparity.dtype).masked_fill_(self.hole, 0)

    def mirror(self) -> "Landing":
        """The same landing seen in a mirror: moving mirrored maps by it gives the mirrored result, bit by bit."""
        last = self.hole.shape[-1] - 1
        up, down = (torch.where(c < 0, c, last - c).flip(-1) for c in (self.up, self.down))
        weight, gain, hole, visible = (m.flip(-1) for m in (self.weight, self.gain, self.hole, self.visible))
        return Landing(up, up if self.down is self.up else down, weight, gain, hole, visible)

    def _fetch(self, values: Tensor, column: Tensor) -> Tensor:
        return values.gather(-1, column.clamp(min=0).long().expand(-1, values.shape[1], -1, -1))


@dataclass(frozen=True)
class ForwardWarper:
    """A configured forward warp; `forward_warp` is `ForwardWarper(method)(...)`.

    Attributes:
        method: `"two-tap"` blends the two nearest landings of every cell (ZeroStereo, MfS); `"nearest"` rounds disparities
            half to even and lets the nearest pixel win (GenStereo).
        official: reproduce the published two-tap code bit by bit where it is wrong: a landing exactly on column 0 counts as
            out of view, hidden pixels are parked on column 0 (wrong colour, never a hole), blended colours are divided by
            a sum that is 1e-7 too large. For images of 0..255 as published; no effect on `"nearest"`.
    """

    method: Method = "two-tap"
    official: bool = False

    def __post_init__(self) -> None:
        if self.method not in ("two-tap", "nearest"):
            raise InputError(f"unknown warp method {self.method!r}: use 'two-tap' or 'nearest'")

    @torch.no_grad()
    def landing(self, disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"] | None = None) -> Landing:
        """Find out where pixels land, once for any number of images and maps to be moved.

        Raises:
            ShapeError: wider than 2^20 - 2 pixels.
        """
        batch, _, height, width = disparity.shape
        if width > (1 << _COLUMN_BITS) - 2:
            raise ShapeError(f"rows of {width} pixels are too long to warp: the limit is {(1 << _COLUMN_BITS) - 2}")
        rows = disparity.reshape(-1, width)
        usable = rows.isfinite() if valid is None else rows.isfinite() & valid.reshape(-1, width)
        # On a CPU, blocks of rows that fit the cache; rows know nothing of each other.
        block = max(1, _BLOCK_PIXELS // width) if rows.device.type == "cpu" else max(1, len(rows))
        made = [self._land(*part) for part in zip(rows.split(block), usable.split(block), strict=True)]
        parts = {name: torch.cat([part[name] for part in made]).view(batch, 1, height, width) for name in made[0]}
        parts.setdefault("down", parts["up"])
        return Landing(**parts)

    def landing_at(
        self,
        disparity: Float[Tensor, "B 1 H W"],
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        baseline: float | int = 1.0,
    ) -> Landing:
        """The landing of a move by `baseline * disparity` to either side.

        Negative moves are made in the mirror, where they are positive: larger disparity is nearer in both directions.

        Args:
            disparity: frame of the reference, px, larger = nearer.
            valid: where it is usable (default everywhere).
            baseline: place of the new view relative to the reference; positive moves content to the left.
        """
        if baseline >= 0:
            return self.landing(disparity * baseline, valid)
        flipped = None if valid is None else valid.flip(-1)
        return self.landing(disparity.flip(-1) * -baseline, flipped).mirror()

    def _land(self, disparity: Tensor, usable: Tensor) -> dict[str, Tensor]:
        nearest = self.method == "nearest"
        position = _positions(disparity, usable, rounded=nearest)
        return _nearest_landing(position) if nearest else _two_tap_landing(position, self.official)

    def __call__(
        self,
        image: Float[Tensor, "B C H W"],
        disparity: Float[Tensor, "B 1 H W"],
        valid: Bool[Tensor, "B 1 H W"] | None = None,
    ) -> ForwardWarp:
        """Warp `image`; see `forward_warp`."""
        check_sizes(image, disparity, valid)
        landing = self.landing(disparity, valid)
        return ForwardWarp(image=landing.splat(image), hole=landing.hole, visible=landing.visible)


def forward_warp(
    image: Float[Tensor, "B C H W"],
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    method: Method = "two-tap",
) -> ForwardWarp:
    """Move the pixels of `image` to the left by `disparity` and say what is seen and what is a hole.

    A pixel is visible if it lands inside the frame (0 <= x - d <= W - 1) and one of the two cells beside its landing is not
    taken by a pixel two or more columns further right. Visible pixels are splatted to both cells; in each cell the closest
    landing from the left and from the right are blended linearly. Zero disparity is exactly the identity, an integer one an
    exact shift. Larger disparity is nearer and hides smaller, whatever the signs.

    Args:
        image: any number of channels, any range; gradients flow to it (not to `disparity`).
        disparity: pixels of this width; NaN and infinite values land nowhere.
        valid: where `disparity` is usable (default everywhere); the rest lands nowhere and hides nothing.
        method: `"two-tap"`, or `"nearest"`: disparities rounded half to even, the nearest pixel wins.

    Returns:
        image: `[B,C,H,W]`, 0 in holes.
        hole: `[B,1,H,W]`, frame of the new view.
        visible: `[B,1,H,W]`, frame of `image`.

    Source:
        ZeroStereo (ICCV 2025) and stereo-from-mono (ECCV 2020), both with the visibility test and the two-layer splat of
        this function; GenStereo (ICCV 2025) for `"nearest"`. A cell that only one layer hit is darker than its source by up
        to 1e-4 of its value, as published. Unlike there, a landing on column 0 is seen and nothing else is ever moved into
        column 0; `ForwardWarper(official=True)` keeps those defects.

    Example:
        >>> image = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])
        >>> forward_warp(image, torch.ones_like(image)).image
        tensor([[[[2., 3., 4., 0.]]]])
    """
    return ForwardWarper(method)(image, disparity, valid)


def check_sizes(image: Tensor, disparity: Tensor, valid: Tensor | None = None) -> None:
    """Refuse maps that do not belong to the image.

    Raises:
        ShapeError: not `[B,C,H,W]` and `[B,1,H,W]` of the same batch and size.
    """
    expected = [image.shape[0], 1, *image.shape[-2:]]
    for name, values in (("disparity", disparity), ("valid", valid)):
        if values is not None and (image.ndim != 4 or list(values.shape) != expected):
            raise ShapeError(
                f"`{name}` of an image {list(image.shape)} must be [B,1,H,W] alike, got {list(values.shape)}"
            )


def _positions(disparity: Tensor, usable: Tensor, *, rounded: bool) -> Tensor:
    """Landing positions `[N,W]` in fixed point, one pixel to the right: 0 and W + 1 px are the cells just outside the frame.

    Everything farther outside is moved there, and so is everything unusable.
    """
    width = disparity.shape[-1]
    shift = disparity.double()
    if rounded:
        shift = shift.round()
    column = torch.arange(1, width + 1, device=disparity.device, dtype=torch.float64)
    position = torch.where(usable, column - shift, 0.0).clamp_(0, width + 1)
    return position.mul_(_ONE).round_().to(torch.int64)


def _rightmost(cells: tuple[Tensor, ...], width: int) -> Tensor:
    """Right-most column that reaches each cell (0 and W + 1 are outside), -1 where none."""
    rows = cells[0].shape[0]
    column = torch.arange(width, device=cells[0].device, dtype=torch.int32).expand(rows, -1)
    rightmost = torch.full((rows, width + 2), -1, device=cells[0].device, dtype=torch.int32)
    for cell in cells:
        rightmost.scatter_reduce_(1, cell, column, "amax")
    return rightmost


def _nearest_landing(position: Tensor) -> dict[str, Tensor]:
    """Integer splat: the right-most pixel of a cell is the nearest and takes it."""
    width = position.shape[1]
    cell = position >> _FRACTION_BITS
    source = _rightmost((cell,), width)
    column = torch.arange(width, device=position.device, dtype=torch.int32)
    visible = (cell >= 1) & (cell <= width) & (source.gather(1, cell) == column)
    source = source[:, 1:-1]
    weight = torch.zeros(source.shape, device=position.device, dtype=torch.float32)
    return {"up": source, "weight": weight, "gain": weight + 1, "hole": source < 0, "visible": visible}


def _two_tap_landing(position: Tensor, official: bool) -> dict[str, Tensor]:
    """Two-layer splat: visibility by the right-most column of each cell, then the cheapest landing of each layer."""
    width = position.shape[1]
    floor = position >> _FRACTION_BITS
    ceil = (position + (_ONE - 1)) >> _FRACTION_BITS
    rightmost = _rightmost((floor, ceil), width)
    # The direct neighbour never hides a pixel: its landing is less than two cells away on any surface.
    limit = torch.arange(width, device=position.device, dtype=torch.int32) + 2
    free = (rightmost.gather(1, floor) < limit) | (rightmost.gather(1, ceil) < limit)
    visible = free & (position > _ONE if official else (position >= _ONE) & (ceil <= width))
    cost = (ceil << _FRACTION_BITS) - position
    if official:  # cells are clipped into the frame, and whatever is not visible is parked on the first one
        floor, ceil = (torch.where(visible, cell.clamp(1, width), 1) for cell in (floor, ceil))
        cost = torch.where(
            visible, cost, 2 * _ONE
        )  # rounded down that is -1, less than any true landing: both layers lose
    else:
        floor, ceil = (cell.masked_fill_(~visible, 0) for cell in (floor, ceil))
    up, up_cost = _cheapest(ceil, cost)
    down, down_cost = _cheapest(floor, _ONE - cost)
    total = up_cost + down_cost  # never 0, because the cost of a landing rounded down is positive
    no_up, no_down = up < 0, down < 0
    alone = no_up | no_down
    return {
        "up": torch.where(no_up, down, up),
        "down": torch.where(no_down, up, down),
        "weight": (up_cost / total).masked_fill_(alone, 0).float(),
        "gain": torch.where(alone, _MISSING_COST, total).div_(total + 1e-7 if official else total).float(),
        "hole": no_up & no_down,
        "visible": visible,
    }


def _cheapest(cell: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Per cell 1..W the column that landed closest (ties: the larger column, which is nearer), or -1, and its cost in px."""
    rows, width = cell.shape
    last = (1 << _COLUMN_BITS) - 1
    key = (cost << _COLUMN_BITS).add_(last - torch.arange(width, device=cell.device))
    lowest = torch.full((rows, width + 1), _MISSING, device=cell.device, dtype=torch.int64)
    lowest = lowest.scatter_reduce_(1, cell, key, "amin")[:, 1:]
    missing = lowest == _MISSING
    column = (last - (lowest & last)).to(torch.int32).masked_fill_(missing, -1)
    cost_px = (lowest >> _COLUMN_BITS).double().mul_(1 / _ONE).masked_fill_(missing, _MISSING_COST)
    return column, cost_px
