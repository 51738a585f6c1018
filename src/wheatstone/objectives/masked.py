"""Statistics over the counted pixels of each image of a batch, without a wait for the device."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["masked_mean", "masked_median", "median_and_deviation"]

_NORMAL_MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
_NORMAL_MEAN = 1.2533  # the same over its mean absolute deviation


def masked_mean(
    values: Float[Tensor, "B *N"], mask: Bool[Tensor, "B *N"], weights: Float[Tensor, "B *N"] | None = None
) -> Float[Tensor, " B"]:
    """Mean of the counted values of each row, with weights of 1 or more; 0 for a row without any.

    What does not count may be NaN.
    """
    kept = torch.where(mask, values, torch.zeros_like(values))
    if weights is None:
        return kept.flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)
    return (weights * kept).flatten(1).sum(1) / (weights * mask).flatten(1).sum(1).clamp(min=1)


def masked_median(values: Float[Tensor, "B *N"], mask: Bool[Tensor, "B *N"]) -> Float[Tensor, " B"]:
    """Median of the counted values of each row, the mean of the middle two of an even number; 0 for a row without any."""
    ordered = torch.where(mask, values, torch.full_like(values, torch.inf)).flatten(1).sort(1).values
    count = mask.flatten(1).sum(1, keepdim=True)
    middle = [ordered.gather(1, place.clamp(min=0)) for place in ((count - 1) // 2, count // 2)]
    # halves first: the sum of two huge numbers may overflow
    median = middle[0] / 2 + middle[1].nan_to_num(posinf=0.0) / 2
    return torch.where(count > 0, median, torch.zeros_like(median))[:, 0]


def median_and_deviation(
    values: Float[Tensor, "B *N"], mask: Bool[Tensor, "B *N"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Median and robust standard deviation of the counted values of each row.

    The deviation is 1.4826 times the median absolute deviation, but at least half of what the mean absolute deviation says:
    where more than half of an image is one flat surface, the former is 0 although there is something to see. It is 0 for
    constant rows and for rows without values.
    """
    median = masked_median(values, mask)
    apart = (values - median.view(-1, *[1] * (values.ndim - 1))).abs()
    mean = masked_mean(apart, mask)
    return median, torch.maximum(_NORMAL_MAD * masked_median(apart, mask), _NORMAL_MEAN / 2 * mean)
