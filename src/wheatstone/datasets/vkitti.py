"""Virtual KITTI 2 (Cabon et al. 2020): rendered clones of five KITTI sequences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Depth
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, require_folder
from wheatstone.datasets.tree import Listing, key_prefix

__all__ = ["load"]

_LICENCE = "Virtual KITTI 2: CC BY-NC-SA 3.0"
_FOCAL_PX, _BASELINE_M = 725.0087, 0.532725
_FAR = 65500  # centimetres; the sky is 65535, and 655 m on the published readers call unknown


def load(path: Path, variations: Sequence[str] | str = (), sky: bool = False, left_right: bool = False) -> PairFolder:
    """Virtual KITTI 2: five scenes, each in ten variations (clone, fog, morning, 15-deg-left, ...), 21 260 pairs.

    Scale: 16-bit PNG, depth in centimetres; disparity = 0.532725 m x 725.0087 px / depth, for camera 1 likewise. Unknown: 655 m
    and beyond (sky, code 65535). Occlusion: not stated. Licence: CC BY-NC-SA 3.0. Layout:
    `SceneNN/VARIATION/frames/rgb/Camera_{0,1}/rgb_NNNNN.jpg` and `SceneNN/VARIATION/frames/depth/Camera_{0,1}/depth_NNNNN.png`.

    Args:
        path: folder of the scenes.
        variations: only these, by default all.
        sky: count the sky as known, infinitely far (disparity 0); ZeroStereo's fine-tuning lets it stay in place so.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "SceneNN/VARIATION/frames/{rgb/Camera_{0,1}/rgb_NNNNN.jpg,depth/Camera_{0,1}/depth_NNNNN.png}"
    require_folder(path, "Virtual KITTI 2", layout)
    wanted = {variations} if isinstance(variations, str) else set(variations)
    listing = Listing()
    keys = []
    other = True
    for place in listing.holders(path, "frames"):
        if wanted and place.name not in wanted:
            continue
        images = sorted(listing.files(place / "frames" / "rgb" / "Camera_0"))
        stems = [name[4:-4] for name in images if name.startswith("rgb_") and name.endswith(".jpg")]
        prefix = key_prefix(path, place)
        keys += [prefix + stem for stem in stems]
        other = other and bool(listing.files(place / "frames" / "depth" / "Camera_1"))
    pairs = LazyPairs(keys, _Frames(path, other, sky))
    return PairFolder("vkitti2", find_pairs(pairs, path, "Virtual KITTI 2", layout, listing), _LICENCE, left_right)


@dataclass(frozen=True)
class _Frames:
    """Names the files of a frame."""

    root: Path
    right_truth: bool
    sky: bool

    def __call__(self, key: str) -> PairFiles:
        scene, _, number = key.rpartition("/")
        frames = self.root / scene / "frames"
        depth = [frames / "depth" / f"Camera_{camera}" / f"depth_{number}.png" for camera in (0, 1)]
        return PairFiles(
            key=key,
            left=frames / "rgb" / "Camera_0" / f"rgb_{number}.jpg",
            right=frames / "rgb" / "Camera_1" / f"rgb_{number}.jpg",
            truth=depth[0],
            truth_right=depth[1] if self.right_truth else None,
            decode=Depth(_FOCAL_PX * _BASELINE_M * 100, _FAR, self.sky),
            notes={"focal_px": _FOCAL_PX, "baseline_m": _BASELINE_M},
        )
