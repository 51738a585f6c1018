"""HDF5 files that hold one map."""

from pathlib import Path

import numpy as np

from wheatstone.errors import FileFormatError, require

__all__ = ["read_hdf5"]


def read_hdf5(path: str | Path, key: str, step: int = 1) -> np.ndarray:
    """Read the map `[H,W]` called `key` from an HDF5 file, as it is stored (float16, float32 or float64).

    Args:
        path: the file.
        key: name of the array.
        step: take every so many rows and columns, from the first.

    Raises:
        FileFormatError: missing, broken, without that array, or an array of another type or shape.
        MissingExtraError: h5py is not installed; the extra `datasets` brings it.
    """
    library = require("h5py", "datasets", "Reading HDF5 files")
    try:
        with library.File(str(path), "r") as file:
            if key not in file or not hasattr(file[key], "shape"):
                raise FileFormatError(f"{path}: has no array {key!r}, it holds {', '.join(file) or 'nothing'}")
            array = np.asarray(file[key][()])
    except (OSError, KeyError) as error:
        raise FileFormatError(f"{path}: not a readable HDF5 file: {error}") from error
    if array.ndim != 2 or not array.size or array.dtype.kind != "f":
        raise FileFormatError(f"{path}: a map is [H,W] of floats, {key!r} is {list(array.shape)} of {array.dtype}")
    return array[::step, ::step]
