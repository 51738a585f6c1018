"""Sparse truth with a monocular teacher (S2DKD), small: what each form of distillation changes for one matcher.

    python benchmarks/s2dkd OUT --minutes 10
    python benchmarks/s2dkd OUT --matcher narrow --minutes 60
    python benchmarks/s2dkd OUT --steps 5000 --batch 16 --scenes 3000 --size 320,480 --crop 160,256 --device cuda --workers 8

Every row fine-tunes the same matcher on rendered pairs of which a laser scanner measured some pixels below the horizon; dense
truth is held back for scoring. The matcher is the one that ships, without semi-global matching to start from, which would
hand its own edges through; or, `--matcher narrow`, a far narrower one, pre-trained here on pairs made of single rendered
views (`mono2stereo-pretrain-small`) and kept. Rows differ in the teacher and in the form of distillation alone: none (sparse
truth alone), true inverse depth spoilt as monocular maps are, and the embedded estimator. Seeds draw crops, order and scans.

Scored overall, within 5 px of a step of the true disparity, and above the highest scan line, where there never was a label. The
default variant is the one with the smallest end-point error in the edge band of the development scenes; the figures that
count are those of the fresh scenes, which the choice does not see. A finished run is a file OUT/results/*.json and is not made
again; OUT/table.md and OUT/summary.json are written after every run. With the same OUT a stopped series goes on.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "zerostereo_ablation"))

from measures import MOST_DEVELOPMENT, kitti_root, real_frames, scores_of, teacher_scores, test_scenes
from picture import picture as draw
from printed import write_report
from series import CROP_MULTIPLE, count, exit_code_of, finish_runs, height_width, how_options, keep, with_changes
from tables import machine
from trials import (
    DEFAULT,
    NARROW,
    PULL,
    SHIPPED,
    SHIPPED_MATCHER,
    SPARSE,
    Trial,
    base_of,
    fine_tunings,
    known_variants,
    pretraining,
    pull,
    setting,
    source_of,
)

from wheatstone.checkpoints import resolve_shipped
from wheatstone.cli.console import progress_bar
from wheatstone.errors import InputError
from wheatstone.files import write_bytes
from wheatstone.matching.embedded import EmbeddedMatcher
from wheatstone.training import train

STEPS_THAT_TIME = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing of the series and print its tables; an error says what to do and has exit code 2."""
    return exit_code_of(_series, _options(arguments))


def _series(options: argparse.Namespace) -> None:
    out: Path = options.out
    measured = {
        name: getattr(options, name) for name in ("development", "tests", "size", "spacing", "step", "mixed", "blur")
    }
    frames = real_frames(options)
    measured["frames"] = {name: list(found.keys) for name, found in frames.items()}
    keep(out / "tests.json", measured, f"{out} was measured on other scenes or frames: use a new folder")
    tests = test_scenes(options)
    teachers = out / "results" / "teachers.json"
    if not teachers.is_file():
        write_bytes(teachers, (json.dumps(teacher_scores(options, tests), indent=1) + "\n").encode())
    if options.report:
        steps = options.steps or int(_kept(out / "plan.json")["steps"])
        _show(out, options, fine_tunings(options, steps), tests)
        return
    base = _pretrained(options)
    before = out / "results" / f"before-{base_of(options)}.json"
    if not before.is_file():
        figures = scores_of(base, tests, frames, options.device)
        write_bytes(before, (json.dumps(figures, indent=1) + "\n").encode())
    steps = options.steps or _planned_steps(options, base)
    runs = fine_tunings(options, steps)

    def make(run: Any) -> dict[str, Any]:
        weights, minutes, losses = _trained(run, options, base)
        figures = scores_of(weights, tests, frames, options.device)
        if not options.keep:
            shutil.rmtree(weights.parent)
        facts = {"depth": run.depth, "row": run.row, "seed": run.seed, "steps": steps, "figures": _shown(figures)}
        return {
            **facts,
            "minutes": minutes,
            "losses": losses,
            "machine": machine(options),
            "recipe": run.recipe.as_dict(),
        }

    finish_runs(out, runs, make, lambda: write_report(out, options, runs))
    _show(out, options, runs, tests)


