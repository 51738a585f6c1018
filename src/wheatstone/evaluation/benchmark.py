"""`evaluate`: a part and its controls on a data set, item by item. `validate_matcher`: one matcher, means only."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from wheatstone.checkpoints import Part
from wheatstone.datasets import load_dataset
from wheatstone.depth import DepthEstimator
from wheatstone.errors import InputError
from wheatstone.evaluation.controls import (
    DEPTH_CONTROLS,
    MATCHER_CONTROLS,
    SYNTHESIS_CONTROLS,
    TOLD_SGBM,
    depth_control,
    matcher_control,
    synthesis_control,
)
from wheatstone.evaluation.matcher_protocol import MatcherProtocol
from wheatstone.evaluation.protocols import DepthProtocol, SkippedItem
from wheatstone.evaluation.report import Report, Row
from wheatstone.evaluation.synthesis_protocol import SynthesisProtocol
from wheatstone.matching import StereoMatcher
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample
from wheatstone.seeding import generator_for
from wheatstone.synthesis import ViewSynthesizer

__all__ = ["Watcher", "evaluate", "validate_matcher"]

Watcher = Callable[[str, Any, Mapping[str, Any], Mapping[str, Mapping[str, float]]], None]
"""Sees every item: its key, its truth, the output of each part and the figures of each part."""


def evaluate(
    part: Part,
    dataset: Sequence[StereoSample] | str | Path,
    *,
    protocol: DepthProtocol | SynthesisProtocol | MatcherProtocol | None = None,
    label: str | None = None,
    baselines: Mapping[str, Part] | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    watch: Watcher | None = None,
    sgbm_range: Literal["own", "truth"] = "own",
) -> Report:
    """Measure a depth estimator, a matcher or a synthesizer, always beside the trivial alternatives.

    Controls that are always in the table: `row-prior` and `constant` for depth, `sgbm` and `constant` for matchers, `rows`,
    `classical`, `warp` and `identity` for synthesizers. Items that the protocol cannot score (no truth, truth too sparse) are
    left out and named in the remarks. One item is in memory at a time. Interrupted (Ctrl-C) after the first item, it returns
    what it has with `complete=False`.

    Args:
        part: a `DepthEstimator`, a `StereoMatcher` or a `ViewSynthesizer`.
        dataset: samples with truth, or what `load_dataset` takes.
        protocol: how to score; the default one for the kind of part.
        label: name of the part in the tables, by default its own.
        baselines: further parts of the same kind, by name.
        seed: run seed of parts that draw random numbers.
        progress: told about every item.
        watch: sees every item with the outputs, for pictures (`Gallery`).
        sgbm_range: whether the control `sgbm` is told the largest true disparity of every pair (`truth`), which favours it.

    Raises:
        InputError: a part of another kind, a protocol that does not fit it, or no item that can be scored.
    """
    samples = load_dataset(dataset) if isinstance(dataset, str | Path) else dataset
    kind, protocol, controls = _choose(part, protocol)
    parts: dict[str, Any] = {label or part.name: part, **(baselines or {})}
    if kind == "matcher" and sgbm_range == "truth":
        controls = [TOLD_SGBM if name == "sgbm" else name for name in controls]
    parts |= {name: _control(kind, name) for name in controls if name not in parts}
    report = _measure(kind, parts, samples, protocol, seed, progress, watch)
    extra = {"sgbm_range": sgbm_range} if kind == "matcher" else {}
    return replace(report, protocol={**report.protocol, "seed": seed, **extra})


def validate_matcher(
    matcher: StereoMatcher,
    samples: Sequence[StereoSample],
    protocol: MatcherProtocol | None = None,
    limit: int | None = None,
) -> dict[str, float]:
    """Means of one matcher without controls, for a look now and then during its training.

    The network is in evaluation mode meanwhile and every module returns to its own mode afterwards.

    Args:
        matcher: on any device.
        samples: with truth.
        protocol: how to score; the house's own by default.
        limit: score only so many samples, from the first.

    Returns:
        Figure to mean: `epe`, `bad_1`, `bad_2`, `d1`, `density`, `noc/epe`, `edge/epe`, `seconds`, ...; NaN where no sample
        has the region.

    Raises:
        InputError: nothing that can be scored.
    """
    chosen = samples if limit is None else samples[:limit]
    with _evaluating(matcher):
        report = _measure("matcher", {"matcher": matcher}, chosen, protocol or MatcherProtocol(), 0, None, None)
    return report.means["matcher"]


@contextmanager
def _evaluating(part: Part) -> Iterator[None]:
    modules = list(part.network.modules()) if part.network is not None else []
    modes = [module.training for module in modules]
    if part.network is not None:
        part.network.eval()
    try:
        yield
    finally:
        # a network may refuse to train some of its modules, so each gets its own mode back
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _measure(
    kind: str,
    parts: Mapping[str, Any],
    samples: Sequence[StereoSample],
    protocol: Any,
    seed: int,
    progress: ProgressCallback | None,
    watch: Watcher | None,
) -> Report:
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    notes: Counter[str] = Counter()
    clock = Clock(f"evaluate {kind}", total=len(samples))
    complete = False
    try:
        # by index: a sequence of samples need not be iterable
        for index in range(len(samples)):
            sample = samples[index]
            try:
                truth = protocol.truth(sample)
            except SkippedItem as reason:
                skipped[sample.key] = str(reason)
            else:
                rows += _score_item(parts, sample.key, truth, protocol, seed, watch)
                notes.update(getattr(truth, "notes", ()))
            if progress is not None:
                progress(clock.at(index + 1, sample.key))
        complete = True
    except KeyboardInterrupt:
        if not rows:
            raise
    if not rows:
        raise InputError(f"nothing to measure in {_name(samples)}: {_by_reason(skipped) or 'it is empty'}")
    # an item is complete or not in the table at all, so that means compare the same items
    pooled = {name: protocol.pooled([row.figures for row in rows if row.part == name]) for name in parts}
    report = Report(
        title=f"{kind} {next(iter(parts))} on {_name(samples)}",
        protocol=_switches(protocol),
        columns=protocol.columns,
        parts=list(parts),
        rows=rows,
        pooled=pooled,
        complete=complete,
    )
    return _with_remarks(report, kind, protocol, skipped, notes)


def _switches(protocol: Any) -> dict[str, Any]:
    """Name and switches of a protocol as plain values; parts that it needs by what they depend on."""
    values = {field.name: getattr(protocol, field.name) for field in fields(protocol)}
    plain = {name: value.fingerprint() if isinstance(value, Part) else value for name, value in values.items()}
    return {"name": protocol.name, **plain}


def _choose(part: Any, protocol: Any) -> tuple[str, Any, Sequence[str]]:
    kinds: tuple[tuple[type, str, Any, Sequence[str]], ...] = (
        (DepthEstimator, "depth", DepthProtocol, DEPTH_CONTROLS),
        (StereoMatcher, "matcher", MatcherProtocol, MATCHER_CONTROLS),
        (ViewSynthesizer, "synthesizer", SynthesisProtocol, SYNTHESIS_CONTROLS),
    )
    for base, kind, default, controls in kinds:
        if isinstance(part, base):
            protocol = default() if protocol is None else protocol
            if not isinstance(protocol, default):
                raise InputError(f"a {kind} is measured by a {default.__name__}, not by a {type(protocol).__name__}")
            return kind, protocol, controls
    raise InputError(f"evaluate measures depth estimators, matchers and synthesizers, not {type(part).__name__}")


def _control(kind: str, name: str) -> Part:
    makers: dict[str, Callable[[str], Part]] = {"depth": depth_control, "matcher": matcher_control}
    return makers.get(kind, synthesis_control)(name)


def _score_item(
    parts: Mapping[str, Any], key: str, truth: Any, protocol: Any, seed: int, watch: Watcher | None
) -> list[Row]:
    outputs: dict[str, Any] = {}
    figures: dict[str, dict[str, float]] = {}
    for name, part in parts.items():
        if hasattr(part, "told"):  # a control that knows something of the truth
            part = part.told(protocol.input_disparity(truth), next(iter(truth.areas.values())))
        started = time.perf_counter()
        output = _output(part, truth, protocol, key, seed)
        seconds = time.perf_counter() - started
        figures[name] = {**protocol.score(output, truth), "seconds": seconds}
        if watch is not None:
            outputs[name] = output
    if watch is not None:
        watch(key, truth, outputs, figures)
    return [Row(key, name, own) for name, own in figures.items()]


def _output(part: Any, truth: Any, protocol: Any, key: str, seed: int) -> Any:
    if isinstance(protocol, MatcherProtocol):
        with torch.inference_mode():
            return protocol.predict(part, truth)
    return _depth(part, truth) if isinstance(protocol, DepthProtocol) else _view(part, truth, key, seed)


def _depth(part: DepthEstimator, truth: Any) -> torch.Tensor:
    with torch.inference_mode():
        return part(truth.image.to(part.device)).inverse_depth.cpu()


def _view(part: ViewSynthesizer, truth: Any, key: str, seed: int) -> Any:
    generators = [generator_for(seed, key, "synthesis")]
    with torch.inference_mode():
        inputs = (tensor.to(part.device) for tensor in (truth.left, truth.disparity, truth.valid))
        view = part(*inputs, baseline=1.0, generators=generators)
    return type(view)(view.image.cpu(), view.hole.cpu(), view.visible.cpu(), view.origin.cpu())


def _name(samples: Any) -> str:
    return str(getattr(samples, "name", f"{len(samples)} samples"))


_NAMED = 20  # items that were left out and are named, for each reason

_PLAIN = ("warp", "constant", "identity")  # controls that say what nothing is worth

# kind -> figure that the remarks compare, its heading, +1 where more is better, unit of a difference, its decimals
_COMPARED: dict[str, tuple[str, str, int, str, int]] = {
    "depth": ("abs_rel", "AbsRel", -1, "", 3),
    "matcher": ("epe", "EPE", -1, " px", 2),
}


def _compared(kind: str, protocol: Any) -> tuple[str, str, int, str, int]:
    if kind in _COMPARED:
        return _COMPARED[kind]
    figure = protocol.ranking[0]
    return figure, next(column.label for column in protocol.columns if column.figure == figure), 1, " dB", 3


def _with_remarks(
    report: Report, kind: str, protocol: Any, skipped: Mapping[str, str], notes: Mapping[str, int]
) -> Report:
    figure, column, sign, unit, digits = _compared(kind, protocol)
    part = report.parts[0]
    own = report.values(part, figure)
    remarks = []
    for other in report.parts[1:]:
        if other in _PLAIN:
            continue
        theirs = report.values(other, figure)
        both = [key for key in own if own[key] == own[key] and theirs[key] == theirs[key]]
        better = sum(sign * (own[key] - theirs[key]) > 0 for key in both)
        gap = report.mean(part, figure) - report.mean(other, figure)
        remarks.append(
            f"{part} is better than {other} in {column} on {better} of {len(both)} items; mean {gap:+.{digits}f}{unit}"
        )
    if kind == "matcher":
        remarks += _unanswered(report)
    if kind == "synthesizer":
        remarks += protocol.remarks([row.figures for row in report.rows if row.part == part])
    remarks += [f"{count} of {len(report.items)} items: {note}" for note, count in notes.items()]
    if skipped:
        remarks.append(f"left out: {_by_reason(skipped)}")
    return replace(report, remarks=remarks)


def _by_reason(skipped: Mapping[str, str]) -> str:
    """`a, b (why); c (why)`, of many items the first."""
    groups: dict[str, list[str]] = {}
    for key, reason in skipped.items():
        groups.setdefault(reason, []).append(key)
    named = []
    for reason, keys in groups.items():
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        named.append(f"{', '.join(keys[:_NAMED])}{more} ({reason})")
    return "; ".join(named)


def _unanswered(report: Report) -> list[str]:
    """Say how pixels without a finite answer were counted, for parts that have some."""
    remarks = []
    for part in report.parts:
        density = report.mean(part, "density")
        if density < 1 and not math.isnan(density):
            counted = "count as bad" if report.protocol["missing"] == "bad" else "are left out"
            remarks.append(
                f"{part} has no finite answer on {100 * (1 - density):.2f} % of the scored pixels: they {counted}, and EPE "
                "cannot count them"
            )
    return remarks
