"""OpenEXR files that hold one map."""

from pathlib import Path

import numpy as np

from wheatstone.errors import FileFormatError, require
from wheatstone.files.reading import read_bytes

__all__ = ["read_exr"]

_SIGNATURE = b"\x76\x2f\x31\x01"


def read_exr(path: str | Path) -> np.ndarray:
    """Read a map `[H,W]` of float32 from an OpenEXR file of one channel, whatever its name, or of several equal ones.

    16-bit channels are taken too: EXR is made of them.

    Raises:
        FileFormatError: missing, broken, no EXR file, or channels that differ (a picture).
        MissingExtraError: OpenEXR is not installed; the extra `datasets` brings it.
    """
    path = Path(path)
    data = read_bytes(path)
    if not data.startswith(_SIGNATURE):  # the library would print its own complaint
        raise FileFormatError(f"{path}: no OpenEXR file, it begins with {data[:8]!r}")
    library = require("OpenEXR", "datasets", "Reading OpenEXR files")
    try:
        with library.File(str(path), separate_channels=True) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
    except (RuntimeError, ValueError, OSError) as error:
        raise FileFormatError(f"{path}: broken OpenEXR file: {error}") from error
    names = sorted(channels)
    planes = [channels[name] for name in names]
    if not planes or planes[0].ndim != 2 or planes[0].dtype.kind != "f" or not planes[0].size:
        raise FileFormatError(
            f"{path}: a map has floating-point pixels [H,W], this file holds {', '.join(names) or 'none'}"
        )
    if any(not np.array_equal(planes[0], plane, equal_nan=True) for plane in planes[1:]):
        raise FileFormatError(f"{path}: channels {', '.join(names)} differ: a picture, but a map has one channel")
    return planes[0].astype(np.float32)
