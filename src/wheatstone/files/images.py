"""Photos and pictures: any common file to 8-bit RGB, upright, with what its EXIF says about the lens.

Pillow decodes, OpenCV takes over where Pillow would cut 16 bits to 8 or cannot read at all (16-bit colour PNG, 16-bit and float
TIFF). Nothing is ever half-read: a truncated file is an error.
"""

import io
import math
import struct
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from wheatstone.errors import FileFormatError, InputError
from wheatstone.files.atomic import write_bytes
from wheatstone.files.png import PNG_SIGNATURE, encode_png, png_header
from wheatstone.files.reading import read_bytes
from wheatstone.samples import image_batch, to_uint8

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "Photo", "decode_photo", "read_image", "read_photo", "write_image"]

# What a search of a folder takes for a photo. Phones write HEIC, which Pillow does not read: such files are rejected with advice
# rather than passed over in silence.
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp"),
    *(".avif", ".heic", ".heif"),
)
MAX_PIXELS = 178_956_970  # Pillow's own limit against decompression bombs, 0.5 GB of 8-bit RGB
_DIAGONAL_35MM = math.hypot(36, 24)
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        image: `[H,W,3]` uint8, RGB, upright (EXIF orientation applied).
        focal_px: focal length in pixels of this very size, from EXIF's 35-mm equivalent, else None.
        sha256: hex digest of the file's bytes.
        mode: how the file stores its pixels (`RGB`, `L`, `CMYK`, `P`, `RGB;16`, `F`, ...).
        format: container (`JPEG`, `PNG`, ...).
    """

    image: UInt8[np.ndarray, "H W 3"]
    focal_px: float | None
    sha256: str
    mode: str
    format: str


def read_photo(path: str | Path, opaque: bool = False) -> Photo:
    """Read a photo as 8-bit RGB: JPEG, PNG, WebP, TIFF, BMP, with everything that occurs in them.

    Grey is repeated, palettes are looked up, CMYK is converted without a colour profile, transparency is composited on
    white, the first frame of an animation is taken, 16 bits are rounded to 8, floating-point pixels must lie in 0..1.
    Embedded colour profiles are not applied.

    Args:
        path: the file.
        opaque: take the colours as they stand, whatever the alpha channel says.

    Raises:
        FileFormatError: missing, empty, truncated, no image, a single row or column, or more than `MAX_PIXELS`.
    """
    return decode_photo(read_bytes(path), path, opaque)


def decode_photo(data: bytes, name: str | Path = "photo", opaque: bool = False) -> Photo:
    """Decode the bytes of a photo; see `read_photo`."""
    if not data:
        raise FileFormatError(f"{name}: the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            _check_size(picture.size, name)
            mode, kind = picture.mode, picture.format or "unknown"
            exif = picture.getexif()
            deep = _deep_mode(data, picture)
            picture.load()
            array = _decode_deep(data, name, opaque) if deep else _flatten(picture, opaque)
    except UnidentifiedImageError as error:
        if data[:4] not in _TIFF_SIGNATURES:
            raise FileFormatError(f"{name}: not an image file that can be read ({_what_it_is(data)})") from error
        array, exif, deep, mode, kind = _decode_deep(data, name, opaque), Image.Exif(), None, "unknown", "TIFF"
        _check_size((array.shape[1], array.shape[0]), name)
    except Image.DecompressionBombError as error:
        raise FileFormatError(f"{name}: more than {MAX_PIXELS} pixels, refused as a decompression bomb") from error
    except FileFormatError:
        raise
    except MemoryError as error:
        raise FileFormatError(f"{name}: the image does not fit into memory") from error
    # Pillow's decoders raise all of these on damaged files
    except (OSError, SyntaxError, ValueError, struct.error, EOFError, TypeError, KeyError, IndexError) as error:
        raise FileFormatError(f"{name}: broken or truncated image: {error}") from error
    array = _upright(array, exif)
    return Photo(array, _focal_px(exif, array), sha256(data).hexdigest(), deep or mode, kind)


def read_image(path: str | Path, opaque: bool = False) -> Float[torch.Tensor, "1 3 H W"]:
    """Read an image file as float32 `[1,3,H,W]`, RGB, 0..1, upright; formats and errors as in `read_photo`."""
    return image_batch(read_photo(path, opaque).image)


def write_image(path: str | Path, image: Any, quality: int = 95) -> None:
    """Write one image by suffix: `.png` (lossless), `.jpg`, `.webp`, `.bmp`, `.tif`; atomically.

    Args:
        path: where.
        image: float tensor `[1,3,H,W]` or `[3,H,W]` in 0..1, a PIL image, or a uint8 array `[H,W,3]` or `[H,W]`.
        quality: 1..100 for JPEG (with full colour resolution) and WebP.

    Raises:
        InputError: an unknown suffix, or several images.
        OutputError: the file cannot be written.
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    batch = image_batch(image)
    if batch.shape[0] != 1:
        raise InputError(f"{path}: one image goes into one file, got a batch of {batch.shape[0]}")
    pixels = to_uint8(batch[0])
    if suffix == ".png":
        write_bytes(path, encode_png(pixels))
        return
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
    if suffix not in formats:
        raise InputError(
            f"{path}: no image format goes by {suffix or 'no suffix'!r}; use .png, .jpg, .webp, .bmp or .tif"
        )
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if formats[suffix] == "JPEG" else {"quality": quality}
    Image.fromarray(pixels).save(buffer, formats[suffix], **(options if formats[suffix] in ("JPEG", "WEBP") else {}))
    write_bytes(path, buffer.getvalue())


