"""What is printed: means and spreads over seeds, and differences seed by seed."""

import argparse
import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rows import ROWS, STARTED, SUPERVISED, Run, result_file
from scores import FIGURES, keys_of

from wheatstone.files import write_bytes


def write_report(
    out: Path, options: argparse.Namespace, runs: Sequence[Run], controls: Mapping[str, Any], tests: Mapping[str, Any]
) -> str:
    """Write and return the tables of what is there so far."""
    results = [json.loads(file.read_text()) for run in runs if (file := result_file(out, run)).is_file()]
    lines = [_sentence(options, runs, results, tests), "", *_main_table(options, results, controls, tests), ""]
    lines += _difference_table(results, tests)
    text = "\n".join(lines) + "\n"
    write_bytes(out / "table.md", text.encode())
    summary = {"runs": results, "controls": dict(controls), "complete": len(results) == len(runs)}
    write_bytes(out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    return text


def _sentence(
    options: argparse.Namespace, runs: Sequence[Run], results: Sequence[Mapping[str, Any]], tests: Mapping[str, Any]
) -> str:
    rendered = f"{options.scenes} rendered left views of {options.size[1]} x {options.size[0]}"
    pictures = str(options.photos) if options.photos else rendered
    made = f"{options.draws} pairs of each" if options.draws else "a new pair every time"
    begins = "starts from semi-global matching" if options.matcher == STARTED else "starts from nothing"
    sizes = ", ".join(f"{len(keys_of(samples))} {name}" for name, samples in tests.items())
    seen = f"seen at {options.resolution:g} of their size"
    cpu, pairs = options.device == "cpu", options.out / "pairs.json"
    spent = sum(_minutes(results, cpu))
    making = json.loads(pairs.read_text())["cpu_minutes"] if pairs.is_file() else 0.0
    return (
        f"{len(results)} of {len(runs)} runs, {runs[0].recipe.steps} steps of {options.batch} crops of {options.crop[1]} x "
        f"{options.crop[0]} each; the matcher `{options.matcher}` has random weights and {begins}; pictures: {pictures}, {made}; "
        f"fill {options.filler}; true depth degraded by {options.degrade:g}; scored pairs: {sizes}, {seen}; "
        f"{spent:.0f} {'CPU-' if cpu else ''}minutes of training and {making:.0f} CPU-minutes of making pairs on "
        f"{machine(options)}"
    )


def _main_table(
    options: argparse.Namespace,
    results: Sequence[Mapping[str, Any]],
    controls: Mapping[str, Any],
    tests: Mapping[str, Any],
) -> list[str]:
    head = [
        "depth",
        "row",
        "seeds",
        *(f"{name}: {FIGURES[f][0]} ↓" for name in tests for f in FIGURES),
        ("CPU-" if options.device == "cpu" else "") + "min a run",
    ]
    rows = []
    for depth in dict.fromkeys(result["depth"] for result in results):
        for row in [*ROWS, SUPERVISED]:
            if same := _of(results, depth, row):
                title = ROWS[row].title if row in ROWS else "true right views and disparity, supervised"
                cells = [spread([s["figures"][n][f] for s in same], f) for n in tests for f in FIGURES]
                took = _minutes(same, options.device == "cpu")
                rows.append([depth, title, str(len(same)), *cells, f"{statistics.fmean(took):.1f}" if took else "-"])
    for name, figures in controls.items():
        cells = [spread([figures[n][f]], f) for n in tests for f in FIGURES]
        rows.append(["", f"control: {name}", "", *cells, ""])
    return markdown(head, rows)


def _minutes(results: Sequence[Mapping[str, Any]], cpu: bool) -> list[float]:
    """What runs took; the CPU time of a run that was stopped and went on is not known."""
    known = (result["cpu_minutes" if cpu else "minutes"] for result in results)
    return [minutes for minutes in known if minutes is not None]


def _difference_table(results: Sequence[Mapping[str, Any]], tests: Mapping[str, Any]) -> list[str]:
    """What a row changes against the one it builds on, seed by seed: the spread of the seeds that both share drops out."""
    head = ["depth", "added", "to", *(f"{name}: {FIGURES[f][0]}, better" for name in tests for f in ("epe", "bad_3"))]
    rows = []
    for depth in dict.fromkeys(result["depth"] for result in results):
        for row, variant in ROWS.items():
            new = {result["seed"]: result["figures"] for result in _of(results, depth, row)}
            old = {result["seed"]: result["figures"] for result in _of(results, depth, variant.before)}
            if seeds := sorted(set(new) & set(old)):
                cells = []
                for name in tests:
                    for figure in ("epe", "bad_3"):
                        gaps = [new[seed][name][figure] - old[seed][name][figure] for seed in seeds]
                        better = sum(gap < 0 for gap in gaps)
                        cells.append(f"{spread(gaps, figure, sign='+')}, {better} of {len(gaps)}")
                rows.append([depth, variant.title, variant.before, *cells])
    return ["Differences seed by seed (negative is better):", "", *markdown(head, rows)] if rows else []


def _of(results: Sequence[Mapping[str, Any]], depth: str, row: str) -> list[Mapping[str, Any]]:
    return [result for result in results if (result["depth"], result["row"]) == (depth, row)]


def spread(values: Sequence[float], figure: str, sign: str = "") -> str:
    """Mean ± sample standard deviation, in the unit of the table."""
    _, unit, digits = FIGURES[figure]
    known = [unit * value for value in values if not math.isnan(value)]
    if not known:
        return "-"
    mean = f"{statistics.fmean(known):{sign}.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else mean


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def machine(options: argparse.Namespace) -> str:
    if options.device != "cpu":
        return f"one {torch.cuda.get_device_name()}, torch {torch.__version__}"
    architecture = platform.machine().replace("_", "-")
    plural = "s" if options.threads > 1 else ""
    return f"{options.threads} thread{plural} of a {os.cpu_count()}-core {architecture} CPU, torch {torch.__version__}"
