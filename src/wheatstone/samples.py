"""The nouns of the library: what the parts hand to one another.

Conventions (the same everywhere): images are float32 `[B,3,H,W]`, RGB, 0..1. Disparity is `[B,1,H,W]` in pixels of that
very width with the left view as reference, `x_right = x_left - d`. A mask is bool and True means what its name says.
Shape letters: B batch, C channels, H W image, h w latent, K views, T frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from wheatstone.errors import ShapeError

__all__ = [
    "Depth",
    "Disparity",
    "ForwardWarp",
    "Match",
    "Origin",
    "StereoSample",
    "View",
    "image_batch",
    "to_uint8",
]


class Origin(IntEnum):
    """Where a pixel of a synthesised view comes from (`View.origin`, `origin/KEY.png`).

    `WARPED` alone is the warp of the source view, bit by bit; every other pixel was painted, wholly or in part. `GENERATED` is
    what the other kinds do not explain: the disparity there is unknown, or a part preferred its own pixel to one that landed,
    or blended the two.
    """

    WARPED = 0
    CRACK = 1
    DISOCCLUSION = 2
    BORDER = 3
    CONTAMINATED_RIM = 4
    GENERATED = 5


@dataclass(frozen=True)
class Depth:
    """Relative inverse depth `[B,1,H,W]` (larger = nearer, per-image scale and shift unknown) and confidence 0..1.

    `notes` holds plain JSON values about how this result came about that a manifest must keep: `unit` is `"1/m"` where the
    estimator is metric, `tiles` and `downscaled_by` say that memory did not allow the plain way.
    """

    inverse_depth: Float[Tensor, "B 1 H W"]
    confidence: Float[Tensor, "B 1 H W"] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Disparity:
    """Disparity in pixels of this width, where it is usable, and the scale drawn for each image (`[B]`, pixels)."""

    disparity: Float[Tensor, "B 1 H W"]
    valid: Bool[Tensor, "B 1 H W"]
    scale_px: Float[Tensor, " B"]


@dataclass(frozen=True)
class Match:
    """Disparity predicted from a pair, not clamped; `iterations` holds every refinement step when asked for."""

    disparity: Float[Tensor, "B 1 H W"]
    iterations: tuple[Float[Tensor, "B 1 H W"], ...] | None = None


@dataclass(frozen=True)
class ForwardWarp:
    """A view made by moving pixels: holes are zero in `image` and True in `hole` (frame of the new view).

    `visible` is in the frame of the reference: True where a pixel is seen in the new view too.
    """

    image: Float[Tensor, "B C H W"]
    hole: Bool[Tensor, "B 1 H W"]
    visible: Bool[Tensor, "B 1 H W"]


@dataclass(frozen=True)
class View:
    """A finished view: image 0..1, what was a hole before filling, what the reference shares, and each pixel's `Origin`."""

    image: Float[Tensor, "B 3 H W"]
    hole: Bool[Tensor, "B 1 H W"]
    visible: Bool[Tensor, "B 1 H W"]
    origin: UInt8[Tensor, "B 1 H W"]


@dataclass(frozen=True)
class StereoSample:
    """One item of stereo data, from a file or freshly generated; maps carry no batch axis (`[1,H,W]`), views are `[3,H,W]`.

    Attributes:
        key: name of the sample, unique in its data set.
        views: name to image, for example `{"left": ..., "right": ...}`.
        baselines: name to baseline k (0 left, 1 right, -1 left-left, 2 right-right, 0.5 centre).
        reference: the view whose frame the maps below live in.
        disparity: pixels, left is the reference; `valid` says where it is usable.
        confidence: 0..1, how far to trust the disparity.
        visible: reference frame, not hidden and not out of frame in the second view.
        hole: frame of the second view, True where no reference pixel lands.
        origin: frame of the second view, an `Origin` code; None where that view is real.
        extras: further maps by name (`sky`, `moving`, ...; `disparity_NAME` and `valid_NAME` in the frame of another view,
            `origin_NAME` where another view than the right one is synthetic).
        provenance: where it comes from: source file, licence, scale, seed, intrinsics.
    """

    key: str
    views: Mapping[str, Float[Tensor, "3 H W"]]
    baselines: Mapping[str, float]
    reference: str = "left"
    disparity: Float[Tensor, "1 H W"] | None = None
    valid: Bool[Tensor, "1 H W"] | None = None
    confidence: Float[Tensor, "1 H W"] | None = None
    visible: Bool[Tensor, "1 H W"] | None = None
    hole: Bool[Tensor, "1 H W"] | None = None
    origin: UInt8[Tensor, "1 H W"] | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


_SLACK = 1.0  # bicubic overshoot is far below it, 8-bit values far above


def image_batch(image: Any, name: str = "image") -> Float[Tensor, "B 3 H W"]:
    """Bring what users hold (tensor, PIL image, uint8 array) to the house convention: float32 `[B,3,H,W]`, RGB, 0..1.

    Args:
        image: a floating tensor `[B,3,H,W]` or `[3,H,W]` in 0..1 (a little beyond, as after resizing, passes); a PIL image
            of any 8-bit mode (alpha is dropped, grey is repeated); or a uint8 array `[H,W,3]`, `[H,W]` or `[B,H,W,3]`.
        name: how to call the argument in an error.

    Raises:
        ShapeError: any other type, shape, dtype or range, or no pixels.
    """
    if isinstance(image, Tensor):
        return _tensor_batch(image, name)
    if hasattr(image, "convert") and hasattr(image, "size"):
        if image.mode.startswith(("I", "F")):  # Pillow would clip them to 8 bits: nearly all white
            raise ShapeError(
                f"`{name}` is a PIL image of mode {image.mode!r}: convert it to 8 bits, or open it by `read_image`"
            )
        image = np.array(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = f"array of {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ShapeError(f"`{name}` must be a float tensor in 0..1, a PIL image or a uint8 HWC array, got {found}")
    shape = list(image.shape)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=-1)
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[-1] != 3:
        raise ShapeError(f"`{name}` must have shape [H,W,3], [H,W] or [B,H,W,3], got {shape}")
    if not image.size:
        raise ShapeError(f"`{name}` has no pixels, its shape is {shape}")
    return torch.from_numpy(np.require(image, requirements=["C", "W"])).permute(0, 3, 1, 2).contiguous().float() / 255


def _tensor_batch(image: Tensor, name: str) -> Tensor:
    if not image.is_floating_point():
        raise ShapeError(f"`{name}` must be a floating tensor in 0..1, got {image.dtype}: divide 8-bit values by 255")
    if image.ndim == 3:
        image = image[None]
    if image.ndim != 4 or image.shape[1] != 3:
        raise ShapeError(f"`{name}` must have shape [B,3,H,W] or [3,H,W], got {list(image.shape)}")
    if not image.numel():
        raise ShapeError(f"`{name}` has no pixels, its shape is {list(image.shape)}")
    low, high = (float(end) for end in image.detach().aminmax())
    if not -_SLACK <= low <= high <= 1 + _SLACK:  # NaN fails too
        found = f"{low:g}..{high:g}" if low <= high else "NaN"
        raise ShapeError(f"`{name}` must hold values in 0..1, got {found}")
    return image.float()


def to_uint8(image: Float[Tensor, "..."]) -> np.ndarray:
    """Round a 0..1 image `[3,H,W]` or map `[1,H,W]` to a uint8 HWC (or HW) array; the rounding every writer uses."""
    array = (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().movedim(-3, -1).numpy()
    return array[..., 0] if array.shape[-1] == 1 else array
