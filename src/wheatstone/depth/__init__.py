"""Photo to relative inverse depth, and how far to trust it."""

from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.registry import load_depth

__all__ = ["DepthEstimator", "load_depth"]
