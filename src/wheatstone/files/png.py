"""PNG for arrays: 8- and 16-bit, grey and colour, with text chunks, encoded for speed.

OpenCV encodes and decodes (16-bit colour included, no global state); text chunks are spliced in and read by hand, because OpenCV
drops them (PNG specification, third edition, 5 "Datastream structure" and 11.3.3 "Textual information").
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from wheatstone.errors import FileFormatError, ShapeError

__all__ = ["PNG_SIGNATURE", "decode_png", "encode_png", "png_header", "png_text"]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AFTER_HEADER = 8 + 4 + 4 + 13 + 4  # signature, then length, type, data and checksum of IHDR


def encode_png(array: np.ndarray, text: Mapping[str, str] | None = None, level: int = 1) -> bytes:
    """Encode a uint8 or uint16 array `[H,W]` or `[H,W,3]` (RGB); the same array gives the same bytes.

    Args:
        array: the pixels.
        text: tEXt chunks by keyword (Latin-1, keywords of 1 to 79 characters).
        level: zlib effort 0..9; 1 is several times faster than the usual 6 and about a tenth larger on photos.

    Raises:
        ShapeError: another dtype or shape.
    """
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ShapeError(f"a PNG holds uint8 or uint16 [H,W] or [H,W,3], got {array.dtype} {list(array.shape)}")
    pixels = np.ascontiguousarray(array if array.ndim == 2 else array[..., ::-1])
    _, buffer = cv2.imencode(".png", pixels, (cv2.IMWRITE_PNG_COMPRESSION, level))
    data = buffer.tobytes()
    chunks = b"".join(_text_chunk(keyword, value) for keyword, value in (text or {}).items())
    return data[:_AFTER_HEADER] + chunks + data[_AFTER_HEADER:] if chunks else data


def decode_png(data: bytes, name: str | Path = "PNG") -> np.ndarray:
    """Decode to `[H,W]` or `[H,W,3]` (RGB; alpha is dropped) in the file's own depth, uint8 or uint16.

    Raises:
        FileFormatError: not a PNG, or a damaged one (checksums are verified, since OpenCV returns what it could read).
    """
    for _ in _chunks(data, name):  # walks to IEND and checks every checksum
        pass
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise FileFormatError(f"{name}: the PNG cannot be decoded")
    if array.ndim == 2:
        return array
    return np.ascontiguousarray(array[..., 2::-1])


def png_header(data: bytes, name: str | Path = "PNG") -> tuple[int, int, int, int]:
    """Width, height, bit depth and colour type (0 grey, 2 RGB, 3 palette, 4 grey+alpha, 6 RGBA) of a PNG.

    Raises:
        FileFormatError: not a PNG.
    """
    if len(data) < _AFTER_HEADER or not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
        raise FileFormatError(f"{name}: not a PNG file")
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    return width, height, depth, colour


def png_text(data: bytes, name: str | Path = "PNG") -> dict[str, str]:
    """The tEXt chunks of a PNG by keyword.

    Raises:
        FileFormatError: not a PNG, or a damaged one.
    """
    found = {}
    for kind, body in _chunks(data, name):
        if kind == b"tEXt":
            keyword, _, value = body.partition(b"\0")
            found[keyword.decode("latin-1")] = value.decode("latin-1")
    return found


def _text_chunk(keyword: str, value: str) -> bytes:
    body = keyword.encode("latin-1") + b"\0" + value.encode("latin-1")
    return struct.pack(">I", len(body)) + b"tEXt" + body + struct.pack(">I", zlib.crc32(b"tEXt" + body))


def _chunks(data: bytes, name: str | Path) -> list[tuple[bytes, bytes]]:
    png_header(data, name)
    found, position = [], len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        kind, body = data[position + 4 : position + 8], data[position + 8 : end]
        (checksum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise FileFormatError(f"{name}: damaged PNG, the checksum of its {kind.decode('latin-1')} chunk is wrong")
        found.append((kind, body))
        if kind == b"IEND":
            return found
        position = end + 4
    raise FileFormatError(f"{name}: truncated PNG, it ends after {len(data)} bytes without its end mark")
