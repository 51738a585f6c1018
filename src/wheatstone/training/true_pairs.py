"""Pairs with true disparity for the recipes of generators: what the user named, or rendered ones where nothing was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wheatstone.datasets import StereoDataset, load_dataset
from wheatstone.errors import DatasetError, InputError
from wheatstone.samples import StereoSample
from wheatstone.training.scene_cache import SceneCache
from wheatstone.training.scene_pairs import drawn_pair

__all__ = ["ScenePairSamples", "draw_pair", "true_pairs"]


@dataclass(frozen=True)
class ScenePairSamples:
    """Rendered pairs, mirrored or upside down now and then.

    Attributes:
        scenes: pairs with baselines 0 and 1.
    """

    scenes: SceneCache

    def __len__(self) -> int:
        return len(self.scenes)

    def sample(self, index: int, generator: np.random.Generator) -> StereoSample:
        """Scene `index`, every pixel valid."""
        left, right, disparity = drawn_pair(self.scenes[index], generator)
        left_image, right_image = (
            torch.from_numpy(view).permute(2, 0, 1).contiguous().float() / 255 for view in (left, right)
        )
        return StereoSample(
            f"scene-{self.scenes.first_seed + index}",
            {"left": left_image, "right": right_image},
            {"left": 0.0, "right": 1.0},
            disparity=torch.from_numpy(disparity)[None],
        )


def draw_pair(pairs: StereoDataset | ScenePairSamples, index: int, generator: np.random.Generator) -> StereoSample:
    """Pair `index`; only rendered ones draw anything.

    Raises:
        DatasetError: a file of the pair cannot be read.
    """
    return pairs.sample(index, generator) if isinstance(pairs, ScenePairSamples) else pairs[index]


def true_pairs(
    folder: str | Path,
    cache: str | Path | None,
    *,
    scenes: int | None,
    scene_size: Sequence[int],
    mixture: str,
) -> StereoDataset | ScenePairSamples:
    """Open the pairs that a user named, or render some.

    Args:
        folder: what `load_dataset` opens: a folder, `NAME=PATH`, a mixture. If it is `cache`, nothing was given.
        cache: keeps rendered scenes.
        scenes: number of scenes to render when nothing was given; None refuses.
        scene_size: their height and width.
        mixture: name of the published mixture, for the error.

    Raises:
        InputError: no data, and none to be rendered.
    """
    what_to_give = (
        "name with --data stereo pairs with true disparity: a folder, NAME=PATH of a public data set, "
        f"{mixture}=ROOT for the published mixture, or scenes=SEED:COUNT to render some"
    )
    if cache is not None and Path(folder) == Path(cache):
        if scenes is None:
            raise InputError(f"this recipe needs data: {what_to_give}")
        high, wide = (int(side) for side in scene_size)
        return ScenePairSamples(SceneCache(Path(cache), scenes, (high, wide), (0.0, 1.0)))
    try:
        return load_dataset(folder)
    except (InputError, DatasetError) as error:
        raise InputError(f"{error}; {what_to_give}") from error
