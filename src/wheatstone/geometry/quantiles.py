"""Quantiles of maps of any size."""

from jaxtyping import Float
from torch import Tensor

__all__ = ["quantiles"]


def quantiles(values: Float[Tensor, "..."], *shares: float) -> tuple[Float[Tensor, ""], ...]:
    """The values below which these shares (0..1) of all lie: always one of the values, by the nearest rank.

    `torch.quantile` refuses more than 2^24 values; this does not.
    """
    ordered = values.flatten().sort().values
    return tuple(ordered[round(share * (len(ordered) - 1))] for share in shares)
