"""What both U-Nets are told about the scene: coordinates, moved pixels and holes, as maps of 14 channels."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.geometry import ForwardWarper
from wheatstone.geometry.forward import check_sizes

__all__ = ["CONDITION_CHANNELS", "Conditions", "coordinate_embedding", "make_conditions"]

CONDITION_CHANNELS = 14
_WARPER = ForwardWarper("nearest")


@dataclass(frozen=True)
class Conditions:
    """The two condition maps of a pair; channels: coordinate embedding (10), hole (1), RGB in -1..1 (3).

    Attributes:
        source: frame of the left view: its coordinates, no holes, its colours.
        target: frame of the right view: coordinates and colours that landed there; holes have embedding 0, hole 1, RGB -1.
        warped: the left view moved into the frame of the right one, 0..1, 0 in holes.
        hole: frame of the right view, True where no pixel landed.
    """

    source: Float[Tensor, "B 14 H W"]
    target: Float[Tensor, "B 14 H W"]
    warped: Float[Tensor, "B 3 H W"]
    hole: Bool[Tensor, "B 1 H W"]


def coordinate_embedding(
    height: int,
    width: int,
    *,
    frequencies: int = 2,
    official: bool = False,
    device: torch.device | None = None,
) -> Float[Tensor, "1 C H W"]:
    """Fourier embedding of pixel coordinates, `C = 2 + 4 * frequencies` channels.

    With x = column / width and y = row / height (both in [0, 1)) the channels are x, y, then sin(f x), sin(f y), cos(f x),
    cos(f y) for each frequency f. The frequencies are spaced evenly in their logarithm from 1 to 2^(frequencies - 1).

    Args:
        height: rows.
        width: columns.
        frequencies: how many; 2 are 1 and 2.
        official: divide columns by the height and rows by the width, as published; the same for square images, the only
            ones the original meets.
        device: where to make it.

    Source: GenStereo (ICCV 2025), disparity-aware coordinate embedding.
    """
    across, down = (height, width) if official else (width, height)
    x = torch.arange(width, dtype=torch.float32, device=device) / across
    y = torch.arange(height, dtype=torch.float32, device=device) / down
    place = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])  # [2,H,W]
    channels = [place]
    for power in range(frequencies):
        channels += [torch.sin(place * 2**power), torch.cos(place * 2**power)]
    return torch.cat(channels)[None]


def make_conditions(
    left01: Float[Tensor, "B 3 H W"],
    disparity_px: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    official: bool = False,
) -> Conditions:
    """Move coordinates and colours by the rounded disparity, and stack them with the holes.

    Args:
        left01: left view, 0..1.
        disparity_px: pixels of this width; values that are not finite land nowhere.
        valid: where the disparity is known (default everywhere); the rest lands nowhere: what moved there is not known, so
            the right view has a hole. A disparity of 0 where `valid` is True is a shift by 0.
        official: what is not `valid` lands without being moved, because files write unknown disparity as 0 and the published
            inference takes 0 for a shift; and the embedding has the published divisors (`coordinate_embedding`).

    Raises:
        ShapeError: maps that do not belong to the image.

    Source: GenStereo (ICCV 2025); disparities are rounded half to even and the nearest pixel wins (`forward_warp`).
    """
    check_sizes(left01, disparity_px, valid)
    if official and valid is not None:
        disparity_px, valid = torch.where(valid, disparity_px, 0.0), None
    count, _, height, width = left01.shape
    embedding = coordinate_embedding(height, width, official=official, device=left01.device)
    embedding = embedding.to(left01.dtype).expand(count, -1, -1, -1)
    landing = _WARPER.landing(disparity_px, valid)
    warped = landing.splat(left01)
    no_hole = torch.zeros_like(left01[:, :1])
    hole = landing.hole.to(left01.dtype)
    return Conditions(
        source=torch.cat([embedding, no_hole, left01 * 2 - 1], 1),
        target=torch.cat([landing.splat(embedding), hole, warped * 2 - 1], 1),
        warped=warped,
        hole=landing.hole,
    )
