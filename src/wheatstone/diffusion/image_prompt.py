"""Pictures as prompts: the embedding of CLIP's image encoder in the place of a text."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from wheatstone.samples import to_uint8

__all__ = ["clip_pixels", "embed_image"]

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_pixels(
    image01: Float[Tensor, "B 3 H W"], side: int = 224, *, eight_bit: bool = False
) -> Float[Tensor, "B 3 s s"]:
    """Bring pictures in 0..1 to what CLIP sees: shorter side to `side`, centre square, CLIP's mean and spread.

    Args:
        image01: any size.
        side: of the encoder.
        eight_bit: resize as Pillow does, in steps of 1/255 and on the CPU, as published; else in floats where the picture
            is. The two differ by rounding only.

    Source: CLIP (Radford et al. 2021), image preprocessing.
    """
    height, width = image01.shape[-2:]
    short = min(height, width)
    size = (side * height // short, side * width // short)
    if eight_bit:
        small = torch.stack([_resized_8bit(item, size) for item in image01]).to(image01)
    else:
        small = functional.interpolate(image01.float(), size, mode="bicubic", antialias=True, align_corners=False)
        small = small.clamp(0, 1)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    square = small[..., top : top + side, left : left + side]
    mean, std = (square.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
    return (square - mean) / std


def embed_image(
    encoder: Any, image01: Float[Tensor, "B 3 H W"], width: int, *, eight_bit: bool = False
) -> Float[Tensor, "B 1 C"]:
    """Embed pictures as one token each, float32, followed by zeros up to the `width` that the U-Net wants.

    Args:
        encoder: transformers' `CLIPVisionModelWithProjection`.
        image01: 0..1, any size.
        width: of the U-Net's cross-attention, at least that of the embedding.
        eight_bit: as in `clip_pixels`.
    """
    pixels = clip_pixels(image01, encoder.config.image_size, eight_bit=eight_bit)
    embedding = encoder(pixel_values=pixels.to(encoder.dtype)).image_embeds.float()  # [B,c]
    return functional.pad(embedding, (0, width - embedding.shape[-1]))[:, None]


def _resized_8bit(image: Tensor, size: tuple[int, int]) -> Tensor:
    picture = Image.fromarray(to_uint8(image)).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