def _show(out: Path, options: argparse.Namespace, runs: Sequence[Trial], tests: Any) -> None:
    print(write_report(out, options, runs))
    if options.picture is None:
        return
    shown = [next((run for run in runs if run.row == row), None) for row in (SPARSE, DEFAULT)]
    weights = [_place_of(run, out) / "matcher" for run in shown if run is not None]
    if len(weights) < len(shown) or not all(place.is_dir() for place in weights):
        raise InputError(f"--picture needs the weights of {SPARSE!r} and {DEFAULT!r}: make the series with --keep")
    draw(options.picture, tests["fresh"], *weights)


def _place_of(run: Trial, out: Path) -> Path:
    return out / "runs" / run.name


def _shown(figures: dict[str, Any]) -> dict[str, Any]:
    """The same, with the overall error where the series looks for it when it says how far it is."""
    return {name: {"epe": rows.get("all/epe", rows.get("epe")), **rows} for name, rows in figures.items()}


def _pretrained(options: argparse.Namespace) -> Path:
    """Weights that every row starts from; trained once for a folder, or those that ship."""
    if options.matcher == SHIPPED:
        folder = options.out / "pretrained" / SHIPPED
        EmbeddedMatcher.from_pretrained(resolve_shipped("embedded-matcher"), **SHIPPED_MATCHER.options).save_pretrained(
            folder
        )
        return folder
    trial = pretraining(options)
    place, facts = options.out / "pretrained" / trial.name, options.out / "pretrained" / f"{trial.name}.json"
    if facts.is_file():
        return place / "matcher"
    now = _clock(options)
    began = now()
    source = source_of(trial, options.out / "cache")
    with progress_bar() as progress:
        source.fill(progress)  # type: ignore[attr-defined]
        show = progress if options.verbose else None
        result = train(trial.recipe, source, place, resume=True, progress=show, device=options.device)
    write_bytes(
        facts, (json.dumps({"minutes": round((now() - began) / 60, 2), "losses": result.losses}) + "\n").encode()
    )
    return result.parts["matcher"]


def _trained(
    run: Trial, options: argparse.Namespace, base: Path, steps: int | None = None
) -> tuple[Path, float | None, Any]:
    """Weights of a fine-tuning, the minutes it took (None if it went on where it was stopped), its last losses."""
    folder, now = _place_of(run, options.out), _clock(options)
    resumed, began = folder.exists(), now()
    recipe = run.recipe.with_changes(start={"matcher": str(base)}, **({} if steps is None else {"steps": steps}))
    source = source_of(run, options.out / "cache")
    with progress_bar() as progress:
        show = progress if options.verbose else None
        options_of_run = {"device": options.device, "workers": options.workers}
        result = train(recipe, source, folder, resume=True, progress=show, **options_of_run)
    return result.parts["matcher"], None if resumed else round((now() - began) / 60, 2), dict(result.losses)


def _planned_steps(options: argparse.Namespace, base: Path) -> int:
    """Steps a run so that what is left of `--minutes` holds all; decided once for a folder."""
    file = options.out / "plan.json"
    if file.is_file():
        return int(_kept(file)["steps"])
    now, seconds = _clock(options), []
    trials = with_changes(options, first_seed=10**6, seeds=1)
    runs = fine_tunings(trials, STEPS_THAT_TIME)
    for steps in (1, STEPS_THAT_TIME):
        began = now()
        weights, _, _ = _trained(runs[min(1, len(runs) - 1)], options, base, steps)
        seconds.append(now() - began)
        shutil.rmtree(weights.parent)
    step = max(1e-3, (seconds[1] - seconds[0]) / (STEPS_THAT_TIME - 1))
    spent = (
        0.0 if options.matcher == SHIPPED else _kept(options.out / "pretrained" / f"{base_of(options)}.json")["minutes"]
    )
    share = 60 * max(0.0, options.minutes - spent) / (len(runs) * options.seeds)
    steps = max(2, int((share - max(0.0, seconds[0] - step)) / step))
    print(f"{len(runs) * options.seeds} runs of {steps} steps, {step:.2f} s a step", flush=True)
    write_bytes(file, json.dumps({"steps": steps, "seconds_a_step": step}).encode())
    return steps


