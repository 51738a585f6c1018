"""KITTI stereo 2012 and 2015 (training splits with truth, testing splits without).

Licence: CC BY-NC-SA 3.0 (Geiger et al. 2012; Menze and Geiger 2015). Truth is LiDAR: sparse, nothing above its horizon.
"""

from pathlib import Path

from wheatstone.datasets.pairs import Coded, PairFiles, PairFolder, find_pairs, require_folder

__all__ = ["load_2012", "load_2015"]

_LICENCE = "KITTI: CC BY-NC-SA 3.0"


def load_2012(path: Path, split: str = "training") -> PairFolder:
    """KITTI 2012, 194 training pairs.

    Scale: disparity = 16-bit code / 256. Unknown: 0. Occlusion: `disp_noc` holds only pixels seen by both cameras.
    Layout: `training/{colored_0,colored_1,disp_occ[,disp_noc]}/NNNNNN_10.png` (or `path` is the split's folder itself).
    """
    return _load(path, split, "kitti2012", ("colored_0", "colored_1", "disp_occ", "disp_noc"))


def load_2015(path: Path, split: str = "training") -> PairFolder:
    """KITTI 2015, 200 training pairs.

    Scale: disparity = 16-bit code / 256. Unknown: 0. Occlusion: `disp_noc_0` holds only pixels seen by both cameras.
    Layout: `training/{image_2,image_3,disp_occ_0[,disp_noc_0]}/NNNNNN_10.png` (or `path` is the split's folder itself).
    """
    return _load(path, split, "kitti2015", ("image_2", "image_3", "disp_occ_0", "disp_noc_0"))


def _load(path: Path, split: str, name: str, folders: tuple[str, str, str, str]) -> PairFolder:
    left, right, all_truth, seen_truth = folders
    layout = f"{split}/{{{','.join(folders)}}}/NNNNNN_10.png"
    root = path if (path / left).is_dir() else path / split
    require_folder(root / left, name, layout)
    pairs = []
    for image in sorted((root / left).glob("*_10.png")):
        seen = root / seen_truth / image.name
        pairs.append(
            PairFiles(
                key=image.stem,
                left=image,
                right=root / right / image.name,
                truth=root / all_truth / image.name if (root / all_truth).is_dir() else None,
                decode=Coded(256),
                truth_non_occluded=seen if seen.is_file() else None,
            )
        )
    return PairFolder(name, find_pairs(pairs, root, name, layout), _LICENCE)
