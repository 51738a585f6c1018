"""What relative depth lacks: by how much of the width the nearest pixel moves between two real views, and, where two cameras
look at one point (films), which depth does not move at all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.disparity import FixedShare
from wheatstone.errors import InputError
from wheatstone.geometry import clean_disparity
from wheatstone.matching.sgbm import Sgbm, auto_max_disparity, sgbm_disparity
from wheatstone.objectives.alignment import align_to_disparity
from wheatstone.samples import Disparity
from wheatstone.synthesis.composition import warp_left
from wheatstone.synthesis.rows import fill_rows

__all__ = ["HIGHEST", "LOWEST", "AffineFit", "ScaleFit", "fit_affine", "fit_scale", "scaled_disparity"]

LOWEST, HIGHEST = 0.025, 1.0
"""Range of the search, share of the width."""

_FIRST = 10  # scales of the coarse pass, equal ratios apart
_PASSES, _BETWEEN = 3, 3  # finer passes, and into how many ratios each splits the two gaps beside the best
_WIDTH = 640  # wider pairs are reduced before they are matched: the scale is a share of the width
_BEHIND = 8  # films set things behind the screen by at most an eighth of the width
_LEAST = 0.5  # a candidate needs this share of the matched pixels of the best matched one


@dataclass(frozen=True)
class ScaleFit:
    """A scale that was found.

    Attributes:
        share: shift of the nearest pixel, share of the width.
        rmse: difference of the two matched disparities there, share of the width.
        at_end: the best scale is the lowest or highest searched, so a better one may lie beyond.
    """

    share: float
    rmse: float
    at_end: bool


def scaled_disparity(inverse_depth: Float[Tensor, "1 1 H W"], share: float) -> Disparity:
    """Disparity of relative inverse depth: 0 for the farthest pixel, `share` of the width for the nearest, edges cleaned."""
    made = FixedShare(share=share)(inverse_depth)
    return Disparity(clean_disparity(made.disparity, made.valid), made.valid, made.scale_px)


def fit_scale(
    left: Float[Tensor, "1 3 H W"],
    right: Float[Tensor, "1 3 H W"],
    inverse_depth: Float[Tensor, "1 1 H W"],
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
) -> ScaleFit:
    """Find the scale of a pair's relative depth without any true geometry: that which makes a pair that matches alike.

    Semi-global matching runs once on (left, real right), and for every scale tried on (left, generated right); the scale with
    the smallest root mean square difference of both disparities, over pixels answered in both, wins. The generated view is the
    warp with its holes filled from their rows, so one scale serves all synthesizers that are compared. A coarse pass over the
    range in equal ratios is followed by three finer ones around the best; the last step is 1.5 %. Scales at which far fewer
    pixels are answered than at the others (less than half of the best) are passed over, for a few chance matches may agree.

    Args:
        left: 0..1; pairs wider than 640 px are reduced to that for the search.
        right: the real second view.
        inverse_depth: larger = nearer, scale and shift unknown.
        lowest: smallest shift of the nearest pixel that is tried, share of the width.
        highest: largest.

    Raises:
        InputError: a range that is none, or a pair in which nothing can be matched.

    Source: the protocol of StereoSpace (arXiv 2512.10959), which searches [0.025, 1] in this way for every method apart; its
    steps are not published.
    """
    if not 0 < lowest < highest:
        raise InputError(f"the range of scales needs 0 < lowest < highest, got {lowest} and {highest}")
    left, right, inverse_depth = (_reduced(values) for values in (left, right, inverse_depth))
    real, known = sgbm_disparity(left, right)
    width = left.shape[-1]
    tried: dict[float, tuple[float, int]] = {}
    step = (highest / lowest) ** (1 / (_FIRST - 1))
    candidates = [lowest * step**n for n in range(_FIRST - 1)] + [highest]
    for _ in range(1 + _PASSES):
        for share in candidates:
            if lowest <= share <= highest and share not in tried:
                tried[share] = _difference(left, inverse_depth, share, real, known)
        best = _best(tried)
        step = step ** (1 / _BETWEEN)
        candidates = [best * step**n for n in range(1 - _BETWEEN, _BETWEEN) if n]
    return ScaleFit(best, tried[best][0] / width, best in (lowest, highest))


@dataclass(frozen=True)
class AffineFit:
    """Scale and offset that were found, and the disparity they make.

    Attributes:
        disparity: `scale * inverse_depth + offset`, edges cleaned, px of the width given; negative behind the screen.
        share: distance of the nearest pixel's disparity from the farthest one's, share of the width.
        offset: disparity of the farthest pixel, share of the width.
        residual: median difference from the matched disparity, share of the width.
    """

    disparity: Float[Tensor, "1 1 H W"]
    share: float
    offset: float
    residual: float


def fit_affine(
    left: Float[Tensor, "1 3 H W"], right: Float[Tensor, "1 3 H W"], inverse_depth: Float[Tensor, "1 1 H W"]
) -> AffineFit:
    """Find scale and offset of a pair's relative depth without any true geometry, by matching the real pair.

    Semi-global matching answers on (left, real right), from an eighth of the width behind the screen to a quarter before it;
    the fit to its answers is robust (`align_to_disparity`). Unlike `fit_scale` it lets the farthest pixel move.

    Args:
        left: 0..1; pairs wider than 640 px are reduced to that for the search.
        right: the real second view.
        inverse_depth: larger = nearer, scale and shift unknown.

    Raises:
        InputError: a pair in which too little can be matched, or whose disparity does not rise with this inverse depth.

    Source: ours, for frames of films, whose cameras converge.
    """
    small_left, small_right, small = (_reduced(values) for values in (left, right, inverse_depth))
    width = small.shape[-1]
    matcher = Sgbm(min_disparity=-(width // _BEHIND), max_disparity=auto_max_disparity(width))
    real, known = sgbm_disparity(small_left, small_right, matcher)
    found = align_to_disparity(small, real, known)
    if not bool(found.ok):
        raise InputError("too little of this pair can be matched to find scale and offset of its depth")
    larger = inverse_depth.shape[-1] / width
    made = clean_disparity((float(found.scale) * inverse_depth + float(found.offset)) * larger)
    low, high = (float(end) / inverse_depth.shape[-1] for end in made.aminmax())
    return AffineFit(made, high - low, low, float(found.residual) / width)


def _best(tried: dict[float, tuple[float, int]]) -> float:
    most = max(count for _, count in tried.values())
    if most == 0:
        raise InputError("nothing in this pair can be matched, so the scale of its depth cannot be found")
    return min((rmse, share) for share, (rmse, count) in tried.items() if count >= max(1, _LEAST * most))[1]


def _difference(
    left: Tensor, inverse_depth: Tensor, share: float, real: Tensor, known: Bool[Tensor, "1 1 H W"]
) -> tuple[float, int]:
    """Root mean square difference of the two matched disparities, px, and over how many pixels."""
    made = scaled_disparity(inverse_depth, share)
    view = fill_rows(warp_left(left, made.disparity, made.valid)).image
    found, answered = sgbm_disparity(left, view, Sgbm())
    both = known & answered
    gap = (found - real)[both].double()
    return (float(gap.square().mean().sqrt()) if gap.numel() else float("inf")), gap.numel()


def _reduced(values: Tensor) -> Tensor:
    height, width = values.shape[-2:]
    if width <= _WIDTH:
        return values
    size = (max(1, round(height * _WIDTH / width)), _WIDTH)
    resized = functional.interpolate(values, size, mode="bilinear", align_corners=False, antialias=True)
    low, high = values.aminmax()
    return torch.clamp(resized, low, high)
