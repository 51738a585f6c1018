"""Small pictures, and their bytes for a page that needs no other file."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from wheatstone.errors import InputError, ShapeError

__all__ = ["contact_sheet", "data_uri", "encode_jpeg", "encode_webp", "thumbnail"]


def thumbnail(
    picture: UInt8[np.ndarray, "..."], width: int | None = 256, *, nearest: bool = False
) -> UInt8[np.ndarray, "..."]:
    """Shrink a picture to at most `width` pixels across; it is never enlarged and keeps its proportions.

    Args:
        picture: `[H,W,3]` or `[H,W]`, 0..255.
        width: largest width in pixels; None leaves the picture as it is.
        nearest: pick pixels instead of averaging them, for codes that must not be mixed.

    Raises:
        InputError: a width below 1.
    """
    if width is not None and width < 1:
        raise InputError(f"`width` must be at least 1 pixel, got {width}")
    tall, wide = picture.shape[:2]
    if width is None or wide <= width:
        return picture
    size = (width, max(1, round(tall * width / wide)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST if nearest else cv2.INTER_AREA)


def contact_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "h w 3"]]], *, enlarge: int = 1, gap: int = 6
) -> UInt8[np.ndarray, "H W 3"]:
    """Put pictures of one size beside and below each other, on white.

    Args:
        rows: of pictures, each row as long as the others, 0..255.
        enlarge: pixels become squares of this side.
        gap: between two pictures, px.

    Raises:
        ShapeError: rows of different length, or pictures of different size.
        InputError: no picture, an `enlarge` below 1, or a negative gap.
    """
    if not rows or not rows[0] or enlarge < 1 or gap < 0:
        raise InputError(f"a sheet needs pictures, enlarge >= 1 and gap >= 0, got {enlarge} and {gap}")
    sizes = sorted({picture.shape for row in rows for picture in row})
    if len(sizes) > 1 or len({len(row) for row in rows}) > 1:
        raise ShapeError(f"a sheet needs rows of one length of pictures of one size, got {sizes}")
    height, width = sizes[0][0] * enlarge, sizes[0][1] * enlarge
    sheet = np.full((len(rows) * (height + gap) - gap, len(rows[0]) * (width + gap) - gap, 3), 255, np.uint8)
    for line, row in enumerate(rows):
        for column, picture in enumerate(row):
            top, left = line * (height + gap), column * (width + gap)
            large = np.repeat(np.repeat(picture, enlarge, 0), enlarge, 1)
            sheet[top : top + height, left : left + width] = large
    return sheet


def encode_webp(picture: UInt8[np.ndarray, "..."], quality: int = 75) -> bytes:
    """The bytes of a WebP file (lossy, `quality` 0..100)."""
    return _encode(picture, "WEBP", quality=quality, method=4)


def encode_jpeg(picture: UInt8[np.ndarray, "..."], quality: int = 85) -> bytes:
    """The bytes of a JPEG file with full colour resolution (4:4:4), so that anaglyphs do not ghost."""
    return _encode(picture, "JPEG", quality=quality, subsampling=0, optimize=True)


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a `data:` address, to stand inside an HTML or SVG file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def _encode(picture: np.ndarray, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format, **options)
    return stream.getvalue()
