"""The contract of a depth estimator."""

from typing import Any

from wheatstone.checkpoints import Part
from wheatstone.samples import Depth

__all__ = ["DepthEstimator"]


class DepthEstimator(Part):
    """A part that turns photos into relative inverse depth (larger = nearer, scale and shift unknown)."""

    def __call__(self, image: Any, *, confidence: bool = False) -> Depth:
        """Estimate the inverse depth of images, at the size of the images.

        Args:
            image: `[B,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
            confidence: also run the mirrored image and return the flip consistency 0..1.
        """
        raise NotImplementedError
