"""Train a network by a recipe; interrupt at any time and go on with --resume."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

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

    resume: bool = False
    """Go on from the last checkpoint in OUT."""

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

    device: str | None = None
    """`cpu` keeps the run off an accelerator."""

    threads: int | None = None
    """CPU threads of the network; one is best where others share the cores."""

    workers: int = 0
    """Processes that prepare data; the result does not depend on them."""


def run(options: Options) -> int:
    """Train, and say where the weights lie."""
    import torch

    from wheatstone.cli.console import progress_bar
    from wheatstone.errors import InputError
    from wheatstone.training import recipes, train

    if options.recipe == "list":
        for recipe in recipes.values():
            print(f"{recipe.name:<18} {recipe.about} ({recipe.steps} steps of {recipe.batch})")
        return 0
    if options.out is None:
        raise InputError("OUT is missing: name the folder of the run")
    if options.precision not in (None, "no", "bf16", "fp16"):
        raise InputError(f"unknown precision {options.precision!r}: use no, bf16 or fp16")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    names = ("steps", "batch", "accumulate", "seed", "precision")
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    with progress_bar() as progress:
        result = train(
            options.recipe,
            options.data,
            options.out,
            resume=options.resume,
            progress=progress,
            device=options.device,
            workers=options.workers,
            **changes,
        )
    for role, folder in result.parts.items():
        print(f"{role}: {folder} after {result.step} steps, loss {result.losses.get('loss', float('nan')):.4f}")
    if not result.tensorboard:
        print(f"curves: {options.out / 'log.jsonl'} (pip install 'wheatstone[train]' adds TensorBoard)")
    return 0
