"""What the series of trainings here share: runs that are made once, the same pairs every time, options of the command line."""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rows import Run, result_file
from scores import scores_of
from tables import machine

from wheatstone.cli.console import progress_bar
from wheatstone.errors import InputError, WheatstoneError
from wheatstone.files import write_bytes
from wheatstone.matching import load_matcher
from wheatstone.progress import Clock
from wheatstone.training import train
from wheatstone.training.order import DataSource

CROP_MULTIPLE = 32


def exit_code_of(series: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Make a series on so many threads: 0 at its end, 2 for an error that says what to do, 130 when stopped."""
    torch.set_num_threads(options.threads)
    try:
        series(options)
    except WheatstoneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def finish_runs(
    out: Path, runs: Sequence[Run], make: Callable[[Run], dict[str, Any]], report: Callable[[], object]
) -> None:
    """Make the results that are missing, each kept as soon as it is there; `report` is called after every one."""
    done = [run for run in runs if result_file(out, run).is_file()]
    clock = Clock("runs", len(runs), len(done))
    finished = len(done)
    for run in runs:
        if run in done:
            continue
        result = make(run)
        write_bytes(result_file(out, run), (json.dumps(result, indent=1) + "\n").encode())
        finished += 1
        state = clock.at(finished)
        means = ", ".join(f"{name} EPE {figures['epe']:.2f}" for name, figures in result["figures"].items())
        left = f"about {state.seconds_left / 60:.0f} min left" if state.seconds_left is not None else ""
        print(f"[{finished}/{len(runs)}] {run.depth} {run.row} seed {run.seed}: {means}; {left}", flush=True)
        report()


def source_of(run: Run, options: argparse.Namespace) -> DataSource:
    """The data of a run."""
    cache = options.out / "cache"
    source = run.recipe.data
    given = {"folder": options.photos or cache, "cache": cache} if source.takes("cache") else {"folder": cache}
    found: DataSource = source(**given, seed=0)
    return found


def train_run(run: Run, options: argparse.Namespace, folder: Path, steps: int | None = None) -> Path:
    """Train a run to its end, or a few steps of it; the folder of the matcher's weights."""
    recipe = run.recipe if steps is None else run.recipe.with_changes(steps=steps)
    with progress_bar() as progress:
        show = progress if options.verbose else None
        result = train(
            recipe,
            source_of(run, options),
            folder,
            resume=True,
            progress=show,
            device=options.device,
            workers=options.workers,
        )
    return result.parts["matcher"]


def result_of(run: Run, options: argparse.Namespace, tests: Mapping[str, Any]) -> dict[str, Any]:
    """Train and score a run."""
    folder = options.out / "runs" / run.name
    resumed, began = folder.exists(), time.process_time()
    weights = train_run(run, options, folder)
    cpu = time.process_time() - began
    training = json.loads((weights / "training.json").read_text())
    matcher = load_matcher(str(weights)).to(device=options.device)
    figures, items = scores_of(matcher, tests, options.resolution)
    if not options.keep:
        shutil.rmtree(folder)
    return {
        "depth": run.depth,
        "row": run.row,
        "seed": run.seed,
        "steps": run.recipe.steps,
        "figures": figures,
        "items": items,
        "minutes": training["minutes"],
        "cpu_minutes": None if resumed else round(cpu / 60, 2),  # of the training, its data included
        "losses": training["losses"],
        "machine": machine(options),
        "recipe": run.recipe.as_dict(),
    }


def keep(file: Path, content: Any, otherwise: str) -> None:
    """Write what must be the same on every call, or refuse if it is not."""
    text = json.dumps(content, indent=1) + "\n"
    if file.is_file() and file.read_text() != text:
        raise InputError(otherwise)
    write_bytes(file, text.encode())


def with_changes(options: argparse.Namespace, **changes: Any) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options), **changes})


def real_pairs() -> str:
    root = os.environ.get("WHEATSTONE_DATA")
    return f"stereo-mini={root}" if root else "motorcycle"


def how_options(parser: argparse.ArgumentParser, *, lr: float, precision: str) -> argparse._ArgumentGroup:
    """Add the options of how runs are computed, with these defaults."""
    how = parser.add_argument_group("how")
    how.add_argument("--lr", type=float, default=lr)
    how.add_argument("--precision", choices=("no", "bf16"), default=precision)
    how.add_argument("--device", default="cpu", help="cuda for a GPU")
    how.add_argument("--threads", type=count, default=1)
    how.add_argument("--workers", type=count, default=0, help="processes that prepare data")
    how.add_argument("--keep", action="store_true", help="keep the weights of every run")
    how.add_argument("--verbose", action="store_true", help="show the progress of every run")
    return how


def height_width(text: str) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not height,width") from None
    if min(height, width) < CROP_MULTIPLE:
        raise argparse.ArgumentTypeError(f"{text!r}: sides must be {CROP_MULTIPLE} px or more")
    return height, width


def count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return number
