"""TartanAir (Wang et al. 2020), the first release: flights through 30 rendered worlds."""

from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Depth
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.errors import DatasetError

__all__ = ["load"]

_LICENCE = "TartanAir: CC BY 4.0"
_FOCAL_PX, _BASELINE_M = 320.0, 0.25


def load(path: Path, difficulty: str | None = None, left_right: bool = False) -> PairFolder:
    """TartanAir v1, 640 x 480: about 306 000 training pairs; the stereo test sequences without truth open too.

    Scale: `.npy` in metres (float32; the release's notes speak of 16 bits, so float16 is read as well), disparity = 80 / depth
    (focal length 320 px, baseline 0.25 m), for the right view likewise. Unknown: depth 0 or not finite; the sky is a far sphere
    (10 km or so), thus known and near 0 px. Occlusion: no stereo mask (the masks beside the optical flow are of time).
    Licence: CC BY 4.0 as its site says, not checked against the archives. Layout:
    `ENVIRONMENT/[ENVIRONMENT/]{Easy,Hard}/PNNN/image_{left,right}/NNNNNN_{left,right}.png` and
    `.../depth_{left,right}/NNNNNN_{left,right}_depth.npy`. A trajectory without `depth_left` has no truth.

    Args:
        path: the folder of the environments, or anything below it.
        difficulty: `Easy` or `Hard`; both by default.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "ENVIRONMENT/{Easy,Hard}/PNNN/{image_left,image_right,depth_left}/NNNNNN_left{.png,_depth.npy}"
    require_folder(path, "TartanAir", layout)
    if difficulty is not None:
        one_of("difficulty", difficulty, ("Easy", "Hard"))
    listing = Listing()
    keys, depths = [], set()
    for place in listing.holders(path, "image_left"):
        if difficulty is not None and difficulty not in place.parts:
            continue
        images = sorted(name for name in listing.files(place / "image_left") if name.endswith("_left.png"))
        prefix = key_prefix(path, place)
        keys += [prefix + name.removesuffix("_left.png") for name in images]
        depths.add(tuple(f"depth_{side}" in listing.folders(place) for side in ("left", "right")))
    if len(depths) > 1:
        raise DatasetError(f"{path}: some trajectories have depth_left and depth_right and others not; {_HINT}")
    pairs = LazyPairs(keys, _Frames(path, *(next(iter(depths)) if depths else (False, False))))
    return PairFolder("tartanair", find_pairs(pairs, path, "TartanAir", layout, listing), _LICENCE, left_right)


_HINT = "unpack the same parts for all, or open the folders one by one"


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame."""

    root: Path
    truth: bool
    truth_right: bool

    def __call__(self, key: str) -> PairFiles:
        folder, _, number = key.rpartition("/")
        place = self.root / folder
        return PairFiles(
            key=key,
            left=place / "image_left" / f"{number}_left.png",
            right=place / "image_right" / f"{number}_right.png",
            truth=place / "depth_left" / f"{number}_left_depth.npy" if self.truth else None,
            truth_right=place / "depth_right" / f"{number}_right_depth.npy" if self.truth_right else None,
            decode=Depth(_FOCAL_PX * _BASELINE_M),
            notes={"focal_px": _FOCAL_PX, "baseline_m": _BASELINE_M},
        )
