"""The ablation of ZeroStereo (Table 1 of the paper), small: what each step of its data and loss changes for one matcher.

    python benchmarks/zerostereo_ablation OUT --minutes 10
    python benchmarks/zerostereo_ablation OUT --steps 20000 --batch 16 --scenes 5000 --draws 0 --device cuda --workers 8
    python benchmarks/zerostereo_ablation OUT --photos FOLDER --minutes 600

Every row trains the same network from random weights, on the same pictures, for equally many steps of equal size, with several
seeds; only what the row names differs. All rows are scored on the same pairs: real ones with truth (`--real`) and
rendered scenes that no training sees. Beside them: semi-global matching, the best constant, the network untrained, and the
network trained on true pairs of the same scenes. The default network is given the answer of semi-global matching and mends
it, so a few hundred steps say something; `--matcher embedded`, `raft` and `igev` start from nothing and need thousands.

Pictures are the left views of rendered scenes, with the depth of the embedded estimator (`estimated`) or with true depth
spoilt as an estimator would (`degraded`), or photos. A few pairs of each picture, at scales of their own, are made ahead
and shared by rows and seeds. A finished run is a file OUT/results/*.json and is not made again;
OUT/table.md and OUT/summary.json are written after every run. With the same OUT a stopped series goes on.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pairs import SeriesPairs
from rows import MATCHERS, ROWS, all_runs
from scores import control_figures, keys_of, scores_of, test_pairs
from series import (
    CROP_MULTIPLE,
    count,
    exit_code_of,
    finish_runs,
    height_width,
    how_options,
    keep,
    real_pairs,
    result_of,
    source_of,
    train_run,
    with_changes,
)
from tables import write_report

from wheatstone.cli.console import progress_bar
from wheatstone.files import write_bytes
from wheatstone.matching import load_matcher
from wheatstone.training.scene_pairs import ScenePairs

STEPS_THAT_TIME = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing of the series and print its tables; an error says what to do and has exit code 2."""
    return exit_code_of(_series, _options(arguments))


def _series(options: argparse.Namespace) -> None:
    out: Path = options.out
    tests = test_pairs(options)
    keys = {name: keys_of(samples) for name, samples in tests.items()}
    measured = {"pairs": keys, "resolution": options.resolution}
    keep(out / "tests.json", measured, f"{out} was measured on other pairs: use a new folder")
    controls = control_figures(options, tests)
    if not options.report:
        _make_pairs(options)
    steps = options.steps or _planned_steps(options, tests)
    runs = all_runs(options, steps)
    if options.report:
        print(write_report(out, options, runs, controls, tests))
        return

    def report() -> str:
        return write_report(out, options, runs, controls, tests)

    finish_runs(out, runs, lambda run: result_of(run, options, tests), report)
    print(write_report(out, options, runs, controls, tests))


def _make_pairs(options: argparse.Namespace) -> None:
    """Make what all seeds share; a second call finds it there."""
    file, began = options.out / "pairs.json", time.process_time()
    before = json.loads(file.read_text())["cpu_minutes"] if file.is_file() else 0.0
    for run in all_runs(with_changes(options, seeds=1), 2):
        source = source_of(run, options)
        with progress_bar() as progress:
            if isinstance(source, SeriesPairs):
                source.fill(progress)
            elif isinstance(source, ScenePairs):
                source.scenes.fill(progress=progress)
    minutes = before + (time.process_time() - began) / 60
    write_bytes(file, (json.dumps({"cpu_minutes": round(minutes, 2)}) + "\n").encode())


