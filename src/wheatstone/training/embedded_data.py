"""Data of the embedded recipes: rendered scenes, cropped, mirrored and photographed anew for every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.geometry import clean_disparity
from wheatstone.synthesis.composition import WarpedView, warp_left
from wheatstone.synthesis.embedded import fill_candidates
from wheatstone.training.photometric import camera_like
from wheatstone.training.scene_cache import SceneCache

__all__ = ["DepthViews", "FillPairs", "depth_views", "fill_item", "fill_pairs"]

_ASPECTS = (4 / 3, 4 / 3, 3 / 2, 16 / 9, 1.0, 3 / 4, 3.0)  # width / height a step draws from
_STRIDE = 32

Stages = tuple[tuple[int, int], ...]
"""(first step, value from there on), in order; the first step of all is 0."""


def _stage(stages: Stages, step: int) -> int:
    return max(stage for stage in stages if stage[0] <= step)[1]


def _stages(pairs: Sequence[Sequence[int]]) -> Stages:
    return tuple((int(first), int(value)) for first, value in pairs)


@dataclass(frozen=True)
class DepthViews:
    """Single views with inverse depth.

    Attributes:
        pairs: scenes seen from two places (shared with the hole filler); either view serves.
        singles: scenes seen once.
        areas: (first step, pixels a view has from there on): small first, which sees more scenes in the same time.
        pools: (first step, scenes in use from there on), so that a training can start while the rest is being rendered.
    """

    pairs: SceneCache
    singles: SceneCache
    areas: Stages
    pools: Stages

    def __len__(self) -> int:
        return len(self.pairs) + len(self.singles)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:
        """A crop of scene `index`: `image [3,h,w]`, `inverse_depth [1,h,w]`, `valid [1,h,w]`; sky has inverse depth 0."""
        index %= _stage(self.pools, step)
        pair = index * len(self.pairs) // len(self)  # pairs lie evenly among the singles
        is_pair = (index + 1) * len(self.pairs) // len(self) > pair
        stored = self.pairs[pair] if is_pair else self.singles[index - pair]
        view = int(generator.integers(len(stored["image"])))
        image, inverse = stored["image"][view], stored["inverse_depth"][view]
        height, width = self._shape(step)
        rows, columns = _crop(image.shape[:2], height / width, generator)
        image, inverse = image[rows, columns], inverse[rows, columns]
        shrinks = height < image.shape[0]
        picture = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        depth = cv2.resize(inverse, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        if generator.random() < 0.5:
            picture, depth = picture[:, ::-1], depth[:, ::-1]
        picture = camera_like(np.ascontiguousarray(picture), generator)
        return {
            "key": f"scene-{index}",
            "image": torch.from_numpy(picture).permute(2, 0, 1).contiguous(),
            "inverse_depth": torch.from_numpy(np.ascontiguousarray(depth))[None],
            "valid": torch.ones(1, height, width, dtype=torch.bool),
        }

    def _shape(self, step: int) -> tuple[int, int]:
        """All items of a step share a shape, drawn from the step alone."""
        area = _stage(self.areas, step)
        aspect = _ASPECTS[int(np.random.default_rng(step).integers(len(_ASPECTS)))]
        height = max(1, round((area / aspect) ** 0.5 / _STRIDE)) * _STRIDE
        return height, max(1, round(area / height / _STRIDE)) * _STRIDE


def _crop(size: tuple[int, int], ratio: float, generator: np.random.Generator) -> tuple[slice, slice]:
    """A window of height / width `ratio`, between 60 % and all of the largest that fits, mostly large."""
    height, width = size
    largest = min(width, height / ratio)
    wide = largest * (1.0 - 0.4 * float(generator.random()) ** 2)
    high = wide * ratio
    top, left = generator.uniform(0, height - high + 1e-6), generator.uniform(0, width - wide + 1e-6)
    bottom, right = min(height, round(top + high)), min(width, round(left + wide))
    return slice(int(top), max(bottom, int(top) + 1)), slice(int(left), max(right, int(left) + 1))


def depth_views(
    folder: Path,
    seed: int,
    *,
    pairs: int,
    singles: int,
    size: tuple[int, int],
    areas: Sequence[Sequence[int]],
    pools: Sequence[Sequence[int]],
) -> DepthViews:
    """Build the data of `embedded-depth`; `folder` keeps the rendered scenes."""
    del seed  # the scenes are the same for every training; what is drawn from them is not
    shared = SceneCache(folder, pairs, (size[0], size[1]), (0.0, 1.0))
    alone = SceneCache(folder, singles, (size[0], size[1]), (0.0,), first_seed=1_000_000)
    return DepthViews(shared, alone, _stages(areas), _stages(pools))


@dataclass(frozen=True)
class FillPairs:
    """Crops around the holes of a view warped by the true disparity, with the true view.

    Attributes:
        scenes: pairs with baselines 0 and 1.
        size: height and width of a crop.
        pools: (first step, scenes in use from there on).
    """

    scenes: SceneCache
    size: tuple[int, int]
    pools: Stages

    def __len__(self) -> int:
        return len(self.scenes)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:
        """One crop: `copies`, `features` (see `wheatstone.synthesis.embedded`), `hole`, `target`."""
        index %= _stage(self.pools, step)
        left, right, disparity = self._pair(self.scenes[index], generator)
        height, width = disparity.shape
        top = int(generator.integers(max(0, height - self.size[0]) + 1))
        band = slice(top, top + self.size[0])  # a warp works row by row: the other rows need not be made
        both = np.concatenate([left[band], right[band]], 1)
        both = camera_like(both, generator, strength=0.7)  # one camera for both views
        left_image, target = (_tensor(both[:, part]) for part in (slice(0, width), slice(width, 2 * width)))
        d = torch.from_numpy(disparity[band])[None, None]
        if generator.random() < 0.5:
            d = clean_disparity(d)
        warped = warp_left(left_image[None], d)
        return {"key": f"scene-{index}", **fill_item(warped, warped.hole, target, self.size[1], generator)}

    def _pair(
        self, stored: Mapping[str, np.ndarray], generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left, right and disparity, or the mirrored pair with its ends swapped; now and then upside down."""
        (left, right), (of_left, of_right) = stored["image"], stored["disparity"]
        if generator.random() < 0.5:
            left, right, of_left = right[:, ::-1], left[:, ::-1], of_right[:, ::-1]
        if generator.random() < 0.2:
            left, right, of_left = left[::-1], right[::-1], of_left[::-1]
        return np.ascontiguousarray(left), np.ascontiguousarray(right), np.ascontiguousarray(of_left)


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous()


