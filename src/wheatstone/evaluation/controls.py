"""What every part is measured against: the trivial alternatives."""

from typing import Any

import torch

from wheatstone.depth import DepthEstimator, load_depth
from wheatstone.samples import Depth, image_batch
from wheatstone.synthesis import ViewSynthesizer, load_synthesizer

__all__ = ["DEPTH_CONTROLS", "SYNTHESIS_CONTROLS", "ConstantDepth", "depth_control", "synthesis_control"]

DEPTH_CONTROLS = ("row-prior", "constant")
SYNTHESIS_CONTROLS = ("rows", "classical", "warp")


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


def synthesis_control(name: str) -> ViewSynthesizer:
    """Load a synthesizer by name."""
    return load_synthesizer(name)
