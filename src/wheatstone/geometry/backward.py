"""Backward warp: fetch every pixel of one view from the other view at `x - d`."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry.forward import check_sizes

__all__ = ["backward_warp"]


def backward_warp(
    image: Float[Tensor, "B C H W"],
    disparity: Float[Tensor, "B 1 H W"],
    padding: Literal["border", "zeros"] = "border",
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Float[Tensor, "B C H W"]:
    """Fetch `image` at column `x - d`, row unchanged: with the right view and the left disparity this predicts the left view.

    Zero disparity is exactly the identity, an integer one an exact shift: columns are interpolated directly, without the
    detour over normalised coordinates that costs up to 4e-4 grey levels of 255. Gradients flow to both arguments (not to
    `disparity` with `mode="nearest"`).

    Args:
        image: the view to fetch from.
        disparity: pixels of this width, in the frame of the result; NaN counts as far outside.
        padding: what lies outside the frame: the `"border"` pixel or `"zeros"`.
        mode: `"bilinear"`, or `"nearest"` (half to even) for masks and labels.

    Source:
        ZeroStereo, `disp_warp` of the training losses (bilinear with border padding for images, nearest with zeros for
        masks); DMS and monodepth2 use the same formula.
    """
    if padding not in ("border", "zeros") or mode not in ("bilinear", "nearest"):
        raise InputError(f"unknown padding {padding!r} or mode {mode!r}: use 'border'/'zeros' and 'bilinear'/'nearest'")
    check_sizes(image, disparity)
    width = image.shape[-1]
    column = torch.arange(width, device=image.device, dtype=torch.float64) - disparity.double()
    column = column.nan_to_num(nan=-2.0).clamp(-2.0, width + 1.0)
    if padding == "border":
        column = column.clamp(0, width - 1)
    if mode == "nearest":
        return _fetch(image, column.detach().round().long())
    left = column.detach().floor()
    share = (column - left).to(image.dtype)
    near, far = _fetch(image, left.long()), _fetch(image, left.long() + 1)
    return near + (far - near) * share


def _fetch(image: Tensor, column: Tensor) -> Tensor:
    """Take `image` at integer columns `[B,1,H,W]`, 0 outside the frame."""
    width = image.shape[-1]
    inside = (column >= 0) & (column < width)
    index = column.clamp(0, width - 1).expand(-1, image.shape[1], -1, -1)
    return image.gather(-1, index).masked_fill(~inside, 0)
