"""Left-right consistency: a match is trusted where the right view's own disparity leads back to it."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import backward_warp

__all__ = ["left_right_consistency", "right_disparity"]


def right_disparity(
    match: Callable[[Tensor, Tensor], Tensor], left: Float[Tensor, "B 3 H W"], right: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B 1 H W"]:
    """Disparity of the right view by a matcher that only knows left views: the mirrored right view is the left one of a pair.

    Args:
        match: `(left, right)` to disparity `[B,1,H,W]` of its first argument; any tiling or number of iterations inside.
        left: 0..1.
        right: same shape.

    Returns:
        Pixels, positive like the left view's: `x_left = x_right + d`.
    """
    return match(right.flip(-1), left.flip(-1)).flip(-1)


def left_right_consistency(
    disparity: Float[Tensor, "B 1 H W"], of_right: Float[Tensor, "B 1 H W"], threshold_px: float | int = 1
) -> Bool[Tensor, "B 1 H W"]:
    """Where both views' disparities agree; hidden pixels, pixels out of frame and most gross errors fail.

    The right map is looked up at the nearest pixel of `x - d`, so that no mixture of foreground and background is compared.

    Args:
        disparity: of the left view, in pixels of this width, any sign; NaN and infinity mean no answer.
        of_right: of the right view (`right_disparity`), same shape.
        threshold_px: largest difference that counts as agreement.

    Returns:
        True where the left view's disparity is confirmed.

    Raises:
        ShapeError: maps of different shapes.
        InputError: a negative threshold.

    Source:
        The bidirectional check of block matching (P. Fua, "A parallel stereo algorithm that produces dense depth maps and
        preserves image features", Machine Vision and Applications 1993); 1 px is the usual threshold.
    """
    if not threshold_px >= 0:
        raise InputError(f"the threshold of consistency must be at least 0 px, got {threshold_px}")
    column = torch.arange(disparity.shape[-1], device=disparity.device) - disparity.double()
    inside = (column >= 0) & (column <= disparity.shape[-1] - 1)
    seen = backward_warp(of_right, disparity, padding="zeros", mode="nearest")
    return inside & seen.isfinite() & ((disparity - seen).abs() <= threshold_px)
