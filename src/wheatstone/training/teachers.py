"""Dense teachers of sparse truth: monocular depth of both views, estimated once at full size, and rendered stand-ins for it.

What comes out are samples with the extras `teacher`, `teacher_valid` (and the same for `teacher_right`), which
`wheatstone.datasets.augmentation.StereoAugmentation` carries into the training items.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from wheatstone.datasets import StereoDataset, layout
from wheatstone.datasets.augmentation import TEACHERS
from wheatstone.errors import InputError
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample, to_uint8
from wheatstone.seeding import numpy_generator_for
from wheatstone.training.disparity_dropout import LidarScan
from wheatstone.training.pictures import DepthCache
from wheatstone.training.scene_cache import SceneCache

__all__ = ["MonocularErrors", "ScannedScenes", "TaughtDataset", "TeacherMaps", "Views"]

Views = Literal["left", "both"]


def teachers_of(views: str) -> dict[str, str]:
    """View to the name of its teacher in a sample, for the views that have one.

    Raises:
        InputError: neither `left` nor `both`.
    """
    if views not in ("left", "both"):
        raise InputError(f"teacher: views are left or both, got {views!r}")
    return dict(zip(("left", "right") if views == "both" else ("left",), TEACHERS, strict=False))


@dataclass(frozen=True)
class TeacherMaps:
    """Inverse depth of the views of stereo samples, by an estimator, kept on disk.

    Attributes:
        kept: estimates and keeps. A file is named after the pixels of the view, so it serves every data set and
            every order of them.
        views: `"left"`, or `"both"` for a map of the right view, too.
        confident: least flip consistency (0..1) of a pixel that is believed; 0 believes all.
    """

    kept: DepthCache
    views: Views = "left"
    confident: float | int = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        teachers_of(self.views)
        if not 0 <= self.confident <= 1:
            raise InputError(f"teacher: confident is a share, 0..1, got {self.confident}")

    def __call__(self, sample: StereoSample) -> dict[str, Tensor]:
        """The maps of a sample `[1,H,W]`; sky, where the sample knows it (`extras["sky"]`), is not believed in the left view."""
        found: dict[str, Tensor] = {}
        for view, name in teachers_of(self.views).items():
            if view not in sample.views:
                raise InputError(f"{sample.key}: has no view {view!r} to estimate depth of")
            pixels = to_uint8(sample.views[view])
            stamp = f"view\0{pixels.shape}\0{sha256(pixels.tobytes()).hexdigest()}"
            map_ = self.kept(stamp, lambda pixels=pixels: pixels, pixels=False)  # type: ignore[misc]
            inverse = torch.from_numpy(map_["inverse_depth"])[None]
            believed = inverse.isfinite() & torch.from_numpy(layout.decode_unit(map_["confidence"]) >= self.confident)
            if view == "left" and "sky" in sample.extras:
                believed &= ~sample.extras["sky"].bool()
            found |= {name: inverse, f"{name}_valid": believed}
        return found


class TaughtDataset(StereoDataset):
    """A stereo data set whose samples bring a teacher."""

    def __init__(self, dataset: StereoDataset, maps: TeacherMaps) -> None:
        """Add `maps` to every sample of `dataset`; nothing is estimated yet."""
        self.dataset, self.maps = dataset, maps
        self.name, self.keys = dataset.name, dataset.keys

    def read(self, index: int) -> StereoSample:
        """A sample with the extras of its teacher; estimates them when they are not kept yet."""
        sample = self.dataset.read(index)
        return replace(sample, extras={**sample.extras, **self.maps(sample)})

    def fill(self, progress: ProgressCallback | None = None) -> None:
        """Estimate all maps that are missing."""
        clock = Clock("estimate depth", len(self))
        for index in range(len(self)):
            self.read(index)
            if progress is not None:
                progress(clock.at(index + 1))


@dataclass(frozen=True)
class MonocularErrors:
    """Turns true inverse depth into what a monocular network would say of it: no unit, slow distortion, soft edges.

    Attributes:
        blur: width over which a depth edge is smeared, as a share of the width of the picture. 15 px at KITTI's width
            of 1242 are 0.012.
        warp: size of the slow distortion, as a share of the range of the map: a smooth field over the picture that no scale
            and offset takes away.
        curve: deviation of the logarithm of an exponent on the map: far and near are stretched differently.
        affine: deviation of the logarithm of the scale; the offset is drawn from -affine..affine of the range.
    """

    blur: float | int = 15 / 1242
    warp: float | int = 0.05
    curve: float | int = 0.1
    affine: float | int = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: a negative one.
        """
        if not all(value >= 0 for value in (self.blur, self.warp, self.curve, self.affine)):
            raise InputError(f"errors of a monocular map must not be negative: {self}")

    def __call__(
        self, inverse_depth: Float32[np.ndarray, "H W"], generator: np.random.Generator
    ) -> Float32[np.ndarray, "H W"]:
        """Spoil a map; the order of near and far stays, but for the slow distortion and the nearest 0.5 %, which become one.

        Args:
            inverse_depth: larger is nearer; 0 in the sky.
            generator: source of the errors.
        """
        height, width = inverse_depth.shape
        low, high = (float(end) for end in np.quantile(inverse_depth, (0.0, 0.995)))
        share: np.ndarray = np.clip((inverse_depth - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
        share = share ** np.float32(np.exp(generator.normal(0, self.curve)))
        slow = generator.normal(0, self.warp, (3, 4)).astype(np.float32)
        share = share + cv2.resize(slow, (width, height), interpolation=cv2.INTER_CUBIC)
        if self.blur > 0:  # a Gaussian with the deviation of a box of that width
            share = np.asarray(cv2.GaussianBlur(share, (0, 0), max(1e-3, self.blur * width / 12**0.5)))
        scale, offset = np.exp(generator.normal(0, self.affine)), generator.uniform(-self.affine, self.affine)
        return (scale * (share + offset)).astype(np.float32)


class ScannedScenes(StereoDataset):
    """Rendered pairs whose truth is what a laser scanner would have measured, with spoilt true depth for a teacher.

    Dense truth stays in the extras (`dense_disparity`), for those who want to know what the scanner missed.
    """

    def __init__(
        self,
        scenes: SceneCache,
        lidar: LidarScan | None,
        errors: MonocularErrors | None,
        *,
        scan_seed: int = 0,
        views: Views = "left",
    ) -> None:
        """Name the scenes; nothing is rendered.

        Args:
            scenes: pairs with baselines 0 and 1.
            lidar: the scanner; None keeps the truth dense.
            errors: of the teacher, the same every time for a scene; None leaves it out (`TaughtDataset` can add one).
            scan_seed: of the scans: another one measures other pixels of the same scenes.
            views: whose teachers the samples bring.

        Raises:
            InputError: views that are neither `left` nor `both`.
        """
        teachers_of(views)
        self.views = views
        self.scenes, self.lidar, self.errors, self.scan_seed = scenes, lidar, errors, scan_seed
        self.name = "scanned scenes"
        self.keys = [f"scene-{scenes.first_seed + index}" for index in range(len(scenes))]

    def read(self, index: int) -> StereoSample:
        """Pair, scanned disparity (`valid` says where), and the teachers."""
        stored, key = self.scenes[index], self.keys[index]
        disparity, sky = stored["disparity"][0], stored["inverse_depth"] == 0
        valid = np.ones(disparity.shape, bool)
        if self.lidar is not None:
            valid = self.lidar(disparity, ~sky[0], numpy_generator_for(self.scan_seed, key, "scan"))
        extras = {"dense_disparity": torch.from_numpy(disparity)[None], "sky": torch.from_numpy(sky[0])[None]}
        if self.errors is not None:
            for view, name in enumerate(teachers_of(self.views).values()):
                map_ = self.errors(stored["inverse_depth"][view], numpy_generator_for(0, key, name))
                extras |= {name: torch.from_numpy(map_)[None], f"{name}_valid": torch.from_numpy(~sky[view])[None]}
        views = torch.from_numpy(stored["image"]).permute(0, 3, 1, 2).float() / 255
        return StereoSample(
            key,
            {"left": views[0], "right": views[1]},
            {"left": 0.0, "right": 1.0},
            disparity=torch.from_numpy(disparity)[None],
            valid=torch.from_numpy(valid)[None],
            extras=extras,
        )
