"""Portable float map: a tolerant reader and a strict writer.

The header is three lines (`Pf` or `PF`; width and height; scale) separated by any white space; Scene Flow's files put a
blank before the line break, which OpenCV refuses. Rows are stored bottom-up; a negative scale says little endian.
"""

import re
from pathlib import Path

import numpy as np

from wheatstone.errors import FileFormatError, ShapeError
from wheatstone.files.atomic import write_bytes
from wheatstone.files.reading import read_bytes

__all__ = ["read_pfm", "write_pfm"]

# After the scale come blanks, then one line break; a writer that ends with a blank instead of a line break is understood too.
_HEADER = re.compile(rb"\A(P[Ff])\s+(\d+)\s+(\d+)\s+([-+0-9.eE]+)[ \t]*(?:\r\n|\n|\r|(?<=[ \t]))")


def read_pfm(path: str | Path) -> np.ndarray:
    """Read a PFM as float32, `[H,W]` (`Pf`) or `[H,W,3]` (`PF`), top row first; the scale's magnitude is ignored, as is usual.

    Raises:
        FileFormatError: missing, not a PFM, truncated, or longer than its header says.
    """
    data = read_bytes(path)
    match = _HEADER.match(data[:256])
    if match is None:
        raise FileFormatError(f"{path}: not a PFM file (no 'Pf' or 'PF' header)")
    width, height = int(match[2]), int(match[3])
    try:
        little = float(match[4]) < 0
    except ValueError as error:
        raise FileFormatError(f"{path}: the scale in the PFM header is no number: {match[4]!r}") from error
    shape = (height, width) if match[1] == b"Pf" else (height, width, 3)
    body = memoryview(data)[match.end() :]
    wanted = 4 * int(np.prod(shape))
    if len(body) != wanted or wanted == 0:
        raise FileFormatError(
            f"{path}: a PFM of {width} x {height} holds {wanted} bytes of data, this file has {len(body)}"
        )
    array = np.frombuffer(body, "<f4" if little else ">f4").reshape(shape)
    return np.ascontiguousarray(array[::-1], dtype=np.float32)


def write_pfm(path: str | Path, array: np.ndarray) -> None:
    """Write float32 `[H,W]` or `[H,W,3]` as a little-endian PFM (atomically).

    Raises:
        ShapeError: another shape or dtype.
        OutputError: the file cannot be written.
    """
    if array.dtype != np.float32 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or array.size == 0:
        raise ShapeError(f"a PFM holds float32 [H,W] or [H,W,3], got {array.dtype} {list(array.shape)}")
    kind = "Pf" if array.ndim == 2 else "PF"
    header = f"{kind}\n{array.shape[1]} {array.shape[0]}\n-1.0\n".encode()
    write_bytes(path, header + array[::-1].astype("<f4").tobytes())
