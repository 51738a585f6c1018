"""What is printed: means and spreads over seeds, differences to sparse truth alone, and which variant is the default."""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measures import EDGE_PX, FIGURES, REGIONS, STEP_PX, columns
from rows import result_file
from tables import machine, markdown
from trials import BEFORE, DEFAULT, PLAIN, SHIPPED, SPARSE, TEACHERS, Trial, base_of

from wheatstone.files import write_bytes

CHANGES = (*(f"{region}/epe" for region in REGIONS), "edge/bad_2")
"""Figures whose change is printed, in per cent of themselves."""

Results = dict[tuple[str, str], list[Mapping[str, Any]]]


def write_report(out: Path, options: argparse.Namespace, runs: Sequence[Trial]) -> str:
    """Write and return the tables of what is there so far."""
    done = [json.loads(file.read_text()) for run in runs if (file := result_file(out, run)).is_file()]
    file = out / "results" / f"before-{base_of(options)}.json"
    before = json.loads(file.read_text()) if file.is_file() else None
    grouped: Results = {}
    for result in done:
        grouped.setdefault((result["depth"], result["row"]), []).append(result)
    file = out / "results" / "teachers.json"
    teachers = json.loads(file.read_text()) if file.is_file() else {}
    lines = [_sentence(out, options, runs, done), ""]
    lines += _table("fresh", grouped, before, columns(), teachers)
    lines += ["", *_differences(grouped), "", *_choice(grouped, before, teachers)]
    if before and all("kitti" in figures for figures in (before, *(result["figures"] for result in done))):
        lines += ["", "Two real KITTI frames, seen at a quarter of their size (a sanity check, not a benchmark):", ""]
        lines += _table("kitti", grouped, before, ["epe", "bad_3"])
    text = "\n".join(lines) + "\n"
    write_bytes(out / "table.md", text.encode())
    summary = {"runs": done, "before": before, "complete": len(done) == len(runs)}
    write_bytes(out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    return text


def _sentence(out: Path, options: argparse.Namespace, runs: Sequence[Trial], done: Sequence[Mapping[str, Any]]) -> str:
    base = out / "pretrained" / f"{base_of(options)}.json"
    first = json.loads(base.read_text())["minutes"] if base.is_file() else 0.0
    spent = sum(result["minutes"] or 0.0 for result in done)
    steps = runs[0].recipe.steps if runs else 0
    size, crop = options.size, options.crop
    unit = "CPU-minutes" if options.device == "cpu" else "minutes"
    views = f"pairs made of {options.pretrain_scenes} rendered views of {size[1]} x {size[0]}"
    narrow = f"one narrow matcher pre-trained for {options.pretrain_steps} steps on {views}"
    what = "the matcher that ships, without its start" if options.matcher == SHIPPED else narrow
    return (
        f"{len(done)} of {len(runs)} runs: {what}, then {steps} steps of {options.batch} crops of "
        f"{crop[1]} x {crop[0]} on {options.scenes} scanned scenes; scored on {options.tests} fresh and {options.development} "
        f"development scenes, no sky; edge band: within {EDGE_PX} px of a step of {STEP_PX:g} px; without labels: above the "
        f"highest scan line; {first + spent:.0f} {unit} of training on {machine(options)}"
    )


def _title(key: tuple[str, str]) -> list[str]:
    teacher, row = key
    return [TEACHERS.get(teacher, "-"), PLAIN.get(row, f"`{row}`")]


def _table(
    test: str,
    grouped: Results,
    before: Mapping[str, Any] | None,
    names: Sequence[str],
    teachers: Mapping[str, Any] | None = None,
) -> list[str]:
    rows = []
    for name, figures in (teachers or {}).items():
        rows.append([TEACHERS[name], "the teacher itself", "", *(_spread([figures[test][n]], n) for n in names)])
    if before is not None:
        rows.append([*_title(("none", BEFORE)), "", *(_spread([before[test][name]], name) for name in names)])
    for key, results in grouped.items():
        cells = [_spread([result["figures"][test][name] for result in results], name) for name in names]
        rows.append([*_title(key), str(len(results)), *cells])
    return markdown(["teacher", "distillation", "seeds", *(f"{_heading(name)} ↓" for name in names)], rows)


def _differences(grouped: Results) -> list[str]:
    """Against sparse truth alone with the same seed: crops and scans are the same, so much of the spread drops out."""
    plain = {result["seed"]: result["figures"]["fresh"] for result in grouped.get(("none", SPARSE), [])}
    rows = []
    for key, results in grouped.items():
        own = {result["seed"]: result["figures"]["fresh"] for result in results if result["seed"] in plain}
        if key == ("none", SPARSE) or not own:
            continue
        cells = []
        for name in CHANGES:
            gaps = [100 * (own[seed][name] / plain[seed][name] - 1) for seed in own]
            better = sum(gap < 0 for gap in gaps)
            spread = f" ± {statistics.stdev(gaps):.1f}" if len(gaps) > 1 else ""
            cells.append(f"{statistics.fmean(gaps):+.1f}{spread} %, {better} of {len(gaps)}")
        rows.append([*_title(key), *cells])
    heads = [f"{_heading(name).removesuffix(' px').removesuffix(' %')}, better" for name in CHANGES]
    if not rows:
        return []
    text = "Change against sparse truth alone, seed by seed (negative is better):"
    return [text, "", *markdown(["teacher", "distillation", *heads], rows)]


def _choice(grouped: Results, before: Mapping[str, Any] | None, teachers: Mapping[str, Any]) -> list[str]:
    """Which variant the development scenes choose."""
    names = [f"{region}/epe" for region in REGIONS]
    lines = ["Development scenes, on which the default is chosen:", ""]
    lines += _table("development", grouped, before, names, teachers)
    spoilt = {
        row: statistics.fmean(result["figures"]["development"]["edge/epe"] for result in results)
        for (teacher, row), results in grouped.items()
        if teacher == "spoilt"
    }
    if spoilt:
        best = min(spoilt, key=lambda row: spoilt[row])
        lines += ["", f"Smallest end-point error in the edge band there: `{best}`; the default is `{DEFAULT}`."]
    return lines


def _heading(name: str) -> str:
    region, _, figure = name.rpartition("/")
    label = {"bad_3": "bad-3 %"}.get(figure) or FIGURES[figure][0]
    return f"{REGIONS[region]}: {label}" if region else label


def _spread(values: Sequence[float], name: str) -> str:
    figure = name.rpartition("/")[2]
    _, unit, digits = FIGURES.get(figure, FIGURES["bad_2"])
    scaled = [unit * value for value in values]
    mean = f"{statistics.fmean(scaled):.{digits}f}"
    return f"{mean} ± {statistics.stdev(scaled):.{digits}f}" if len(scaled) > 1 else mean
