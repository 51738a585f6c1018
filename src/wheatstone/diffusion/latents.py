"""Pictures to latents and back, and masks to latent size."""

from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["decode_latents", "encode_mean", "encode_sample", "latent_factor", "mask_to_latent"]


def latent_factor(vae: Any) -> int:
    """How many pixels a side one latent cell covers (8 for Stable Diffusion)."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def encode_mean(vae: Any, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B c h w"]:
    """Encode a picture in -1..1 to the mean of its latent distribution times the VAE's scaling factor; nothing is drawn."""
    return _scaled(vae, vae.encode(image.to(vae.dtype)).latent_dist.mean)


def encode_sample(
    vae: Any, image: Float[Tensor, "B 3 H W"], generator: torch.Generator | list[torch.Generator]
) -> Float[Tensor, "B c h w"]:
    """Encode a picture in -1..1 to a draw from its latent distribution, as trainings do; scaled as by `encode_mean`.

    With one generator an item no item depends on its neighbours.
    """
    return _scaled(vae, vae.encode(image.to(vae.dtype)).latent_dist.sample(generator))


def _scaled(vae: Any, plain: Tensor) -> Tensor:
    return (plain.float() - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor


def decode_latents(vae: Any, latents: Float[Tensor, "B c h w"], *, clamp: bool = True) -> Float[Tensor, "B 3 H W"]:
    """Decode latents to a picture in -1..1; without `clamp` it may lie a little beyond, and gradients always pass."""
    plain = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    decoded = vae.decode(plain.to(vae.dtype)).sample.float()
    return decoded.clamp(-1, 1) if clamp else decoded


def mask_to_latent(
    mask: Bool[Tensor, "B 1 H W"], factor: int, pooling: Literal["nearest", "max"]
) -> Float[Tensor, "B 1 h w"]:
    """Reduce a mask to latent size, 1 = paint.

    `nearest` takes the top-left pixel of every cell, as diffusers' inpainting does and as the released models were trained;
    about a tenth of the hole then lies in cells marked as known. `max` marks every cell that holds a hole pixel.
    """
    if pooling == "nearest":
        return mask[..., ::factor, ::factor].to(torch.float32)
    if pooling == "max":
        return functional.max_pool2d(mask.to(torch.float32), factor)
    raise InputError(f"`mask_pooling` must be nearest or max, got {pooling!r}")
