"""Our data format on disk: names, codes and digests; see docs/data-format.md.

    OUT/dataset.json      format version, conventions, configuration and its hash, seed, counts, parts, versions
    OUT/manifest.jsonl    one line a sample, written after its files
    OUT/rejected.jsonl    one line a photo that gave no sample, with the reason
    OUT/left/KEY.png ...  one folder a product

A promise of this format that can be computed from the files is checked by `wheatstone.datasets.verify`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from wheatstone.errors import DatasetError, InputError
from wheatstone.files.disparity import disparity_scale, quantise_disparity

__all__ = [
    "CONVENTIONS",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "HEADER",
    "MANIFEST",
    "MASKS",
    "REJECTED",
    "canonical_json",
    "check_key",
    "colliding_keys",
    "config_digest",
    "decode_unit",
    "disparity_folder",
    "disparity_scale",
    "encode_unit",
    "id_of_key",
    "key_of_id",
    "mask_extra",
    "origin_folder",
    "pixel_format",
    "product_path",
    "quantise_disparity",
    "read_lines",
    "source_view",
    "view_folder",
]

FORMAT_NAME = "wheatstone"
FORMAT_VERSION = 1
HEADER, MANIFEST, REJECTED = "dataset.json", "manifest.jsonl", "rejected.jsonl"
MAX_NAME_BYTES = 240
MASKS = {"visible": "mask_nocc", "hole": "mask_inpaint"}  # field of a sample -> folder
CONVENTIONS = {
    "images": "8-bit RGB PNG",
    "disparity": "16-bit PNG, pixels = code / disparity_scale, 0 = unknown; left is the reference: x_right = x_left - d",
    "confidence": "16-bit PNG, 0..1 = code / 65535",
    "mask_nocc": "8-bit PNG 0/255, frame of the left view: 255 = seen in the right view too",
    "mask_inpaint": "8-bit PNG 0/255, frame of the right view: 255 = painted, not warped",
    "origin": "8-bit PNG, frame of the right view: 0 warped, 1 crack, 2 disocclusion, 3 border, 4 contaminated rim, 5 generated",
    "origin_left": "the same codes, frame of a synthetic left view",
    "right": "outside mask_inpaint a synthetic right view is exactly the forward warp (config.warp) of left by disparity",
    "left": "where left is synthetic, the photo is the one view that is not (NAME): outside their painted pixels (mask_inpaint "
    "of right, origin_left > 0 of left) the synthetic views are exactly its warps by (k - k of NAME) times disparity_NAME, and "
    "disparity is what landed on left, 0 = unknown where left is painted",
    "baselines": "0 = left, 1 = right, -1 = left-left, 2 = right-right, 0.5 = centre; a view at k is a warp by k times disparity",
}


def check_key(key: str) -> None:
    """Refuse a key that cannot be the name of a sample.

    A key is a relative path with forward slashes and the full name of the photo (`a/b/cat.jpg`).

    Raises:
        InputError: empty, absolute, with `.`, `..` or empty parts, a part over 240 bytes, or not UTF-8.
    """
    try:
        parts = [part.encode() for part in key.split("/")]
    except UnicodeEncodeError as error:
        raise InputError(f"the name {key!r} is not valid UTF-8") from error
    if not key or any(part in (b"", b".", b"..") for part in parts):
        raise InputError(f"the name {key!r} is no relative path without '.', '..' and empty parts")
    if b"\0" in key.encode():
        raise InputError(f"the name {key!r} holds a zero byte")
    if longest := [part for part in parts if len(part) > MAX_NAME_BYTES]:
        raise InputError(
            f"the name {longest[0].decode()[:40]!r}... has {len(longest[0])} bytes, more than {MAX_NAME_BYTES}"
        )


def colliding_keys(keys: Iterable[str]) -> set[str]:
    """Keys whose files would lie inside another sample's file: `cat.jpg.png/1.jpg` beside `cat.jpg`."""
    known = set(keys)
    files = {f"{key}.png" for key in known}
    return {key for key in known if any(str(parent) in files for parent in PurePosixPath(key).parents)}


