"""Robust alignment of a monocular map with sparse disparity: the scale and the offset that monocular depth does not know."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.objectives.masked import masked_median, median_and_deviation

__all__ = ["Alignment", "align_to_disparity", "trusted"]

_POINTS = 4096  # of an image's truth that are looked at: more do not make two numbers more certain
_TRIALS, _TRIAL_POINTS = 256, 512
_ROUNDS = 10
_KNEE = 1.345  # of Huber's weights, in deviations: 95 % of the efficiency of least squares on normal errors
_TRIM = 4.0  # residuals beyond that many deviations count nothing
_GOLDEN = 0.6180339887498949
_CELL = 8  # px: grid of the local correction, which is far smoother
_PRIOR = 4.0  # points of truth that no correction is worth


@dataclass(frozen=True)
class Alignment:
    """A monocular map in pixels of disparity; nothing in it has a gradient.

    Attributes:
        scale: px per unit of the teacher, 0 or more.
        offset: px.
        aligned: `max(scale * teacher + offset, 0)`, px, corrected where that was asked for; 0 where the teacher is not valid.
        residual: median of |scale * teacher + offset - truth| over the truth, px; 0 without truth.
        ok: whether scale and offset come from the truth; else from the prediction's median and deviation.
    """

    scale: Float[Tensor, " B"]
    offset: Float[Tensor, " B"]
    aligned: Float[Tensor, "B 1 h w"]
    residual: Float[Tensor, " B"]
    ok: Bool[Tensor, " B"]


@torch.no_grad()
def align_to_disparity(
    teacher: Float[Tensor, "B 1 h w"],
    disparity: Float[Tensor, "B 1 h w"],
    valid: Bool[Tensor, "B 1 h w"],
    teacher_valid: Bool[Tensor, "B 1 h w"] | None = None,
    *,
    prediction: Float[Tensor, "B 1 h w"] | None = None,
    minimum: int = 32,
    local: float = 0.0,
) -> Alignment:
    """Fit `scale * teacher + offset` to the true disparity of each image, whatever a good part of either says.

    A first fit through two points, the one of 256 with the least median error, stands up to nearly half the points being
    wrong; ten rounds of least squares with Huber's weights, nothing beyond four deviations, make it precise. Pairs and
    points are the same for the same masks: nothing is drawn. Replacing the teacher by `a * teacher + b`, a > 0, changes
    `aligned` by rounding alone.

    Too few points, a teacher constant on them, or a fit that does not rise with the teacher by at least a tenth of the
    truth's own deviation: then the median and the robust deviation of the prediction are matched instead. Without a
    prediction scale 0 and offset 0 remain.

    Args:
        teacher: inverse depth, larger = nearer, any scale and offset.
        disparity: truth, px; what is not valid does not matter.
        valid: where there is truth.
        teacher_valid: where the teacher is to be believed (default everywhere): no sky, no padding.
        prediction: of the student, px; for images without enough truth.
        minimum: points of truth below which there is no fit.
        local: standard deviation, as a share of the width, of a Gaussian by which what the truth is found above the aligned map
            is spread and added to it, for teachers that are wrong by more than scale and offset. Far from truth it fades.
            0 is off.

    Raises:
        InputError: a minimum below 2, or a negative share.

    Source:
        ours; only that the two are to be compared is quoted of Mono2Stereo. MiDaS (Ranftl et al. 2020) aligns by least squares,
        the median start is Rousseeuw's least median of squares (1984).
    """
    if minimum < 2:
        raise InputError(f"an alignment has two unknowns: minimum must be at least 2, got {minimum}")
    if not local >= 0:
        raise InputError(f"the width of the local correction is a share of the width, 0 or more, got {local}")
    known = teacher.isfinite() if teacher_valid is None else teacher_valid & teacher.isfinite()
    values = torch.where(known, teacher, torch.zeros_like(teacher)).double()
    both = known & valid & disparity.isfinite()
    count = both.flatten(1).sum(1)
    source, truth = _points(values, both, count), _points(disparity.double(), both, count)
    everywhere = torch.ones_like(source, dtype=torch.bool)
    centre, spread = median_and_deviation(source, everywhere)
    unit = torch.where(spread > 0, spread, torch.ones_like(spread))
    slope, height = _robust_line((source - centre[:, None]) / unit[:, None], truth)
    _, variety = median_and_deviation(truth, everywhere)
    ok = (count >= minimum) & (spread > 0) & (slope > 0.1 * variety) & height.isfinite()
    scale, offset = slope / unit, height - slope * centre / unit
    fallback = _matched(values, known, prediction)
    scale, offset = torch.where(ok, scale, fallback[0]), torch.where(ok, offset, fallback[1])
    aligned = scale.view(-1, 1, 1, 1) * values + offset.view(-1, 1, 1, 1)
    residual = masked_median((scale[:, None] * source + offset[:, None] - truth).abs(), everywhere)
    residual = torch.where(count > 0, residual, torch.zeros_like(residual))
    if local > 0:
        over = torch.where(both & ok.view(-1, 1, 1, 1), disparity - aligned, torch.zeros_like(aligned))
        limit = (_TRIM * 1.4826 * residual).view(-1, 1, 1, 1)
        aligned = aligned + _spread(torch.minimum(over.abs(), limit) * over.sign(), both, local * values.shape[-1])
    aligned = torch.where(known, aligned.clamp(min=0), torch.zeros_like(aligned))
    return Alignment(scale.float(), offset.float(), aligned.float(), residual.float(), ok)


def trusted(
    alignment: Alignment,
    disparity: Float[Tensor, "B 1 h w"],
    known: Bool[Tensor, "B 1 h w"],
    factor: float,
    cell: int = 32,
) -> Bool[Tensor, "B 1 h w"]:
    """Mark the cells in which an aligned teacher agrees with the truth as well as it does elsewhere.

    Args:
        alignment: of the teacher.
        disparity: truth, px.
        known: where both are known.
        factor: a cell is left out where its mean absolute residual exceeds `factor` times the image's median one, and 1 px.
        cell: side of the square cells, px.

    Returns:
        Cells with fewer than 4 points of truth, and images that could not be aligned, are True.
    """
    height, width = disparity.shape[-2:]
    residual = torch.where(known, (alignment.aligned - disparity).abs(), torch.zeros_like(disparity))
    pad = (0, -width % cell, 0, -height % cell)
    sums, count = (
        cell**2 * functional.avg_pool2d(functional.pad(values.float(), pad), cell) for values in (residual, known)
    )
    limit = (factor * alignment.residual).clamp(min=1.0).view(-1, 1, 1, 1)
    bad = (count > 3.5) & (sums > limit * count) & alignment.ok.view(-1, 1, 1, 1)
    spread = bad.repeat_interleave(cell, 2).repeat_interleave(cell, 3)
    return ~spread[..., :height, :width]


def _points(values: Tensor, mask: Tensor, count: Tensor) -> Tensor:
    """`[B,P]`: the marked values of each image in raster order, at even steps; some twice where there are fewer than P."""
    flat, marked = values.flatten(1), mask.flatten(1)
    steps = (torch.arange(min(_POINTS, flat.shape[1]), device=flat.device) + 0.5) / min(_POINTS, flat.shape[1])
    rank = (steps * count[:, None]).long()
    place = torch.searchsorted(marked.cumsum(1), rank + 1).clamp(max=flat.shape[1] - 1)
    picked = flat.gather(1, place)
    return torch.where(count[:, None] > 0, picked, torch.zeros_like(picked))


def _spread(values: Tensor, marked: Tensor, deviation: float) -> Tensor:
    """Mean of the marked values around every pixel, weighed by a Gaussian, and towards 0 where few are near."""
    height, width = values.shape[-2:]
    pad = (0, -width % _CELL, 0, -height % _CELL)
    radius = max(1, round(3 * deviation / _CELL))
    steps = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype) * _CELL
    kernel = (-steps.square() / (2 * deviation**2)).exp()
    grids = []
    for map_ in (values, marked.to(values.dtype)):
        cells = _CELL**2 * functional.avg_pool2d(functional.pad(map_, pad), _CELL)
        across = functional.conv2d(cells, kernel.view(1, 1, 1, -1), padding=(0, radius))
        grids.append(functional.conv2d(across, kernel.view(1, 1, -1, 1), padding=(radius, 0)))
    mean = grids[0] / (grids[1] + _PRIOR)
    return functional.interpolate(mean, scale_factor=_CELL, mode="bilinear", align_corners=False)[..., :height, :width]


def _robust_line(source: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Slope and height at 0 of the line through most of the points `[B,P]`."""
    slope, height = _through_two_points(source, truth)
    everywhere = torch.ones_like(source, dtype=torch.bool)
    for _ in range(_ROUNDS):
        apart = (slope[:, None] * source + height[:, None] - truth).abs()
        tiny = 1e-9 * (1 + truth.abs().amax(1))
        deviation = torch.maximum(1.4826 * masked_median(apart, everywhere), tiny)[:, None]
        weight = (_KNEE * deviation / apart.clamp(min=1e-300)).clamp(max=1) * (apart <= _TRIM * deviation)
        total = weight.sum(1)
        mean_source, mean_truth = (weight * source).sum(1) / total, (weight * truth).sum(1) / total
        rest = source - mean_source[:, None]
        spread = (weight * rest.square()).sum(1)
        product = (weight * rest * (truth - mean_truth[:, None])).sum(1)
        slope = torch.where(spread > 1e-12 * total, product / spread.clamp(min=1e-300), slope)
        height = mean_truth - slope * mean_source
    return slope, height


