"""Is a generated data set any good? How far a stereo matcher, which never saw the labels, finds them in the pictures.

What the figure says and what it cannot: `evaluation.consistency`. Compare samples, or data sets, under one matcher.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from wheatstone.datasets import layout
from wheatstone.datasets.lock import FolderLock
from wheatstone.datasets.own import OwnDataset
from wheatstone.errors import DatasetError, InputError
from wheatstone.evaluation.consistency import pair_consistency
from wheatstone.files import write_bytes
from wheatstone.files.atomic import output_errors
from wheatstone.generation.generator import torch_threads
from wheatstone.matching.base import StereoMatcher
from wheatstone.progress import Clock, ProgressCallback

__all__ = ["FIGURE", "HEADER_ENTRY", "LabelCheck", "check_labels"]

FIGURE = "label_agreement"
HEADER_ENTRY = "label_check"
PARTIAL = "label_agreement.jsonl"
_NEEDED = ("left", "right", "disparity", "mask_nocc")


@dataclass(frozen=True)
class LabelCheck:
    """What a call of `check_labels` found.

    Attributes:
        matcher: name of the matcher.
        samples: samples that have the figure now.
        checked: those this call matched.
        mean: mean agreement over the samples, 0..1; None when no sample has visible pixels.
        seconds: wall time of this call.
    """

    matcher: str
    samples: int
    checked: int
    mean: float | None
    seconds: float


def check_labels(
    folder: str | Path,
    matcher: StereoMatcher,
    *,
    threshold_px: float | int = 1,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> LabelCheck:
    """Add `label_agreement` to the quality figures of every sample of a data set in our format; nothing else changes.

    The figure does not depend on how a sample was made and the sample not on the figure, so the data set's configuration and its
    digest stay as they are; `dataset.json` names the matcher under `label_check`. Interrupted, the next call goes on; with
    another matcher or threshold every sample is matched again.

    Args:
        folder: the data set.
        matcher: any matcher; weights and settings are part of `label_check`.
        threshold_px: how far prediction and label may differ.
        workers: samples under way at once; by default one a CPU core, or one on a GPU.
        progress: called after every sample.

    Raises:
        DatasetError: no data set of ours, or one whose samples lack views, disparity or visibility.
        InputError: a threshold that is not positive.
        OutputError: the folder is in use or cannot be written.
    """
    if not threshold_px > 0:
        raise InputError(f"the threshold of label agreement must be positive, got {threshold_px}")
    started = time.monotonic()
    folder = Path(folder)
    OwnDataset(folder)  # complains before a lock file is made in a folder of something else
    lock = FolderLock(folder)
    try:
        dataset = OwnDataset(folder)
        check = _describe(matcher, float(threshold_px))
        known = _known(dataset, check["sha256"])
        todo = [key for key in dataset.keys if key not in known]
        clock = Clock("check labels", len(dataset), len(dataset) - len(todo))
        _match_all(dataset, todo, known, matcher, check, workers or _workers(matcher), clock, progress)
        mean = _finish(dataset, known, check)
    finally:
        lock.release()
    return LabelCheck(matcher.name, len(known), len(todo), mean, time.monotonic() - started)


def _describe(matcher: StereoMatcher, threshold_px: float) -> dict[str, Any]:
    """What a figure depends on beside the sample, and its digest."""
    dtype = str(matcher.dtype).removeprefix("torch.")
    check = {"matcher": {**matcher.fingerprint(), "dtype": dtype}, "threshold_px": threshold_px}
    return {**check, "sha256": sha256(layout.canonical_json(check).encode()).hexdigest()}


def _known(dataset: OwnDataset, digest: str) -> dict[str, float | None]:
    """Figures of this very check: those in the manifest, and those an interrupted call left behind."""
    known: dict[str, float | None] = {}
    if dataset.header.get(HEADER_ENTRY, {}).get("sha256") == digest:
        known = {key: line["quality"][FIGURE] for key, line in dataset.lines.items() if FIGURE in line["quality"]}
    for line in layout.read_lines(dataset.folder / PARTIAL, torn="drop"):
        if line.get("check") == digest and line["key"] in dataset.lines:
            known[line["key"]] = line[FIGURE]
    return known


def _match_all(
    dataset: OwnDataset,
    todo: list[str],
    known: dict[str, float | None],
    matcher: StereoMatcher,
    check: Mapping[str, Any],
    workers: int,
    clock: Clock,
    progress: ProgressCallback | None,
) -> None:
    """Match what is missing; every figure is on the disk before the next is waited for."""
    partial = dataset.folder / PARTIAL
    with output_errors(partial):
        lines = (_line(key, value, check) for key, value in known.items())
        write_bytes(partial, "".join(lines).encode(errors="backslashreplace"))

    def one(key: str) -> float | None:
        return _one(dataset, key, matcher, check["threshold_px"])

    with torch_threads(1 if workers > 1 else torch.get_num_threads()):
        pool = ThreadPoolExecutor(workers)
        try:
            for key, value in zip(todo, pool.map(one, todo), strict=True):
                known[key] = value
                with output_errors(partial), partial.open("ab") as stream:
                    stream.write(_line(key, value, check).encode(errors="backslashreplace"))
                if progress is not None:
                    progress(clock.at(len(known), key))
        finally:
            pool.shutdown(cancel_futures=True)


def _one(dataset: OwnDataset, key: str, matcher: StereoMatcher, threshold_px: float) -> float | None:
    """Share of the pixels seen in both views where the matcher finds the label; None without such pixels."""
    line = dataset.lines[key]
    if missing := [name for name in _NEEDED if name not in line["files"]]:
        raise DatasetError(f"{dataset.folder}: {key} has no {missing[0]}, so its label cannot be checked")
    sample = dataset.assemble(line, {name: dataset.decode(line, name) for name in _NEEDED})
    found = (sample.disparity, sample.valid, sample.visible)
    disparity, valid, visible = (map_[None] for map_ in found if map_ is not None)
    left, right = (sample.views[name][None] for name in ("left", "right"))
    baseline = float(line["baselines"]["right"]["nominal"])
    bad = pair_consistency(matcher, left, right, disparity * baseline, valid & visible, threshold_px)["bad"]
    return None if math.isnan(bad) else round(1 - bad, 6)


def _finish(dataset: OwnDataset, known: Mapping[str, float | None], check: Mapping[str, Any]) -> float | None:
    """Put the figures into the manifest, then the check into the header, then drop the list of partial results."""
    values = [value for value in known.values() if value is not None]
    mean = sum(values) / len(values) if values else None
    lines = [
        {**line, "quality": {**line["quality"], FIGURE: known[key]}} for key, line in sorted(dataset.lines.items())
    ]
    text = "".join(f"{layout.canonical_json(line)}\n" for line in lines)
    write_bytes(dataset.folder / layout.MANIFEST, text.encode(errors="backslashreplace"))
    entry = {**check, "samples": len(known), "mean": None if mean is None else round(mean, 6)}
    header = json.dumps({**dataset.header, HEADER_ENTRY: entry}, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(dataset.folder / layout.HEADER, (header + "\n").encode())
    with output_errors(dataset.folder / PARTIAL):
        (dataset.folder / PARTIAL).unlink(missing_ok=True)
    return mean


def _line(key: str, value: float | None, check: Mapping[str, Any]) -> str:
    return layout.canonical_json({"key": key, FIGURE: value, "check": check["sha256"]}) + "\n"


def _workers(matcher: StereoMatcher) -> int:
    if matcher.device.type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
