"""Two views in one picture: anaglyph for red-cyan glasses, side by side for free viewing, a wiggle for no glasses at all."""

import io
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from wheatstone.errors import InputError, ShapeError
from wheatstone.samples import image_batch, to_uint8
from wheatstone.viewing.thumbnails import thumbnail

__all__ = ["ANAGLYPH_METHODS", "anaglyph", "converge", "side_by_side", "wiggle"]

_LUMA = [0.299, 0.587, 0.114]
_NONE = [0.0, 0.0, 0.0]

# method -> (matrix of the left view, matrix of the right view, applied to linear light?)
ANAGLYPH_METHODS: dict[str, tuple[list[list[float]], list[list[float]], bool]] = {
    # Least-squares match of what both eyes see through the filters (E. Dubois, "A projection method to generate anaglyph
    # stereo images", ICASSP 2001); the three rows of both matrices together sum to about one, so grey stays grey.
    "dubois": (
        [[0.4561, 0.5005, 0.1764], [-0.0401, -0.0378, -0.0158], [-0.0152, -0.0206, -0.0055]],
        [[-0.0435, -0.0879, -0.0016], [0.3785, 0.7336, -0.0185], [-0.0722, -0.1130, 1.2264]],
        True,
    ),
    "colour": ([[1.0, 0.0, 0.0], _NONE, _NONE], [_NONE, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], False),
    "half-colour": ([_LUMA, _NONE, _NONE], [_NONE, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], False),
    "grey": ([_LUMA, _NONE, _NONE], [_NONE, _LUMA, _LUMA], False),
}


def anaglyph(
    left: Float[Tensor, "B 3 H W"], right: Float[Tensor, "B 3 H W"], method: str = "dubois"
) -> Float[Tensor, "B 3 H W"]:
    """Mix two views into one picture for red-cyan glasses (red on the left eye).

    Args:
        left: what the left eye shall see, 0..1, sRGB.
        right: what the right eye shall see, same shape.
        method: `dubois` has the least ghosting and colour error (computed on linear light); `colour` keeps full colours but
            strong reds and blues rival; `half-colour` calms them; `grey` has no colour and no rivalry.

    Returns:
        0..1, sRGB. Save it as PNG or with 4:4:4 sampling: chroma subsampling makes ghosts.

    Raises:
        ShapeError: views of different shapes.
        InputError: unknown method.
    """
    _same_shape(left, right)
    if method not in ANAGLYPH_METHODS:
        raise InputError(f"unknown anaglyph method {method!r}: use one of {', '.join(ANAGLYPH_METHODS)}")
    of_left, of_right, linear = ANAGLYPH_METHODS[method]
    if linear:
        left, right = _to_linear(left), _to_linear(right)
    mixed = torch.einsum("ij,bjhw->bihw", left.new_tensor(of_left), left)
    mixed = mixed + torch.einsum("ij,bjhw->bihw", left.new_tensor(of_right), right)
    mixed = mixed.clamp(0, 1)
    return _from_linear(mixed) if linear else mixed


def side_by_side(
    left: Float[Tensor, "B 3 H W"],
    right: Float[Tensor, "B 3 H W"],
    layout: str = "parallel",
    gap: int = 0,
) -> Float[Tensor, "B 3 H W2"]:
    """Put two views beside each other.

    Args:
        left: the left eye's view, 0..1.
        right: the right eye's view, same shape.
        layout: `parallel` puts the left view on the left (headsets, televisions, relaxed eyes); `cross` swaps them (for
            people who cross their eyes).
        gap: width of a black bar between them, in pixels.

    Raises:
        ShapeError: views of different shapes.
        InputError: unknown layout or a negative gap.
    """
    _same_shape(left, right)
    if layout not in ("parallel", "cross"):
        raise InputError(f"unknown layout {layout!r}: use parallel or cross")
    if gap < 0:
        raise InputError(f"`gap` must be 0 or more pixels, got {gap}")
    first, second = (left, right) if layout == "parallel" else (right, left)
    bar = first.new_zeros(*first.shape[:-1], gap)
    return torch.cat([first, bar, second], dim=-1)


