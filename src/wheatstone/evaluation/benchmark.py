"""`evaluate`: a part and its controls on a data set, item by item."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from wheatstone.checkpoints import Part
from wheatstone.datasets import load_dataset
from wheatstone.depth import DepthEstimator
from wheatstone.errors import InputError
from wheatstone.evaluation.controls import DEPTH_CONTROLS, SYNTHESIS_CONTROLS, depth_control, synthesis_control
from wheatstone.evaluation.protocols import DepthProtocol, SkippedItem, SynthesisProtocol
from wheatstone.evaluation.report import Report, Row
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample
from wheatstone.seeding import generator_for
from wheatstone.synthesis import ViewSynthesizer

__all__ = ["evaluate"]


def evaluate(
    part: Part,
    dataset: Sequence[StereoSample] | str | Path,
    *,
    protocol: DepthProtocol | SynthesisProtocol | None = None,
    label: str | None = None,
    baselines: Mapping[str, Part] | None = None,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Report:
    """Measure a depth estimator or a synthesizer, always beside the trivial alternatives.

    Controls that are always in the table: `row-prior` and `constant` for depth, `rows`, `classical` and `warp` for
    synthesizers. Items that the protocol cannot score (no truth, truth too sparse) are left out and named in the remarks.
    Interrupted (Ctrl-C) after the first item, it returns what it has with `complete=False`.

    Args:
        part: a `DepthEstimator` or a `ViewSynthesizer`.
        dataset: samples with truth, or what `load_dataset` takes.
        protocol: how to score; the default one for the kind of part.
        label: name of the part in the tables, by default its own.
        baselines: further parts of the same kind, by name.
        seed: run seed of parts that draw random numbers.
        progress: told about every item.

    Raises:
        InputError: a part of another kind, a protocol that does not fit it, or no item that can be scored.
    """
    samples = load_dataset(dataset) if isinstance(dataset, str | Path) else dataset
    kind, protocol, controls = _choose(part, protocol)
    parts: dict[str, Any] = {label or part.name: part, **(baselines or {})}
    make = depth_control if kind == "depth" else synthesis_control
    parts |= {name: make(name) for name in controls if name not in parts}
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    clock = Clock(f"evaluate {kind}", total=len(samples))
    complete = False
    try:
        for index, sample in enumerate(samples):
            try:
                rows += _score_item(parts, sample, protocol, seed)
            except SkippedItem as reason:
                skipped[sample.key] = str(reason)
            if progress is not None:
                progress(clock.at(index + 1, sample.key))
        complete = True
    except KeyboardInterrupt:
        if not rows:
            raise
    if not rows:
        reasons = "; ".join(f"{key}: {reason}" for key, reason in list(skipped.items())[:5]) or "it is empty"
        raise InputError(f"nothing to measure in {_name(samples)}: {reasons}")
    # an item is complete or not in the table at all, so that means compare the same items
    pooled = {name: protocol.pooled([row.figures for row in rows if row.part == name]) for name in parts}
    report = Report(
        title=f"{kind} {next(iter(parts))} on {_name(samples)}",
        protocol={"name": protocol.name, **asdict(protocol), "seed": seed},
        columns=protocol.columns,
        parts=list(parts),
        rows=rows,
        pooled=pooled,
        complete=complete,
    )
    return _with_remarks(report, kind, skipped)


def _choose(part: Any, protocol: Any) -> tuple[str, Any, Sequence[str]]:
    kind: str
    default: type[DepthProtocol] | type[SynthesisProtocol]
    controls: Sequence[str]
    if isinstance(part, DepthEstimator):
        kind, default, controls = "depth", DepthProtocol, DEPTH_CONTROLS
    elif isinstance(part, ViewSynthesizer):
        kind, default, controls = "synthesizer", SynthesisProtocol, SYNTHESIS_CONTROLS
    else:
        raise InputError(f"evaluate measures depth estimators and synthesizers, not {type(part).__name__}")
    protocol = default() if protocol is None else protocol
    if not isinstance(protocol, default):
        raise InputError(f"a {kind} is measured by a {default.__name__}, not by a {type(protocol).__name__}")
    return kind, protocol, controls


def _score_item(parts: Mapping[str, Any], sample: StereoSample, protocol: Any, seed: int) -> list[Row]:
    truth = protocol.truth(sample)
    rows = []
    for name, part in parts.items():
        started = time.perf_counter()
        output = _depth(part, truth) if isinstance(protocol, DepthProtocol) else _view(part, truth, sample.key, seed)
        seconds = time.perf_counter() - started
        rows.append(Row(sample.key, name, {**protocol.score(output, truth), "seconds": seconds}))
    return rows


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


def _with_remarks(report: Report, kind: str, skipped: Mapping[str, str]) -> Report:
    figure, column = ("abs_rel", "AbsRel") if kind == "depth" else ("psnr_inside", "PSNR inside")
    sign = -1 if kind == "depth" else 1
    part = report.parts[0]
    own = report.values(part, figure)
    remarks = []
    for other in report.parts[1:]:
        if other in ("warp", "constant"):
            continue
        theirs = report.values(other, figure)
        both = [key for key in own if own[key] == own[key] and theirs[key] == theirs[key]]
        better = sum(sign * (own[key] - theirs[key]) > 0 for key in both)
        gap = report.mean(part, figure) - report.mean(other, figure)
        unit = " dB" if kind == "synthesizer" else ""
        remarks.append(
            f"{part} is better than {other} in {column} on {better} of {len(both)} items; mean {gap:+.3f}{unit}"
        )
    if skipped:
        remarks.append("left out: " + "; ".join(f"{key} ({reason})" for key, reason in skipped.items()))
    return replace(report, remarks=remarks)
