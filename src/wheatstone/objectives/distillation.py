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

__all__ = ["Direction", "ItemLosses", "kl_histogram", "kl_spatial", "wasserstein"]

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

    @classmethod
    def where(cls, counted: Bool[Tensor, " B"], values: Float[Tensor, " B"]) -> "ItemLosses":
        """The values of the images that count, 0 for the others."""
        return cls(torch.where(counted, values, torch.zeros_like(values)), counted)


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
    _check_direction(direction)
    if not temperature > 0:
        raise InputError(f"kl_spatial needs temperature > 0, got {temperature}")
    teacher = teacher.detach()
    _, spread = median_and_deviation(teacher, mask)
    student_rows, teacher_rows, mask_rows = (patch_rows(values, window) for values in (prediction, teacher, mask))
    _, local = median_and_deviation(teacher_rows.flatten(0, 1), mask_rows.flatten(0, 1))
    deviation = torch.maximum(local.view(mask_rows.shape[:2]), _FLATTEST * spread[:, None])
    counted = (mask_rows.sum(2) >= 2) & (deviation > 0)
    tau = torch.where(counted, temperature * deviation, torch.ones_like(deviation))[..., None]
    log_p, log_q = (_log_softmax(rows / tau, mask_rows) for rows in (teacher_rows, student_rows))
    return ItemLosses(*item_means(_divergence(log_p, log_q, mask_rows, direction), counted))


def kl_histogram(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    bins: int = 64,
    margin: float = 0.1,
    direction: Direction = "teacher-first",
) -> ItemLosses:
    """Divergence of the histograms of both maps, nats: how much of the image is how near?

    Every value is shared between the two bins it lies between, which makes the counts differentiable; a thousandth of all
    values is spread over the bins, which keeps empty ones from costing without bound. Bins cover the teacher's range and
    `margin` of it on either side; values beyond count in the last bin and have no gradient.

    Invariances: exchanging pixels costs nothing, so edges cost next to nothing. The teacher must be aligned in scale and
    offset.

    Args:
        prediction: px.
        teacher: aligned, px.
        mask: pixels to compare; the teacher must not be constant over them.
        bins: 3 or more.
        margin: share of the teacher's range.
        direction: see `kl_spatial`.

    Raises:
        InputError: an unknown direction, too few bins or a negative margin.

    Source:
        ours, the other reading of the quoted divergence: the paper's first figure compares histograms. Soft histograms as in
        Ustinova and Lempitsky (2016).
    """
    _check_direction(direction)
    if bins < 3 or not margin >= 0:
        raise InputError(f"kl_histogram needs at least 3 bins and margin >= 0, got {bins} and {margin}")
    rows, own, marked = (values.flatten(1) for values in (teacher.detach(), prediction, mask))
    low, high = _range(rows, marked)
    span = high - low
    counted = marked.any(1) & (span > 0)
    width = torch.where(counted, span * (1 + 2 * margin), torch.ones_like(span))[:, None] / (bins - 1)
    start = low[:, None] - margin * span[:, None]
    share, smoothing = marked / marked.sum(1, keepdim=True).clamp(min=1), 1e-3
    logs = []
    for values in (rows, own):
        place = ((torch.where(marked, values, start) - start) / width).clamp(0, bins - 1)
        lower = place.detach().floor().clamp(max=bins - 2)
        upper_share = place - lower
        histogram = torch.zeros(len(rows), bins, dtype=values.dtype, device=values.device)
        histogram = histogram.scatter_add(1, lower.long(), share * (1 - upper_share))
        histogram = histogram.scatter_add(1, lower.long() + 1, share * upper_share)
        logs.append(((1 - smoothing) * histogram + smoothing / bins).log())
    everywhere = torch.ones_like(logs[0], dtype=torch.bool)
    found = _divergence(logs[0], logs[1], everywhere, direction)
    return ItemLosses.where(counted, found)


def wasserstein(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    quantiles: int = 256,
    trim: float = 0.02,
) -> ItemLosses:
    """Mean distance of equal quantiles of both maps, px: how far do the values have to move?

    Invariances: exchanging pixels costs nothing. An offset costs its size; the teacher must be aligned in scale and offset.

    Args:
        prediction: px.
        teacher: aligned, px.
        mask: pixels to compare.
        quantiles: evenly spaced from `trim` to `1 - trim`, interpolated between neighbouring values; 2 or more.
        trim: share of the values at either end that is left out.

    Raises:
        InputError: fewer than 2 quantiles, or a trim outside 0..0.5.

    Source:
        the one-dimensional 1-Wasserstein distance; sibling code of Mono2Stereo's authors (not of this paper) compares 256
        quantiles with 2 % left out. As a form of S2DKD ours.
    """
    if quantiles < 2 or not 0 <= trim < 0.5:
        raise InputError(f"wasserstein needs at least 2 quantiles and a trim in 0..0.5, got {quantiles} and {trim}")
    marked = mask.flatten(1)
    last = (marked.sum(1, keepdim=True) - 1).clamp(min=0)
    place = torch.linspace(trim, 1 - trim, quantiles, device=mask.device) * last
    lower = place.floor().long()
    upper = torch.minimum(lower + 1, last)
    found = []
    for values in (prediction.flatten(1), teacher.detach().flatten(1)):
        ordered = torch.where(marked, values, torch.full_like(values, torch.inf)).sort(1).values
        ordered = torch.where(ordered.isfinite(), ordered, torch.zeros_like(ordered))
        first, second = ordered.gather(1, lower), ordered.gather(1, upper)
        found.append(first + (second - first) * (place - lower))
    counted = marked.any(1)
    distance = (found[0] - found[1]).abs().mean(1)
    return ItemLosses.where(counted, distance)


def _check_direction(direction: str) -> None:
    if direction not in _DIRECTIONS:
        raise InputError(f"a divergence has the direction {' or '.join(_DIRECTIONS)}, got {direction!r}")


def _range(rows: Tensor, marked: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest counted value of each row; 0 without any."""
    low = torch.where(marked, rows, torch.inf).amin(1)
    high = torch.where(marked, rows, -torch.inf).amax(1)
    return tuple(torch.where(marked.any(1), value, torch.zeros_like(value)) for value in (low, high))  # type: ignore[return-value]


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
