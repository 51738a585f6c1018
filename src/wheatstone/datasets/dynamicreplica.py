"""Dynamic Replica (Karaev et al. 2023): people and animals that move through scanned rooms."""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets.decoding import read_codes
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError, FileFormatError
from wheatstone.files import read_bytes

__all__ = ["load"]

_LICENCE = "Dynamic Replica: CC BY-NC 4.0 according to arXiv 2410.02073, cite Karaev et al. 2023"
_SPLITS = ("train", "valid", "test")
_NEAREST_M = 1e-5


def load(path: Path, split: str = "train", left_right: bool = False) -> PairFolder:
    """Dynamic Replica, 1280 x 720: 145 200 training frames of 484 rendered films; the baseline differs from film to film.

    Scale: 16-bit PNG whose bits are a half float, depth in metres, of both views (11 bits: a disparity of d px is exact to
    d / 4096); disparity = fx x baseline / depth, where both follow from `frame_annotations_SPLIT.jgz` (PyTorch3D cameras;
    baseline = Tx of the right camera - Tx of the left one). Unknown: depth below 1e-5 and not finite. Occlusion: no mask.
    Licence: CC BY-NC 4.0 by the list of data sets of another paper (Depth Pro, arXiv 2410.02073, Table 15); its page asks to
    accept one. Layout:
    `{train,valid,test}/NAME_{left,right}/{images/NAME_left-NNNN.png,depths/NAME_left_NNNN.geometric.png}` and
    `frame_annotations_SPLIT.jgz` in the folder of the split or beside it; it is read once, when the data set is opened.
    Known flaw: a report to its authors says that the background's depth does not fit the right view in places.

    Args:
        path: the folder of the splits, or one of them.
        split: `train`, `valid` or `test`; a `path` without these folders is taken as it is.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = (
        "SPLIT/{frame_annotations_SPLIT.jgz,NAME_{left,right}/{images,depths}/} with SPLIT one of train, valid, test"
    )
    one_of("split", split, _SPLITS)
    require_folder(path, "Dynamic Replica", layout)
    listing = Listing()
    root = path / split if set(_SPLITS) & set(listing.folders(path)) else path
    kind = root.name if root.name in _SPLITS else split
    places = [folder / f"frame_annotations_{kind}.jgz" for folder in (root, root.parent)]
    annotations = next((place for place in places if listing.has(place)), None)
    if annotations is None:
        raise DatasetError(f"{places[0]}: missing; Dynamic Replica is expected as {layout}")
    pixels = _disparity_at_1_m(annotations)
    keys = []
    for film in sorted(pixels):
        begin = f"{film}_left-"
        images = sorted(listing.files(root / f"{film}_left" / "images"))
        keys += [f"{film}/{name.removeprefix(begin)[:-4]}" for name in images if name.startswith(begin)]
    pairs = find_pairs(LazyPairs(keys, _Frames(root, pixels)), root, "Dynamic Replica", layout, listing)
    return PairFolder("dynamicreplica", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame; `pixels` is the disparity at 1 m by film."""

    root: Path
    pixels: Mapping[str, float]

    def __call__(self, key: str) -> PairFiles:
        film, _, number = key.rpartition("/")
        left, right = (
            self.root / f"{film}_{side}" / "images" / f"{film}_{side}-{number}.png" for side in ("left", "right")
        )
        truth, other = (
            self.root / f"{film}_{side}" / "depths" / f"{film}_{side}_{number}.geometric.png"
            for side in ("left", "right")
        )
        notes = {"disparity_at_1_m_px": self.pixels[film]}
        return PairFiles(key, left, right, truth, other, _HalfDepth(self.pixels[film]), notes=notes, opaque=True)


@dataclass(frozen=True)
class _HalfDepth:
    """Half floats in the bits of 16-bit codes."""

    pixels: float

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        depth = read_codes(path, 16).view(np.float16).astype(np.float64)
        valid = np.isfinite(depth) & (depth >= _NEAREST_M)
        return np.divide(self.pixels, depth, out=np.zeros_like(depth), where=valid).astype(np.float32), valid


def _disparity_at_1_m(path: Path) -> dict[str, float]:
    """Focal length in pixels x baseline of each film, by the cameras of the first frame of each view.

    Raises:
        DatasetError: not readable, or of another form; or a film whose cameras stand the other way round.
    """
    cameras: dict[tuple[str, str], tuple[float, float]] = {}

    def keep(item: dict[str, Any]) -> dict[str, Any] | None:
        """Called for each object of the file, the inner ones first: what is not needed is dropped while reading."""
        if "camera_name" not in item:
            return item
        name = (str(item["sequence_name"]), str(item["camera_name"]))
        if name not in cameras:
            cameras[name] = (_focal_px(item), float(item["viewpoint"]["T"][0]))
        return None

    try:
        json.loads(gzip.decompress(read_bytes(path)), object_hook=keep)
    except FileFormatError as error:
        raise DatasetError(str(error)) from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError) as error:
        raise DatasetError(f"{path}: not a readable list of frames with their cameras: {error!r}") from error
    pixels = {}
    for (film, side), (focal_px, offset) in cameras.items():
        if side == "left" and (film, "right") in cameras:
            pixels[film] = focal_px * (cameras[film, "right"][1] - offset)
            if not pixels[film] > 0:
                raise DatasetError(f"{path}: {film}: the right camera stands left of the left one")
    return pixels


def _focal_px(frame: Mapping[str, Any]) -> float:
    """Focal length in pixels from PyTorch3D's normalised one: half the shorter side is 1, or half the width."""
    height, width = frame["image"]["size"]
    kind = str(frame["viewpoint"]["intrinsics_format"]).lower()
    half = {"ndc_isotropic": min(height, width) / 2, "ndc_norm_image_bounds": width / 2}[kind]
    return float(frame["viewpoint"]["focal_length"][0]) * half
