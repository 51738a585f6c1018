"""Rendered pairs with exact truth, photographed anew for every step: data for matchers that need no public data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.matching.embedded import sgbm_start
from wheatstone.matching.sgbm import Sgbm
from wheatstone.samples import StereoSample
from wheatstone.training.embedded_data import Stages, _stage, _stages
from wheatstone.training.photometric import camera_like
from wheatstone.training.scene_cache import SceneCache

__all__ = ["ScenePairs", "scene_pairs"]

_SEARCH_RANGES = (64, 96, 128)  # px


@dataclass(frozen=True)
class ScenePairs:
    """Stereo pairs of rendered scenes as training items.

    Attributes:
        scenes: pairs with baselines 0 and 1.
        augmentation: scale, crop and what two cameras do differently.
        cameras: strength of the camera effects both views share (exposure, colours, noise, compression); 0 is off.
        unlike: strength of those that each view gets for itself, in the half of the items whose cameras differ.
        pools: (first step, scenes in use from there on), so that a training can start while the rest is being rendered.
        start: share of the items that bring the answers of semi-global matching as a disparity to start from (`initial`,
            `known`), with a search range drawn for each; the others bring NaN. None leaves the entries out.
    """

    scenes: SceneCache
    augmentation: StereoAugmentation
    cameras: float = 0.7
    unlike: float = 0.35
    pools: Stages = field(default=((0, 1 << 30),))
    start: float | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:
        """A crop of scene `index` in the form of every stereo source (see `StereoAugmentation`); every pixel is valid."""
        index %= min(_stage(self.pools, step), len(self.scenes))
        left, right, disparity = drawn_pair(self.scenes[index], generator)
        width = left.shape[1]
        both = camera_like(np.concatenate([left, right], 1), generator, self.cameras)
        views = [np.ascontiguousarray(both[:, :width]), np.ascontiguousarray(both[:, width:])]
        if self.unlike > 0 and generator.random() < 0.5:
            views = [camera_like(np.rint(255 * view).astype(np.uint8), generator, self.unlike) for view in views]
        images = [torch.from_numpy(view).permute(2, 0, 1).contiguous() for view in views]
        sample = StereoSample(
            f"scene-{self.scenes.first_seed + index}",
            {"left": images[0], "right": images[1]},
            {"left": 0.0, "right": 1.0},
            disparity=torch.from_numpy(disparity)[None],
        )
        item = self.augmentation(sample, generator)
        return item if self.start is None else {**item, **self._started(item, generator)}

    def _started(self, item: Mapping[str, Any], generator: np.random.Generator) -> dict[str, torch.Tensor]:
        if generator.random() >= (self.start or 0.0):
            nothing = torch.zeros_like(item["disparity"])
            return {"initial": torch.full_like(nothing, torch.nan), "known": nothing}
        matcher = Sgbm(max_disparity=int(generator.choice(_SEARCH_RANGES)))
        start = sgbm_start(item["left"][None], item["right"][None], matcher)
        return {name: value[0] for name, value in start.items()}


def drawn_pair(
    stored: Mapping[str, np.ndarray], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left and right uint8 `[H,W,3]` and disparity `[H,W]`: as rendered, or mirrored with the ends swapped."""
    (left, right), (of_left, of_right) = stored["image"], stored["disparity"]
    if generator.random() < 0.5:
        left, right, of_left = right[:, ::-1], left[:, ::-1], of_right[:, ::-1]
    if generator.random() < 0.1:
        left, right, of_left = left[::-1], right[::-1], of_left[::-1]
    return np.ascontiguousarray(left), np.ascontiguousarray(right), np.ascontiguousarray(of_left)


def scene_pairs(
    folder: Path,
    seed: int,
    *,
    pairs: int,
    size: Sequence[int],
    augmentation: Mapping[str, Any],
    cameras: float = 0.7,
    unlike: float = 0.35,
    pools: Sequence[Sequence[int]] = ((0, 1 << 30),),
    start: float | None = None,
) -> ScenePairs:
    """Build a source of rendered pairs; `folder` keeps the scenes, `augmentation` holds settings of `StereoAugmentation`."""
    del seed  # the scenes are the same for every training; what is drawn from them is not
    cache = SceneCache(Path(folder), pairs, (int(size[0]), int(size[1])), (0.0, 1.0))
    return ScenePairs(cache, StereoAugmentation.from_settings(augmentation), cameras, unlike, _stages(pools), start)
