"""How good relative inverse depth is: affine alignment, depth errors after it, and how sharply depth steps are drawn."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import ShapeError

__all__ = [
    "FAR_LIMIT",
    "AffineFit",
    "align_affine",
    "depth_edge_metrics",
    "depth_metrics",
    "fit_affine",
    "inverse_depth_metrics",
]

FAR_LIMIT = 0.02
"""Aligned inverse depth is held above this share of the largest true inverse depth, so that depth stays finite."""

_ROBUST_ROUNDS = 20


@dataclass(frozen=True)
class AffineFit:
    """`aligned = scale * prediction + shift`, one pair an image (float64 `[B]`; NaN where nothing could be fitted)."""

    scale: Float[Tensor, " B"]
    shift: Float[Tensor, " B"]

    def __call__(self, prediction: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Apply the fit in float64."""
        return prediction.double() * self.scale[:, None, None, None] + self.shift[:, None, None, None]


def fit_affine(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    robust: bool = False,
) -> AffineFit:
    """Scale and shift that bring relative inverse depth closest to the true inverse depth of each image.

    Least squares in closed form (MiDaS, Ranftl et al. 2020, section 5). The scale is free in sign: a prediction of wrong
    polarity is aligned as well as its mirror image, so read `scale` when polarity is in doubt.

    Args:
        prediction: relative inverse depth.
        truth: inverse depth in any unit (1/m, or disparity in pixels).
        valid: where the truth is known (default everywhere).
        robust: least absolute deviations instead, by 20 rounds of reweighted least squares; outliers of the truth weigh less.

    Returns:
        Float64 scale and shift. A constant prediction gets scale 0 and the mean of the truth; an image without valid
        pixels gets NaN.
    """
    x, y, weight = _masked(prediction, truth, valid)
    scale, shift = _weighted_line(x, y, weight)
    for _ in range(_ROBUST_ROUNDS if robust else 0):
        residual = (scale[:, None] * x + shift[:, None] - y).abs()
        floor = 1e-6 * (y.abs() * weight).amax(dim=1, keepdim=True).clamp_min(1e-30)
        scale, shift = _weighted_line(x, y, weight / residual.clamp_min(floor))
    return AffineFit(scale, shift)


def align_affine(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    robust: bool = False,
) -> Float[Tensor, "B 1 H W"]:
    """Relative inverse depth in the unit of the truth (`fit_affine`, applied); float64, neither clamped nor masked."""
    return fit_affine(prediction, truth, valid, robust=robust)(prediction)


