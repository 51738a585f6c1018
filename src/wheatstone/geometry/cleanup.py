"""Disparity clean-up: sharp depth edges for the warp, and resizing that keeps them sharp."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["clean_disparity", "dilate_cross", "nearest_refill", "relative_edges", "resize_disparity", "sobel_magnitude"]


def clean_disparity(
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    dilate: int = 1,
    threshold: float = 3.0,
    size_scale: float = 1.0,
) -> Float[Tensor, "B 1 H W"]:
    """Turn the soft depth edges of a network into steps, so that no pixel lands between foreground and background.

    The foreground grows by `dilate` pixels (4-neighbourhood), then every pixel on a slope steeper than the threshold takes
    the value of the nearest pixel that is not.

    Args:
        disparity: pixels of this width.
        valid: pixels that are not valid, or not finite, lend their value to nobody and keep it themselves.
        dilate: passes of the 3x3 cross dilation; moves the jump into the background by one pixel each.
        threshold: Sobel magnitude in px of disparity (a step of height h gives h / sqrt(2)); 3 means steps above 4.24 px.
        size_scale: the threshold is multiplied by it; pass `width / reference_width` to sharpen alike at every resolution.

    Source:
        ZeroStereo, stage A9 (1 pass of dilation since July 2025, threshold 3); stereo-from-mono (no dilation).
    """
    if dilate < 0 or threshold <= 0 or size_scale <= 0:
        raise InputError(
            f"clean-up needs dilate >= 0, threshold > 0, size_scale > 0: {dilate}, {threshold}, {size_scale}"
        )
    finite = disparity.isfinite()
    if not bool(finite.all()):
        valid = finite if valid is None else valid & finite
    work = disparity if valid is None else nearest_refill(disparity, ~valid)
    for _ in range(dilate):
        work = dilate_cross(work)
    edge = sobel_magnitude(work) > threshold * size_scale
    if valid is None:
        return nearest_refill(work, edge)
    return torch.where(valid, nearest_refill(work, edge | ~valid), disparity)


def sobel_magnitude(values: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Gradient magnitude sqrt((gx^2 + gy^2) / 2), smoothing [1,2,1]/4, derivative [1,0,-1], mirrored border.

    The same numbers as scikit-image's `sobel`, which the published thresholds are measured with.
    """
    padded = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    rows = (padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]) / 4
    columns = (padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]) / 4
    gradient_x = rows[..., 2:] - rows[..., :-2]
    gradient_y = columns[..., 2:, :] - columns[..., :-2, :]
    return ((gradient_x.square() + gradient_y.square()) / 2).sqrt()


def nearest_refill(values: Float[Tensor, "B C H W"], replace: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, "B C H W"]:
    """Give every pixel of `replace` the values of the nearest pixel (Euclidean) outside it.

    Of several nearest pixels any may win, always the same one for the same mask. An image that is replaced everywhere is
    returned as it is. The search runs on the CPU, whatever the device, so that results do not depend on it.
    """
    height, width = values.shape[-2:]
    result = values.clone(memory_format=torch.contiguous_format)
    for item, mask in enumerate(replace[:, 0].cpu().numpy()):
        if not mask.any() or mask.all():
            continue
        rows, columns = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
        at = torch.from_numpy(mask.nonzero()[0] * width + mask.nonzero()[1]).to(values.device)
        source = torch.from_numpy((rows[mask].astype("int64") * width) + columns[mask]).to(values.device)
        flat = result[item].view(-1, height * width)
        flat[:, at] = flat[:, source]
    return result


def relative_edges(disparity: Float[Tensor, "B 1 H W"], threshold: float = 0.04) -> Bool[Tensor, "B 1 H W"]:
    """Mark depth edges by their share of the image's own disparity range, so that the scale drawn does not matter.

    Args:
        disparity: pixels, or any relative inverse depth.
        threshold: Sobel magnitude over (maximum - minimum) of the image above which a pixel is an edge; 0.04 is the bound
            that Mono2Stereo's group uses to make border pixels into holes (there 0.23 for Sobel weights summing to 8).

    Returns:
        True on edges; nothing is an edge where the disparity is constant.
    """
    flat = disparity.flatten(1)
    span = (flat.amax(1) - flat.amin(1))[:, None, None, None]
    return sobel_magnitude(disparity) > threshold * span


def resize_disparity(
    disparity: Float[Tensor, "B 1 H W"],
    size: tuple[int, int],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    mode: Literal["nearest", "bilinear"] = "nearest",
) -> tuple[Float[Tensor, "B 1 h w"], Bool[Tensor, "B 1 h w"]]:
    """Resize a disparity map; values are multiplied by the true ratio of the widths.

    Args:
        disparity: pixels of its own width.
        size: new (height, width).
        valid: where it is usable (default everywhere).
        mode: `"nearest"` (pixel centres) never mixes two sides of a depth edge; `"bilinear"` does, and is valid only where
            all pixels it read are.

    Returns:
        Disparity in pixels of the new width, and its validity.

    Raises:
        InputError: an unknown mode, or a size without pixels.
    """
    if mode not in ("nearest", "bilinear"):
        raise InputError(f"unknown resize mode {mode!r}: use 'nearest' or 'bilinear'")
    if min(size) < 1:
        raise InputError(f"cannot resize a disparity map to {size[0]}x{size[1]} (height x width) pixels")
    if valid is None:
        valid = torch.ones_like(disparity, dtype=torch.bool)
    ratio = size[1] / disparity.shape[-1]
    if mode == "nearest":
        resized = functional.interpolate(disparity, size, mode="nearest-exact")
        kept = functional.interpolate(valid.float(), size, mode="nearest-exact") > 0.5
        return resized * ratio, kept
    resized = functional.interpolate(disparity.masked_fill(~valid, 0), size, mode="bilinear", align_corners=False)
    spoilt = functional.interpolate((~valid).float(), size, mode="bilinear", align_corners=False)
    return resized * ratio, spoilt == 0


def dilate_cross(values: Tensor) -> Tensor:
    """Grey dilation with the 3x3 cross; nothing comes from outside the frame."""
    grown = values.clone()
    for grown_part, values_part in (
        (grown[..., 1:], values[..., :-1]),
        (grown[..., :-1], values[..., 1:]),
        (grown[..., 1:, :], values[..., :-1, :]),
        (grown[..., :-1, :], values[..., 1:, :]),
    ):
        torch.maximum(grown_part, values_part, out=grown_part)
    return grown
