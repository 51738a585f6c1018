"""Does a pair show the disparity that it was made with? What a stereo matcher, which never saw that disparity, finds in it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.evaluation.disparity_metrics import disparity_metrics
from wheatstone.matching import StereoMatcher

__all__ = ["pair_consistency"]


def pair_consistency(
    matcher: StereoMatcher,
    left: Float[Tensor, "1 3 H W"],
    right: Float[Tensor, "1 3 H W"],
    disparity: Float[Tensor, "1 1 H W"],
    counted: Bool[Tensor, "1 1 H W"],
    threshold_px: float | int = 1,
) -> dict[str, float]:
    """Match a pair and compare the answer with the disparity that was asked for.

    The figures judge the pair and not the disparity: where the second view was made cleanly a matcher finds the disparity again,
    whether or not it is the true one. They get worse where a view was torn or blurred, where there is no texture to match, and
    where the matcher itself is weak; so compare views under one matcher.

    Args:
        matcher: any, frozen.
        left: 0..1.
        right: the view that was made, 0..1.
        disparity: what was asked for, pixels.
        counted: where it is known and seen in both views.
        threshold_px: a pixel is bad when it is further off than this.

    Returns:
        `epe` in pixels over answered pixels; `bad`, share of the counted pixels that are off or not answered; `density`, share
        of them that is answered; `pixels`, how many were counted. NaN without such pixels.
    """
    with torch.inference_mode():
        found = matcher(left, right).disparity.float().cpu()
    figures = disparity_metrics(found, disparity, counted, thresholds=(threshold_px,), d1=False, missing="bad")
    bad = figures[f"bad_{threshold_px:g}"]
    return {
        "epe": float(figures["epe"]),
        "bad": float(bad),
        "density": float(figures["density"]),
        "pixels": float(figures["pixels"]),
    }
