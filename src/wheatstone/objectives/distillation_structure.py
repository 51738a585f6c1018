"""Distillation by structure: what is related to what, pixel by pixel, patch by patch."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.objectives.distillation import ItemLosses
from wheatstone.objectives.masked import masked_mean
from wheatstone.objectives.terms import gradient_terms

__all__ = ["gradient", "ssi"]


def gradient(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    scales: int = 4,
) -> ItemLosses:
    """Mean absolute difference of the gradients of both maps, px per px, over `scales` halvings together.

    Invariances: an offset of either map costs nothing, even one that differs between regions that are not neighbours. The
    teacher must be aligned in scale; exchanging pixels costs.

    Args:
        prediction: px.
        teacher: aligned, px.
        mask: pixels to compare; a difference counts where both its pixels do.
        scales: 1 compares neighbours only.

    Source:
        multi-scale gradient matching of MegaDepth (Li and Snavely 2018) and MiDaS (Ranftl et al. 2020, eq. 11); as a form of
        S2DKD ours.
    """
    share, teacher = mask.to(prediction.dtype), teacher.detach()
    items = zip(prediction.split(1), teacher.split(1), share.split(1), strict=True)
    sums = [gradient_terms(own, target, counted, scales) for own, target, counted in items]
    total, count = (torch.stack(column) for column in zip(*sums, strict=True))
    return ItemLosses(total / count.clamp(min=1), count > 0)


def ssi(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    gradient_weight: float = 0.5,
    scales: int = 4,
) -> ItemLosses:
    """Mean squared error after the best scale and offset of the prediction, and gradients of what remains.

    `s, t = argmin mean (s d + t - m)^2`; the loss is `(mean (s d + t - m)^2) / var(m) + gradient_weight * G((s d + t - m) /
    std(m))` with G the mean absolute gradient over `scales` halvings. The first part equals `1 - r^2`, r the correlation, so
    a negative one is as good as a positive one: s is held at 0 or more.

    Invariances: scale (> 0) and offset of either map cost nothing, no alignment needed; exchanging pixels costs.

    Args:
        prediction: px.
        teacher: inverse depth at any scale and offset.
        mask: pixels to compare; two at least.
        gradient_weight: 0 is off.
        scales: of the gradients.

    Source:
        MiDaS (Ranftl et al. 2020), eq. 5 and 11; sibling code of Mono2Stereo's authors uses the same two parts with weight
        0.5. Ours: the division by the teacher's variance, so that its scale is no weight.
    """
    student, target = _centred(prediction, mask), _centred(teacher.detach(), mask)
    spread, own = masked_mean(target.square(), mask), masked_mean(student.square(), mask)
    counted = (mask.flatten(1).sum(1) >= 2) & (spread > 0)
    deviation = torch.where(counted, spread, torch.ones_like(spread)).sqrt().view(-1, 1, 1, 1)
    scale = masked_mean(student * target / deviation, mask).clamp(min=0) / own.clamp(min=1e-12)
    rest = scale.view(-1, 1, 1, 1) * student - target / deviation
    values = masked_mean(rest.square(), mask)
    if gradient_weight > 0:
        edges = gradient(rest, torch.zeros_like(rest), mask, scales=scales)
        values = values + gradient_weight * edges.values
    return ItemLosses(torch.where(counted, values, torch.zeros_like(values)), counted)


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """Less the mean of the counted pixels; 0 elsewhere."""
    mean = masked_mean(values, mask).view(-1, 1, 1, 1)
    return torch.where(mask, values - mean, torch.zeros_like(values))
