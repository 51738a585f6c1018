"""Rendered worlds as a data set, made when asked for: `scenes=SEED:COUNT` needs no disk."""

from typing import Any

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import InputError
from wheatstone.samples import StereoSample

__all__ = ["RenderedScenes", "load"]


class RenderedScenes(StereoDataset):
    """The worlds of consecutive seeds, with exact truth; the same seed is always the same world."""

    def __init__(self, first: int, count: int, **options: Any) -> None:
        """Name the worlds; nothing is rendered.

        Args:
            first: seed of the first world.
            count: how many.
            options: further arguments of `wheatstone.scenes.scene_sample`, for example `size=(192, 320)`.
        """
        self.name = f"scenes={first}:{count}"
        self.first, self.options = first, options
        self.keys = [f"scene-{seed:08d}" for seed in range(first, first + count)]

    def read(self, index: int) -> StereoSample:
        """Render world `index`.

        Raises:
            MissingExtraError: numba is not installed.
        """
        from wheatstone.scenes import scene_sample

        return scene_sample(self.first + index, **self.options)


def load(text: str, **options: Any) -> RenderedScenes:
    """Open `SEED:COUNT`.

    Raises:
        InputError: not two whole numbers, or a count below one.
    """
    first, _, count = text.partition(":")
    try:
        numbers = int(first), int(count)
    except ValueError as error:
        raise InputError(f"scenes={text}: write scenes=SEED:COUNT, for example scenes=900000:50") from error
    if numbers[1] < 1 or numbers[0] < 0:
        raise InputError(f"scenes={text}: the seed must not be negative and the count at least 1")
    return RenderedScenes(*numbers, **options)
