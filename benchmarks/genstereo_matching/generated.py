"""Data of the series: data sets that `generate` made, one with every synthesizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pairs import with_start

from wheatstone.datasets import load_dataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.disparity import AdaptiveDisparity
from wheatstone.files import write_image
from wheatstone.generation import StereoGenerator, generate
from wheatstone.matching import load_matcher
from wheatstone.progress import ProgressCallback
from wheatstone.synthesis import ViewSynthesizer, load_synthesizer
from wheatstone.training.order import DataSource
from wheatstone.training.pictures import scene_pictures
from wheatstone.training.stereo_data import DatasetPairs


@dataclass(frozen=True)
class StartedPairs:
    """Items that bring the answer of semi-global matching as a disparity to start from."""

    pairs: DatasetPairs

    def __len__(self) -> int:
        return len(self.pairs)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:
        """A crop of sample `index`."""
        return with_start(self.pairs.item(index, step, generator))


def generated_pairs(
    folder: str | Path,
    seed: int,  # noqa: ARG001 (the contract)
    *,
    augmentation: Mapping[str, Any],
    cache: str | Path,  # noqa: ARG001 (the contract)
    started: bool,
    made: str,  # noqa: ARG001 (tells data sets apart in the name of a run)
) -> DataSource:
    """Crops of a generated data set."""
    pairs = DatasetPairs(load_dataset(folder), StereoAugmentation.from_settings(augmentation))
    return StartedPairs(pairs) if started else pairs  # type: ignore[return-value]


def label_of(synthesizer: str) -> str:
    """What a row is called: of NAME=PATH the name."""
    return synthesizer.partition("=")[0]


def rendered_photos(folder: Path, cache: Path, count: int, size: tuple[int, int]) -> Path:
    """Left views of rendered scenes as a folder of photos."""
    for index in range(count):
        file = folder / f"{index:05d}.png"
        if not file.is_file():
            write_image(file, scene_pictures(cache, count, size, degrade=0.0).image(index))
    return folder


def open_synthesizer(text: str, photos: Path, device: str) -> ViewSynthesizer:
    """NAME or NAME=PATH; `background` alone shows the same photos."""
    name, _, weights = text.partition("=")
    pool = str(photos) if name == "background" else None
    return load_synthesizer(name, weights=weights or pool, device=device)


def make_data_set(
    photos: Path, out: Path, part: ViewSynthesizer, depth: str, max_side: int, progress: ProgressCallback | None
) -> tuple[str, float | None]:
    """Generate a data set; every synthesizer gets the same pictures with the same disparity.

    Returns:
        A digest of what it was made from, and how far semi-global matching finds its labels (`label_agreement`).
    """
    maker = StereoGenerator(depth, AdaptiveDisparity(), part, max_side=max_side)
    summary = generate(
        photos, out, maker, workers=1, report_samples=0, label_matcher=load_matcher("sgbm"), progress=progress
    )
    digest = str(load_dataset(out).header["config_sha256"])  # type: ignore[attr-defined]
    return digest, None if summary.labels is None else summary.labels.mean
