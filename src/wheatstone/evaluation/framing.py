"""Cropping, resizing and rounding of views before they are compared, as protocols ask for it."""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.samples import to_uint8

__all__ = ["as_saved", "centre_square", "compared_at", "in_8_bits", "resized_view"]


def resized_view(view: Float[Tensor, "B 3 H W"], size: tuple[int, int]) -> Float[Tensor, "B 3 h w"]:
    """Resize a view to (height, width): bilinear, smoothed before it is reduced, as Pillow does."""
    return functional.interpolate(view, size, mode="bilinear", align_corners=False, antialias=True)


def in_8_bits(view: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """The nearest values that 8 bits hold."""
    return (255 * view.clamp(0, 1)).round() / 255


def centre_square(values: Tensor, *, further_left: bool = False) -> Tensor:
    """The square in the middle of `[B,C,H,W]`; an odd margin is larger by one on the left and above, or with `further_left`
    on the right and below.
    """
    height, width = values.shape[-2:]
    side = min(height, width)
    top, left = ((extent - side + (not further_left)) // 2 for extent in (height, width))
    return values[..., top : top + side, left : left + side]


def as_saved(view: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
    """What an 8-bit file holds when values are cut off instead of rounded."""
    return (255 * view.clamp(0, 1)).floor() / 255


def compared_at(view: Float[Tensor, "1 3 H W"], side: int) -> Float[Tensor, "1 3 h w"]:
    """Resize 8-bit pixels to a square by OpenCV's bicubic interpolation, which does not smooth before it reduces."""
    pixels: np.ndarray = cv2.resize(to_uint8(view[0]), (side, side), interpolation=cv2.INTER_CUBIC)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
