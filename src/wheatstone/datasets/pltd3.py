"""PLT-D3 (Tokarsky et al. 2024): rendered drives in ten kinds of weather."""

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

_LICENCE = "PLT-D3: terms not established, cite Tokarsky et al. 2024"
_FOCAL_PX, _BASELINE_M = 800.0, 0.12


def load(path: Path, split: str = "train") -> PairFolder:
    """PLT-D3, 1920 x 1080, rendered drives; training sequences with truth, test sequences without.

    Scale: `.npz` (array `arr_0`), depth in metres; disparity = fx x baseline / depth with both from `intrinsics.json`, which goes
    into the provenance; without that file 800 px x 12 cm, which its evaluation script has written in. Unknown: not stated;
    depth 0 and not finite count as unknown here. Occlusion: no mask, and no truth of the right view. Licence: not established
    (the archive at Harvard Dataverse was not checked). Layout: `intrinsics.json`,
    `{train,test}/NNNN/{left,right}/NAME.png`, `train/NNNN/depth/NAME.npz`.

    Which side is which: `left` is taken as the left camera and `depth` as its depth, as its authors' reader does. GenStereo's
    loader reads depth from a file whose path has `left` replaced by `right`; this layout has no such file, and the archive was
    not checked.

    Args:
        path: the folder of `intrinsics.json` and the splits, or one of the splits.
        split: `train` or `test`; a `path` without these folders is taken as it is.
    """
    layout = "intrinsics.json, {train,test}/NNNN/{left,right}/NAME.png and train/NNNN/depth/NAME.npz"
    one_of("split", split, ("train", "test"))
    require_folder(path, "PLT-D3", layout)
    listing = Listing()
    root = path / split if {"train", "test"} & set(listing.folders(path)) else path
    camera = next(
        (file for file in (root / "intrinsics.json", root.parent / "intrinsics.json") if listing.has(file)), None
    )
    keys = []
    with_truth = False
    for place in listing.holders(root, "left"):
        prefix = key_prefix(root, place)
        names = sorted(name for name in listing.files(place / "left") if name.endswith(".png"))
        keys += [prefix + name.removesuffix(".png") for name in names]
        with_truth = with_truth or "depth" in listing.folders(place)
    pairs = LazyPairs(keys, _Frames(root, camera, with_truth))
    return PairFolder("pltd3", find_pairs(pairs, root, "PLT-D3", layout, listing), _LICENCE)


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame."""

    root: Path
    camera: Path | None
    with_truth: bool

    def __call__(self, key: str) -> PairFiles:
        folder, _, name = key.rpartition("/")
        place = self.root / folder
        return PairFiles(
            key=key,
            left=place / "left" / f"{name}.png",
            right=place / "right" / f"{name}.png",
            truth=place / "depth" / f"{name}.npz" if self.with_truth else None,
            decode=_Decode(self.camera),
            texts={} if self.camera is None else {"intrinsics": self.camera},
            notes={"focal_px": _FOCAL_PX, "baseline_m": _BASELINE_M} if self.camera is None else {},
        )


@dataclass(frozen=True)
class _Decode:
    """Depth to disparity by the file of the cameras."""

    camera: Path | None

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        if self.camera is None:
            return Depth(_FOCAL_PX * _BASELINE_M)(path)
        try:
            content = json.loads(read_bytes(self.camera))
            pixels = float(content["fx"]) * float(content["baseline"])
        except (ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{self.camera}: no numbers fx and baseline in it") from error
        return Depth(pixels)(path)
