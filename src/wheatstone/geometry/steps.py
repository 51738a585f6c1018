"""Steps of a disparity map: where one surface ends in front of another."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["near_steps"]


def near_steps(
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    step_px: float = 2.0,
    radius: int = 5,
) -> Bool[Tensor, "B 1 H W"]:
    """Mark the pixels near disparity steps.

    Args:
        disparity: pixels.
        valid: where it is usable (default everywhere); a step needs a usable pixel on both sides.
        step_px: difference of two neighbours in a row or column from which on it is a step, px.
        radius: largest distance from the step, px, measured as the larger of the distances along row and column: 1 marks
            the two pixels that touch it.

    Raises:
        InputError: a step that is not positive, or a radius below 1.
    """
    if not step_px > 0 or radius < 1:
        raise InputError(f"steps need step_px > 0 and radius >= 1, got {step_px} and {radius}")
    usable = disparity.isfinite() if valid is None else valid & disparity.isfinite()
    values = disparity.masked_fill(~usable, 0)
    near = torch.zeros_like(values)
    for dim in (-1, -2):
        size = values.shape[dim] - 1
        first, second = (part(values, dim, size) for part in (_head, _tail))
        both = _head(usable, dim, size) & _tail(usable, dim, size)
        step = ((second - first).abs() >= step_px) & both
        _head(near, dim, size).masked_fill_(step, 1)
        _tail(near, dim, size).masked_fill_(step, 1)
    grown = radius - 1
    if grown:
        near = functional.max_pool2d(near, (2 * grown + 1, 1), 1, (grown, 0))
        near = functional.max_pool2d(near, (1, 2 * grown + 1), 1, (0, grown))
    return near > 0


def _head(values: Tensor, dim: int, size: int) -> Tensor:
    return values.narrow(dim, 0, size)


def _tail(values: Tensor, dim: int, size: int) -> Tensor:
    return values.narrow(dim, 1, size)
