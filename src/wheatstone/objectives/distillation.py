"""Distillation by distributions: prediction and teacher as distributions over pixels or over values.

Every loss of this file and of `distillation_structure` is `loss(prediction, teacher, mask, **settings) -> ItemLosses`: one value
an image, so that it can be weighed image by image and does not depend on how a batch is split. Nothing flows back into the
teacher. What is not counted may hold anything finite.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.objectives.masked import median_and_deviation
from wheatstone.objectives.patches import item_means, patch_rows

__all__ = ["Direction", "ItemLosses", "kl_spatial"]

Direction = Literal["teacher-first", "prediction-first", "both"]
_DIRECTIONS = ("teacher-first", "prediction-first", "both")
_FLATTEST = 1 / 8  # of the image's deviation: the least temperature of a window, for flat ones


class ItemLosses(NamedTuple):
    """One loss an image.

    Attributes:
        values: 0 where there is nothing to compare.
        counted: whether there is.
    """

    values: Float[Tensor, " B"]
    counted: Bool[Tensor, " B"]


def kl_spatial(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    temperature: float = 1.0,
    direction: Direction = "teacher-first",
    window: int = 0,
) -> ItemLosses:
    """Divergence between two distributions over the pixels: where in the image is what is near?

    Both maps are divided by `tau = temperature * deviation`, the robust deviation of the teacher over the counted pixels,
    and a softmax over these pixels makes `p` of the teacher and `q` of the prediction; the loss is `KL(p || q)` in nats.
    Its gradient with respect to the prediction is `(q - p) / tau`. For a high temperature it becomes `var(prediction -
    teacher) / (2 tau^2)`; a low one looks at the nearest pixels only.

    Invariances: an offset of either map costs nothing. The teacher must be aligned in scale; exchanging pixels costs.

    Args:
        prediction: px.
        teacher: aligned, px (`align_to_disparity`).
        mask: pixels to compare; two at least, over which the teacher is not constant.
        temperature: in deviations of the teacher.
        direction: `"teacher-first"` `KL(p || q)`, `"prediction-first"` `KL(q || p)`, `"both"` their mean.
        window: side of square windows with a distribution each, px, half overlapping; 0 is the whole image. Windows see
            far structure as well as near, and no offset of the teacher that changes slowly; a flat window has an eighth
            of the image's deviation for its own.

    Raises:
        InputError: an unknown direction, a temperature that is not positive, or a window of 1 px or less than 0.

    Source:
        quoted of Mono2Stereo: a sum over pixels of `KL(prediction, teacher)` (hence prediction first). Ours: the softmax over
        pixels, alignment, temperature, and windows; nothing published says how a map becomes a distribution.
    """
    if direction not in _DIRECTIONS or not temperature > 0:
        raise InputError(
            f"kl_spatial needs a direction of {', '.join(_DIRECTIONS)} and temperature > 0: {direction!r}, {temperature}"
        )
    teacher = teacher.detach()
    _, spread = median_and_deviation(teacher, mask)
    student_rows, teacher_rows, mask_rows = (patch_rows(values, window) for values in (prediction, teacher, mask))
    _, local = median_and_deviation(teacher_rows.flatten(0, 1), mask_rows.flatten(0, 1))
    deviation = torch.maximum(local.view(mask_rows.shape[:2]), _FLATTEST * spread[:, None])
    counted = (mask_rows.sum(2) >= 2) & (deviation > 0)
    tau = torch.where(counted, temperature * deviation, torch.ones_like(deviation))[..., None]
    log_p, log_q = (_log_softmax(rows / tau, mask_rows) for rows in (teacher_rows, student_rows))
    return ItemLosses(*item_means(_divergence(log_p, log_q, mask_rows, direction), counted))


def _log_softmax(rows: Tensor, mask: Tensor) -> Tensor:
    """Over the counted values of the last axis; 0 elsewhere, and finite gradients for rows without any."""
    empty = ~mask.any(-1, keepdim=True)
    logits = torch.where(mask | empty, torch.where(mask, rows, torch.zeros_like(rows)), -torch.inf)
    return torch.where(mask, logits.log_softmax(-1), torch.zeros_like(rows))


def _divergence(log_p: Tensor, log_q: Tensor, mask: Tensor, direction: Direction) -> Tensor:
    """KL over the last axis, nats."""
    forward = (torch.where(mask, log_p.exp(), torch.zeros_like(log_p)) * (log_p - log_q)).sum(-1)
    if direction == "teacher-first":
        return forward
    backward = (torch.where(mask, log_q.exp(), torch.zeros_like(log_q)) * (log_q - log_p)).sum(-1)
    return backward if direction == "prediction-first" else (forward + backward) / 2
