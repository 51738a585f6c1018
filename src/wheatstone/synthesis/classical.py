"""Preset `classical`: holes painted by OpenCV's inpainting, the textbook alternative that others are measured against."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.samples import to_uint8
from wheatstone.synthesis.composition import HoleFiller, WarpedView

__all__ = ["ClassicalSynthesizer", "load"]

_METHODS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


class ClassicalSynthesizer(HoleFiller):
    """Warp, then inpaint the holes with Telea's or the Navier-Stokes method, which know nothing of depth.

    Args:
        method: `"telea"` (fast marching) or `"navier-stokes"`.
        radius: neighbourhood of a painted pixel, px.
    """

    name = "classical"

    def __init__(self, method: str = "telea", radius: float = 3.0) -> None:
        if method not in _METHODS:
            raise InputError(f"unknown classical method {method!r}: use {' or '.join(_METHODS)}")
        if not radius > 0:
            raise InputError(f"the radius of the classical synthesizer must be positive, got {radius}")
        self.config = {"method": method, "radius": float(radius)}

    def fill(
        self,
        warped: WarpedView,
        generators: Sequence[torch.Generator] | None = None,  # noqa: ARG002 (nothing is random)
    ) -> Float[Tensor, "B 3 H W"]:
        """Inpaint image by image on the CPU, in 8 bits as OpenCV wants it."""
        painted = []
        for image, hole in zip(warped.image, warped.hole, strict=True):
            mask = hole[0].cpu().numpy().astype(np.uint8)
            pixels = to_uint8(image)
            if mask.all():  # nothing to paint from
                pixels = np.full_like(pixels, 128)
            elif mask.any():
                pixels = cv2.inpaint(pixels, mask, self.config["radius"], _METHODS[self.config["method"]])
            painted.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
        return torch.stack(painted).to(warped.image.device)


def load(
    name: str,
    weights: str | Path | None = None,
    official: bool = False,  # noqa: ARG001 (no original)
    *,
    method: str = "telea",
    radius: float = 3.0,
) -> ClassicalSynthesizer:
    """Make the preset `classical`; options `method` and `radius` as in `ClassicalSynthesizer`."""
    if weights is not None:
        raise InputError(f"the synthesizer {name!r} has no weights to load from {weights}")
    return ClassicalSynthesizer(method, radius)
