"""NumPy files that hold one map of floating-point numbers: `.npy`, and `.npz` with its key."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from wheatstone.errors import FileFormatError

__all__ = ["read_map"]


def read_map(path: str | Path, key: str | None = None, half: bool = False) -> np.ndarray:
    """Read a map `[H,W]` of float32 or float64 from a `.npy` or `.npz` file; axes of size 1 are dropped.

    Whole numbers are refused because nothing says what one step of them is worth, half floats because they cannot hold
    disparities of hundreds of pixels (steps of 0.25 px from 256 px on, of 0.5 px from 512 px on).

    Args:
        path: the file.
        key: which array of a `.npz`; may be left out where the file holds a single one, or one called `disparity`.
        half: take float16 too.

    Raises:
        FileFormatError: missing, broken, pickled, of another type or shape, or a `.npz` without that key.
    """
    array = _load(Path(path), key)
    wanted = "float32 or float64" + (" or float16" if half else "")
    if array.dtype == np.float16 and not half:
        raise FileFormatError(f"{path}: float16, but a map is {wanted}: half floats are too coarse beyond 256 px")
    if array.dtype.kind in "iu":
        raise FileFormatError(f"{path}: whole numbers ({array.dtype}) of unknown scale, but a map is {wanted}")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise FileFormatError(f"{path}: not an array of numbers, it holds {array.dtype}; a map is {wanted}")
    flat = np.squeeze(array, axis=tuple(i for i in range(array.ndim - 2) if array.shape[i] == 1))
    if flat.ndim != 2 or not flat.size:
        raise FileFormatError(f"{path}: a map is [H,W], this file holds {list(array.shape)}")
    return flat


def _load(path: Path, key: str | None) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = list(loaded.files)
            name = key if key is not None else ("disparity" if "disparity" in names or len(names) != 1 else names[0])
            if name in names:
                return loaded[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise FileFormatError(f"{path}: not a readable {path.suffix or '.npy'} file: {error}") from error
    raise FileFormatError(f"{path}: has no array {name!r}, it holds {', '.join(names) or 'nothing'}")
