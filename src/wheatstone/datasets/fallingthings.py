"""Falling Things (Tremblay et al. 2018): household objects that fall through rendered rooms."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.decoding import Depth
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.errors import FileFormatError
from wheatstone.files import read_bytes

__all__ = ["load"]

_LICENCE = "Falling Things: CC BY-NC-SA 4.0"
_SETTINGS = "_camera_settings.json"
_IMAGE = ".left.jpg"
_BASELINE_M, _CODES_PER_M = 0.06, 10_000
_CEILING = 65535


def load(path: Path, part: str | None = None, left_right: bool = False) -> PairFolder:
    """Falling Things, 61 500 rendered pairs: single objects and mixtures.

    Scale: 16-bit PNG, depth in tenths of a millimetre; disparity = fx x 6 cm / depth = fx x 6 x 100 / code with fx from
    `_camera_settings.json`, for the right view likewise. Unknown: 0, and the ceiling of the code, 65535 (6.55 m or farther:
    the release states nothing, the published readers take it as it stands). Occlusion: no mask. Licence: CC BY-NC-SA 4.0.
    Layout: `{single/OBJECT/SCENE,mixed/SCENE}/NNNNNN.{left,right}.jpg`, `NNNNNN.{left,right}.depth.png`, `_camera_settings.json`
    (kept in the provenance).

    Args:
        path: the folder that holds `single` and `mixed`, or anything below it.
        part: `single` or `mixed`; both by default.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "{single/OBJECT,mixed}/SCENE/{NNNNNN.{left,right}.{jpg,depth.png},_camera_settings.json}"
    require_folder(path, "Falling Things", layout)
    listing = Listing()
    keys = []
    for place in listing.holders(path if part is None else path / one_of("part", part, ("single", "mixed")), _SETTINGS):
        names = sorted(name for name in listing.files(place) if name.endswith(_IMAGE))
        prefix = key_prefix(path, place)
        keys += [prefix + name.removesuffix(_IMAGE) for name in names]
    pairs = find_pairs(LazyPairs(keys, _Files(path)), path, "Falling Things", layout, listing)
    return PairFolder("fallingthings", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path

    def __call__(self, key: str) -> PairFiles:
        stem = self.root / key
        names = (".left.jpg", ".right.jpg", ".left.depth.png", ".right.depth.png")
        left, right, truth, truth_right = (stem.with_name(stem.name + name) for name in names)
        texts = {"camera_settings": stem.with_name(_SETTINGS)}
        return PairFiles(key, left, right, truth, truth_right, _depth, texts=texts, notes={"baseline_m": _BASELINE_M})


def _depth(path: Path) -> tuple[np.ndarray, np.ndarray]:
    settings = path.with_name(_SETTINGS)
    try:
        focal_px = float(json.loads(read_bytes(settings))["camera_settings"][0]["intrinsic_settings"]["fx"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise FileFormatError(f"{settings}: no camera_settings[0].intrinsic_settings.fx in it") from error
    return Depth(focal_px * _BASELINE_M * _CODES_PER_M, _CEILING)(path)
