"""What is printed: one row a synthesizer, and the differences to the row fill, seed by seed."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rows import STARTED, SUPERVISED, Run, result_file
from scores import FIGURES, keys_of
from tables import machine, markdown, spread

from wheatstone.files import write_bytes

REFERENCE = "rows"


def write_report(
    out: Path,
    options: argparse.Namespace,
    runs: Sequence[Run],
    labels: Mapping[str, float | None],
    controls: Mapping[str, Any],
    tests: Mapping[str, Any],
) -> str:
    """Write and return the tables of what is there so far."""
    results = [json.loads(file.read_text()) for run in runs if (file := result_file(out, run)).is_file()]
    lines = [_sentence(options, runs, results, tests), "", *_main_table(results, labels, controls, tests), ""]
    lines += _difference_table(results, tests)
    text = "\n".join(lines) + "\n"
    write_bytes(out / "table.md", text.encode())
    summary = {"runs": results, "label_agreement": labels, "controls": controls, "complete": len(results) == len(runs)}
    write_bytes(out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    return text


def _sentence(
    options: argparse.Namespace, runs: Sequence[Run], results: Sequence[Mapping[str, Any]], tests: Mapping[str, Any]
) -> str:
    rendered = f"{options.scenes} rendered left views of {options.size[1]} x {options.size[0]}"
    begins = "starts from semi-global matching" if options.matcher == STARTED else "starts from nothing"
    sizes = ", ".join(f"{len(keys_of(samples))} {name}" for name, samples in tests.items())
    cpu = options.device == "cpu"
    spent = sum((result["cpu_minutes"] if cpu else None) or result["minutes"] for result in results)
    return (
        f"{len(results)} of {len(runs)} runs, {options.steps} steps of {options.batch} crops of {options.crop[1]} x "
        f"{options.crop[0]} each; the matcher `{options.matcher}` has random weights and {begins}; one pair of each of "
        f"{options.photos or rendered}, depth by {options.estimator}; scored pairs: {sizes}, seen at {options.resolution:g} "
        f"of their size; {spent:.0f} {'CPU-' if cpu else ''}minutes of training on {machine(options)}"
    )


def _main_table(
    results: Sequence[Mapping[str, Any]],
    labels: Mapping[str, float | None],
    controls: Mapping[str, Any],
    tests: Mapping[str, Any],
) -> list[str]:
    columns = [(name, figure) for name in tests for figure in FIGURES]
    head = ["right views by", "seeds", "labels confirmed %", *(f"{name}: {FIGURES[f][0]} ↓" for name, f in columns)]
    rows = []
    for row in dict.fromkeys(result["row"] for result in results):
        same = [result for result in results if result["row"] == row]
        agreement = labels.get(row)
        title = "rendering: true right views and disparity" if row == SUPERVISED else row
        confirmed = "-" if agreement is None else f"{100 * agreement:.1f}"
        cells = [spread([s["figures"][name][f] for s in same], f) for name, f in columns]
        rows.append([title, str(len(same)), confirmed, *cells])
    for name, figures in controls.items():
        rows.append([f"control: {name}", "", "", *(spread([figures[test][f]], f) for test, f in columns)])
    return markdown(head, rows)


def _difference_table(results: Sequence[Mapping[str, Any]], tests: Mapping[str, Any]) -> list[str]:
    """The same seed sees the same pictures, disparities and crops in every row, so much of the spread drops out."""
    by_row: dict[str, dict[int, Any]] = {}
    for result in results:
        by_row.setdefault(result["row"], {})[result["seed"]] = result["figures"]
    columns = [(name, figure) for name in tests for figure in ("epe", "bad_3")]
    rows = []
    for row, figures in by_row.items():
        seeds = sorted(set(figures) & set(by_row.get(REFERENCE, {})))
        if row in (REFERENCE, SUPERVISED) or not seeds:
            continue
        gaps = {(n, f): [figures[s][n][f] - by_row[REFERENCE][s][n][f] for s in seeds] for n, f in columns}
        cells = [
            f"{spread(gap, key[1], sign='+')}, {sum(g < 0 for g in gap)} of {len(gap)}" for key, gap in gaps.items()
        ]
        rows.append([row, *cells])
    head = ["right views by", *(f"{name}: {FIGURES[f][0]}, better" for name, f in columns)]
    return (
        [f"Differences to {REFERENCE}, seed by seed (negative is better):", "", *markdown(head, rows)] if rows else []
    )
