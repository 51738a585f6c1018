"""Smooth fills without direction: colours averaged into coarser and coarser pictures, and pulled back into the holes."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

__all__ = ["push_pull"]

_ENOUGH = 0.5  # share of a pixel that is known from which on nothing coarser has a say in it


def push_pull(image: Float[Tensor, "B C H W"], known: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, "B C H W"]:
    """Fill what is not known with the average of what is, the closer the more.

    Pull: 2 x 2 pixels become one, averaged over what is known of them, until one pixel is left. Push: from coarse to fine, a
    pixel of which little is known takes the rest from the coarser picture, enlarged bilinearly.

    Args:
        image: any range; what is not known has no influence.
        known: True where the image counts; those pixels come back as they are. An image without any becomes 0.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.2; deterministic, no iterations.
    """
    weight = known.to(image.dtype)
    pulled = _pull(image * weight, weight)
    return torch.where(known, image, pulled)


def _pull(sums: Tensor, weight: Tensor) -> Tensor:
    """The filled picture of colours that are multiplied by their weights 0..1."""
    share = (weight / _ENOUGH).clamp(max=1)
    own = sums / weight.clamp(min=1e-6)
    size = (weight.shape[-2], weight.shape[-1])
    if max(size) == 1:
        return own * (weight > 0)
    padded = [functional.pad(x, (0, size[1] % 2, 0, size[0] % 2)) for x in (sums, weight)]
    coarse = [functional.avg_pool2d(x, 2) for x in padded]
    # what lies outside the picture is unknown, not black: weights say so
    filled = _pull(coarse[0], coarse[1])
    enlarged = functional.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
    return own * share + enlarged[..., : size[0], : size[1]] * (1 - share)
