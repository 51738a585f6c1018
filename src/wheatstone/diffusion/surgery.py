"""A U-Net made to see more than it was trained on: further input channels that start without any effect."""

from typing import Any

import torch
from torch import nn

from wheatstone.errors import CheckpointError

__all__ = ["widen_input"]


@torch.no_grad()
def widen_input(unet: Any, channels: int) -> Any:
    """Give a diffusers U-Net `channels` input channels, in place; the new ones have weight 0, so its answers stay the same.

    The usual way to condition a pretrained denoiser on pictures (InstructPix2Pix, Brooks et al. 2023, section 3.2; Marigold).

    Raises:
        CheckpointError: it has more channels already.
    """
    old = unet.conv_in
    if old.in_channels > channels:
        raise CheckpointError(f"a U-Net with {old.in_channels} input channels cannot be narrowed to {channels}")
    if old.in_channels == channels:
        return unet
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,
        old.stride,
        old.padding,
        device=old.weight.device,
        dtype=old.weight.dtype,
    )
    new.weight.zero_()
    new.weight[:, : old.in_channels] = old.weight
    if old.bias is not None and new.bias is not None:
        new.bias.copy_(old.bias)
    unet.conv_in = new.requires_grad_(old.weight.requires_grad).train(old.training)
    unet.register_to_config(in_channels=channels)
    return unet
