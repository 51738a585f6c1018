"""Figures of the parts while they train, item by item, dealt out over the processes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from accelerate import PartialState

from wheatstone.checkpoints import Part
from wheatstone.datasets import load_dataset
from wheatstone.errors import InputError
from wheatstone.evaluation import disparity_metrics
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample
from wheatstone.training.processes import gathered

__all__ = ["Evaluation", "MatcherEvaluation", "evaluate_parts", "is_better", "matcher_evaluation"]


@runtime_checkable
class Evaluation(Protocol):
    """Measures parts, one item at a time."""

    def __len__(self) -> int:
        """Number of items."""
        ...

    def __call__(self, parts: Mapping[str, Part], index: int) -> Mapping[str, float]:
        """Figures of one item; NaN where an item has none."""
        ...


def evaluate_parts(
    evaluation: Evaluation, parts: Mapping[str, Part], processes: PartialState, progress: ProgressCallback | None = None
) -> dict[str, float]:
    """Mean of every figure over all items, whichever process scored them; items without the figure do not count."""
    mine = range(processes.process_index, len(evaluation), processes.num_processes)
    clock = Clock("evaluate", len(mine))
    rows = []
    for done, index in enumerate(mine):
        rows.append((index, dict(evaluation(parts, index))))
        if progress is not None:
            progress(clock.at(done + 1))
    ordered = [row for _, row in sorted(gathered(processes, rows), key=lambda pair: pair[0])]
    means = {}
    for name in dict.fromkeys(name for row in ordered for name in row):
        known = [row[name] for row in ordered if not math.isnan(row.get(name, math.nan))]
        means[name] = math.fsum(known) / len(known) if known else math.nan
    return means


def is_better(decides: str, value: float, best: float | None) -> bool:
    """Whether an evaluation beats the best so far: lower is better, unless the name of the figure begins with `+`."""
    if math.isnan(value):
        return False
    return best is None or (value > best if decides.startswith("+") else value < best)


@dataclass(frozen=True)
class MatcherEvaluation:
    """End-point error, bad-k and D1 of a matcher on pairs with truth, over all known pixels of an image.

    Attributes:
        samples: the pairs.
        role: role of the matcher.
        iterations: refinement steps; the matcher's own number by default.
        max_disparity: leave out truth at or above this many pixels.
    """

    samples: Sequence[StereoSample]
    role: str = "matcher"
    iterations: int | None = None
    max_disparity: float | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def __call__(self, parts: Mapping[str, Part], index: int) -> dict[str, float]:
        """`epe` in pixels; `bad_1`, `bad_2`, `bad_3` and `d1` in per cent."""
        sample, matcher = self.samples[index], parts[self.role]
        if sample.disparity is None or "right" not in sample.views:
            raise InputError(f"{sample.key}: no pair with true disparity, so a matcher cannot be evaluated on it")
        call: Any = matcher
        match = call(sample.views["left"][None], sample.views["right"][None], self.iterations)
        valid = torch.isfinite(sample.disparity) if sample.valid is None else sample.valid
        figures = disparity_metrics(
            match.disparity, sample.disparity[None], valid[None], missing="bad", max_disparity=self.max_disparity
        )
        shares = {name: 100 * float(figures[name]) for name in ("bad_1", "bad_2", "bad_3", "d1")}
        return {"epe": float(figures["epe"]), **shares}


def matcher_evaluation(
    dataset: str | None = None,
    limit: int | None = 50,
    role: str = "matcher",
    iterations: int | None = None,
    max_disparity: float | None = None,
) -> MatcherEvaluation | None:
    """Build the evaluation of a matcher on the first `limit` pairs of a data set; without one there is none.

    Args:
        dataset: folder, `NAME=PATH` or `scenes=SEED:COUNT`, as `load_dataset` takes it.
        limit: number of pairs, or None for all.
        role: role of the matcher.
        iterations: refinement steps.
        max_disparity: leave out truth at or above this many pixels.
    """
    if dataset is None:
        return None
    samples = load_dataset(dataset)
    return MatcherEvaluation(samples if limit is None else samples[:limit], role, iterations, max_disparity)
