"""Data of sparse-to-dense distillation: pairs with sparse truth and a teacher, and a share of the pairs of the first stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from wheatstone.datasets import StereoDataset, load_dataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.depth import load_depth
from wheatstone.errors import InputError
from wheatstone.training.disparity_dropout import LidarScan
from wheatstone.training.order import DataSource
from wheatstone.training.pictures import DepthCache
from wheatstone.training.scene_cache import SceneCache
from wheatstone.training.settings import from_settings
from wheatstone.training.stereo_data import DatasetPairs, stereo_pairs
from wheatstone.training.teachers import (
    MonocularErrors,
    ScannedScenes,
    TaughtDataset,
    TeacherMaps,
    Views,
    teachers_of,
)

__all__ = ["Replayed", "scanned_scenes", "taught_pairs"]


@dataclass(frozen=True)
class Replayed:
    """New items, and now and then one of an earlier stage, so that a network does not forget it.

    Which positions of a training are replayed depends on the generators of the items alone, so a resumed run replays the same.

    Attributes:
        new: items with a teacher.
        old: items without; theirs is marked unknown everywhere, so they get the supervised loss only.
        share: expected share of the items that are old.
        views: whose teachers the new items bring.
        density: share of the labels of an old item that stay, at random. A loss that is a mean over labelled pixels would
            otherwise hear densely labelled old items far louder than sparsely labelled new ones.
    """

    new: DataSource
    old: DataSource
    share: float
    views: Views = "left"
    density: float = 1.0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if not 0 <= self.share <= 1:
            raise InputError(f"replay is a share of the items, 0..1, got {self.share}")
        if not 0 < self.density <= 1:
            raise InputError(f"replay: density is a share of the labels, above 0, at most 1, got {self.density}")
        teachers_of(self.views)

    def __len__(self) -> int:
        return len(self.new)

    def item(self, index: int, step: int, generator: np.random.Generator) -> Mapping[str, Any]:
        """New item `index`, or any old one."""
        if generator.random() >= self.share:
            return self.new.item(index, step, generator)
        item = dict(self.old.item(int(generator.integers(len(self.old))), step, generator))
        if self.density < 1:
            stays = torch.from_numpy(generator.random(item["valid"].shape) < self.density)
            valid = item["valid"] & stays
            item |= {"valid": valid, "disparity": item["disparity"] * valid}
        for name in teachers_of(self.views).values():
            item |= {name: torch.zeros_like(item["disparity"]), f"{name}_valid": torch.zeros_like(item["valid"])}
        return item


def taught_pairs(
    folder: str | Path,
    seed: int,
    *,
    augmentation: Mapping[str, Any],
    cache: str | Path,
    teacher: str = "depth-anything-v2-large",
    views: Views = "left",
    confident: float = 0.0,
    device: str | None = None,
    replay: float = 0.0,
    replay_density: float = 0.2,
    replay_from: str | None = None,
    replay_making: Mapping[str, Any] | None = None,
    without: Literal["scenes"] | None = None,
    scenes: int = 300,
    size: Sequence[int] = (240, 320),
    lidar: Mapping[str, Any] | None = None,
    errors: Mapping[str, Any] | None = None,
) -> DataSource:
    """Build the data of a fine-tuning with sparse truth: KITTI or any other stereo data set, or scanned rendered scenes.

    Args:
        folder: what `load_dataset` opens (`kitti-2015=PATH`, a mixture, ...). If it is `cache`, nothing was given.
        seed: of the run; scans of scenes depend on it, everything else that is drawn comes from the generators of the items.
        augmentation: settings of `StereoAugmentation`.
        cache: folder that keeps what is made once: maps of the teacher, rendered scenes.
        teacher: name of the depth estimator; maps are made once, at the full size of the views.
        views: `left`, or `both` for the teacher of the right view, too.
        confident: least flip consistency (0..1) of a pixel of the teacher that is believed.
        device: estimate all maps now, there; None: on the CPU, when asked for.
        replay: share of the items that come from the first stage.
        replay_density: share of their labels that stay, about that of the sparse truth (`Replayed`).
        replay_from: data of the first stage, as `stereo_pairs` takes it: photos, a folder that `generate` wrote. None: pairs made
            of rendered views, where the recipe has `without`.
        replay_making: further settings of `stereo_pairs` for it.
        without: `scenes` trains on scanned rendered scenes if nothing was given; None refuses.
        scenes: their number.
        size: their height and width, px.
        lidar: settings of `LidarScan` for them.
        errors: settings of `MonocularErrors`: their teacher is spoilt true depth; None: the estimator's.

    Raises:
        InputError: nothing there (the message says what to give), or settings that make no sense.
        DatasetError: a data set that is broken.
    """
    place, shape = Path(cache), (int(size[0]), int(size[1]))
    teachers_of(views)
    if not 0 <= replay <= 1:
        raise InputError(f"replay is a share of the items, 0..1, got {replay}")
    nothing = Path(folder) == place
    if nothing and without != "scenes":
        raise InputError(
            "this recipe needs data: name with --data a stereo data set with sparse truth, for example kitti-2015=PATH"
        )
    if replay > 0 and replay_from is None and without is None:
        raise InputError(
            "replay needs the data of the first stage: --set data.replay_from=PHOTOS (or what `wheatstone generate` wrote), "
            "or data.replay=0 to do without"
        )
    cut = StereoAugmentation.from_settings(augmentation)
    estimated = not nothing or errors is None
    given: StereoDataset
    if nothing:
        given = scanned_scenes(place, seed, count=scenes, size=shape, lidar=lidar or {}, errors=errors, views=views)
    else:
        given = load_dataset(str(folder))
    if estimated:
        depth = load_depth(teacher, device=device)
        given = TaughtDataset(given, TeacherMaps(DepthCache(depth, place), views, confident))
        if device is not None:
            given.fill()
            depth.to("cpu")  # the processes that prepare data have no GPU
    new = DatasetPairs(given, cut)
    if replay == 0:
        return Replayed(new, new, 0.0, views)
    making: dict[str, Any] = {
        "scenes": scenes,
        "size": shape,
        "without": "pictures" if without else None,
        "device": device,
    }
    making |= replay_making or {}
    old = stereo_pairs(replay_from or place, seed, augmentation=augmentation, cache=place, **making)
    return Replayed(new, old, replay, views, replay_density)


def scanned_scenes(
    folder: str | Path,
    seed: int,
    *,
    count: int,
    size: Sequence[int],
    lidar: Mapping[str, Any] | None = None,
    errors: Mapping[str, Any] | None = None,
    views: Views = "left",
    first_seed: int = 0,
) -> ScannedScenes:
    """Rendered pairs as a scanner measures them; `folder` keeps the scenes, `seed` draws the scans.

    Args:
        folder: of the rendered scenes.
        seed: of the scans.
        count: number of scenes.
        size: height and width, px.
        lidar: settings of `LidarScan`; None keeps the truth dense.
        errors: settings of `MonocularErrors`; None brings no teacher.
        views: whose teachers.
        first_seed: seed of the first scene.

    Raises:
        InputError: unknown settings, or such that make no sense.
    """
    cache = SceneCache(Path(folder), count, (int(size[0]), int(size[1])), (0.0, 1.0), first_seed=first_seed)
    scanner = None if lidar is None else from_settings(LidarScan, lidar, "LiDAR")
    spoilt = None if errors is None else from_settings(MonocularErrors, errors, "errors of a monocular map")
    return ScannedScenes(cache, scanner, spoilt, scan_seed=seed, views=views)
