"""Does a pair show the disparity that it was made with? What a stereo matcher, which never saw that disparity, finds in it."""

from dataclasses import dataclass
from math import floor

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.evaluation.disparity_metrics import disparity_metrics
from wheatstone.matching import StereoMatcher
from wheatstone.matching.sgbm import Sgbm

__all__ = ["Judge", "judged_by", "pair_consistency"]

_BEHIND = 8  # points behind the screen are looked for as far as an eighth of the width, as `fit_affine` does


@dataclass(frozen=True)
class Judge:
    """Who looks for a disparity, and where.

    Attributes:
        matcher: with the search range that the disparity needs, where it has one.
        counted: pixels on which it is judged.
        note: what was done because the disparity is negative in places; empty where it is not.
    """

    matcher: StereoMatcher
    counted: Bool[Tensor, "1 1 H W"]
    note: str = ""


def judged_by(matcher: StereoMatcher, disparity: Float[Tensor, "1 1 H W"], counted: Bool[Tensor, "1 1 H W"]) -> Judge:
    """Give a matcher a fair task where points behind the screen were asked for, whose disparity is negative.

    Semi-global matching then searches from minus an eighth of the width, or from the lowest disparity asked for if that is lower
    still. Other matchers are made for disparity from 0 on: they are judged on the pixels that lie there.
    """
    asked = disparity[counted & disparity.isfinite()]
    lowest = float(asked.min()) if asked.numel() else 0.0
    if not lowest < 0:
        return Judge(matcher, counted)
    if isinstance(matcher, Sgbm):
        start = min(-(disparity.shape[-1] // _BEHIND), floor(lowest) - 1, matcher.config["min_disparity"])
        note = f"the disparity asked for is negative in places: {matcher.name} searches from -1/{_BEHIND} of the width or lower"
        return Judge(Sgbm(**{**matcher.config, "min_disparity": start}), counted, note)
    note = (
        f"the disparity asked for is negative in places, which {matcher.name} is not made to find: "
        f"{matcher.name} is judged on the other pixels only"
    )
    return Judge(matcher, counted & (disparity >= 0), note)


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
        matcher: any, frozen; what it does where the disparity is negative says `judged_by`.
        left: 0..1.
        right: the view that was made, 0..1.
        disparity: what was asked for, pixels.
        counted: where it is known and seen in both views.
        threshold_px: a pixel is bad when it is further off than this.

    Returns:
        `epe` in pixels over answered pixels; `bad`, share of the counted pixels that are off or not answered; `density`, share
        of them that is answered; `pixels`, how many were counted. NaN without such pixels.
    """
    judge = judged_by(matcher, disparity, counted)
    with torch.inference_mode():
        found = judge.matcher(left, right).disparity.float().cpu()
    figures = disparity_metrics(found, disparity, judge.counted, thresholds=(threshold_px,), d1=False, missing="bad")
    bad = figures[f"bad_{threshold_px:g}"]
    return {
        "epe": float(figures["epe"]),
        "bad": float(bad),
        "density": float(figures["density"]),
        "pixels": float(figures["pixels"]),
    }