def _through_two_points(source: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Of lines through a far and a near point the rising one with the least median error (slope 0 where none rises)."""
    order = source.argsort(dim=1, stable=True)
    source, truth = source.gather(1, order), truth.gather(1, order)
    last = source.shape[1] - 1
    trial = torch.arange(_TRIALS, device=source.device)
    first = (last * 0.45 * ((trial + 0.5) / _TRIALS)).round().long()
    second = (last * (0.55 + 0.45 * ((trial * _GOLDEN) % 1))).round().long()
    run = source[:, second] - source[:, first]
    slope = torch.where(run > 0, (truth[:, second] - truth[:, first]) / run.clamp(min=1e-300), torch.zeros_like(run))
    height = truth[:, first] - slope * source[:, first]
    some = torch.linspace(0, last, min(_TRIAL_POINTS, last + 1), device=source.device).round().long()
    apart = slope[..., None] * source[:, None, some] + height[..., None] - truth[:, None, some]
    error = apart.abs().median(-1).values
    best = torch.where(slope > 0, error, torch.full_like(error, torch.inf)).argmin(1, keepdim=True)
    rising = slope.gather(1, best) > 0
    level = torch.where(rising, height.gather(1, best), truth.median(1, keepdim=True).values)
    return (slope.gather(1, best) * rising)[:, 0], level[:, 0]


def _matched(values: Tensor, known: Tensor, prediction: Tensor | None) -> tuple[Tensor, Tensor]:
    """Scale and offset that give the teacher the median and the deviation of the prediction."""
    if prediction is None:
        nothing = values.new_zeros(len(values))
        return nothing, nothing
    student = prediction.detach().double()
    counted = known & student.isfinite()
    centre, spread = median_and_deviation(values, counted)
    middle, width = median_and_deviation(student, counted)
    scale = torch.where(spread > 0, width / spread.clamp(min=1e-300), torch.zeros_like(width))
    return scale, middle - scale * centre
