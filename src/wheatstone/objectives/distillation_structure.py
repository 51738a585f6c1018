"""Distillation by structure: what is related to what, pixel by pixel, patch by patch."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.objectives.distillation import ItemLosses
from wheatstone.objectives.masked import masked_mean, median_and_deviation
from wheatstone.objectives.patches import item_means, patch_rows
from wheatstone.objectives.terms import gradient_terms

__all__ = ["aligned_l1", "gradient", "patch_ssi", "pearson", "rank", "ssi"]

_FLATTEST = 1 / 8  # of the image's deviation: windows flatter than that have no correlation worth the name


def aligned_l1(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    weights: Float[Tensor, "B 1 h w"] | None = None,
) -> ItemLosses:
    """Mean absolute difference, px: the aligned teacher as a label. No invariance at all.

    Args:
        prediction: px.
        teacher: aligned, px.
        mask: pixels to compare.
        weights: of the pixels, 1 or more; all the same without.

    Source:
        ours, as the plainest thing to compare the others with.
    """
    return ItemLosses(masked_mean((prediction - teacher.detach()).abs(), mask, weights), mask.flatten(1).any(1))


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
    a negative one is as good as a positive one: s is held at 0 or more. A prediction of negative correlation has no gradient.

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
    return ItemLosses.where(counted, values)


def patch_ssi(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    window: int = 96,
    minimum: int = 24,
    stretch: float = 2.0,
    gradient_weight: float = 0.2,
) -> ItemLosses:
    """Mean absolute difference, px, to the teacher with the best scale and offset of every patch, and gradients.

    Scale and offset are fitted to the prediction by least squares and have no gradient; the scale is held between
    `1 / stretch` and `stretch`, without which a flat prediction would fit any teacher. What the teacher gets wrong slowly
    over the image costs nothing.

    Invariances: an offset of either map, also of each patch (of the gradients: of the whole). The teacher must be aligned in
    scale; exchanging pixels costs.

    Args:
        prediction: px.
        teacher: aligned, px.
        mask: pixels to compare.
        window: side of the patches, px, half overlapping; 0 is the whole image.
        minimum: pixels of a patch below which it is left out.
        stretch: 1 fits offsets only.
        gradient_weight: of `gradient`; 0 is off.

    Raises:
        InputError: a stretch below 1.

    Source:
        sibling code of Mono2Stereo's authors has patches of 96 px, half overlapping, at least 24 pixels and gradients with weight
        0.2. Ours: px, the teacher fitted to the prediction, and the bounds of the scale.
    """
    if not stretch >= 1:
        raise InputError(f"patch_ssi needs stretch >= 1, got {stretch}")
    teacher = teacher.detach()
    own, target, marked = (patch_rows(values, window) for values in (prediction, teacher, mask))
    shape = marked.shape[:2]
    own, target, marked = (rows.flatten(0, 1) for rows in (own, target, marked))
    middle, centre = masked_mean(own.detach(), marked)[:, None], masked_mean(target, marked)[:, None]
    product = masked_mean((own.detach() - middle) * (target - centre), marked)
    spread = masked_mean((target - centre).square(), marked)
    scale = torch.where(spread > 0, product / spread.clamp(min=1e-12), torch.ones_like(spread))
    fitted = scale.clamp(1 / stretch, stretch)[:, None] * (target - centre) + middle
    errors = masked_mean((own - fitted).abs(), marked).view(shape)
    values, counted = item_means(errors, marked.sum(1).view(shape) >= max(minimum, 1))
    if gradient_weight > 0:
        values = values + gradient_weight * gradient(prediction, teacher, mask).values
    return ItemLosses.where(counted, values)


def pearson(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    window: int = 0,
    weights: Float[Tensor, "B 1 h w"] | None = None,
) -> ItemLosses:
    """One less the correlation of both maps, 0..2.

    Invariances: scale (> 0) and offset of either map cost nothing, no alignment needed, with a window not even within each;
    exchanging pixels costs. A constant prediction costs 1.

    Args:
        prediction: px.
        teacher: inverse depth at any scale and offset.
        mask: pixels to compare.
        window: side of square windows, px, half overlapping; those that are flat in the teacher do not count. 0 is the
            whole image.
        weights: of the pixels, 1 or more; all the same without.

    Source:
        correlation as a loss between rendered and monocular depth is usual (FSGS 2023, SparseGS 2023); as a form of S2DKD ours.
    """
    teacher = teacher.detach()
    own, target, marked = (patch_rows(values, window) for values in (prediction, teacher, mask))
    shape = marked.shape[:2]
    own, target, marked = (rows.flatten(0, 1) for rows in (own, target, marked))
    mean = partial(
        masked_mean, mask=marked, weights=None if weights is None else patch_rows(weights, window).flatten(0, 1)
    )
    own, target = (rows - mean(rows)[:, None] for rows in (own, target))
    product, spread = mean(own * target), mean(target.square())
    _, whole = median_and_deviation(teacher, mask)
    least = (_FLATTEST * whole).square()[:, None]
    counted = (marked.sum(1) >= 2).view(shape) & (spread.view(shape) > (least if window else 0 * least))
    variance = mean(own.square()).clamp(min=1e-8)  # (1e-4 px)^2: below, a prediction is constant
    correlation = product / (variance * torch.where(spread > 0, spread, torch.ones_like(spread))).sqrt()
    return ItemLosses(*item_means(1 - correlation.view(shape), counted))


def rank(
    prediction: Float[Tensor, "B 1 h w"],
    teacher: Float[Tensor, "B 1 h w"],
    mask: Bool[Tensor, "B 1 h w"],
    *,
    generators: Sequence[torch.Generator],
    window: int = 32,
    pairs: int = 64,
    margin: float = 0.1,
    gap: float = 0.1,
) -> ItemLosses:
    """Mean violation, px, of the teacher's order of pixels, over pairs drawn in patches.

    A pair counts where the teacher has one pixel nearer by at least `gap` deviations; it costs as much as the prediction
    falls short of having it nearer by `margin`.

    Invariances: an offset of either map and a scale (> 0) of the teacher cost nothing, no alignment needed; exchanging pixels
    costs.

    Args:
        prediction: px.
        teacher: inverse depth at any scale and offset.
        mask: pixels to compare.
        generators: one an image, for its pairs.
        window: side of the patches, px, half overlapping; 0 is the whole image.
        pairs: drawn in each patch.
        margin: px.
        gap: in robust deviations of the teacher.

    Raises:
        InputError: fewer generators than images, no pairs, or a negative margin or gap.

    Source:
        SparseNeRF (Wang et al. 2023) and sibling code of Mono2Stereo's authors: patches of 32 px, 64 pairs, margin 1e-4 and gap
        0.02 of maps in 0..1. Ours: px, and the gap in deviations.
    """
    if pairs < 1 or not (margin >= 0 and gap >= 0):
        raise InputError(f"rank needs pairs, margin >= 0 and gap >= 0, got {pairs}, {margin}, {gap}")
    if len(generators) < len(mask):
        raise InputError(
            f"rank draws pairs: it needs a generator for each of {len(mask)} images, got {len(generators)}"
        )
    teacher = teacher.detach()
    own, target, marked = (patch_rows(values, window) for values in (prediction, teacher, mask))
    count = marked.sum(2, keepdim=True)
    drawn = [torch.rand(marked.shape[1], 2 * pairs, generator=own_draws) for own_draws in generators[: len(mask)]]
    order = (torch.stack(drawn).to(count.device) * count).long()
    place = torch.searchsorted(marked.cumsum(2), order + 1).clamp(max=marked.shape[2] - 1)
    first, second = place.split(pairs, dim=2)
    apart = target.gather(2, first) - target.gather(2, second)
    lead = (own.gather(2, first) - own.gather(2, second)) * apart.sign()
    _, spread = median_and_deviation(teacher, mask)
    far = (apart.abs() > 0) & (apart.abs() >= gap * spread.view(-1, 1, 1)) & (count > 0)
    return ItemLosses(*item_means((margin - lead).clamp(min=0).flatten(1), far.flatten(1)))


def _centred(values: Tensor, mask: Tensor) -> Tensor:
    """Less the mean of the counted pixels; 0 elsewhere."""
    mean = masked_mean(values, mask).view(-1, 1, 1, 1)
    return torch.where(mask, values - mean, torch.zeros_like(values))
