"""What a recipe is: a frozen dataclass of plain values from which the trainer builds parts, objective and data.

Everything is JSON, so the resolved recipe is saved beside its output, compared on resume and run again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from typing import Any, Literal

from wheatstone.errors import InputError

__all__ = ["Build", "Optimiser", "Recipe", "Schedule"]


@dataclass(frozen=True)
class Build:
    """Something to be built later: a callable by its dotted name, and its keyword options as plain values."""

    target: str
    """`package.module:callable`."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments, plain JSON values."""

    def __call__(self, **more: Any) -> Any:
        """Import the target and call it with the options and `more`.

        Raises:
            InputError: the target does not exist.
        """
        module, _, name = self.target.partition(":")
        try:
            function = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"a recipe names {self.target!r}, which cannot be imported: {error}") from error
        return function(**self.options, **more)


@dataclass(frozen=True)
class Optimiser:
    """AdamW; weight decay acts on weight matrices and kernels only, never on biases, gains or norms."""

    lr: float = 1e-3
    """Peak learning rate."""

    weight_decay: float = 0.01
    """Decoupled weight decay."""

    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the first and second moment."""


@dataclass(frozen=True)
class Schedule:
    """Learning rate as a pure function of the step, so that a resumed run needs no state for it."""

    kind: Literal["constant", "cosine", "one-cycle"] = "cosine"
    """Shape after the warm-up: flat, half a cosine, or a straight line down (one-cycle)."""

    warmup: float = 0.02
    """Share of all steps that rises linearly from zero."""

    final: float = 0.01
    """Learning rate at the last step as a share of the peak."""


@dataclass(frozen=True)
class Recipe:
    """One training: which parts, towards which objective, on which data, how."""

    name: str
    """Name in the table `wheatstone.recipes`."""

    about: str
    """One sentence: what comes out and what it needs."""

    parts: Mapping[str, Build]
    """Role to part; the objective receives the networks under these names."""

    objective: Build
    """Builds `objective(modules, batch, step, generators) -> {term: (sum, count, weight)}`."""

    data: Build
    """Builds the data source; called with `folder=` (what the user gave, or a place under the output) and `seed=`."""

    steps: int
    """Optimiser steps in all."""

    batch: int = 8
    """Items an optimiser step sees, over all processes and micro-batches."""

    accumulate: int = 1
    """Micro-batches an optimiser step is split into on each process."""

    trained: tuple[str, ...] = ()
    """Roles that learn; empty means all, the others stay as they were built."""

    optimiser: Optimiser = field(default_factory=Optimiser)
    """How the weights move."""

    schedule: Schedule = field(default_factory=Schedule)
    """How fast, over time."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    """Autocast format of the forward pass; `no` is float32."""

    clip_norm: float | None = 1.0
    """Largest norm of the whole gradient; none for no clipping."""

    ema_decay: float | None = 0.999
    """Decay of the running mean of the weights, which is what is saved as the result; none for no mean."""

    seed: int = 0
    """Seeds the first weights, the order of the data and every random draw."""

    save_every: int = 500
    """Steps between checkpoints."""

    log_every: int = 50
    """Steps between lines of the log."""

    save_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of the weights in the result."""

    def with_changes(self, **changes: Any) -> "Recipe":
        """Replace fields, checking the names.

        Raises:
            InputError: no such field.
        """
        known = {entry.name for entry in fields(self)}
        if unknown := sorted(set(changes) - known):
            raise InputError(f"a recipe has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