def converge(
    left: Float[Tensor, "B 3 H W"], right: Float[Tensor, "B 3 H W"], pivot_px: int
) -> tuple[Float[Tensor, "B 3 H W2"], Float[Tensor, "B 3 H W2"]]:
    """Crop both views so that what has disparity `pivot_px` falls on the same column: the plane of the screen.

    With a pivot of 0 everything stands before the screen; near the median disparity a pair is easiest on the eyes, and a
    wiggle turns about its subject instead of about the horizon.

    Args:
        left: 0..1.
        right: same shape.
        pivot_px: disparity that shall become zero, in pixels of this width, any sign; `abs(pivot_px)` columns are lost.

    Raises:
        ShapeError: views of different shapes.
        InputError: a pivot that leaves no column.
    """
    _same_shape(left, right)
    if abs(pivot_px) >= left.shape[-1]:
        raise InputError(f"`pivot_px` ({pivot_px}) must be smaller than the width ({left.shape[-1]} px)")
    if pivot_px < 0:
        second, first = converge(right, left, -pivot_px)
        return first, second
    # x_right = x_left - d: the left view loses its first columns, the right view its last ones.
    return left[..., pivot_px:], right[..., : right.shape[-1] - pivot_px]


def wiggle(
    left: Any,
    right: Any,
    *,
    width: int | None = None,
    pivot_px: int = 0,
    frame_ms: int = 180,
    format: str = "webp",
    quality: int = 70,
) -> bytes:
    """Make an endless two-frame animation that rocks between the views, so that depth is seen without any glasses.

    Args:
        left: one image: `[3,H,W]` or `[1,3,H,W]` in 0..1, PIL, or uint8 `[H,W,3]`.
        right: the other view, same size.
        width: largest width in pixels (default: as it is; never enlarged).
        pivot_px: disparity that stands still while the rest rocks, in pixels of the full width (see `converge`).
        frame_ms: how long each view stands, in milliseconds. Below 167 it would flash more than three times a second,
            which web accessibility rules (WCAG 2.3.1) warn against.
        format: `webp` is small and true in colour; `gif` plays everywhere.
        quality: 0..100, for WebP.

    Returns:
        The bytes of the file.

    Raises:
        ShapeError: more than one image, or sizes that differ.
        InputError: unknown format or a frame time that is not positive.
    """
    first, second = image_batch(left, "left"), image_batch(right, "right")
    _same_shape(first, second)
    if len(first) != 1:
        raise ShapeError(f"a wiggle is made of one pair, got a batch of {len(first)}")
    if format not in ("webp", "gif"):
        raise InputError(f"unknown format {format!r}: use webp or gif")
    if frame_ms <= 0:
        raise InputError(f"`frame_ms` must be positive, got {frame_ms}")
    first, second = converge(first, second, pivot_px)
    frames = [Image.fromarray(thumbnail(to_uint8(view[0]), width)) for view in (first, second)]
    stream = io.BytesIO()
    rest = {"save_all": True, "append_images": frames[1:], "duration": frame_ms, "loop": 0}
    if format == "webp":
        frames[0].save(stream, "WEBP", quality=quality, method=4, **rest)
    else:
        frames[0].save(stream, "GIF", **rest)
    return stream.getvalue()


def _same_shape(left: Tensor, right: Tensor) -> None:
    if left.shape != right.shape:
        raise ShapeError(f"the views differ in shape: left {list(left.shape)}, right {list(right.shape)}")


def _to_linear(image: Tensor) -> Tensor:
    """SRGB 0..1 to linear light 0..1 (IEC 61966-2-1)."""
    image = image.clamp(0, 1)
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def _from_linear(light: Tensor) -> Tensor:
    """Linear light 0..1 to sRGB 0..1."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
