"""Two small collections of public data that the figures of the library's own networks refer to.

They name single files below one folder, so that a table can be made again by anyone who has those files:

    ROOT/middlebury/{2001,2003,2006/HalfSize,2014}/SCENE/...   ROOT/kitti{2012,2015}/training/...
    ROOT/sceneflow/FlyingThings3D/...                          ROOT/rgbd/{nyuv2,kitti_depth,tum,sunrgbd}/...
    ROOT/video/7scenes_seq/frame-NNNNNN.{color.jpg,depth.png}

Twelve pairs and nine frames are a smoke test: report them per item, never as a benchmark score.
"""

from dataclasses import replace
from pathlib import Path

from wheatstone.datasets import kitti, middlebury, rgbd, sceneflow
from wheatstone.datasets.base import StereoDataset
from wheatstone.datasets.pairs import PairFiles, PairFolder
from wheatstone.errors import DatasetError
from wheatstone.samples import StereoSample

__all__ = ["load_rgbd_mini", "load_stereo_mini", "load_stereo_mini_dense", "load_stereo_mini_real"]

_TUM = (520.9, 521.0, 325.1, 249.7)
# key -> image, depth, kind, intrinsics
_FRAMES = {
    "nyuv2/00000": ("rgbd/nyuv2/rgb_00000.jpg", "rgbd/nyuv2/sync_depth_00000.png", "nyuv2", rgbd.NYU_INTRINSICS),
    "nyuv2/00050": ("rgbd/nyuv2/rgb_00050.jpg", "rgbd/nyuv2/sync_depth_00050.png", "nyuv2", rgbd.NYU_INTRINSICS),
    "nyuv2/unidepth": (
        "rgbd/nyuv2/rgb_unidepth.png",
        "rgbd/nyuv2/sync_depth_unidepth.png",
        "nyuv2",
        rgbd.NYU_INTRINSICS,
    ),
    "kitti/0000000005": (
        "rgbd/kitti_depth/rgb/0000000005.png",
        "rgbd/kitti_depth/depth/0000000005.png",
        "kitti-depth",
        None,
    ),
    "kitti/0000000050": (
        "rgbd/kitti_depth/rgb/0000000050.png",
        "rgbd/kitti_depth/depth/0000000050.png",
        "kitti-depth",
        None,
    ),
    "7scenes/000000": (
        "video/7scenes_seq/frame-000000.color.jpg",
        "video/7scenes_seq/frame-000000.depth.png",
        "7scenes",
        rgbd.SEVEN_SCENES_INTRINSICS,
    ),
    "7scenes/000040": (
        "video/7scenes_seq/frame-000040.color.jpg",
        "video/7scenes_seq/frame-000040.depth.png",
        "7scenes",
        rgbd.SEVEN_SCENES_INTRINSICS,
    ),
    "tum/1": ("rgbd/tum/1.png", "rgbd/tum/1_depth.png", "tum", _TUM),
    "sunrgbd/SUN": ("rgbd/sunrgbd/SUN_color.jpg", "rgbd/sunrgbd/SUN_depth.png", "sunrgbd", None),
}


def load_rgbd_mini(path: Path) -> rgbd.DepthFolder:
    """Nine RGB-D frames: NYU Depth v2 (3), KITTI depth (2), 7-Scenes (2), TUM (1), SUN RGB-D (1); every known pixel counts."""
    frames = [
        rgbd.DepthFiles(key, path / image, path / depth, kind, intrinsics)
        for key, (image, depth, kind, intrinsics) in _FRAMES.items()
    ]
    missing = [file for frame in frames for file in (frame.image, frame.depth) if not file.is_file()]
    if missing:
        raise DatasetError(f"{missing[0]}: missing; rgbd-mini is expected as rgbd/ and video/7scenes_seq/ below {path}")
    return rgbd.DepthFolder("rgbd-mini", frames)


class _StereoMini(StereoDataset):
    """Pairs of several data sets in one list."""

    def __init__(self, name: str, pairs: list[tuple[PairFolder, PairFiles]]) -> None:
        """Keep the list; no file is opened."""
        self.name = name
        self.folders = [PairFolder(folder.name, [pair], folder.licence) for folder, pair in pairs]
        self.keys = [pair.key for _, pair in pairs]

    def read(self, index: int) -> StereoSample:
        """Read one pair."""
        return self.folders[index].read(0)


def load_stereo_mini(path: Path) -> StereoDataset:
    """Twelve pairs with truth: seven of Middlebury, KITTI 2015 and 2012 (sparse), three of FlyingThings3D."""
    return _StereoMini("stereo-mini", _pairs(path))


def load_stereo_mini_dense(path: Path) -> StereoDataset:
    """The nine pairs of `stereo-mini` whose truth covers the image: not KITTI (LiDAR), not tsukuba (a border without truth)."""
    dense = [(folder, pair) for folder, pair in _pairs(path) if folder.name[:5] != "kitti" and pair.key != "tsukuba"]
    return _StereoMini("stereo-mini-dense", dense)


def load_stereo_mini_real(path: Path) -> StereoDataset:
    """The nine photographed pairs of `stereo-mini`: Middlebury and KITTI, without the rendered ones of FlyingThings3D."""
    return _StereoMini(
        "stereo-mini-real", [(f, pair) for f, pair in _pairs(path) if not pair.key.startswith("things/")]
    )


def _pairs(path: Path) -> list[tuple[PairFolder, PairFiles]]:
    folders = [
        middlebury.load_2001(path / "middlebury" / "2001"),
        middlebury.load_2003(path / "middlebury" / "2003"),
        middlebury.load_2006(path / "middlebury" / "2006"),
        middlebury.load_2014(path / "middlebury" / "2014"),
        kitti.load_2015(path / "kitti2015"),
        kitti.load_2012(path / "kitti2012"),
        sceneflow.load_flyingthings(path / "sceneflow" / "FlyingThings3D"),
    ]
    wanted = {"tsukuba", "venus", "teddy", "Cloth3", "Wood2", "Motorcycle", "Adirondack", "000000_10"}
    wanted |= {"TEST/A/0000/0006", "TRAIN/A/0000/0006", "TRAIN/B/0749/0015"}
    pairs = []
    for folder in folders:
        for pair in folder.pairs:
            if pair.key in wanted:
                prefix = {"kitti2015": "kitti2015/", "kitti2012": "kitti2012/", "flyingthings3d": "things/"}
                pairs.append((folder, replace(pair, key=prefix.get(folder.name, "") + pair.key)))
    if len(pairs) != len(wanted) + 1:
        found = ", ".join(pair.key for _, pair in pairs)
        raise DatasetError(f"{path}: stereo-mini has {len(wanted) + 1} pairs, found only {found}")
    return pairs
