"""Inverse depth as a 16-bit PNG that says how its codes become numbers again."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import FileFormatError, ShapeError
from wheatstone.files.atomic import write_bytes
from wheatstone.files.png import decode_png, encode_png, png_text
from wheatstone.files.reading import read_bytes

__all__ = ["OFFSET_KEYWORD", "STEP_KEYWORD", "read_inverse_depth", "write_inverse_depth"]

OFFSET_KEYWORD, STEP_KEYWORD = "wheatstone:inverse-depth-offset", "wheatstone:inverse-depth-step"
_LARGEST_CODE = 65535


def write_inverse_depth(path: str | Path, inverse_depth: Float[Tensor, "*batch H W"]) -> tuple[float, float]:
    """Write one map as a 16-bit grey PNG over its own range: `inverse depth = offset + step * code`.

    The smallest value has code 1 and the largest 65535; code 0 means unknown (not finite). Both numbers stand in text chunks
    of the file.

    Args:
        path: where; written atomically.
        inverse_depth: `[H,W]` with any leading axes of size 1, larger = nearer, any scale and shift.

    Returns:
        `offset` and `step`.

    Raises:
        ShapeError: more than one map.
        OutputError: the file cannot be written.
    """
    values = inverse_depth.detach().cpu().double().numpy()
    if values.size != values.shape[-1] * values.shape[-2]:
        raise ShapeError(f"one map is written at a time, got {list(values.shape)}")
    values = values.reshape(values.shape[-2:])
    known = np.isfinite(values)
    low, high = (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 0.0)
    step = (high - low) / (_LARGEST_CODE - 1) if high > low else 1.0
    offset = low - step
    codes = np.where(known, np.rint((np.where(known, values, low) - offset) / step), 0).astype(np.uint16)
    write_bytes(path, encode_png(codes, {OFFSET_KEYWORD: repr(offset), STEP_KEYWORD: repr(step)}))
    return offset, step


def read_inverse_depth(path: str | Path) -> tuple[Float[Tensor, "1 1 H W"], Bool[Tensor, "1 1 H W"]]:
    """Read what `write_inverse_depth` wrote: the map, and where it is known; unknown pixels are 0 in the map.

    Raises:
        FileFormatError: missing, broken, 8-bit, or a PNG without offset and step.
    """
    data = read_bytes(path)
    text = png_text(data, path)
    codes = decode_png(data, path)
    if codes.ndim != 2 or OFFSET_KEYWORD not in text or STEP_KEYWORD not in text:
        raise FileFormatError(f"{path}: not a map of inverse depth with its offset and step")
    if codes.dtype != np.uint16:
        raise FileFormatError(f"{path}: 8-bit codes, but inverse depth has 16: some program saved it again")
    known = codes > 0
    values = np.where(known, float(text[OFFSET_KEYWORD]) + float(text[STEP_KEYWORD]) * codes, 0).astype(np.float32)
    return torch.from_numpy(values)[None, None], torch.from_numpy(known)[None, None]
