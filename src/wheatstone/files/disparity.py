"""Disparity files: PFM, 16-bit PNG with a stated scale, NumPy. A number of unknown scale is refused, never guessed."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import FileFormatError, InputError, ShapeError
from wheatstone.files.arrays import read_map, read_validity
from wheatstone.files.atomic import atomic_path, output_errors, write_bytes
from wheatstone.files.pfm import read_pfm, write_pfm
from wheatstone.files.png import decode_png, encode_png, png_header, png_text
from wheatstone.files.reading import read_bytes

__all__ = [
    "SCALES",
    "SCALE_KEYWORD",
    "decode_disparity_png",
    "disparity_scale",
    "encode_disparity_png",
    "quantise_disparity",
    "read_disparity",
    "write_disparity",
]

SCALE_KEYWORD = "wheatstone:scale"
SCALES = (256, 64, 16)  # 256 is KITTI's; the coarser ones hold larger disparities
_LARGEST_CODE = 65535
_SIXTEEN_BIT_SCALE = 100  # 8 bits would end below 2.55 px; no data set stores that


def read_disparity(
    path: str | Path, scale: float | int | None = None
) -> tuple[Float[Tensor, "1 1 H W"], Bool[Tensor, "1 1 H W"]]:
    """Read a disparity map in pixels and where it is usable; unusable pixels are 0 in the map.

    `.pfm`, `.npy` and `.npz` (its single array, or the one called `disparity`) hold pixels themselves as float32 or float64,
    NaN and infinity mean unknown; a `.npz` may say more by a bool array `valid` beside it. A `.png` holds
    code = disparity x scale, and 0 means unknown: the scale stands in the file's own text chunk (`wheatstone:scale`), or must
    be given, because nothing in the numbers tells it (KITTI 16-bit: 256; Middlebury 2003/2006 8-bit: 4, 2 or 1 by size).

    Args:
        path: `.pfm`, `.png`, `.npy` or `.npz`.
        scale: codes per pixel of disparity; for PNG only.

    Raises:
        FileFormatError: missing, broken, colour instead of grey, whole numbers or half floats, 8 bits where the scale needs 16,
            unknown scale, or a scale that contradicts the file's own.
        InputError: a scale that is not positive, or given for a format that stores pixels.
    """
    path = Path(path)
    if scale is not None and not (np.isfinite(scale) and scale > 0):
        raise InputError(f"`scale` must be positive, got {scale}")
    suffix = path.suffix.lower()
    if suffix == ".png":
        values, valid = decode_disparity_png(read_bytes(path), scale, path)
    elif suffix in (".pfm", ".npy", ".npz"):
        if scale is not None:
            raise InputError(f"{path}: a {suffix} file holds disparity in pixels, so `scale` does not apply")
        values = read_pfm(path) if suffix == ".pfm" else read_map(path)
        if values.ndim != 2:
            raise FileFormatError(f"{path}: a disparity map is [H,W], this file holds {list(values.shape)}")
        valid = np.isfinite(values)
        if suffix == ".npz" and (stated := read_validity(path)) is not None:
            if stated.shape != values.shape:
                raise FileFormatError(f"{path}: `valid` is {list(stated.shape)}, the map {list(values.shape)}")
            valid &= stated
    else:
        raise FileFormatError(
            f"{path}: no disparity format goes by {suffix or 'no suffix'!r}; use .pfm, .png, .npy or .npz"
        )
    values = np.where(valid, values, 0).astype(np.float32)
    return torch.from_numpy(values)[None, None], torch.from_numpy(valid)[None, None]


def write_disparity(
    path: str | Path,
    disparity: Float[Tensor, "*batch H W"],
    valid: Bool[Tensor, "*batch H W"] | None = None,
    scale: float | int | None = None,
) -> None:
    """Write one disparity map, by suffix: `.pfm` (unknown = +inf), `.npy` (unknown = NaN) or 16-bit `.png` (unknown = 0).

    Args:
        path: where; written atomically.
        disparity: pixels, `[H,W]` with any leading axes of size 1. PNG holds values >= 0 only; code = max(1, round(d x scale)).
        valid: where it is usable (default: where it is finite).
        scale: codes per pixel for PNG; by default the finest of 256, 64 and 16 that holds the largest disparity.

    Raises:
        InputError: negative or too large values for PNG, or another suffix.
        ShapeError: more than one map.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    values = disparity.detach().cpu().double().numpy()
    usable = np.isfinite(values) if valid is None else valid.detach().cpu().numpy() & np.isfinite(values)
    if values.size != values.shape[-1] * values.shape[-2]:
        raise ShapeError(f"one disparity map is written at a time, got {list(values.shape)}")
    values, usable = values.reshape(values.shape[-2:]), usable.reshape(values.shape[-2:])
    suffix = path.suffix.lower()
    if suffix == ".png":
        largest = float(values[usable].max(initial=0.0))
        chosen = scale if scale is not None else disparity_scale(largest)
        write_bytes(path, encode_disparity_png(values, usable, chosen))
    elif suffix == ".pfm":
        write_pfm(path, np.where(usable, values, np.inf).astype(np.float32))
    elif suffix == ".npy":
        with atomic_path(path) as temporary, output_errors(path):
            np.save(temporary, np.where(usable, values, np.nan).astype(np.float32))
    else:
        raise InputError(f"{path}: no disparity format goes by {suffix or 'no suffix'!r}; use .pfm, .png or .npy")


