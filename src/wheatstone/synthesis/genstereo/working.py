"""Photos of any size and aspect to the size the U-Nets work at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone import geometry
from wheatstone.errors import InputError
from wheatstone.geometry import resize_disparity

__all__ = ["WorkingView", "checked_opening", "open_mask", "resize_picture", "to_working", "working_size"]


@dataclass(frozen=True)
class WorkingView:
    """A left view at working size: 0..1, disparity in pixels of that width, and where it is known."""

    left: Float[Tensor, "B 3 h w"]
    disparity: Float[Tensor, "B 1 h w"]
    valid: Bool[Tensor, "B 1 h w"]


def working_size(size: tuple[int, int], side: int, multiple: int) -> tuple[int, int]:
    """Height and width with the aspect of `size`, as many pixels as a square of `side`, each a multiple of `multiple`.

    The U-Nets have seen squares of one size, so what a level sees is kept: the number of its tokens, not the longer or the
    shorter side. Rounding to whole cells stretches by a few percent at most, and disparities are scaled by the width.
    """
    scale = side / math.sqrt(size[0] * size[1])
    height, width = (max(1, round(length * scale / multiple)) * multiple for length in size)
    return height, width


def to_working(
    left01: Float[Tensor, "B 3 H W"],
    disparity_px: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None,
    size: tuple[int, int],
    *,
    official: bool = False,
) -> WorkingView:
    """Resize a left view and its disparity.

    Args:
        left01: 0..1.
        disparity_px: pixels of this width; never mixed across edges, taken from the nearest pixel.
        valid: where it is known (default everywhere).
        size: height and width.
        official: pick pixels of the picture too, by their upper left corner, as published; else the picture is filtered.
    """
    if official:
        left = functional.interpolate(left01, size, mode="nearest")
        disparity = functional.interpolate(disparity_px, size, mode="nearest") * (size[1] / left01.shape[-1])
        return WorkingView(left, disparity, torch.ones_like(disparity, dtype=torch.bool))
    disparity, known = resize_disparity(disparity_px, size, valid)
    return WorkingView(resize_picture(left01, size), disparity, known)


def resize_picture(image01: Float[Tensor, "B 3 H W"], size: tuple[int, int]) -> Float[Tensor, "B 3 h w"]:
    """Bicubic, filtered where it shrinks, clamped to 0..1; the same tensor where the size is right already."""
    if tuple(image01.shape[-2:]) == size:
        return image01
    return functional.interpolate(image01, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def checked_opening(size: int | Sequence[int]) -> int | list[int]:
    """The `size` of `open_mask` as plain JSON, one number where one was given.

    Raises:
        InputError: a negative or even extent other than 0, or more than two.
    """
    extents = [size] if isinstance(size, int) else list(size)
    fits = 1 <= len(extents) <= 2 and all(extent == 0 or (extent > 0 and extent % 2 == 1) for extent in extents)
    if not fits:
        raise InputError(f"`mask_opening` must be 0, an odd number of pixels or two of them, got {size}")
    return extents[0] if len(extents) == 1 else extents


def open_mask(known: Bool[Tensor, "B 1 H W"], size: int | Sequence[int]) -> Bool[Tensor, "B 1 H W"]:
    """Take out of a mask what a square of `size` pixels, or a rectangle (height, width), does not fit into; 0 keeps all.

    The border of the image does not count.
    """
    height, width = (size, size) if isinstance(size, int) else size
    return geometry.open_mask(known, (max(1, height), max(1, width)))
