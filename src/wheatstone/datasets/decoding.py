"""How public data sets store their truth and their masks: files to disparity in pixels and bool maps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from wheatstone.errors import FileFormatError
from wheatstone.files import decode_png, read_bytes, read_map, read_pfm
from wheatstone.files.png import PNG_SIGNATURE

__all__ = ["Coded", "CodedByWidth", "Depth", "Mask", "Npy", "Pfm", "is_full", "is_set", "read_codes"]


@dataclass(frozen=True)
class Coded:
    """Truth stored as whole numbers: disparity = code / scale, one code means unknown.

    Attributes:
        scale: codes per pixel of disparity.
        invalid: the code of unknown.
        bits: 8 or 16, what the data set stores; a file of another depth is refused.
    """

    scale: int
    invalid: int = 0
    bits: int = 16

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        return _divide(read_codes(path, self.bits), self.scale, self.invalid)


@dataclass(frozen=True)
class CodedByWidth:
    """8-bit truth whose scale follows from the size of the file.

    Attributes:
        scales: pairs of a least width and the scale that holds from it on, largest width first.
    """

    scales: tuple[tuple[int, int], ...]

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        codes = read_codes(path, 8)
        return _divide(codes, next(scale for width, scale in self.scales if codes.shape[1] >= width), 0)


def _divide(codes: np.ndarray, scale: int, invalid: int) -> tuple[np.ndarray, np.ndarray]:
    valid = codes != invalid
    return np.where(valid, codes / np.float64(scale), 0).astype(np.float32), valid


@dataclass(frozen=True)
class Pfm:
    """Truth stored as floating-point pixels; inf and NaN mean unknown.

    Attributes:
        either_sign: the sign only tells which way the file measures (Scene Flow): the amount counts.
    """

    either_sign: bool = False

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        values = read_pfm(path)
        if values.ndim != 2:
            raise FileFormatError(f"{path}: a disparity PFM has one channel, this one has {values.shape[-1]}")
        valid = np.isfinite(values)
        values = np.where(valid, values, 0).astype(np.float32)
        return np.abs(values) if self.either_sign else values, valid


@dataclass(frozen=True)
class Npy:
    """Truth stored as floating-point pixels in `.npy`; what is not finite and above 0 is unknown."""

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        values = read_map(path)
        valid = np.isfinite(values) & (values > 0)
        return np.where(valid, values, 0).astype(np.float32), valid


@dataclass(frozen=True)
class Depth:
    """Truth stored as depth: disparity = `pixels` / depth.

    Attributes:
        pixels: focal length x baseline in the unit of the file: disparity at depth 1.
        far: codes from here on are unknown (16-bit PNG; None for `.npy`).
        sky: count those codes as known, with disparity 0 (infinitely far).
    """

    pixels: float
    far: int | None = None
    sky: bool = False

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        if path.suffix.lower() == ".png":
            depth = read_codes(path, 16).astype(np.float64)
        else:
            depth = read_map(path, half=True).astype(np.float64)
        near = np.isfinite(depth) & (depth > 0)
        if self.far is not None:
            near &= depth < self.far
        values = np.divide(self.pixels, depth, out=np.zeros_like(depth), where=near)
        valid = near | (depth >= self.far) if self.sky and self.far is not None else near
        return values.astype(np.float32), valid


@dataclass(frozen=True)
class Mask:
    """A map of the left view that says something of each pixel.

    Attributes:
        path: a grey picture.
        name: what True means; see `wheatstone.datasets.pairs.PairFolder`.
        rule: codes to bool.
    """

    path: Path
    name: str
    rule: Callable[[np.ndarray], np.ndarray]

    def read(self) -> np.ndarray:
        """The codes of the file."""
        return read_codes(self.path)


def is_full(codes: np.ndarray) -> np.ndarray:
    """Where a mask is 255."""
    return codes == 255


def is_set(codes: np.ndarray) -> np.ndarray:
    """Where a mask is not 0."""
    return codes > 0


def read_codes(path: Path, bits: int | None = None) -> np.ndarray:
    """Read whole-number codes `[H,W]` from a grey PNG or PGM of 8 or 16 bits; a palette of greys is looked up.

    Args:
        path: the file.
        bits: the depth that is due, 8 or 16; either by default.

    Raises:
        FileFormatError: missing, broken, a colour picture, or of the wrong depth.
    """
    data = read_bytes(path)
    codes: np.ndarray | None
    if data.startswith(PNG_SIGNATURE):
        codes = decode_png(data, path)  # OpenCV alone would return what it could read of a damaged file
    else:
        codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if codes is None:
        raise FileFormatError(f"{path}: not a readable PNG or PGM file")
    if codes.ndim == 3:
        colours = codes[..., :3]
        if (colours != colours[..., :1]).any():
            raise FileFormatError(f"{path}: a colour picture, but codes of disparity or depth are grey")
        codes = colours[..., 0]
    if codes.dtype not in (np.uint8, np.uint16):
        raise FileFormatError(f"{path}: codes are 8- or 16-bit whole numbers, this file holds {codes.dtype}")
    found = codes.dtype.itemsize * 8
    if bits is not None and found != bits:
        reason = "is it a picture of the map?" if found < bits else "is it of another edition of the data set?"
        raise FileFormatError(f"{path}: {found}-bit codes, but {bits} bits are due here: {reason}")
    return np.ascontiguousarray(codes)
