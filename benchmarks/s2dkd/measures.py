"""What is measured: dense truth that no training saw, in three regions, and two real frames."""

import argparse
import math
import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from trials import lidar_of

from wheatstone.datasets import load_dataset
from wheatstone.depth import load_depth
from wheatstone.evaluation import MatcherProtocol, disparity_metrics
from wheatstone.geometry import near_steps
from wheatstone.matching import load_matcher
from wheatstone.objectives.alignment import align_to_disparity
from wheatstone.objectives.s2dkd import S2DKD
from wheatstone.samples import StereoSample
from wheatstone.scenes import HELD_OUT
from wheatstone.training.pictures import DepthCache
from wheatstone.training.taught_data import scanned_scenes
from wheatstone.training.teachers import MonocularErrors, ScannedScenes, TaughtDataset, TeacherMaps
from wheatstone.training.validation import MatcherEvaluation

REGIONS = {"all": "overall", "edge": "edge band", "above": "without labels"}
FIGURES = {"epe": ("EPE px", 1.0, 2), "bad_2": ("bad-2 %", 100.0, 1)}
"""Figure to heading, unit and decimals."""

EDGE_PX, STEP_PX = 5, 2.0
_PLACES = {"development": HELD_OUT + 600, "fresh": HELD_OUT + 800}
MOST_DEVELOPMENT = _PLACES["fresh"] - _PLACES["development"]
_KITTI = {"kitti2012": "kitti-2012", "kitti2015": "kitti-2015"}


def test_scenes(options: argparse.Namespace) -> dict[str, Any]:
    """Scenes to choose the default on, scenes to report, each with a scan that says which part has no labels."""
    counts = {"development": options.development, "fresh": options.tests}
    return {
        name: scanned_scenes(
            options.out / "cache",
            0,
            count=counts[name],
            size=options.size,
            lidar=lidar_of(options),
            first_seed=first,
        )
        for name, first in _PLACES.items()
    }


def real_frames(options: argparse.Namespace) -> dict[str, Any]:
    """KITTI frames with truth, by data set; none without the data."""
    root = options.kitti
    if root is None:
        return {}
    folders = {name: Path(root) / name for name in _KITTI}
    return {name: load_dataset(f"{_KITTI[name]}={folder}") for name, folder in folders.items() if folder.is_dir()}


def kitti_root() -> str | None:
    return os.environ.get("WHEATSTONE_DATA")


def scores_of(weights: Path | str, tests: Mapping[str, Any], frames: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Figures of a matcher, by test; every scene weighs the same."""
    matcher = load_matcher(str(weights)).to(device=device)
    found = {name: _scene_scores(matcher, scenes) for name, scenes in tests.items()}
    if frames:
        protocol = MatcherProtocol(regions=("all",), thresholds=(2, 3), edge_radius=0, resolution=0.25)
        rows = []
        for frame in frames.values():
            score = MatcherEvaluation(frame, protocol=protocol)
            rows += [score({"matcher": matcher}, index) for index in range(len(score))]
        found["kitti"] = {name: statistics.fmean(row[name] for row in rows) for name in ("epe", "bad_3")}
    return found


def teacher_scores(options: argparse.Namespace, tests: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the teachers themselves, each map aligned with a scan of its scene, by default settings."""
    errors = MonocularErrors(blur=options.blur)
    estimator = TeacherMaps(DepthCache(load_depth("embedded"), options.out / "cache"))
    found: dict[str, Any] = {}
    for name, scenes in tests.items():
        spoilt = ScannedScenes(scenes.scenes, scenes.lidar, errors)
        found.setdefault("spoilt", {})[name] = _scores(_aligned, spoilt)
        found.setdefault("estimated", {})[name] = _scores(_aligned, TaughtDataset(scenes, estimator))
    return found


def _aligned(sample: StereoSample) -> Tensor:
    maps = (sample.extras["teacher"], sample.disparity, sample.valid, sample.extras["teacher_valid"])
    teacher, disparity, valid, known = (plane[None] for plane in maps if plane is not None)
    return align_to_disparity(teacher, disparity, valid, known, local=S2DKD().local).aligned


@torch.no_grad()
def _scene_scores(matcher: Any, scenes: Any) -> dict[str, float]:
    def answer(sample: StereoSample) -> Tensor:
        found: Tensor = matcher(sample.views["left"][None], sample.views["right"][None]).disparity
        return found.float().cpu()

    return _scores(answer, scenes)


def _scores(answer: Callable[[StereoSample], Tensor], scenes: Any) -> dict[str, float]:
    rows = []
    for index in range(len(scenes)):
        sample = scenes[index]
        found = answer(sample)
        truth, surface = sample.disparity[None], ~sample.extras["sky"][None]
        measured = sample.valid[0].any(1)
        top = int(measured.to(torch.uint8).argmax()) if measured.any() else len(measured)
        above = torch.zeros_like(surface)
        above[:, :, :top] = True
        regions = {"edge": near_steps(truth, step_px=STEP_PX, radius=EDGE_PX), "above": above}
        figures = disparity_metrics(found, truth, surface, regions=regions, thresholds=(2,), d1=False)
        rows.append({name: float(value) for name, value in figures.items()})
    return {name: _mean([row[_key(name)] for row in rows]) for name in columns()}


def columns() -> list[str]:
    """`all/epe`, ..."""
    return [f"{region}/{figure}" for region in REGIONS for figure in FIGURES]


def _key(name: str) -> str:
    return name.removeprefix("all/")


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan
