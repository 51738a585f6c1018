"""Fills that fit what surrounds them: reduced views without mixed-in holes, and colour matching at the rim."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

__all__ = ["match_fill", "reduce_known"]

BAND_PX = 16
ENOUGH = 64
GAIN_LIMITS = (0.8, 1.25)


def reduce_known(
    image: Float[Tensor, "B 3 H W"], hole: Bool[Tensor, "B 1 H W"], size: tuple[int, int]
) -> tuple[Float[Tensor, "B 3 h w"], Bool[Tensor, "B 1 h w"]]:
    """Reduce a view with holes: every pixel is the mean of the known pixels it covers, and a hole if it covers any hole."""
    known = (~hole).to(image.dtype)
    share = functional.interpolate(known, size, mode="area")
    colours = functional.interpolate(image * known, size, mode="area")
    return colours / share.clamp(min=1e-6), share < 1 - 1e-6


def match_fill(
    painted: Float[Tensor, "B 3 H W"], image: Float[Tensor, "B 3 H W"], hole: Bool[Tensor, "B 1 H W"]
) -> Float[Tensor, "B 3 H W"]:
    """Give a painted view the colours of the known one, per image and channel.

    The painter also repaints what is known, so its colour shift can be measured: in a band of known pixels around the holes,
    mean and spread of the painted view are brought to those of the known view (gain held between 0.8 and 1.25). Images
    with too few such pixels stay as they are.
    """
    band = _grown(hole, BAND_PX) & ~hole
    count = band.sum((-2, -1), keepdim=True).clamp(min=1)

    def moments(values: Tensor) -> tuple[Tensor, Tensor]:
        mean = (values * band).sum((-2, -1), keepdim=True) / count
        return mean, ((values - mean).square() * band).sum((-2, -1), keepdim=True).div(count).sqrt()

    mean, spread = moments(painted)
    wanted_mean, wanted_spread = moments(image)
    gain = (wanted_spread / spread.clamp(min=1e-4)).clamp(*GAIN_LIMITS)
    matched = ((painted - mean) * gain + wanted_mean).clamp(0, 1)
    return torch.where(count >= ENOUGH, matched, painted)


def _grown(mask: Tensor, radius: int) -> Tensor:
    """Dilate by a square of side 2 radius + 1, one axis after the other."""
    width = 2 * radius + 1
    rows = functional.max_pool2d(mask.to(torch.float32), (width, 1), stride=1, padding=(radius, 0))
    return functional.max_pool2d(rows, (1, width), stride=1, padding=(0, radius)) > 0
