"""Square patches of a map as rows, and their means image by image."""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["item_means", "patch_rows"]


def patch_rows(values: Shaped[Tensor, "B 1 h w"], side: int, stride: int | None = None) -> Shaped[Tensor, "B L N"]:
    """Cut a map into square patches that cover it, each as a row.

    Args:
        values: a map or a mask; patches reach over its right and lower border, where they are 0 or False.
        side: px, at most the map's own sides; 0 makes the whole map one row.
        stride: from one patch to the next, px; half a side by default.

    Raises:
        InputError: a side of 1 or less than 0, or a stride below 1.
    """
    if side == 0:
        return values.flatten(1)[:, None]
    step = side // 2 if stride is None else stride
    if side < 2 or step < 1:
        raise InputError(
            f"patches need a side of at least 2 px (or 0, the whole map) and a stride of 1, got {side}, {step}"
        )
    height, width = values.shape[-2:]
    tall, wide = min(side, height), min(side, width)
    down, across = -(height - tall) % step, -(width - wide) % step
    padded = functional.pad(values, (0, across, 0, down))
    return padded[:, 0].unfold(1, tall, step).unfold(2, wide, step).flatten(3).flatten(1, 2)


def item_means(
    values: Float[Tensor, "B L"], counted: Bool[Tensor, "B L"]
) -> tuple[Float[Tensor, " B"], Bool[Tensor, " B"]]:
    """Mean over the counted patches of each image, 0 without any, and whether there is one."""
    total = torch.where(counted, values, torch.zeros_like(values)).sum(1)
    return total / counted.sum(1).clamp(min=1), counted.any(1)
