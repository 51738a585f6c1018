"""UnrealStereo4K (Tosi et al. 2021): eight rendered scenes and one to test on, eight megapixels."""

from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Npy
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, require_folder
from wheatstone.datasets.tree import Listing, key_prefix

__all__ = ["load"]

_LICENCE = "UnrealStereo4K: no licence of the data stated, cite Tosi et al. 2021"


def load(path: Path, left_right: bool = False) -> PairFolder:
    """UnrealStereo4K, 3840 x 2160: about 8000 rendered pairs of eight scenes, and 200 of a ninth (`00008`) kept for testing.

    Scale: `.npy`, disparity in pixels, positive, of both views. Unknown: 0 (its training code leaves 0 out). Occlusion: no mask.
    Licence: none stated for the data. Layout: `NNNNN/{Image0,Image1}/NNNNN.png` (with an alpha channel that means nothing),
    `NNNNN/{Disp0,Disp1}/NNNNN.npy`; `NNNNN/Extrinsics0/NNNNN.txt` (intrinsics and pose) goes into the provenance where every
    scene has it. Camera 0 is the left one.

    Args:
        path: the folder of the scenes, or one of them.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "NNNNN/{Image0,Image1}/NNNNN.png and NNNNN/{Disp0,Disp1}/NNNNN.npy"
    require_folder(path, "UnrealStereo4K", layout)
    listing = Listing()
    keys = []
    calibrated = True
    for place in listing.holders(path, "Image0"):
        prefix = key_prefix(path, place)
        names = sorted(name for name in listing.files(place / "Image0") if name.endswith(".png"))
        keys += [prefix + name.removesuffix(".png") for name in names]
        calibrated = calibrated and bool(listing.files(place / "Extrinsics0"))
    pairs = find_pairs(LazyPairs(keys, _Files(path, calibrated)), path, "UnrealStereo4K", layout, listing)
    return PairFolder("unrealstereo4k", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path
    calibrated: bool

    def __call__(self, key: str) -> PairFiles:
        folder, _, number = key.rpartition("/")
        place = self.root / folder
        return PairFiles(
            key=key,
            left=place / "Image0" / f"{number}.png",
            right=place / "Image1" / f"{number}.png",
            truth=place / "Disp0" / f"{number}.npy",
            truth_right=place / "Disp1" / f"{number}.npy",
            decode=Npy(),
            texts={"calib": place / "Extrinsics0" / f"{number}.txt"} if self.calibrated else {},
            opaque=True,
        )
