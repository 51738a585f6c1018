"""What every part is measured against: the trivial alternatives."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.depth import DepthEstimator, load_depth
from wheatstone.matching import StereoMatcher, load_matcher
from wheatstone.samples import Depth, Match, Origin, View, image_batch
from wheatstone.synthesis import ViewSynthesizer, load_synthesizer

__all__ = [
    "DEPTH_CONTROLS",
    "MATCHER_CONTROLS",
    "SYNTHESIS_CONTROLS",
    "TOLD_SGBM",
    "ConstantDepth",
    "ConstantDisparity",
    "IdentityView",
    "SgbmInRange",
    "depth_control",
    "matcher_control",
    "synthesis_control",
]

DEPTH_CONTROLS = ("row-prior", "constant")
SYNTHESIS_CONTROLS = ("rows", "classical", "warp", "identity")
MATCHER_CONTROLS = ("sgbm", "constant")
TOLD_SGBM = "sgbm, told the range"


class ConstantDepth(DepthEstimator):
    """The same inverse depth everywhere: after affine alignment, the mean of the truth. What knowing nothing is worth."""

    name = "constant"

    def __init__(self) -> None:
        self.config = {}

    def __call__(self, image: Any, *, confidence: bool = False) -> Depth:
        """Return ones at the size of the images; a constant agrees with its mirror image, so confidence is 1."""
        batch = image_batch(image)
        ones = torch.ones_like(batch[:, :1])
        return Depth(ones, ones.clone() if confidence else None)


def depth_control(name: str) -> DepthEstimator:
    """Load a depth estimator by name; `constant` is known here too."""
    return ConstantDepth() if name == "constant" else load_depth(name)


class IdentityView(ViewSynthesizer):
    """The left view itself, whatever is asked for: what not moving anything is worth."""

    name = "identity"

    def __init__(self) -> None:
        self.config = {}

    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,  # noqa: ARG002 (it does not look)
        valid: Bool[Tensor, "B 1 H W"] | None = None,  # noqa: ARG002
        *,
        baseline: float = 1.0,  # noqa: ARG002
        generators: Sequence[torch.Generator] | None = None,  # noqa: ARG002
    ) -> View:
        """Return the left view; nothing is a hole."""
        image = image_batch(left, "left")
        nowhere = torch.zeros_like(image[:, :1], dtype=torch.bool)
        origin = torch.full_like(nowhere, int(Origin.WARPED), dtype=torch.uint8)
        return View(image=image, hole=nowhere, visible=~nowhere, origin=origin)


def synthesis_control(name: str) -> ViewSynthesizer:
    """Load a synthesizer by name; `identity` is known here too."""
    return IdentityView() if name == "identity" else load_synthesizer(name)


class ConstantDisparity(StereoMatcher):
    """The median of the truth everywhere: the best that an answer without a look at the pair can be."""

    name = "constant"

    def __init__(self, disparity: float = 0.0) -> None:
        self.config = {"disparity": disparity}

    def told(self, disparity: Float[Tensor, "1 1 H W"], scored: Bool[Tensor, "1 1 H W"]) -> "ConstantDisparity":
        """The constant for one pair."""
        return ConstantDisparity(float(disparity[scored].median()))

    def __call__(
        self,
        left: Any,
        right: Any,  # noqa: ARG002 (it does not look)
        iterations: int | None = None,  # noqa: ARG002
        *,
        initial: Float[Tensor, "B 1 h w"] | None = None,  # noqa: ARG002
        all_iterations: bool = False,
    ) -> Match:
        """Return the constant at the size of the images."""
        flat = torch.full_like(image_batch(left)[:, :1], self.config["disparity"])
        return Match(flat, (flat,) if all_iterations else None)


class SgbmInRange(StereoMatcher):
    """Semi-global matching that is told the largest true disparity of every pair: a help that no other matcher gets."""

    name = "sgbm"

    def __init__(self) -> None:
        self.config = {"sgbm_range": "truth"}

    def told(self, disparity: Float[Tensor, "1 1 H W"], scored: Bool[Tensor, "1 1 H W"]) -> StereoMatcher:
        """Semi-global matching that searches up to the largest scored disparity of one pair."""
        return load_matcher("sgbm", max_disparity=max(16, math.ceil(float(disparity[scored].max())) + 1))


def matcher_control(name: str) -> StereoMatcher:
    """Load a matcher by name; `constant` and `sgbm, told the range` are known here too."""
    if name == "constant":
        return ConstantDisparity()
    return SgbmInRange() if name == TOLD_SGBM else load_matcher(name)
