"""Pairs of the series: rows and seeds that want the same pairs share those made for the first of them."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheatstone.datasets import layout
from wheatstone.errors import InputError
from wheatstone.files import atomic_path
from wheatstone.matching.embedded import sgbm_start
from wheatstone.matching.sgbm import Sgbm
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample, to_uint8
from wheatstone.seeding import numpy_generator_for
from wheatstone.training.stereo_data import MadePairs, stereo_pairs

_SEARCHED_PX = 64
_PLANES = ("valid", "visible", "hole")


@dataclass(frozen=True)
class SeriesPairs:
    """Pairs of single pictures, so many of each kept on disk at a scale of its own; crop and colours are drawn anew.

    Making a pair with painted holes costs as much as a step of a small matcher. The n-th pair of a picture draws the same
    numbers in every row: rows with the same rule see the same scales.

    Attributes:
        made: makes the pairs.
        folder: keeps them; its name tells all that decides them.
        draws: pairs kept of a picture; 0 keeps none and makes every pair anew.
        confident: with the confidence of the depth.
        started: items bring the answer of semi-global matching as a disparity to start from.
    """

    made: MadePairs
    folder: Path
    draws: int
    confident: bool
    started: bool = False

    def __len__(self) -> int:
        return len(self.made)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """A crop of one of the pairs of picture `index`."""
        kept = self.draws > 0
        sample = self.sample(index, int(generator.integers(self.draws))) if kept else self.made.sample(index, generator)
        item = self.made.augmentation(sample, generator)
        return with_start(item) if self.started else item

    def fill(self, progress: ProgressCallback | None = None) -> None:
        """Make all pairs that are missing."""
        clock = Clock("make pairs", len(self))
        for index in range(len(self)):
            for draw in range(self.draws):
                if not self._path(index, draw).is_file():
                    self._make(index, draw)
            if progress is not None:
                progress(clock.at(index + 1))

    def sample(self, index: int, draw: int) -> StereoSample:
        """Pair `draw` of a picture; makes it when it is not kept yet."""
        path = self._path(index, draw)
        try:
            with np.load(path) as stored:
                kept = {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            kept = self._make(index, draw)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # torn by a crash of the machine: again
            path.unlink(missing_ok=True)
            kept = self._make(index, draw)
        views = torch.from_numpy(kept["views"].astype(np.float32) / 255).permute(0, 3, 1, 2)
        planes = dict(zip(_PLANES, torch.from_numpy(kept["planes"])[:, None], strict=True))
        disparity = torch.from_numpy(kept["disparity"])[None]
        confidence = torch.from_numpy(layout.decode_unit(kept["confidence"]))[None]
        return StereoSample(
            str(kept["key"]),
            {"left": views[0], "right": views[1]},
            {"left": 0.0, "right": 1.0},
            disparity=disparity,
            confidence=confidence if self.confident else torch.ones_like(disparity),
            **planes,
        )

    def _path(self, index: int, draw: int) -> Path:
        return self.folder / f"{index:06d}-{draw}.npz"

    def _make(self, index: int, draw: int) -> dict[str, Any]:
        sample = self.made.sample(index, numpy_generator_for(draw, str(index), "pair"))
        planes = [getattr(sample, name) for name in _PLANES]
        if sample.disparity is None or sample.confidence is None:
            raise InputError(f"{sample.key}: a made pair has disparity and confidence")
        kept = {
            "key": np.array(sample.key),
            "views": np.stack([to_uint8(sample.views[name]) for name in ("left", "right")]),
            "disparity": sample.disparity[0].numpy(),
            "planes": np.stack([plane[0].numpy() for plane in planes]),
            "confidence": layout.encode_unit(sample.confidence[0].numpy()),
        }
        with atomic_path(self._path(index, draw)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **kept)
        return kept


def with_start(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item that brings the answer of semi-global matching as a disparity to start from."""
    start = sgbm_start(item["left"][None], item["right"][None], Sgbm(max_disparity=_SEARCHED_PX))
    return {**item, **{name: value[0] for name, value in start.items()}}


def series_pairs(
    folder: str | Path,
    seed: int,
    *,
    draws: int,
    cache: str | Path,
    confident: bool,
    started: bool = False,
    **settings: Any,
) -> SeriesPairs:
    """Pairs of photos or rendered views (`wheatstone.training.stereo_data.stereo_pairs`)."""
    made = stereo_pairs(folder, seed, cache=cache, confident=True if draws else confident, **settings)
    if not isinstance(made, MadePairs):
        raise InputError(f"{folder} holds stereo pairs; the ablation makes its pairs of photos")
    return SeriesPairs(
        made, Path(cache) / f"pairs-{_digest(folder, cache, settings, len(made))}", draws, confident, started
    )


def _digest(folder: str | Path, cache: str | Path, settings: Mapping[str, Any], count: int) -> str:
    """Of what decides a pair: not of how crops are drawn from it."""
    deciding = {name: value for name, value in settings.items() if name != "augmentation"}
    where = "" if Path(folder) == Path(cache) else str(Path(folder).resolve())
    return sha256(json.dumps([where, count, deciding], sort_keys=True, default=str).encode()).hexdigest()[:12]