def _masked(prediction: Tensor, truth: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    if prediction.shape != truth.shape:
        raise ShapeError(f"prediction {list(prediction.shape)} and truth {list(truth.shape)} differ in size")
    known = torch.isfinite(truth) & torch.isfinite(prediction)
    known = known if valid is None else known & valid
    x = torch.where(known, prediction.double(), 0.0).flatten(1)
    y = torch.where(known, truth.double(), 0.0).flatten(1)
    return x, y, known.double().flatten(1)


def _weighted_line(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    total = weight.sum(1)
    mean_x, mean_y = (weight * x).sum(1) / total, (weight * y).sum(1) / total
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    variance = (weight * dx * dx).sum(1)
    # A prediction that is constant up to rounding has no slope to fit.
    flat = variance <= total * (1e-7 * mean_x.abs()).square()
    scale = torch.where(flat, 0.0, (weight * dx * dy).sum(1) / torch.where(flat, 1.0, variance))
    scale = torch.where(total > 0, scale, torch.nan)
    return scale, mean_y - scale * mean_x


def depth_metrics(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
) -> dict[str, Float[Tensor, " B"]]:
    """Errors of depth (not inverse depth) by the formulas of Eigen et al. 2014, image by image, in float64.

    Args:
        prediction: depth, already scaled to the truth; must be positive where it is scored.
        truth: depth in any unit.
        valid: where the truth is known (default where it is finite and positive).

    Returns:
        Name to float64 `[B]`: `abs_rel`, `sq_rel` (unit of the truth), `rmse` (same unit), `rmse_log`, `log10`, and the
        shares `delta_1`, `delta_2`, `delta_3` of pixels with max(p/t, t/p) < 1.25, 1.25^2, 1.25^3; `pixels` scored. NaN
        for an image without valid pixels.
    """
    p, t, weight = _masked(prediction, truth, (truth > 0) if valid is None else valid & (truth > 0))
    count = weight.sum(1)
    known = weight > 0
    p, t = torch.where(known, p, 1.0), torch.where(known, t, 1.0)

    def mean(values: Tensor) -> Tensor:
        return torch.where(known, values, 0.0).sum(1) / count

    ratio = torch.maximum(p / t, t / p)
    log_error = p.log() - t.log()
    figures = {
        "abs_rel": mean((p - t).abs() / t),
        "sq_rel": mean((p - t).square() / t),
        "rmse": mean((p - t).square()).sqrt(),
        "rmse_log": mean(log_error.square()).sqrt(),
        "log10": mean(log_error.abs()) / torch.log(torch.tensor(10.0, dtype=torch.float64)),
    }
    deltas = {f"delta_{k}": mean((ratio < 1.25**k).double()) for k in (1, 2, 3)}
    return {**figures, **deltas, "pixels": count}


def inverse_depth_metrics(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    far_limit: float = FAR_LIMIT,
    robust: bool = False,
) -> dict[str, Float[Tensor, " B"]]:
    """Errors of relative inverse depth: aligned to the truth by scale and shift, then scored as depth.

    The aligned inverse depth is held above `far_limit` times the largest true one, because a prediction at or below zero
    has no depth; the truth is never changed.

    Args:
        prediction: relative inverse depth (larger = nearer).
        truth: inverse depth in any unit: 1/m, or the disparity of a rectified pair in pixels (without principal-point offset).
        valid: where the truth is known (default where it is finite and positive).
        far_limit: share of the largest true inverse depth.
        robust: least absolute deviations for the alignment.

    Returns:
        The figures of `depth_metrics` (`rmse` and `sq_rel` in the unit of 1/truth) plus `scale` and `shift` of the fit.
    """
    valid = (truth > 0) & torch.isfinite(truth) if valid is None else valid & (truth > 0)
    fit = fit_affine(prediction, truth, valid, robust=robust)
    largest = torch.where(valid, truth, 0.0).double().flatten(1).amax(1)
    aligned = torch.maximum(fit(prediction), far_limit * largest[:, None, None, None])
    figures = depth_metrics(1 / aligned, 1 / torch.where(valid, truth, 1.0).double(), valid)
    return {**figures, "scale": fit.scale, "shift": fit.shift}


def depth_edge_metrics(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    radius: int = 2,
    step: float = 0.08,
) -> dict[str, Float[Tensor, " B"]]:
    """Do the depth steps of a prediction sit where the true ones are, and are they sharp?

    A soft halo around an object bends the second view there although AbsRel hardly notices. Only horizontal steps count:
    they are what opens holes in a second view. Prediction and truth are each measured in units of their own range (5th to
    95th percentile), so the figures tell edges from overall depth. A step is the difference between the values `radius`
    pixels right and left of a pixel, all in between valid; it is an edge when it exceeds `step` ranges.

    Args:
        prediction: relative inverse depth; of either polarity.
        truth: dense inverse depth (or disparity) in any unit.
        valid: where the truth is known.
        radius: half width of a step in pixels, also how far off an edge may sit.
        step: threshold, as a share of the range.

    Returns:
        Name to float64 `[B]`: `edge_recall`, share of the true steps' height that the prediction makes at the same place
        and in the same direction; `edge_precision`, share of the prediction's own edge height that lies within `radius`
        of a true edge; `edge_f`, their harmonic mean; `edge_sharpness`, at true edges the prediction's rise over `radius`
        divided by its rise over 4 `radius` (1 = a clean step, about 0.25 = a ramp; independent of scale). NaN for an
        image without edges; a prediction that makes no steps has recall and f 0.
    """
    valid = torch.isfinite(truth) if valid is None else valid & torch.isfinite(truth)
    own = _in_ranges(prediction, valid) * fit_affine(prediction, truth, valid).scale.sign()[:, None, None, None]
    true_step, known = _horizontal_step(_in_ranges(truth, valid), valid, radius)
    own_step, _ = _horizontal_step(own, valid, radius)
    edge = (true_step.abs() > step) & known
    near = torch.nn.functional.max_pool2d(edge.float(), (1, 2 * radius + 1), stride=1, padding=(0, radius)) > 0
    along = own_step * true_step.sign()
    drawn = torch.where(edge, torch.minimum(along.clamp_min(0), true_step.abs()), 0.0)
    height = torch.where(edge, true_step.abs(), 0.0)
    own_height = torch.where(known & (own_step.abs() > step), own_step.abs(), 0.0)
    recall = _total(drawn) / _total(height)
    own_total = _total(own_height)
    precision = torch.where(own_total > 0, _total(own_height * near) / own_total.clamp_min(1e-300), torch.nan)
    # no step drawn, or none in the right place, is F = 0; no true step at all is NaN
    both_shares = precision.nan_to_num(0) + recall
    f_score = torch.where(both_shares > 0, 2 * precision * recall / both_shares, 0.0)
    f_score = torch.where(_total(height) > 0, f_score.nan_to_num(0), torch.nan)
    wide_step, wide_known = _horizontal_step(own, valid, 4 * radius)
    both = edge & wide_known
    rise = _total(torch.where(both, wide_step * true_step.sign(), 0.0))
    sharpness = _total(torch.where(both, along, 0.0)) / torch.where(rise > 0, rise, torch.nan)
    return {"edge_recall": recall, "edge_precision": precision, "edge_f": f_score, "edge_sharpness": sharpness}


def _horizontal_step(values: Tensor, valid: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    width = values.shape[-1]
    step = torch.zeros_like(values)
    known = torch.zeros_like(valid)
    if width > 2 * radius:
        inner = slice(radius, width - radius)
        step[..., inner] = values[..., 2 * radius :] - values[..., : width - 2 * radius]
        windows = valid.unfold(-1, 2 * radius + 1, 1)
        known[..., inner] = windows.all(-1)
    return torch.where(known, step, 0.0), known


def _in_ranges(values: Tensor, valid: Tensor) -> Tensor:
    """Values in units of the distance between the 5th and the 95th percentile of the valid ones; zeros without a range."""
    scaled = torch.zeros_like(values, dtype=torch.float64)
    for index, (image, mask) in enumerate(zip(values.double(), valid, strict=True)):
        known = image[mask].sort().values
        if known.numel() > 0:
            low, high = int(0.05 * (known.numel() - 1)), int(0.95 * (known.numel() - 1))
            spread = known[high] - known[low]
            scaled[index] = torch.where(mask & (spread > 0), image / torch.where(spread > 0, spread, 1.0), 0.0)
    return scaled


def _total(values: Tensor) -> Tensor:
    return values.double().sum(dim=(1, 2, 3))
