"""Data of the row that cannot be had outside a simulation: the same scenes with dense truth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.training.stereo_data import DatasetPairs
from wheatstone.training.taught_data import scanned_scenes


def dense_pairs(
    folder: str | Path,
    seed: int,
    *,
    augmentation: Mapping[str, Any],
    scenes: int,
    size: Sequence[int],
    cache: str | Path,  # noqa: ARG001 (the contract)
) -> DatasetPairs:
    """Crops of rendered pairs with every pixel labelled."""
    found = scanned_scenes(folder, seed, count=scenes, size=size)
    return DatasetPairs(found, StereoAugmentation.from_settings(augmentation))
