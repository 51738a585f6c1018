"""Unsupervised matching with synthesised right views (Table 3 of GenStereo), small: is a better second view a better teacher?

    python benchmarks/genstereo_matching OUT
    python benchmarks/genstereo_matching OUT --synthesizers rows warp genstereo=FOLDER --steps 400
    python benchmarks/genstereo_matching OUT --photos FOLDER --scenes 0 --steps 20000 --batch 16 --device cuda --workers 8

One data set a synthesizer is generated from the same pictures with the same disparities (`wheatstone generate`); on each the same
network is trained from the same random weights for equally many steps of equal size, with several seeds, by the disparity it
was made with; then all are scored on real pairs with truth (`--real`) and on rendered scenes that no training sees. Beside them:
semi-global matching, the best constant, the network untrained, and the network trained on true pairs of the same scenes.

The paper does not say which matcher, pictures, losses or schedule it used, so only the order of the rows can be compared. A
finished run is a file OUT/results/*.json and is not made again; OUT/table.md and OUT/summary.json are written after every run.
With the same OUT a stopped series goes on. Training and scoring are those of the ablation beside it (`zerostereo_ablation`).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "zerostereo_ablation"))

from comparison import write_report
from generated import label_of, make_data_set, open_synthesizer, rendered_photos
from rows import MATCHERS, SUPERVISED, Run, recipe_of
from scores import control_figures, keys_of, test_pairs
from series import (
    count,
    exit_code_of,
    finish_runs,
    height_width,
    how_options,
    keep,
    real_pairs,
    result_of,
    with_changes,
)

from wheatstone.cli.console import progress_bar
from wheatstone.training import Build

SYNTHESIZERS = ("warp", "rows", "classical", "embedded", "background")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing of the series and print its tables; an error says what to do and has exit code 2."""
    return exit_code_of(_series, _options(arguments))


def _series(options: argparse.Namespace) -> None:
    out: Path = options.out
    pictures = [str(options.photos)] if options.photos else [options.scenes, *options.size]
    keep(out / "pictures.json", [*pictures, options.max_side], f"{out} holds pairs of other pictures: use a new folder")
    photos = options.photos or rendered_photos(out / "photos", out / "cache", options.scenes, options.size)
    parts = {label_of(text): open_synthesizer(text, photos, options.device) for text in options.synthesizers}
    tests = test_pairs(options)
    measured = {"pairs": {name: keys_of(samples) for name, samples in tests.items()}, "resolution": options.resolution}
    keep(out / "tests.json", measured, f"{out} was measured on other pairs: use a new folder")
    controls = control_figures(options, tests)
    made: dict[str, str] = {}
    labels: dict[str, float | None] = {}
    for label, part in parts.items():
        with progress_bar() as progress:
            folder = out / "data" / label
            made[label], labels[label] = make_data_set(
                photos, folder, part, options.estimator, options.max_side, progress
            )
    runs = _runs(options, made)
    settings = {run: with_changes(options, photos=out / "data" / run.row) for run in runs if run.row != SUPERVISED}

    def report() -> str:
        return write_report(out, options, runs, labels, controls, tests)

    finish_runs(out, runs, lambda run: result_of(run, settings.get(run, options), tests), report)
    print(report())


def _runs(options: argparse.Namespace, made: Mapping[str, str]) -> list[Run]:
    """All synthesizers with one seed, then with the next, so that a stopped series has whole tables."""
    started = MATCHERS[options.matcher][0].options.get("start") == "sgbm"
    runs = []
    for seed in range(options.seeds):
        for label, digest in made.items():
            recipe = recipe_of(options, "estimated", "both", seed, options.steps)
            settings = {"augmentation": recipe.data.options["augmentation"], "started": started, "made": digest}
            changes: dict[str, Any] = {
                "name": f"matching-{label}",
                "about": "a run of benchmarks/genstereo_matching",
                "data": Build("generated:generated_pairs", settings),
            }
            runs.append(Run("estimated", label, seed, recipe.with_changes(**changes)))
    if options.supervised and not options.photos:
        seeds = range(options.seeds)
        runs += [Run("true", SUPERVISED, s, recipe_of(options, "true", SUPERVISED, s, options.steps)) for s in seeds]
    return runs


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the series; give it again to go on")
    parser.add_argument(
        "--synthesizers",
        nargs="+",
        default=list(SYNTHESIZERS),
        help="what makes the right views: presets, or NAME=PATH (genstereo=FOLDER, background=FOLDER of photos)",
    )
    size = parser.add_argument_group("size")
    size.add_argument("--steps", type=count, default=100, help="steps of every run")
    size.add_argument("--seeds", type=count, default=3)
    size.add_argument("--scenes", type=count, default=100, help="rendered pictures to train on")
    size.add_argument("--size", type=height_width, default=(128, 224), help="their height,width, px")
    size.add_argument("--batch", type=count, default=4)
    size.add_argument("--crop", type=height_width, default=(64, 160), help="height,width of a training crop, px")
    size.add_argument("--tests", type=count, default=12, help="held-out scenes to score")
    size.add_argument("--resolution", type=float, default=0.5, help="of the views a matcher sees when it is scored")
    what = parser.add_argument_group("what")
    what.add_argument("--photos", type=Path, help="train on these photos instead of rendered views")
    what.add_argument("--max-side", type=int, default=640, help="photos are reduced to this, px")
    what.add_argument("--estimator", default="embedded", help="depth estimator")
    what.add_argument("--matcher", choices=list(MATCHERS), default="started")
    what.add_argument("--real", default=real_pairs(), help="real pairs with truth, as `load_dataset` takes them")
    what.add_argument("--no-supervised", dest="supervised", action="store_false", help="leave that row out")
    how_options(parser, lr=5e-4, precision="bf16")
    options = parser.parse_args(arguments)
    labels = [label_of(name) for name in options.synthesizers]
    if len(set(labels)) < len(labels) or SUPERVISED in labels:
        parser.error("every synthesizer once")
    # settings of the ablation's recipes that say nothing here: pairs are not made on the fly
    made_elsewhere = {"draws": 0, "filler": "rows", "degrade": 0.0, "range": None}
    return argparse.Namespace(**vars(options), **made_elsewhere)


if __name__ == "__main__":
    sys.exit(main())