def disparity_scale(max_px: float | int) -> int:
    """Codes per pixel: the largest of 256, 64 and 16 with `max_px * scale <= 65534`.

    Raises:
        InputError: not even 16 holds it (disparity above 4095 px).
    """
    for scale in SCALES:
        if max_px * scale <= _LARGEST_CODE - 1:
            return scale
    raise InputError(
        f"disparity up to {max_px:.0f} px does not fit into 16 bits; use a smaller width or rule, or write .pfm or .npy"
    )


def quantise_disparity(disparity: np.ndarray, valid: np.ndarray, scale: float | int) -> np.ndarray:
    """Codes max(1, round(d x scale)) as uint16, 0 where not valid.

    Raises:
        InputError: negative or not finite where valid, or above 65535 codes.
    """
    scaled = np.where(valid, disparity, 0).astype(np.float64) * scale
    if not np.isfinite(scaled).all() or scaled.min(initial=0) < 0:
        raise InputError("a 16-bit PNG holds no negative or infinite disparity; write .pfm or .npy")
    if np.rint(scaled.max(initial=0)) > _LARGEST_CODE:
        raise InputError(
            f"disparity up to {scaled.max() / scale:.1f} px does not fit into 16 bits at scale {scale:g}; "
            "use a smaller scale"
        )
    return np.where(valid, np.maximum(1, np.rint(scaled)), 0).astype(np.uint16)


def encode_disparity_png(values: np.ndarray, valid: np.ndarray, scale: float | int) -> bytes:
    """A 16-bit PNG with code = max(1, round(d x scale)), 0 = unknown, and the scale in a text chunk.

    Args:
        values: disparity in pixels `[H,W]`, >= 0 where valid.
        valid: bool `[H,W]`.
        scale: codes per pixel.

    Raises:
        InputError: see `quantise_disparity`.
    """
    return encode_png(quantise_disparity(values, valid, scale), {SCALE_KEYWORD: f"{scale:g}"})


def decode_disparity_png(
    data: bytes, scale: float | int | None = None, name: str | Path = "PNG"
) -> tuple[np.ndarray, np.ndarray]:
    """Disparity in pixels (float32) and validity from the bytes of a grey PNG; see `read_disparity`.

    Raises:
        FileFormatError: broken, colour or palette, unknown or contradicting scale.
    """
    _, _, depth, colour = png_header(data, name)
    if colour != 0:
        raise FileFormatError(
            f"{name}: a disparity PNG is grey, this one has colours or alpha: is it a picture of a map?"
        )
    own = png_text(data, name).get(SCALE_KEYWORD)
    if own is None and scale is None:
        raise FileFormatError(
            f"{name}: a {depth}-bit PNG that does not say its scale; pass `scale` (KITTI: 256; Middlebury's 8-bit maps: 1 to 16)"
        )
    if own is not None and scale is not None and float(own) != float(scale):
        raise FileFormatError(f"{name}: the file says scale {own}, the caller says {scale:g}")
    if depth <= 8 and scale is not None and scale >= _SIXTEEN_BIT_SCALE:
        raise FileFormatError(
            f"{name}: a {depth}-bit PNG, but at scale {scale:g} disparity needs 16 bits: is it a picture of the map?"
        )
    codes = decode_png(data, name)
    valid = codes > 0
    return (codes / np.float64(own if own is not None else scale)).astype(np.float32), valid
