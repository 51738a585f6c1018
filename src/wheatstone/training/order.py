"""Which item a step sees: a pure function of (seed, step), so that resume is exact and worker count does not matter."""

import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wheatstone.errors import InputError
from wheatstone.seeding import generator_for, numpy_generator_for, seed_for

__all__ = ["DataSource", "Split", "index_at", "item_generators", "micro_batches"]


@runtime_checkable
class DataSource(Protocol):
    """Where items come from."""

    def __len__(self) -> int:
        """Number of distinct items."""
        ...

    def item(self, index: int, step: int, generator: np.random.Generator) -> Mapping[str, Any]:
        """Make item `index` (0 <= index < len) as step `step` wants it: tensors of equal shapes within a step, and a `key`.

        The random draws (augmentation) come from `generator` only.
        """
        ...


@dataclass(frozen=True)
class Split:
    """How the items of one step are dealt out: `batch` in all, over `processes` times `accumulate` micro-batches."""

    batch: int
    processes: int = 1
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.batch % (self.processes * self.accumulate):
            raise InputError(
                f"a batch of {self.batch} cannot be split evenly over {self.processes} processes "
                f"and {self.accumulate} micro-batches"
            )

    def positions(self, step: int, rank: int, micro: int) -> range:
        """Positions in the endless stream of items that this process sees in this micro-batch."""
        size = self.batch // (self.processes * self.accumulate)
        start = step * self.batch + (micro * self.processes + rank) * size
        return range(start, start + size)


def index_at(position: int, length: int, seed: int) -> int:
    """Item at a position of the endless stream: epoch after epoch, each a permutation of its own.

    The first epoch runs in the order of the data, so that a source that makes its items on demand (rendering, decoding)
    can be filled ahead of the training by another process.
    """
    epoch, place = divmod(position, length)
    return place if epoch == 0 else int(_permutation(length, seed, epoch)[place])


@lru_cache(maxsize=1)
def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng(seed_for(seed, str(epoch), "order")).permutation(length)


def item_generators(positions: Sequence[int], seed: int) -> list[torch.Generator]:
    """One generator an item for the objective's own draws."""
    return [generator_for(seed, str(position), "objective") for position in positions]


class _Positions(Dataset[Mapping[str, Any]]):
    """The endless stream as a map-style data set: position to item."""

    def __init__(self, source: DataSource, batch: int, seed: int) -> None:
        self.source, self.batch, self.seed = source, batch, seed

    def __getitem__(self, position: int) -> Mapping[str, Any]:
        index = index_at(position, len(self.source), self.seed)
        generator = numpy_generator_for(self.seed, str(position), "data")
        return self.source.item(index, position // self.batch, generator)


def micro_batches(
    source: DataSource, split: Split, seed: int, *, rank: int, steps: range, workers: int = 0, pin: bool = False
) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Yield (positions, batch) of this process, micro-batch by micro-batch, for every step of `steps`.

    Args:
        source: the items.
        split: how a step is dealt out.
        seed: of the run.
        rank: this process.
        steps: the steps to go.
        workers: processes that prepare items; they live until the last step.
        pin: put batches into pinned memory, from which a GPU copies while it computes.

    Raises:
        InputError: an empty source.
    """
    if len(source) == 0:
        raise InputError("the training data holds no items")
    plan = _Plan(split, rank, steps)
    loader = DataLoader(
        _Positions(source, split.batch, seed),
        batch_sampler=plan,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_quiet_worker,
        multiprocessing_context=_context() if workers else None,
        generator=torch.Generator(),  # the loader draws a number nobody uses: not from the global generator
    )
    yield from zip(plan, loader, strict=True)


@dataclass(frozen=True)
class _Plan:
    """The positions of every micro-batch of one process, made when asked for."""

    split: Split
    rank: int
    steps: range

    def __len__(self) -> int:
        return len(self.steps) * self.split.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            for micro in range(self.split.accumulate):
                yield list(self.split.positions(step, self.rank, micro))


def _context() -> str | None:
    """Forked workers see that their training was killed and end; those of a fork server keep it, and each other, alive."""
    return "fork" if "fork" in multiprocessing.get_all_start_methods() else None


def _quiet_worker(_number: int) -> None:
    """A worker computes on its own core alone, and leaves Ctrl-C to the training, which lets it finish its step."""
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Stack tensors, list everything else."""
    batch: dict[str, Any] = {}
    for name in items[0]:
        values = [item[name] for item in items]
        batch[name] = torch.stack(values) if isinstance(values[0], Tensor) else values
    return batch