def _check_size(size: tuple[int, int], name: str | Path) -> None:
    width, height = size
    if min(width, height) < 2:
        raise FileFormatError(f"{name}: an image of {width} x {height} pixels holds no picture")
    if width * height > MAX_PIXELS:
        raise FileFormatError(
            f"{name}: {width} x {height} pixels, refused as a decompression bomb (limit {MAX_PIXELS})"
        )


def _deep_mode(data: bytes, picture: Image.Image) -> str | None:
    """Name of a pixel format with more than 8 bits, which Pillow would cut, or None."""
    if data.startswith(PNG_SIGNATURE):
        _, _, depth, colour = png_header(data)
        return {0: "L;16", 2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}[colour] if depth == 16 else None
    if picture.format == "TIFF" and max(_bits_per_sample(picture)) > 8:
        return f"{picture.mode};{max(_bits_per_sample(picture))}" if picture.mode[0] not in "IF" else picture.mode
    return picture.mode if picture.mode[0] in "IF" else None


def _bits_per_sample(picture: Image.Image) -> tuple[int, ...]:
    bits = picture.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
    return bits if isinstance(bits, tuple) else (bits,)


def _decode_deep(data: bytes, name: str | Path, opaque: bool = False) -> np.ndarray:
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.size == 0:
        raise FileFormatError(f"{name}: broken image, or a pixel format that neither Pillow nor OpenCV reads")
    if array.dtype == np.uint16:
        values = array / np.float32(65535)
    elif array.dtype == np.uint8:
        values = array / np.float32(255)
    elif array.dtype.kind == "f" and np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1:
        values = array.astype(np.float32)
    else:
        raise FileFormatError(f"{name}: pixels of {array.dtype} outside 0..1; convert the file to 8 or 16 bits")
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:]
        values = values[..., :-1] if opaque else values[..., :-1] * alpha + (1 - alpha)
    values = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., ::-1]
    return np.rint(values * 255).astype(np.uint8)


def _flatten(picture: Image.Image, opaque: bool = False) -> np.ndarray:
    """8-bit RGB of a loaded picture; transparency shows white, or its colour where `opaque`."""
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if opaque:
            return np.asarray(picture)[..., :3]
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


def _upright(array: np.ndarray, exif: Image.Exif) -> np.ndarray:
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation in (2, 3, 4, 5, 6, 7, 8):
        picture = Image.fromarray(array)
        picture.getexif()[ExifTags.Base.Orientation] = orientation
        array = np.asarray(ImageOps.exif_transpose(picture))
    return np.ascontiguousarray(array)


def _focal_px(exif: Image.Exif, array: np.ndarray) -> float | None:
    """EXIF's 35-mm equivalent compares diagonals (CIPA DCG-001): f_px = f_35 x diagonal_px / 43.27 mm."""
    try:
        value = float(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm) or 0)
    except (TypeError, ValueError, ZeroDivisionError, struct.error, KeyError, SyntaxError):
        return None
    if not 1 <= value <= 5000:
        return None
    return value * math.hypot(array.shape[0], array.shape[1]) / _DIAGONAL_35MM


def _what_it_is(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "HEIC or AVIF: convert it to JPEG or PNG"
    return f"it begins with {data[:8]!r}"
