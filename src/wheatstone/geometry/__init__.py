"""Pure tensor maths of image geometry: warps with visibility and holes, disparity clean-up and resizing, padding."""

from wheatstone.geometry.backward import backward_warp
from wheatstone.geometry.cleanup import (
    clean_disparity,
    nearest_refill,
    relative_edges,
    resize_disparity,
    sobel_magnitude,
)
from wheatstone.geometry.edges import DisparityEdges, disparity_edges, sharpen_disparity
from wheatstone.geometry.forward import ForwardWarper, Landing, forward_warp
from wheatstone.geometry.holes import HoleEnds, background_fill, hole_ends, hole_origin, open_mask, torn_apart
from wheatstone.geometry.padding import Padding, pad_to_multiple
from wheatstone.geometry.quantiles import quantiles
from wheatstone.geometry.steps import near_steps

__all__ = [
    "DisparityEdges",
    "ForwardWarper",
    "HoleEnds",
    "Landing",
    "Padding",
    "background_fill",
    "backward_warp",
    "clean_disparity",
    "disparity_edges",
    "forward_warp",
    "hole_ends",
    "hole_origin",
    "near_steps",
    "nearest_refill",
    "open_mask",
    "pad_to_multiple",
    "quantiles",
    "relative_edges",
    "resize_disparity",
    "sharpen_disparity",
    "sobel_magnitude",
    "torn_apart",
]
