"""Weights that a training starts from instead of random ones."""

import inspect
import sys
from pathlib import Path

import torch

from wheatstone.checkpoints import Part, resolve_weights
from wheatstone.errors import CheckpointError, InputError
from wheatstone.training.recipe import Build

__all__ = ["drawn_seed", "start_weights"]


def drawn_seed() -> int:
    """A seed from the global state, which the trainer sets while parts are built."""
    return int(torch.randint(1 << 31, ()))


def start_weights(build: Build, start: str | None) -> Part:
    """Build a part and, if `start` says so, give it weights.

    A builder function with an argument `start` gets it, whatever it means there (to the class of a part it means something of
    its own, if anything). Otherwise it is a folder that `save_pretrained` wrote (a run's OUT/ROLE, for example), or a file or
    address that the part's own loader reads (published layouts too).

    Args:
        build: of the part.
        start: place of the weights, or None for those the part is built with.

    Raises:
        CheckpointError: no weights there, or of another part or size.
        InputError: the part cannot be given weights.
    """
    started = not inspect.isclass(build.function()) and build.takes("start")
    if start is None:
        return _unstarted(build, started)
    if started:
        return build(start=start)
    part: Part = build()
    given = _given(part, start)
    if part.network is None or given.network is None:
        raise InputError(f"{part.name!r} has no weights, so it cannot start from {start}")
    state, wanted = given.network.state_dict(), part.network.state_dict()
    odd = [name for name in wanted if name not in state or state[name].shape != wanted[name].shape]
    if odd or len(state) != len(wanted):
        detail = odd[0] if odd else next(name for name in state if name not in wanted)
        raise CheckpointError(
            f"{start}: holds a {given.name!r} of other settings ({dict(given.config)}) than the recipe trains; "
            f"{detail!r} differs. Set the part's options to these, or start from other weights"
        )
    part.network.load_state_dict(state)
    return part


def _unstarted(build: Build, started: bool) -> Part:
    try:
        part: Part = build()
    except CheckpointError as error:
        if not started:
            raise
        raise CheckpointError(f"{error}. A training starts from what --start PATH names") from error
    return part


def _given(part: Part, start: str) -> Part:
    place = resolve_weights(start)
    if (Path(place) / "config.json").is_file():
        return type(part).from_pretrained(place)
    load = getattr(sys.modules[type(part).__module__], "load", None)
    if load is None:
        raise CheckpointError(f"{place}: no config.json, so this is not a folder of {part.name!r} weights")
    known = inspect.signature(load).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    options = {name: value for name, value in part.config.items() if open_ended or name in known}
    loaded: Part = load(part.name, weights=place, **options)
    return loaded