def id_of_key(key: str) -> str:
    """Key with `%`, `.` and `/` percent-escaped: one flat name (tar shards cut names at the first dot)."""
    return key.replace("%", "%25").replace(".", "%2E").replace("/", "%2F")


def key_of_id(identifier: str) -> str:
    """Undo `id_of_key`."""
    return re.sub("%(25|2E|2F)", lambda match: chr(int(match[1], 16)), identifier)


def view_folder(name: str) -> str:
    """Folder of a view: `left` and `right` stand at the top, all others under `views/`."""
    if name in ("left", "right"):
        return name
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise InputError(f"a view's name is letters, digits, '-' and '_', got {name!r}")
    return f"views/{name}"


def disparity_folder(view: str) -> str:
    """Folder of the disparity in the frame of a view: that of `left` has no suffix."""
    return "disparity" if view == "left" else f"disparity_{view}"


def origin_folder(view: str) -> str:
    """Folder of the origins of a synthetic view's pixels: that of `right` has no suffix."""
    return "origin" if view == "right" else f"origin_{view}"


def source_view(line: Mapping[str, Any]) -> str | None:
    """The view that the synthetic ones of a manifest line are warps of: the reference if it is real, else the first real one."""
    real = [name for name, entry in line["baselines"].items() if not entry["synthetic"]]
    if line["reference"] in real:
        return str(line["reference"])
    return real[0] if real else None


def mask_extra(name: str) -> str:
    """Folder of a further mask: `sky` lies in `mask_sky`."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or name in ("nocc", "inpaint"):
        raise InputError(f"a mask's name is letters, digits, '-' and '_', got {name!r}")
    return f"mask_{name}"


def product_path(folder: str, key: str) -> str:
    """Relative path of one product of a sample."""
    return f"{folder}/{key}.png"


def pixel_format(folder: str) -> tuple[np.dtype[Any], int]:
    """Pixel type and number of axes of the files in `folder`: views are colour, disparity and confidence have 16 bits."""
    is_view = folder in ("left", "right") or folder.startswith("views/")
    is_deep = folder == "confidence" or folder.startswith("disparity")
    return np.dtype(np.uint16 if is_deep else np.uint8), 3 if is_view else 2


def encode_unit(values: np.ndarray) -> np.ndarray:
    """Codes round(c x 65535) of numbers in 0..1."""
    return np.rint(np.clip(values.astype(np.float64), 0, 1) * 65535).astype(np.uint16)


def decode_unit(codes: np.ndarray) -> np.ndarray:
    """Undo `encode_unit`, as float32."""
    return (codes / np.float64(65535)).astype(np.float32)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal bytes. NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def config_digest(config: Mapping[str, Any], parts: Mapping[str, Any], seed: int) -> str:
    """Digest of everything a sample depends on beside the photo and its key."""
    return sha256(canonical_json({"config": config, "parts": parts, "seed": seed}).encode()).hexdigest()


def read_lines(path: str | Path, *, torn: str = "error") -> Iterator[dict[str, Any]]:
    """Read a JSON-lines file of objects that have a `key`.

    Args:
        path: the file; a missing one has no lines.
        torn: what to do about a last line that was cut off (no line break, or no JSON): `"error"` or `"drop"`.

    Raises:
        DatasetError: a line that is no such object.
    """
    path = Path(path)
    if not path.is_file():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        last = number == len(lines)
        if last and not line:
            return
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
                raise ValueError("no object with a key")
        except ValueError as error:
            if torn == "drop" and number >= len(lines) - 1:
                return
            raise DatasetError(f"{path}: line {number} is broken: {error}") from error
        if last:
            if torn == "drop":
                return
            raise DatasetError(f"{path}: the last line was cut off; run the command that made it again")
        yield entry
