"""Train a network by a recipe; interrupt at any time and go on with --resume."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from wheatstone.training import Recipe, TrainingResult

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Train a network by a recipe. RECIPE `list` shows the table of recipes."""

    recipe: tyro.conf.Positional[str]
    """Name of the recipe, or `list`."""

    out: tyro.conf.Positional[Path | None] = None
    """Folder of the run: checkpoints, log, curves and the weights."""

    data: Path | None = None
    """Folder of the recipe's data, or where to keep what it renders; by default OUT/data."""

    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on from the last checkpoint in OUT; start where there is none."""

    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the plan and the memory a step needs, write nothing to OUT."""

    steps: int | None = None
    """Number of optimiser steps, instead of the recipe's."""

    batch: int | None = None
    """Items a step, over all processes, instead of the recipe's."""

    accumulate: int | None = None
    """Micro-batches a step is split into on each process, when a batch does not fit."""

    seed: int | None = None
    """Seed of weights, order and draws, instead of the recipe's."""

    precision: Annotated[str | None, tyro.conf.arg(metavar="no|bf16|fp16")] = None
    """Number format of the forward pass, instead of the recipe's."""

    start: Annotated[str | None, tyro.conf.arg(metavar="PATH")] = None
    """Weights to start from: a run's OUT/ROLE, a published file, an address of the Hub. With several parts: ROLE=PATH."""

    evaluate_on: Annotated[str | None, tyro.conf.arg(metavar="DATASET")] = None
    """Evaluate a matcher on this data set (folder, NAME=PATH or scenes=SEED:COUNT) while it trains, and keep the best."""

    evaluate_every: int | None = None
    """Steps between evaluations, instead of the recipe's."""

    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="FIELD=VALUE")] = ()
    """Further fields of the recipe, for example optimiser.lr=1e-4 schedule.kind=cosine data.crop=192,256."""

    device: str | None = None
    """`cpu` keeps the run off an accelerator; the default is the best there is."""

    threads: int | None = None
    """CPU threads of the network; one is best where others share the cores."""

    workers: int = 0
    """Processes that prepare data, for each process that trains; the result does not depend on them."""

    compile: tyro.conf.FlagCreatePairsOff[bool] = False
    """Compile the networks (torch.compile): minutes at the start, faster steps afterwards."""


def run(options: Options) -> int:
    """Train, and say where the weights lie; of several processes the first one speaks."""
    import torch

    from wheatstone.cli.console import progress_bar
    from wheatstone.errors import InputError
    from wheatstone.training import dry_run, recipes, train

    if options.recipe == "list":
        width = max(len(name) for name in recipes)
        for recipe in recipes.values():
            print(f"{recipe.name:<{width}}  {recipe.about} ({recipe.steps} steps of {recipe.batch})")
        return 0
    if options.out is None and not options.dry_run:
        raise InputError("OUT is missing: name the folder of the run")
    recipe = _recipe(options)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.dry_run:
        plan = dry_run(recipe, options.data, options.out, device=options.device, workers=options.workers)
        if _speaks():
            print(plan.text())
        return 0
    out = options.out or Path()
    with progress_bar() as progress:
        result = train(
            recipe,
            options.data,
            out,
            resume=options.resume,
            progress=progress,
            device=options.device,
            workers=options.workers,
        )
    if _speaks():
        _say(result, out)
    return 0


def _recipe(options: Options) -> "Recipe":
    """The recipe with everything the options change."""
    from wheatstone.errors import InputError
    from wheatstone.training import resolve_recipe, with_settings

    if options.precision not in (None, "no", "bf16", "fp16"):
        raise InputError(f"unknown precision {options.precision!r}: use no, bf16 or fp16")
    if options.workers < 0:
        raise InputError(f"--workers must not be negative, got {options.workers}")
    if options.threads is not None and options.threads < 1:
        raise InputError(f"--threads must be at least 1, got {options.threads}")
    recipe = resolve_recipe(options.recipe)
    names = ("steps", "batch", "accumulate", "seed", "precision", "evaluate_every")
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    recipe = recipe.with_changes(**changes, **({"compile": True} if options.compile else {}))
    if options.start is not None:
        role, separator, place = options.start.partition("=")
        if not separator or role not in recipe.parts:
            roles = recipe.trained or tuple(recipe.parts)
            if len(roles) > 1:
                raise InputError(f"--start: say which part, ROLE=PATH; this recipe trains {', '.join(roles)}")
            role, place = roles[0], options.start
        recipe = replace(recipe, start={**recipe.start, role: place})
    if options.evaluate_on is not None:
        recipe = _evaluated(recipe, options.evaluate_on)
    return with_settings(recipe, options.set)


def _evaluated(recipe: "Recipe", dataset: str) -> "Recipe":
    from wheatstone.training import Build

    target = "wheatstone.training.validation:matcher_evaluation"
    build = recipe.evaluate or Build(target)
    return replace(
        recipe,
        evaluate=replace(build, options={**build.options, "dataset": dataset}),
        decides=recipe.decides or ("epe" if build.target == target else ""),
    )


def _speaks() -> bool:
    """Whether this process prints: the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _say(result: "TrainingResult", out: Path) -> None:
    for role, folder in result.parts.items():
        print(f"{role}: {folder} after {result.step} steps, loss {result.losses.get('loss', float('nan')):.4f}")
    if result.figures:
        shown = [f"{name} {value:.4g}" for name, value in result.figures.items() if value == value]
        print("evaluation: " + ", ".join(shown[:8]))
    if result.best:
        print(f"best: {out / 'best'} of step {result.best['step']:.0f} ({result.best['value']:.4g})")
    if not result.tensorboard:
        print(f"curves: {out / 'log.jsonl'} (pip install 'wheatstone[train]' adds TensorBoard)")
