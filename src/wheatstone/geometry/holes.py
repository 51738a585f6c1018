"""Holes of a view or map: where their known neighbours are, what kind of hole a pixel belongs to, what lies behind."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.samples import Origin

__all__ = ["HoleEnds", "background_fill", "hole_ends", "hole_origin", "open_mask", "torn_apart"]


@dataclass(frozen=True)
class HoleEnds:
    """For every pixel the nearest known column of its row, itself included: `left` is -1 and `right` is W where none."""

    left: Int64[Tensor, "B 1 H W"]
    right: Int64[Tensor, "B 1 H W"]


def hole_ends(hole: Bool[Tensor, "B 1 H W"]) -> HoleEnds:
    """Find the ends of the horizontal run of hole pixels that each pixel lies in."""
    width = hole.shape[-1]
    column = torch.arange(width, device=hole.device).expand(hole.shape)
    left = column.masked_fill(hole, -1).cummax(-1).values
    right = column.masked_fill(hole, width).flip(-1).cummin(-1).values.flip(-1)
    return HoleEnds(left, right)


def hole_origin(
    hole: Bool[Tensor, "B 1 H W"],
    disparity_of_view: Float[Tensor, "B 1 H W"],
    *,
    side: Literal["left", "right", "both"] = "both",
    crack_width: int = 2,
    crack_step: float = 4.24,
    ends: HoleEnds | None = None,
    torn: Bool[Tensor, "B 1 H W"] | None = None,
) -> UInt8[Tensor, "B 1 H W"]:
    """Label every pixel of a warped view with its `Origin`: warped, crack, disocclusion or border.

    Args:
        hole: frame of the new view.
        disparity_of_view: what landed on each known pixel, in pixels of the warp that was made; ignored in holes.
        side: image side where the view looks past the photograph: `"right"` for a positive warp, `"left"` for a negative
            one. A run of holes that reaches this side is `Origin.BORDER`.
        crack_width: a run of at most this many pixels can be a crack, a surface stretched apart.
        crack_step: largest difference of disparity between the two ends of a crack, px; the default is the step that
            `clean_disparity` begins to call an edge. What is neither border nor crack is a disocclusion.
        ends: result of `hole_ends`, if it is at hand.
        torn: hole pixels between two surfaces (`torn_apart`), which are no cracks however small the step.
    """
    width = hole.shape[-1]
    ends = hole_ends(hole) if ends is None else ends
    at_left, at_right = ends.left < 0, ends.right >= width
    border = {"left": at_left, "right": at_right, "both": at_left | at_right}[side]
    from_left = disparity_of_view.gather(-1, ends.left.clamp(min=0))
    from_right = disparity_of_view.gather(-1, ends.right.clamp(max=width - 1))
    narrow = (ends.right - ends.left - 1 <= crack_width) & ~at_left & ~at_right
    crack = narrow & ((from_left - from_right).abs() <= crack_step)
    if torn is not None:
        crack &= ~torn
    origin = torch.full(hole.shape, int(Origin.DISOCCLUSION), dtype=torch.uint8, device=hole.device)
    origin.masked_fill_(crack, int(Origin.CRACK)).masked_fill_(border, int(Origin.BORDER))
    return origin.masked_fill_(~hole, int(Origin.WARPED))


def torn_apart(
    disparity: Float[Tensor, "B 1 H W"],
    source: Int64[Tensor, "B 1 H W"],
    ends: HoleEnds,
    *,
    step: float = 1.0,
) -> Bool[Tensor, "B 1 H W"]:
    """Tell the gap between two surfaces from one surface stretched apart, by the slope beside it.

    Args:
        disparity: frame of the reference, in pixels of the warp that was made.
        source: frame of the new view, the reference column that landed on each known pixel; ignored in holes.
        ends: result of `hole_ends` of the new view.
        step: px a pixel by which the gradient between the two pixels that end a hole must differ from those before and behind it.

    Returns:
        Frame of the new view: True where the ends of the hole are neighbours in the reference and a step lies between them.
    """
    width = disparity.shape[-1]
    if width < 3:
        return torch.zeros_like(disparity, dtype=torch.bool)
    first = source.gather(-1, ends.left.clamp(min=0))
    neighbours = source.gather(-1, ends.right.clamp(max=width - 1)) == first + 1
    gradient = disparity[..., 1:] - disparity[..., :-1]
    own = gradient.gather(-1, first.clamp(max=width - 2))
    # at the sides of the image the one neighbour there is
    before = gradient.gather(-1, torch.where(first > 0, first - 1, first + 1).clamp(max=width - 2))
    behind = gradient.gather(-1, torch.where(first < width - 2, first + 1, first - 1).clamp(min=0))
    return neighbours & ((own - before).abs() > step) & ((own - behind).abs() > step)


def open_mask(known: Bool[Tensor, "B 1 H W"], size: tuple[int, int]) -> Bool[Tensor, "B 1 H W"]:
    """Take out of a mask what a rectangle of this height and width does not fit into (morphological opening).

    Beyond the image everything counts as known, so what lies at its side may be smaller by half the rectangle.

    Raises:
        InputError: sides that are not odd and positive.
    """
    if min(size) < 1 or not all(side % 2 for side in size):
        raise InputError(f"a mask is opened by a rectangle with odd sides, got {size[0]}x{size[1]} (height x width)")
    margin = (size[0] // 2, size[1] // 2)
    gone = functional.max_pool2d((~known).float(), size, stride=1, padding=margin)
    return functional.max_pool2d(1 - gone, size, stride=1, padding=margin) > 0.5


def background_fill(disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Give unknown pixels the smaller of the two nearest known disparities of their row: what is hidden lies behind.

    Runs that reach an image side have one neighbour only. Rows without any known pixel take the nearest row that has some,
    the upper of two equally near; an image without any becomes 0. Known pixels are kept as they are.
    """
    height, width = disparity.shape[-2:]
    ends = hole_ends(~valid)
    unknown = torch.full_like(disparity, torch.inf)
    from_left = torch.where(ends.left >= 0, disparity.gather(-1, ends.left.clamp(min=0)), unknown)
    from_right = torch.where(ends.right < width, disparity.gather(-1, ends.right.clamp(max=width - 1)), unknown)
    filled = torch.where(valid, disparity, from_left.minimum(from_right))
    empty = ~valid.any(-1)  # [B,1,H]
    rows = hole_ends(empty[:, :, None])
    above, below = rows.left[:, :, 0], rows.right[:, :, 0]
    row = torch.arange(height, device=disparity.device)
    upper = (above >= 0) & ((row - above <= below - row) | (below >= height))
    source = torch.where(upper, above, below.clamp(max=height - 1))[..., None].expand(disparity.shape)
    return filled.gather(-2, source).masked_fill(empty.all(-1)[..., None, None], 0.0)
