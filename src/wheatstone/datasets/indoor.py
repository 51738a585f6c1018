"""Indoor pairs with measured truth: InStereo2K (Bao et al. 2020) and Booster (Zama Ramirez et al. 2022)."""

from pathlib import Path

import numpy as np

from wheatstone.datasets.decoding import Coded, Mask, Npy, is_full
from wheatstone.datasets.pairs import PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix

__all__ = ["load_booster", "load_instereo2k"]


def load_instereo2k(path: Path, split: str = "train", left_right: bool = False) -> PairFolder:
    """InStereo2K: 2000 training and 50 test pairs, 1080 x 860.

    Scale: disparity = 16-bit code / 100, truth of both views. Unknown: 0. Occlusion: no mask. Licence: none stated. Layout:
    `train/[partN/]NNNNNN/{left,right,left_disp,right_disp}.png`, `test/NNNNNN/{...}.png`.

    Args:
        path: the folder of the splits, or one of them.
        split: `train` or `test`; a `path` without these folders is taken as it is.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "{train/[partN/],test/}NNNNNN/{left,right,left_disp,right_disp}.png"
    one_of("split", split, ("train", "test"))
    require_folder(path, "InStereo2K", layout)
    listing = Listing()
    root = path / split if {"train", "test"} & set(listing.folders(path)) else path
    pairs = []
    for scene in listing.holders(root, "left.png"):
        left, right, truth, other = (scene / f"{name}.png" for name in ("left", "right", "left_disp", "right_disp"))
        pairs.append(PairFiles(scene.relative_to(root).as_posix(), left, right, truth, other, Coded(100)))
    found = find_pairs(pairs, root, "InStereo2K", layout, listing)
    return PairFolder("instereo2k", found, "InStereo2K: no licence stated, cite Bao et al. 2020", left_right)


def load_booster(path: Path, split: str = "train", left_right: bool = False) -> PairFolder:
    """Booster, balanced pairs: 228 training pairs of 38 scenes full of glass and mirrors, 12 megapixels; test pairs without.

    Scale: `disp_00.npy`, float32 pixels; of the right view `disp_02.npy`. Unknown: 0, negative or not finite. Occlusion:
    `mask_00.png`, 255 = seen by both cameras, where present. `mask_cat.png` (class of material, 0 to 3) goes into `extras` as
    `transparent_or_mirror` where it is 2 or 3, as its authors group the classes. Licence: CC BY-NC 4.0 by the list of
    data sets of another paper (Depth Pro, arXiv 2410.02073, Table 15); on its own pages no licence was found.
    Layout: `{train,test}/balanced/SCENE/{camera_00,camera_02}/imN.png` and `train/balanced/SCENE/{disp_00.npy,disp_02.npy}` with
    `mask_00.png`, `mask_cat.png` and `calib_00-02.xml` beside them; all exposures of a scene share its truth. Unbalanced pairs
    have views of different sizes, which a sample cannot hold; their layout was not established.

    Args:
        path: the folder of the splits, or `balanced` or a scene within.
        split: `train` or `test`; a `path` without these folders is taken as it is.
        left_right: compute `visible` from both truths where there is no mask; see `PairFolder`.
    """
    layout = "{train,test}/balanced/SCENE/{camera_00/imN.png,camera_02/imN.png,disp_00.npy,mask_00.png}"
    one_of("split", split, ("train", "test"))
    require_folder(path, "Booster", layout)
    listing = Listing()
    root = path / split if {"train", "test"} & set(listing.folders(path)) else path
    root = root / "balanced" if "balanced" in listing.folders(root) else root
    scenes = list(listing.holders(root, "camera_00"))
    with_truth = any(listing.has(scene / "disp_00.npy") for scene in scenes)
    pairs = [
        _booster(listing, scene, name, root, with_truth)
        for scene in scenes
        for name in sorted(listing.files(scene / "camera_00"), key=lambda name: (len(name), name))
        if name.endswith(".png")
    ]
    found = find_pairs(pairs, root, "Booster", layout, listing)
    licence = "Booster: CC BY-NC 4.0 according to arXiv 2410.02073, cite Zama Ramirez et al. 2022"
    return PairFolder("booster", found, licence, left_right)


def _booster(listing: Listing, scene: Path, name: str, root: Path, with_truth: bool) -> PairFiles:
    other, seen, calibration = (scene / file for file in ("disp_02.npy", "mask_00.png", "calib_00-02.xml"))
    masks = [Mask(seen, "visible", is_full)] if listing.has(seen) else []
    if listing.has(scene / "mask_cat.png"):
        masks.append(Mask(scene / "mask_cat.png", "transparent_or_mirror", _transparent))
    return PairFiles(
        key=key_prefix(root, scene) + name.removesuffix(".png"),
        left=scene / "camera_00" / name,
        right=scene / "camera_02" / name,
        truth=scene / "disp_00.npy" if with_truth else None,
        truth_right=other if with_truth and listing.has(other) else None,
        decode=Npy(),
        masks=masks,
        texts={"calib": calibration} if listing.has(calibration) else {},
    )


def _transparent(codes: np.ndarray) -> np.ndarray:
    return codes >= 2