def _planned_steps(options: argparse.Namespace, tests: Mapping[str, Any]) -> int:
    """Steps a run so that the whole series takes `--minutes`; decided once for a folder, from the costliest row."""
    file = options.out / "plan.json"
    if file.is_file():
        return int(json.loads(file.read_text())["steps"])
    now: Callable[[], float] = time.process_time if options.device == "cpu" else time.perf_counter
    runs = all_runs(options, STEPS_THAT_TIME)
    trial = next((run for run in runs if run.row == "full"), runs[-1])
    seconds = []
    for steps in (1, STEPS_THAT_TIME):
        folder, began = options.out / "trial", now()
        weights = train_run(trial, options, folder, steps)
        seconds.append(now() - began)
        began = now()
        scores_of(load_matcher(str(weights)).to(device=options.device), tests, options.resolution)
        scoring = now() - began
        shutil.rmtree(folder)
    step = (seconds[1] - seconds[0]) / (STEPS_THAT_TIME - 1)
    made = json.loads((options.out / "pairs.json").read_text())["cpu_minutes"]
    share = 60 * max(0.0, options.minutes - made) / len(runs)  # of one run
    steps = max(2, int((share - scoring - max(0.0, seconds[0] - step)) / step))
    print(f"{len(runs)} runs of {steps} steps: {step:.2f} s a step, {scoring:.0f} s to score", flush=True)
    write_bytes(file, json.dumps({"steps": steps, "seconds_a_step": step}).encode())
    return steps


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the series; give it again to go on")
    size = parser.add_argument_group("size")
    size.add_argument(
        "--minutes", type=float, default=30.0, help="CPU-minutes of the whole series (with --device: minutes)"
    )
    size.add_argument("--steps", type=count, help="steps of every run, instead of what fits into --minutes")
    size.add_argument("--seeds", type=count, default=3)
    size.add_argument("--scenes", type=count, default=100, help="rendered pictures to train on")
    size.add_argument("--size", type=height_width, default=(128, 224), help="their height,width, px")
    size.add_argument(
        "--draws", type=count, default=2, help="pairs kept of every picture; 0 makes a new one every time"
    )
    size.add_argument("--batch", type=count, default=4)
    size.add_argument("--crop", type=height_width, default=(64, 160), help="height,width of a training crop, px")
    size.add_argument("--tests", type=count, default=12, help="held-out scenes to score")
    size.add_argument("--resolution", type=float, default=0.5, help="of the views a matcher sees when it is scored")
    what = parser.add_argument_group("what")
    what.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    what.add_argument("--estimated-rows", nargs="+", choices=list(ROWS), help="fewer rows for estimated depth")
    what.add_argument("--depth", nargs="+", choices=("degraded", "estimated"), default=["degraded", "estimated"])
    what.add_argument("--degrade", type=float, default=2.0, help="how far true depth is spoilt; 0 is exact")
    what.add_argument("--estimator", default="embedded", help="depth estimator of `estimated`")
    what.add_argument("--photos", type=Path, help="train on these photos instead of rendered views")
    what.add_argument("--max-side", type=int, default=640, help="photos are reduced to this, px")
    what.add_argument("--range", help="rule of the rows without ADS, by default as in stereo from mono")
    what.add_argument(
        "--filler", default="embedded", help="paints holes: rows, embedded, a folder, or zerostereo=FOLDER"
    )
    what.add_argument("--matcher", choices=list(MATCHERS), default="started")
    what.add_argument("--real", default=real_pairs(), help="real pairs with truth, as `load_dataset` takes them")
    what.add_argument("--no-supervised", dest="supervised", action="store_false", help="leave that row out")
    how = how_options(parser, lr=5e-4, precision="bf16")
    how.add_argument("--report", action="store_true", help="only print the tables of the runs that are there")
    options = parser.parse_args(arguments)
    if options.minutes <= 0 or options.lr <= 0 or options.degrade < 0 or options.resolution <= 0:
        parser.error("--minutes, --lr and --resolution must be positive, --degrade not negative")
    if 0 in (options.seeds, options.steps, options.scenes, options.batch, options.tests, options.threads):
        parser.error("only --draws and --workers may be 0")
    if options.crop[0] % CROP_MULTIPLE or options.crop[1] % CROP_MULTIPLE:
        parser.error(f"the sides of --crop must be multiples of {CROP_MULTIPLE}")
    if options.photos is not None and not options.photos.exists():
        parser.error(f"--photos {options.photos}: no such file or folder")
    return options


if __name__ == "__main__":
    sys.exit(main())
