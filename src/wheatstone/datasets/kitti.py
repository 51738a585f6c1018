"""KITTI stereo 2012 and 2015 (training splits with truth, testing splits without) and the raw recordings.

Licence: CC BY-NC-SA 3.0 (Geiger et al. 2012 and 2013; Menze and Geiger 2015; Uhrig et al. 2017). Truth is LiDAR: sparse, nothing
above its horizon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wheatstone.datasets.decoding import Coded, Depth, Mask, is_set
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.files.calibration import read_calibration

__all__ = ["load_2012", "load_2015", "load_raw"]

_LICENCE = "KITTI: CC BY-NC-SA 3.0"
_SPLITS = ("training", "testing")
_DEPTHS = ("groundtruth", "velodyne_raw")


def load_2012(path: Path, split: str = "training") -> PairFolder:
    """KITTI 2012: 194 training pairs with truth, 195 testing pairs without.

    Scale: disparity = 16-bit code / 256. Unknown: 0. Occlusion: `disp_noc` holds only pixels seen by both cameras, where present.
    Licence: CC BY-NC-SA 3.0. Layout: `training/{colored_0,colored_1,disp_occ[,disp_noc]}/NNNNNN_10.png` (or `path` is the
    split's folder itself); `calib/NNNNNN.txt` goes into the provenance.

    Args:
        path: the folder that holds the splits, or one of them.
        split: `training` or `testing`.
    """
    return _load(path, split, "kitti2012", ("colored_0", "colored_1", "disp_occ", "disp_noc"), "calib")


def load_2015(path: Path, split: str = "training") -> PairFolder:
    """KITTI 2015: 200 training pairs with truth, 200 testing pairs without.

    Scale: disparity = 16-bit code / 256. Unknown: 0. Occlusion: `disp_noc_0` holds only pixels seen by both cameras, where
    present. (`disp_occ_1` is no truth of the right view: it is the second moment of the scene flow, in the first left frame.)
    Licence: CC BY-NC-SA 3.0. Layout: `training/{image_2,image_3,disp_occ_0[,disp_noc_0]}/NNNNNN_10.png` (or `path` is the
    split's folder itself); `calib_cam_to_cam/NNNNNN.txt` goes into the provenance.

    Args:
        path: the folder that holds the splits, or one of them.
        split: `training` or `testing`.
    """
    return _load(path, split, "kitti2015", ("image_2", "image_3", "disp_occ_0", "disp_noc_0"), "calib_cam_to_cam")


def _load(path: Path, split: str, name: str, folders: tuple[str, str, str, str], calibration: str) -> PairFolder:
    left, right, all_truth, seen_truth = folders
    layout = f"{one_of('split', split, _SPLITS)}/{{{','.join(folders)}}}/NNNNNN_10.png"
    listing = Listing()
    root = path if left in listing.folders(path) else path / split
    require_folder(root / left, name, layout)
    pairs = []
    for image in sorted(file for file in listing.files(root / left) if file.endswith("_10.png")):
        seen, calib = root / seen_truth / image, root / calibration / f"{image.removesuffix('_10.png')}.txt"
        pairs.append(
            PairFiles(
                key=image.removesuffix(".png"),
                left=root / left / image,
                right=root / right / image,
                truth=root / all_truth / image if all_truth in listing.folders(root) else None,
                decode=Coded(256),
                masks=(Mask(seen, "visible", is_set),) if listing.has(seen) else (),
                texts={"calib": calib} if listing.has(calib) else {},
            )
        )
    return PairFolder(name, find_pairs(pairs, root, name, layout, listing), _LICENCE)


def load_raw(path: Path, depth: str | None = None, drives: Sequence[str] | str = ()) -> PairFolder:
    """KITTI raw recordings: synchronised and rectified colour pairs, with LiDAR depth where it has been projected.

    Scale: without depth, pairs have no truth. `proj_depth` (KITTI depth, Uhrig et al. 2017: `groundtruth` accumulated and
    cleaned, `velodyne_raw` one sweep) holds 16-bit codes, metres = code / 256; disparity = focal length x baseline / depth with
    both from the date's `calib_cam_to_cam.txt` (P_rect_02, P_rect_03). Unknown: 0. Occlusion: not stated. Licence: CC BY-NC-SA
    3.0. Layout: `DATE/DATE_drive_NNNN_sync/image_0{2,3}/data/NNNNNNNNNN.png` (or `.jpg`), `DATE/calib_cam_to_cam.txt` (kept in
    the provenance), and depth inside the drive, `proj_depth/KIND/image_02/NNNNNNNNNN.png`, or as KITTI depth is packed,
    `{train,val}/DATE_drive_NNNN_sync/proj_depth/KIND/image_02/` below `path`.

    Args:
        path: the folder of all dates, of one date, or one drive.
        depth: `groundtruth` or `velodyne_raw`: only the frames that have it. By default every frame, with the first of these
            two that it has, else without truth. `none`: every frame, without truth.
        drives: only these (`2011_09_26_drive_0001_sync`), by default all.
    """
    layout = "DATE/DATE_drive_NNNN_sync/{image_02,image_03}/data/NNNNNNNNNN.png and DATE/calib_cam_to_cam.txt"
    require_folder(path, "KITTI raw", layout)
    kinds = _DEPTHS if depth is None else () if depth == "none" else (one_of("depth", depth, (*_DEPTHS, "none")),)
    wanted = {drives} if isinstance(drives, str) else set(drives)
    listing = Listing()
    found: dict[str, _Frame] = {}
    for drive in listing.holders(path, "image_02"):
        if (wanted and drive.name not in wanted) or drive.name.endswith("_extract"):  # those are not rectified
            continue
        truths: dict[str, Path] = {}
        for place in _depth_folders(path, drive, kinds):
            truths = {Path(name).stem: place / name for name in listing.files(place)} | truths
        for name in sorted(listing.files(drive / "image_02" / "data")):
            stem = Path(name).stem
            if depth in (None, "none") or stem in truths:
                found[f"{drive.name}/{stem}"] = _Frame(drive, name, truths.get(stem))
    pairs = find_pairs(LazyPairs(list(found), _RawPairs(found)), path, "KITTI raw", layout, listing)
    return PairFolder("kitti-raw", pairs, _LICENCE)


def _depth_folders(path: Path, drive: Path, kinds: Sequence[str]) -> list[Path]:
    homes = [drive, path / "train" / drive.name, path / "val" / drive.name]
    return [home / "proj_depth" / kind / "image_02" for kind in kinds for home in homes]


class _Frame(NamedTuple):
    drive: Path
    image: str
    truth: Path | None


@dataclass(frozen=True)
class _RawPairs:
    """Names the files of a frame."""

    frames: Mapping[str, _Frame]

    def __call__(self, key: str) -> PairFiles:
        frame = self.frames[key]
        calibration = frame.drive.parent / "calib_cam_to_cam.txt"
        return PairFiles(
            key=key,
            left=frame.drive / "image_02" / "data" / frame.image,
            right=frame.drive / "image_03" / "data" / frame.image,
            truth=frame.truth,
            decode=_LidarDepth(calibration),
            texts={"calib": calibration},
            notes={} if frame.truth is None else {"depth": frame.truth.parents[1].name},
        )


@dataclass(frozen=True)
class _LidarDepth:
    """Reads projected LiDAR depth as disparity of the colour pair."""

    calibration: Path

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        camera = read_calibration(self.calibration, (2, 3))
        return Depth(camera.focal_px * camera.baseline_m * 256)(path)
