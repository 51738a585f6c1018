"""What only the published inpainting pipeline does to large photos: both views at a reduced size, enlarged as a whole.

The right view of a photo whose shorter side has 2000 pixels or more is blurred everywhere this way, so none of its pixels is
the warp of the left view: all are marked as generated. (ZeroStereo's `generate_stereo.py`.)
"""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.samples import Origin, View

__all__ = ["enlarge", "half_size_view", "reduction_of"]

STEP_PX = 1000


def reduction_of(size: tuple[int, int]) -> int:
    """Integer factor by which the published pipeline reduces a photo of this height and width; 1 = not at all."""
    return max(1, min(size) // STEP_PX)


def enlarge(view: Float[Tensor, "B 3 h w"], size: tuple[int, int]) -> Float[Tensor, "B 3 H W"]:
    """Enlarge a finished view in 0..1 as published: bicubic, corner to corner, clipped."""
    return functional.interpolate(view, size, mode="bicubic", align_corners=True).clamp(0, 1)


def half_size_view(
    make: Callable[[Tensor, Tensor, Tensor | None], View],
    left: Float[Tensor, "B 3 H W"],
    disparity: Float[Tensor, "B 1 H W"],
    valid: Tensor | None,
) -> View:
    """Run `make(left, disparity, valid)` at the reduced size and enlarge what it returns.

    The disparity is divided by the integer factor, not by the true ratio of the widths, as published.
    """
    size = (left.shape[-2], left.shape[-1])
    factor = reduction_of(size)
    small = (size[1] // factor, size[0] // factor)  # width, height, as OpenCV wants it
    view = make(
        _resized(left * 255, small, cv2.INTER_CUBIC).clamp(0, 255) / 255,
        _resized(disparity, small, cv2.INTER_LINEAR) / factor,
        None if valid is None else _resized(valid.float(), small, cv2.INTER_NEAREST) > 0.5,
    )

    def nearest(mask: Tensor) -> Tensor:
        return functional.interpolate(mask.float(), size, mode="nearest").to(mask.dtype)

    hole, origin = nearest(view.hole), nearest(view.origin)
    origin = torch.where(hole, origin, torch.full_like(origin, Origin.GENERATED))
    return View(enlarge(view.image, size), hole, nearest(view.visible), origin)


def _resized(values: Tensor, size: tuple[int, int], interpolation: int) -> Tensor:
    arrays = [cv2.resize(item.permute(1, 2, 0).cpu().numpy(), size, interpolation=interpolation) for item in values]
    stacked = torch.from_numpy(np.stack(arrays)).to(values.device)
    return stacked[:, None] if stacked.ndim == 3 else stacked.permute(0, 3, 1, 2)
