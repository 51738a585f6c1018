"""Smooth fills without direction: colours averaged into coarser and coarser pictures, and pulled back where little is known."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["push_pull"]

_ENOUGH = 0.5  # weight from which on nothing coarser has a say in a pixel


def push_pull(image: Float[Tensor, "B C H W"], weight: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B C H W"]:
    """Complete a picture by the average of what is trusted, the closer the more.

    Pull: 2 x 2 pixels become one, averaged by their weights, until one pixel is left. Push: from coarse to fine, a pixel of
    little weight takes the rest from the coarser picture, enlarged bilinearly.

    Args:
        image: any range; where the weight is 0 it has no influence.
        weight: 0 to 1, how far a pixel is trusted; from 0.5 on it comes back as it is. Without any trusted pixel the result is 0.

    Source: Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4.2; deterministic, no iterations.
    """
    return torch.where(weight >= _ENOUGH, image, _pull(image * weight, weight))


def _pull(sums: Tensor, weight: Tensor) -> Tensor:
    """The completed picture of colours that are multiplied by their weights."""
    share = (weight / _ENOUGH).clamp(max=1)
    own = sums / weight.clamp(min=1e-9)
    size = (weight.shape[-2], weight.shape[-1])
    if max(size) == 1:
        return own * (weight > 0)
    # what lies outside the picture is unknown, not black: weights say so
    padded = [functional.pad(x, (0, size[1] % 2, 0, size[0] % 2)) for x in (sums, weight)]
    filled = _pull(*(functional.avg_pool2d(x, 2) for x in padded))
    enlarged = functional.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)
    return own * share + enlarged[..., : size[0], : size[1]] * (1 - share)
