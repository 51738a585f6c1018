"""Figures of the parts while they train, item by item, dealt out over the processes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from accelerate import PartialState

from wheatstone.checkpoints import Part
from wheatstone.datasets import load_dataset
from wheatstone.errors import InputError
from wheatstone.evaluation import MatcherProtocol, matcher_protocol, validate_matcher
from wheatstone.matching import StereoMatcher
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
        if known:
            means[name] = math.fsum(known) / len(known)
    return means


def is_better(decides: str, value: float, best: float | None) -> bool:
    """Whether an evaluation beats the best so far: lower is better, unless the name of the figure begins with `+`."""
    if math.isnan(value):
        return False
    return best is None or (value > best if decides.startswith("+") else value < best)


@dataclass(frozen=True)
class MatcherEvaluation:
    """A matcher on pairs with truth, by one of the protocols of `wheatstone.evaluation`.

    Every pair weighs the same while training, also where a protocol pools the pixels of all images.

    Attributes:
        samples: the pairs.
        role: role of the matcher.
        protocol: how a pair is scored.
    """

    samples: Sequence[StereoSample]
    role: str = "matcher"
    protocol: MatcherProtocol = field(default_factory=MatcherProtocol)

    def __len__(self) -> int:
        return len(self.samples)

    def __call__(self, parts: Mapping[str, Part], index: int) -> dict[str, float]:
        """`epe` in pixels, `bad_2`, `d1`, `noc/epe`, ... as `validate_matcher` names them; shares are 0..1."""
        matcher = parts[self.role]
        if not isinstance(matcher, StereoMatcher):
            raise InputError(f"role {self.role!r} is a {type(matcher).__name__}, no matcher")
        figures = validate_matcher(matcher, self.samples[index : index + 1], self.protocol)
        return {name: value for name, value in figures.items() if name != "seconds"}  # no two runs agree on seconds


def matcher_evaluation(
    dataset: str | None = None, limit: int | None = 50, role: str = "matcher", protocol: str = "wheatstone"
) -> MatcherEvaluation | None:
    """Build the evaluation of a matcher on the first `limit` pairs of a data set; without one there is none.

    Args:
        dataset: folder, `NAME=PATH` or `scenes=SEED:COUNT`, as `load_dataset` takes it.
        limit: number of pairs, or None for all.
        role: role of the matcher.
        protocol: name of a protocol (`wheatstone.evaluation.MATCHER_PROTOCOLS`), with its form for that data set, or
            `NAME:DATASET`.

    Raises:
        InputError: an unknown protocol, or one that was not published for this data set.
        DatasetError: no such data set.
    """
    if dataset is None:
        return None
    samples = load_dataset(dataset)
    try:
        chosen = matcher_protocol(protocol, samples.name)
    except InputError as error:
        raise InputError(f"{error} (--set evaluate.protocol=NAME; wheatstone scores any data set)") from error
    return MatcherEvaluation(samples if limit is None else samples[:limit], role, chosen)