def fill_item(
    warped: WarpedView,
    counted: Bool[Tensor, "1 1 H W"],
    target: Float[Tensor, "3 H W"],
    width: int,
    generator: np.random.Generator,
) -> dict[str, Tensor]:
    """Columns about a hole as the objective `HoleFill` reads them.

    Args:
        warped: one view with its holes (baseline >= 0).
        counted: hole pixels that the loss sees; the network is shown all holes.
        target: what the view should be.
        width: number of columns.
        generator: chooses the hole.
    """
    candidates = fill_candidates(warped)
    columns = _around_a_hole(counted[0, 0].numpy(), width, generator)
    return {
        "copies": candidates.copies[0, :, :, :, columns],
        "features": candidates.features[0, :, :, columns],
        "hole": counted[0, :, :, columns],
        "target": target[:, :, columns],
    }


def _around_a_hole(hole: np.ndarray, side: int, generator: np.random.Generator) -> slice:
    """A span of columns about a random hole pixel (about the middle when there is none)."""
    width = hole.shape[1]
    columns = np.nonzero(hole)[1]
    middle = int(columns[int(generator.integers(len(columns)))]) if len(columns) else width // 2
    start = middle - side // 2 + int(generator.integers(-side // 4, side // 4 + 1))
    start = min(max(start, 0), max(0, width - side))
    return slice(start, start + side)


def fill_pairs(
    folder: Path,
    seed: int,
    *,
    pairs: int,
    size: tuple[int, int],
    crop: tuple[int, int],
    pools: Sequence[Sequence[int]],
) -> FillPairs:
    """Build the data of `embedded-filler`; `folder` keeps the rendered scenes."""
    del seed  # the scenes are the same for every training; what is drawn from them is not
    return FillPairs(
        SceneCache(folder, pairs, (size[0], size[1]), (0.0, 1.0)), (int(crop[0]), int(crop[1])), _stages(pools)
    )
