"""NumPy files that hold one map of floating-point numbers: `.npy`, and `.npz` with its key."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from wheatstone.errors import FileFormatError

__all__ = ["read_map", "read_validity"]

_UNREADABLE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError)


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
    return _plane(Path(path), array)


def read_validity(path: str | Path) -> np.ndarray | None:
    """Read the bool map `valid` of a `.npz` file, True = usable; None where the file holds none.

    Whole numbers 0 and 1 count as bool, since many tools store masks that way. Axes of size 1 are dropped.

    Raises:
        FileFormatError: missing, broken, or `valid` holds something else than yes and no for every pixel.
    """
    path = Path(path)
    names, array = _contents(path, "valid")
    if "valid" not in names:
        return None
    if array is None or array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise FileFormatError(f"{path}: `valid` must hold True and False (or 1 and 0) for every pixel")
    return _plane(path, array).astype(bool)


def _contents(path: Path, key: str) -> tuple[list[str], np.ndarray | None]:
    """Names of the arrays of a `.npz` and the array called `key`, if there is one."""
    try:
        with np.load(path, allow_pickle=False) as loaded:
            names = list(loaded.files)
            return names, loaded[key] if key in names else None
    except _UNREADABLE as error:
        raise FileFormatError(f"{path}: not a readable {path.suffix or '.npy'} file: {error}") from error


def _plane(path: Path, array: np.ndarray) -> np.ndarray:
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
    except _UNREADABLE as error:
        raise FileFormatError(f"{path}: not a readable {path.suffix or '.npy'} file: {error}") from error
    raise FileFormatError(f"{path}: has no array {name!r}, it holds {', '.join(names) or 'nothing'}")
