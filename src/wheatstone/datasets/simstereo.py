"""Active-Passive SimStereo (Jospin et al. 2022): rendered objects, seen in colour and under a projected infrared pattern."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.decoding import Pfm
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix

__all__ = ["load"]

_LICENCE = "Active-Passive SimStereo: Creative Commons Attribution, cite Jospin et al. 2022"
_FOLDERS = {"rgb": "rgbColormanaged", "nir": "nirColormanaged"}
_SPLITS = ("training", "test")
_FOCAL_PX, _BASELINE_M = 888.89, 0.16
_LARGEST_PX = 5000


def load(
    path: Path, split: str = "training", render: str = "rgb", swapped: bool = False, left_right: bool = False
) -> PairFolder:
    """Active-Passive SimStereo, rendered pairs with truth of both views.

    Scale: PFM in pixels, positive. Unknown: 0 and below, not finite, 5000 and above (the published loader of VPP-Stereo).
    Occlusion: no mask. Licence: Creative Commons Attribution (as its authors' software repository says). Layout:
    `{training,test}/{rgbColormanaged,nirColormanaged}/NAME_{left,right}.jpg`, `{training,test}/pfmDisp/NAME_{left,right}.pfm`.
    Focal length 888.89 px, baseline 16 cm.

    Which side is which: `NAME_left` is taken as the left camera, as VPP-Stereo's loader does. GenStereo's loader reads the truth
    from a file whose path has `left` replaced by `right` (`.npy` files, whose folder was not established) and says nothing about
    its images; if a copy turns out to be named the other way round, `swapped=true` exchanges all names.

    Args:
        path: the folder of the splits, or one of them.
        split: `training` or `test`; a `path` without these folders is taken as it is.
        render: `rgb` (passive) or `nir` (active: infrared with a dot pattern).
        swapped: files called `right` are those of the left camera.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    images = _FOLDERS[one_of("render", render, tuple(_FOLDERS))]
    layout = f"{{training,test}}/{{{images}/NAME_{{left,right}}.jpg,pfmDisp/NAME_{{left,right}}.pfm}}"
    one_of("split", split, _SPLITS)
    require_folder(path, "Active-Passive SimStereo", layout)
    listing = Listing()
    root = path / split if set(_SPLITS) & set(listing.folders(path)) else path
    keys = []
    for place in listing.holders(root, images):
        prefix = key_prefix(root, place)
        names = sorted(name for name in listing.files(place / images) if name.endswith("_left.jpg"))
        keys += [prefix + name.removesuffix("_left.jpg") for name in names]
    pairs = find_pairs(
        LazyPairs(keys, _Files(root, images, swapped)), root, "Active-Passive SimStereo", layout, listing
    )
    return PairFolder("simstereo", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path
    images: str
    swapped: bool

    def __call__(self, key: str) -> PairFiles:
        folder, _, name = key.rpartition("/")
        place = self.root / folder
        sides = ("right", "left") if self.swapped else ("left", "right")
        left, right = (place / self.images / f"{name}_{side}.jpg" for side in sides)
        truth, other = (place / "pfmDisp" / f"{name}_{side}.pfm" for side in sides)
        notes = {"focal_px": _FOCAL_PX, "baseline_m": _BASELINE_M}
        return PairFiles(key, left, right, truth, other, _decode, notes=notes)


def _decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    values, valid = Pfm()(path)
    valid = valid & (values > 0) & (values < _LARGEST_PX)
    return np.where(valid, values, 0).astype(np.float32), valid
