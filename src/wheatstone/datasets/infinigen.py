"""Infinigen-SV (Jing et al. 2024): procedural nature, filmed by two cameras."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.decoding import Depth
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.errors import FileFormatError
from wheatstone.files import read_map

__all__ = ["load"]

_LICENCE = "Infinigen-SV: terms of its download form, not established; cite Jing et al. 2024"
_BEGIN, _END = "Image_", "_0.png"


def load(path: Path, split: str = "train", left_right: bool = False) -> PairFolder:
    """Infinigen-SV, 1280 x 720: about 17 000 rendered frames of stereo film, moving animals and plants.

    Scale: `.npy`, depth in metres (float16 is read too) of both views; disparity = K[0,0] x |T0 - T1| / depth with the intrinsics
    K and the poses T of both cameras from `camview`. Unknown: depth 0 and not finite. Occlusion: no mask. Licence: not
    established (it is handed out after a form). Layout:
    `{train,test}/SEQUENCE/frames/KIND/camera_{0,1}/KIND_A_B_NNNN_{0,1}.SUFFIX` with KIND `Image` (`.png`), `Depth` (`.npy`),
    `camview` (`.npz`). Camera 0 is the left one.

    Args:
        path: the folder of the splits, or one of them, or a sequence.
        split: `train`, `val` or `test`; a `path` without these folders is taken as it is.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = (
        "{train,test}/SEQUENCE/frames/{Image,Depth,camview}/camera_{0,1}/{Image,Depth,camview}_*_{0,1}{.png,.npy,.npz}"
    )
    splits = ("train", "val", "test")
    one_of("split", split, splits)
    require_folder(path, "Infinigen-SV", layout)
    listing = Listing()
    root = path / split if set(splits) & set(listing.folders(path)) else path
    keys = []
    for place in listing.holders(root, "frames"):
        prefix = key_prefix(root, place)
        images = sorted(listing.files(place / "frames" / "Image" / "camera_0"))
        names = [name for name in images if name.startswith(_BEGIN) and name.endswith(_END)]
        keys += [prefix + name.removeprefix(_BEGIN).removesuffix(_END) for name in names]
    pairs = find_pairs(LazyPairs(keys, _Frames(root)), root, "Infinigen-SV", layout, listing)
    return PairFolder("infinigensv", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame."""

    root: Path

    def __call__(self, key: str) -> PairFiles:
        folder, _, number = key.rpartition("/")
        frames = self.root / folder / "frames"
        left, right = (frames / "Image" / f"camera_{camera}" / f"Image_{number}_{camera}.png" for camera in (0, 1))
        truth, other = (frames / "Depth" / f"camera_{camera}" / f"Depth_{number}_{camera}.npy" for camera in (0, 1))
        return PairFiles(key, left, right, truth, other, _decode, opaque=True)


def _decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    frames, number = path.parents[2], path.stem.removeprefix("Depth_")[:-2]
    views = [frames / "camview" / f"camera_{camera}" / f"camview_{number}_{camera}.npz" for camera in (0, 1)]
    matrix, poses = read_map(views[0], key="K"), [read_map(view, key="T") for view in views]
    if matrix.shape != (3, 3) or any(pose.shape not in ((3, 4), (4, 4)) for pose in poses):
        raise FileFormatError(f"{views[0]}: K must be 3 x 3 and T 4 x 4")
    baseline = np.linalg.norm(poses[0][:3, 3] - poses[1][:3, 3])
    return Depth(float(matrix[0, 0] * baseline))(path)
