"""Spring (Mehl et al. 2023): frames of the open film of that name, high resolution and fine detail."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.files import read_hdf5

__all__ = ["load"]

_LICENCE = "Spring: CC BY 4.0 (as its authors' card states, not checked at the archive), cite Mehl et al. 2023"
_IMAGE = "frame_left_"
_BASELINE_M = 0.065


def load(path: Path, split: str = "train", left_right: bool = False) -> PairFolder:
    """Spring, 1920 x 1080: 5000 training pairs of 37 scenes; 1000 test pairs without truth.

    Scale: HDF5, disparity in pixels of the images, positive in both views, stored on a grid of twice the resolution: every
    second value is taken, from the first, as its authors' loader does. Unknown: NaN, "very occasionally" (its site); the sky
    is known, 0 px. Occlusion: no mask is read (`maps/matchmap_disp1_left` has one whose colours are not documented). Licence:
    CC BY 4.0 by its authors' card of the robustness data, the archive's own terms not checked. Layout:
    `{train,test}/NNNN/frame_{left,right}/frame_{left,right}_NNNN.png`,
    `train/NNNN/disp1_{left,right}/disp1_{left,right}_NNNN.dsp5`, `{train,test}/NNNN/cam_data/intrinsics.txt` (kept in the
    provenance where it is there; baseline 6.5 cm).

    Args:
        path: the folder of the splits, or one of them.
        split: `train` or `test`; a `path` without these folders is taken as it is.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "{train,test}/NNNN/{frame_left,frame_right}/*.png and train/NNNN/{disp1_left,disp1_right}/*.dsp5"
    one_of("split", split, ("train", "test"))
    require_folder(path, "Spring", layout)
    listing = Listing()
    root = path / split if {"train", "test"} & set(listing.folders(path)) else path
    keys, truths, calibrated = [], set(), set()
    for place in listing.holders(root, "frame_left"):
        prefix = key_prefix(root, place)
        names = sorted(name for name in listing.files(place / "frame_left") if name.startswith(_IMAGE))
        keys += [prefix + name.removeprefix(_IMAGE).removesuffix(".png") for name in names]
        truths |= {side for side in ("left", "right") if f"disp1_{side}" in listing.folders(place)}
        calibrated |= {prefix} if listing.has(place / "cam_data" / "intrinsics.txt") else set()
    pairs = LazyPairs(keys, _Frames(root, frozenset(truths), frozenset(calibrated)))
    return PairFolder("spring", find_pairs(pairs, root, "Spring", layout, listing), _LICENCE, left_right)


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame."""

    root: Path
    truths: frozenset[str]
    calibrated: frozenset[str]

    def __call__(self, key: str) -> PairFiles:
        folder, slash, number = key.rpartition("/")
        place = self.root / folder
        truth, other = (
            place / f"disp1_{side}" / f"disp1_{side}_{number}.dsp5" if side in self.truths else None
            for side in ("left", "right")
        )
        return PairFiles(
            key=key,
            left=place / "frame_left" / f"frame_left_{number}.png",
            right=place / "frame_right" / f"frame_right_{number}.png",
            truth=truth,
            truth_right=other,
            decode=_decode,
            texts={"intrinsics": place / "cam_data" / "intrinsics.txt"} if folder + slash in self.calibrated else {},
            notes={"baseline_m": _BASELINE_M},
        )


def _decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    values = read_hdf5(path, "disparity", step=2)
    valid = np.isfinite(values)
    return np.where(valid, values, 0).astype(np.float32), valid
