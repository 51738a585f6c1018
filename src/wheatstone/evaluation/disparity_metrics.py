"""How far a predicted disparity is from the truth: end-point error, bad pixels, D1, density."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import ShapeError

__all__ = ["D1_PIXELS", "D1_SHARE", "disparity_metrics"]

D1_PIXELS, D1_SHARE = 3.0, 0.05
"""A pixel is a D1 outlier when its error is above 3 px and above 5 % of the truth (KITTI 2015 development kit)."""


def disparity_metrics(
    prediction: Float[Tensor, "B 1 H W"],
    truth: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    *,
    answered: Bool[Tensor, "B 1 H W"] | None = None,
    regions: Mapping[str, Bool[Tensor, "B 1 H W"]] | None = None,
    thresholds: Sequence[int | float] = (1, 2, 3),
    d1: bool = True,
    max_disparity: int | float | None = None,
    missing: str = "skip",
    inclusive: bool = False,
) -> dict[str, Float[Tensor, " B"]]:
    """Score disparity, image by image; sums run in float64.

    By default every comparison is a strict "greater than": an error of exactly k pixels is not a bad-k pixel (KITTI,
    Middlebury and ETH3D count so; some published scripts use ">=").

    Args:
        prediction: disparity in pixels of this width; not clamped. NaN and inf count as "no answer".
        truth: disparity in pixels of this width.
        valid: where the truth is known (default everywhere).
        answered: where the matcher answers (default wherever the prediction is finite).
        regions: further areas to score by name, for example `{"noc": visible}`: their figures are named `noc/epe`, ...
        thresholds: the k of bad-k, in pixels.
        d1: also the KITTI D1 share.
        max_disparity: leave out pixels whose truth is at or above this many pixels (RAFT and IGEV scripts: 512 or 192).
        missing: `"skip"` scores the answered pixels only (then read `density` beside it); `"bad"` counts an unanswered
            pixel as bad in bad-k and D1. The end-point error is always over answered pixels.
        inclusive: count errors of exactly k pixels too (">=").

    Returns:
        Name to float64 `[B]`: `epe` and `rmse` in pixels; `bad_1`, ..., `d1` and `density` (answered share of the scored
        pixels) as shares 0..1; `pixels`, how many were scored. An image without scored pixels gives NaN (and 0 pixels).

    Raises:
        ShapeError: shapes that differ, or an unknown `missing` rule.
    """
    if prediction.shape != truth.shape:
        raise ShapeError(
            f"prediction {list(prediction.shape)} and truth {list(truth.shape)} differ in size: resize first"
            " (a resize multiplies disparity by new_width / old_width)"
        )
    if missing not in ("skip", "bad"):
        raise ShapeError(f"missing must be 'skip' or 'bad', got {missing!r}")
    scored = torch.isfinite(truth) if valid is None else valid & torch.isfinite(truth)
    if max_disparity is not None:
        scored = scored & (truth < max_disparity)
    finite = torch.isfinite(prediction)
    answered = finite if answered is None else answered & finite
    figures: dict[str, Tensor] = {}
    for name, region in {"": None, **(regions or {})}.items():
        area = scored if region is None else scored & region
        prefix = f"{name}/" if name else ""
        area_figures = _area_metrics(prediction, truth, area, answered, thresholds, d1, missing, inclusive)
        figures |= {prefix + key: value for key, value in area_figures.items()}
    return figures


def _area_metrics(
    prediction: Tensor,
    truth: Tensor,
    area: Tensor,
    answered: Tensor,
    thresholds: Sequence[int | float],
    d1: bool,
    missing: str,
    inclusive: bool,
) -> dict[str, Tensor]:
    hit = area & answered
    error = torch.where(hit, (prediction.double() - truth.double()).abs(), 0.0)
    count, hits = _sum(area), _sum(hit)
    unanswered = count - hits if missing == "bad" else torch.zeros_like(count)
    base = count if missing == "bad" else hits
    above = torch.ge if inclusive else torch.gt
    figures = {"epe": _sum(error) / hits, "rmse": (_sum(error.square()) / hits).sqrt()}
    for k in thresholds:
        figures[f"bad_{k:g}"] = (_sum(above(error, k) & hit) + unanswered) / base
    if d1:
        outlier = above(error, D1_PIXELS) & above(error, D1_SHARE * truth.double().abs()) & hit
        figures["d1"] = (_sum(outlier) + unanswered) / base
    return {**figures, "density": hits / count, "pixels": count}


def _sum(values: Tensor) -> Tensor:
    return values.double().sum(dim=(1, 2, 3))
