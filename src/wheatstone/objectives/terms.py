"""Shared terms: every loss is a sum and a count, so that masked means do not depend on how a batch is split."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

__all__ = ["Terms", "gradient_terms", "masked_l1", "masked_sum", "pool_valid"]

Terms = dict[str, tuple[Tensor, Tensor, float]]
"""What an objective returns: name to (sum, count, weight). A weight of 0 is for the log alone."""


def masked_sum(values: Float[Tensor, "B C H W"], weights: Shaped[Tensor, "B 1 H W"]) -> Float[Tensor, ""]:
    """Sum of `values * weights`, weights 0 or more or a mask; where they are 0 the value does not matter, NaN included."""
    return torch.where(weights > 0, values * weights, torch.zeros_like(values)).sum()


def masked_l1(
    prediction: Float[Tensor, "B C H W"], target: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"]
) -> tuple[Tensor, Tensor]:
    """Sum of absolute errors where the mask (0..1 weights) counts, and the number of counted values."""
    return masked_sum((prediction - target).abs(), mask), mask.sum() * prediction.shape[1]


def gradient_terms(
    prediction: Float[Tensor, "B C H W"], target: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"], scales: int
) -> tuple[Tensor, Tensor]:
    """Sum and count of absolute errors of horizontal and vertical differences, over `scales` halvings.

    A difference counts where both its pixels do. Multi-scale gradient matching as in MiDaS (Ranftl et al. 2020, eq. 11),
    with averaged instead of subsampled pixels.
    """
    error, weight = (prediction - target) * mask, mask
    total, count = error.new_zeros(()), error.new_zeros(())
    for scale in range(scales):
        if scale:
            if min(error.shape[-2:]) < 4:
                break
            error, weight = pool_valid(error, weight)
        for dim in (-1, -2):
            size = error.shape[dim] - 1
            both = weight.narrow(dim, 0, size) * weight.narrow(dim, 1, size)
            step = (error.narrow(dim, 1, size) - error.narrow(dim, 0, size)).abs()
            total = total + (step * both).sum()
            count = count + both.sum() * error.shape[1]
    return total, count


def pool_valid(
    values: Float[Tensor, "B C H W"], mask: Float[Tensor, "B 1 H W"]
) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B 1 h w"]]:
    """Halve a map by the mean of its counted pixels; a cell counts when at least half of it does."""
    share = functional.avg_pool2d(mask, 2)
    mean = functional.avg_pool2d(values * mask, 2) / share.clamp(min=1e-6)
    kept = (share >= 0.5).to(values.dtype)
    return mean * kept, kept