def _kept(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"{file}: not there yet; run the series without --report first")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _clock(options: argparse.Namespace) -> Callable[[], float]:
    return time.process_time if options.device == "cpu" else time.perf_counter


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the series; give it again to go on")
    size = parser.add_argument_group("size")
    size.add_argument(
        "--minutes", type=float, default=30.0, help="CPU-minutes of all trainings (with --device: minutes)"
    )
    size.add_argument("--steps", type=count, help="steps of every fine-tuning, instead of what fits into --minutes")
    size.add_argument("--pretrain-steps", type=count, default=800)
    size.add_argument(
        "--pretrain-scenes", type=count, default=200, help="rendered views the first stage makes pairs of"
    )
    size.add_argument("--seeds", type=count, default=3)
    size.add_argument("--first-seed", type=count, default=0)
    size.add_argument("--scenes", type=count, default=100, help="rendered pairs to fine-tune on")
    size.add_argument("--size", type=height_width, default=(96, 160), help="height,width of scenes, px")
    size.add_argument("--batch", type=count, default=2)
    size.add_argument("--crop", type=height_width, default=(64, 128), help="height,width of a training crop, px")
    size.add_argument("--development", type=count, default=8, help="held-out scenes to choose the default on")
    size.add_argument("--tests", type=count, default=16, help="other held-out scenes, whose figures are reported")
    what = parser.add_argument_group("what")
    known = known_variants()
    what.add_argument(
        "--matcher",
        choices=(NARROW, SHIPPED),
        default=SHIPPED,
        help="what is fine-tuned: the narrow one after the first stage, or the one that ships, without its start",
    )
    what.add_argument("--variants", nargs="*", choices=known, default=known, help="with the spoilt true depth")
    what.add_argument("--estimated-variants", nargs="*", choices=known, default=[DEFAULT])
    what.add_argument("--no-dense", dest="dense", action="store_false", help="leave the row with dense truth out")
    what.add_argument("--spacing", type=float, default=3.0, help="of the scan lines, degrees")
    what.add_argument("--step", type=float, default=1.2, help="of the shots along a line, degrees")
    what.add_argument("--mixed", type=count, default=1, help="shots this near to a depth step do not come back, px")
    what.add_argument(
        "--blur", type=float, default=15 / 1242, help="of depth edges in the spoilt depth, share of the width"
    )
    what.add_argument(
        "--pull",
        type=pull,
        nargs="+",
        default=[("", PULL)],
        metavar="[VARIANT=]SHARE",
        help="gradient of the teacher as a share of that of the truth, of all variants and of single ones",
    )
    what.add_argument(
        "--set",
        type=setting,
        nargs="*",
        default=[],
        metavar="[VARIANT:]NAME=JSON",
        help="further settings of S2DKD, of all variants and of single ones",
    )
    what.add_argument(
        "--kitti", default=kitti_root(), help="folder that holds kitti2012 and kitti2015, to score as well"
    )
    how = how_options(parser, lr=1e-3, precision="no")
    how.add_argument("--picture", type=Path, help="draw sparse truth alone and the default variant; needs --keep")
    how.add_argument("--report", action="store_true", help="only print the tables of the runs that are there")
    options = parser.parse_args(arguments)
    counts = (
        "seeds",
        "steps",
        "pretrain_steps",
        "pretrain_scenes",
        "scenes",
        "batch",
        "development",
        "tests",
        "threads",
    )
    if 0 in (getattr(options, name) for name in counts):
        parser.error("only --workers, --mixed and --first-seed may be 0")
    if options.development > MOST_DEVELOPMENT:
        parser.error(f"--development: at most {MOST_DEVELOPMENT}; beyond lie the fresh scenes")
    if options.minutes <= 0 or options.lr <= 0 or options.blur < 0:
        parser.error("--minutes and --lr must be positive, --blur not negative")
    if options.picture is not None and not (options.keep or options.report):
        parser.error("--picture draws with the weights: give --keep, too")
    if options.crop[0] % CROP_MULTIPLE or options.crop[1] % CROP_MULTIPLE:
        parser.error(f"the sides of --crop must be multiples of {CROP_MULTIPLE}")
    return options


if __name__ == "__main__":
    sys.exit(main())
