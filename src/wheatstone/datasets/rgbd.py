"""RGB-D frames: NYU Depth v2, KITTI depth, 7-Scenes, TUM RGB-D, SUN RGB-D.

A frame is a `StereoSample` with one view (`left`), no disparity, `extras["metric_depth_m"]` (metres along the optical axis,
`[1,H,W]`, 0 where unknown), `valid` (where the depth is known), and `provenance["intrinsics"]` (fx, fy, cx, cy in
pixels) where the data set states it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wheatstone.datasets.base import StereoDataset
from wheatstone.datasets.decoding import read_codes
from wheatstone.datasets.pairs import require_folder
from wheatstone.errors import DatasetError, FileFormatError
from wheatstone.files import read_image
from wheatstone.samples import StereoSample

__all__ = [
    "DECODERS",
    "LICENCES",
    "NYU_INTRINSICS",
    "SEVEN_SCENES_INTRINSICS",
    "DepthFiles",
    "DepthFolder",
    "load_7scenes",
    "load_kitti_depth",
    "load_nyuv2",
    "load_sunrgbd",
    "load_tum",
]

LICENCES = {
    "nyuv2": "NYU Depth v2: research use, cite Silberman et al. 2012; no formal licence",
    "kitti-depth": "KITTI: CC BY-NC-SA 3.0",
    "7scenes": "7-Scenes: Microsoft Research, non-commercial use only",
    "tum": "TUM RGB-D: CC BY 4.0",
    "sunrgbd": "SUN RGB-D: research use, cite Song et al. 2015; no formal licence",
}

NYU_INTRINSICS = (518.8579, 519.46961, 325.58245, 253.73617)
SEVEN_SCENES_INTRINSICS = (585.0, 585.0, 320.0, 240.0)
_EIGEN_ROWS, _EIGEN_COLUMNS = slice(45, 471), slice(41, 601)


def _millimetres(codes: np.ndarray) -> np.ndarray:
    """Millimetres; 0 and 65535 mean unknown (7-Scenes uses both)."""
    return np.where(codes == 65535, 0, codes) / np.float64(1000)


def _tum(codes: np.ndarray) -> np.ndarray:
    """Code / 5000 metres; 0 means unknown."""
    return codes / np.float64(5000)


def _kitti(codes: np.ndarray) -> np.ndarray:
    """Code / 256 metres; 0 means unknown."""
    return codes / np.float64(256)


def _sun(codes: np.ndarray) -> np.ndarray:
    """Millimetres with the 16 bits rotated left by three; 0 means unknown."""
    codes = codes.astype(np.uint16)
    return _millimetres((codes >> 3) | (codes << 13))


DECODERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nyuv2": _millimetres,
    "7scenes": _millimetres,
    "tum": _tum,
    "kitti-depth": _kitti,
    "sunrgbd": _sun,
}
"""Data set to the rule that turns its 16-bit codes into metres (0 = unknown)."""


@dataclass(frozen=True)
class DepthFiles:
    """The files of one RGB-D frame.

    Attributes:
        key: name of the frame.
        image: colour image.
        depth: 16-bit PNG.
        kind: key of `DECODERS`.
        intrinsics: fx, fy, cx, cy in pixels, or None.
        crop: rows and columns that count, or None for all.
    """

    key: str
    image: Path
    depth: Path
    kind: str
    intrinsics: tuple[float, float, float, float] | None = None
    crop: tuple[slice, slice] | None = None


class DepthFolder(StereoDataset):
    """RGB-D frames, read lazily."""

    def __init__(self, name: str, frames: Sequence[DepthFiles]) -> None:
        """Keep the list; no file is opened."""
        self.name = name
        self.frames = list(frames)
        self.keys = [frame.key for frame in self.frames]

    def read(self, index: int) -> StereoSample:
        """Read one frame.

        Raises:
            DatasetError: a file that is missing, broken, or of another size than the image.
        """
        frame = self.frames[index]
        try:
            image, codes = read_image(frame.image)[0], read_codes(frame.depth)
        except FileFormatError as error:
            raise DatasetError(str(error)) from error
        if tuple(image.shape[-2:]) != codes.shape:
            raise DatasetError(
                f"{frame.depth}: {codes.shape[1]} x {codes.shape[0]} pixels, but {frame.image.name} has"
                f" {image.shape[-1]} x {image.shape[-2]}"
            )
        if codes.dtype != np.uint16:
            raise DatasetError(f"{frame.depth}: depth is 16-bit, this file has {codes.dtype}: is it a picture of it?")
        depth = torch.from_numpy(DECODERS[frame.kind](codes).astype(np.float32))[None]
        valid = depth > 0
        if frame.crop is not None:
            inside = torch.zeros_like(valid)
            inside[(slice(None), *frame.crop)] = True
            valid &= inside
        provenance = {"dataset": frame.kind, "source": str(frame.image), "licence": LICENCES[frame.kind]}
        return StereoSample(
            key=frame.key,
            views={"left": image},
            baselines={"left": 0.0},
            valid=valid,
            extras={"metric_depth_m": depth},
            provenance={**provenance, "intrinsics": frame.intrinsics},
        )


def load_nyuv2(path: Path, eigen_crop: bool = True) -> DepthFolder:
    """NYU Depth v2 in the layout of BTS: `[SCENE/]rgb_NNNNN.jpg` with `[SCENE/]sync_depth_NNNNN.png`, 640 x 480.

    Scale: millimetres, 0 = unknown. The Eigen crop (rows 45 to 470, columns 41 to 600) leaves out the frame that the
    registration of the depth camera does not reach; it is the custom of all published figures.
    """
    layout = "[SCENE/]rgb_NNNNN.jpg with [SCENE/]sync_depth_NNNNN.png"
    require_folder(path, "NYU Depth v2", layout)
    crop = (_EIGEN_ROWS, _EIGEN_COLUMNS) if eigen_crop else None
    frames = []
    for depth in sorted(path.rglob("sync_depth_*.png")):
        number = depth.stem.removeprefix("sync_depth_")
        image = _either(depth.parent / f"rgb_{number}", (".jpg", ".png"), "NYU Depth v2", layout)
        key = (depth.parent.relative_to(path) / number).as_posix()
        frames.append(DepthFiles(key, image, depth, "nyuv2", NYU_INTRINSICS, crop))
    return DepthFolder("nyuv2", _some(frames, path, "NYU Depth v2", layout))


def load_kitti_depth(path: Path) -> DepthFolder:
    """KITTI depth (Uhrig et al. 2017), the selected validation frames.

    Scale: 16-bit code / 256 metres, 0 = unknown (accumulated LiDAR, sparse). Layout: `val_selection_cropped/{image,
    groundtruth_depth,intrinsics}` with `DRIVE_sync_image_NNNNNNNNNN_image_0C.png`; `path` may be that folder or its parent.
    """
    layout = "val_selection_cropped/{image,groundtruth_depth}/*.png"
    for root in (path, path / "val_selection_cropped", path / "depth_selection" / "val_selection_cropped"):
        if (root / "groundtruth_depth").is_dir():
            break
    else:
        raise DatasetError(f"{path}: no groundtruth_depth folder; KITTI depth is expected as {layout}")
    frames = []
    for depth in sorted((root / "groundtruth_depth").glob("*.png")):
        stem = depth.stem.replace("_groundtruth_depth_", "_image_")
        image = _either(root / "image" / stem, (".png",), "KITTI depth", layout)
        numbers = root / "intrinsics" / f"{stem}.txt"
        frames.append(DepthFiles(stem, image, depth, "kitti-depth", _matrix(numbers)))
    return DepthFolder("kitti-depth", _some(frames, root, "KITTI depth", layout))


def load_7scenes(path: Path, step: int = 1) -> DepthFolder:
    """7-Scenes (Shotton et al. 2013): `[SCENE/][seq-NN/]frame-NNNNNN.{color.png,depth.png,pose.txt}`, 640 x 480.

    Scale: millimetres; 0 and 65535 = unknown. Depth and colour are not registered to one another in the release.

    Args:
        path: a sequence, a scene or the whole data set.
        step: take every `step`-th frame (neighbours hardly differ).
    """
    layout = "[SCENE/][seq-NN/]frame-NNNNNN.{color.png,depth.png}"
    require_folder(path, "7-Scenes", layout)
    frames = []
    for depth in sorted(path.rglob("frame-*.depth.png"))[::step]:
        stem = depth.name.removesuffix(".depth.png")
        image = _either(depth.parent / f"{stem}.color", (".png", ".jpg"), "7-Scenes", layout)
        key = (depth.parent.relative_to(path) / stem).as_posix()
        frames.append(DepthFiles(key, image, depth, "7scenes", SEVEN_SCENES_INTRINSICS))
    return DepthFolder("7scenes", _some(frames, path, "7-Scenes", layout))


def load_tum(path: Path, tolerance_s: float = 0.02) -> DepthFolder:
    """TUM RGB-D (Sturm et al. 2012): one sequence with `rgb.txt`, `depth.txt`, `rgb/TIME.png`, `depth/TIME.png`.

    Scale: 16-bit code / 5000 metres, 0 = unknown. Each depth image is paired with the colour image nearest in time.

    Args:
        path: folder of the sequence.
        tolerance_s: leave out depth images without a colour image within this many seconds.
    """
    layout = "rgb.txt and depth.txt (lines 'TIME FILE') with rgb/TIME.png and depth/TIME.png"
    require_folder(path, "TUM RGB-D", layout)
    colour, depth = _times(path / "rgb.txt", layout), _times(path / "depth.txt", layout)
    frames = []
    for time, file in depth:
        nearest = min(colour, key=lambda entry: abs(entry[0] - time))
        if abs(nearest[0] - time) <= tolerance_s:
            frames.append(DepthFiles(Path(file).stem, path / nearest[1], path / file, "tum"))
    return DepthFolder("tum", _some(frames, path, "TUM RGB-D", layout))


def load_sunrgbd(path: Path) -> DepthFolder:
    """SUN RGB-D (Song et al. 2015): `.../FRAME/{image/*.jpg,depth_bfx/*.png,intrinsics.txt}`.

    Scale: millimetres, bits rotated left by three, 0 = unknown. `depth_bfx` (holes filled by its authors) is preferred
    to the sensor's `depth` as in the authors' toolbox.
    """
    layout = ".../FRAME/{image/*.jpg,depth_bfx/*.png or depth/*.png,intrinsics.txt}"
    require_folder(path, "SUN RGB-D", layout)
    frames = []
    for folder in sorted({image.parent.parent for image in path.rglob("image/*.jpg")}):
        image = next((folder / "image").glob("*.jpg"))
        depths = sorted((folder / "depth_bfx").glob("*.png")) or sorted((folder / "depth").glob("*.png"))
        if not depths:
            raise DatasetError(f"{folder}: no depth image; SUN RGB-D is expected as {layout}")
        key = folder.relative_to(path).as_posix()
        frames.append(DepthFiles(key, image, depths[0], "sunrgbd", _matrix(folder / "intrinsics.txt")))
    return DepthFolder("sunrgbd", _some(frames, path, "SUN RGB-D", layout))


def _either(stem: Path, suffixes: Sequence[str], dataset: str, layout: str) -> Path:
    for suffix in suffixes:
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path
    raise DatasetError(f"{stem.with_name(stem.name + suffixes[0])}: missing; {dataset} is expected as {layout}")


def _some(frames: list[DepthFiles], root: Path, dataset: str, layout: str) -> list[DepthFiles]:
    if not frames:
        raise DatasetError(f"{root}: no frames found; {dataset} is expected as {layout}")
    return frames


def _matrix(path: Path) -> tuple[float, float, float, float] | None:
    """Fx, fy, cx, cy of a text file with a 3 x 3 matrix in row order, or None without the file."""
    if not path.is_file():
        return None
    try:
        numbers = [float(word) for word in path.read_text().split()]
        return numbers[0], numbers[4], numbers[2], numbers[5]
    except (ValueError, IndexError) as error:
        raise DatasetError(f"{path}: not a 3 x 3 matrix of numbers") from error


def _times(path: Path, layout: str) -> list[tuple[float, str]]:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; TUM RGB-D is expected as {layout}")
    entries = []
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            entries.append((float(words[0]), words[1]))
        except (ValueError, IndexError) as error:
            raise DatasetError(f"{path}: line {line!r} is not 'TIME FILE'") from error
    if not entries:
        raise DatasetError(f"{path}: lists no images")
    return entries
