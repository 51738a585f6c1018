"""What a recipe is: a frozen dataclass of plain values from which the trainer builds parts, objective and data.

Everything is JSON, so the resolved recipe is saved beside its output, compared on resume and run again.
"""

import inspect
import math
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
            InputError: the target does not exist, or does not know an option.
        """
        function = self.function()
        if unknown := [name for name in self.options if not self.takes(name)]:
            raise InputError(f"{self.target} has no option {unknown[0]!r}: it has {', '.join(self.known()) or 'none'}")
        return function(**self.options, **more)

    def function(self) -> Any:
        """The callable behind the name.

        Raises:
            InputError: the target does not exist.
        """
        module, _, name = self.target.partition(":")
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"a recipe names {self.target!r}, which cannot be imported: {error}") from error

    def known(self) -> list[str]:
        """Names of its keyword arguments."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return [name for name, entry in inspect.signature(self.function()).parameters.items() if entry.kind in kinds]

    def takes(self, name: str) -> bool:
        """Whether it has a keyword argument of this name (or takes any)."""
        entries = inspect.signature(self.function()).parameters.values()
        return name in self.known() or any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in entries)


@dataclass(frozen=True)
class Optimiser:
    """AdamW; weight decay acts on weight matrices and kernels only, not on biases, gains or norms, unless `decay_all`."""

    lr: float = 1e-3
    """Peak learning rate."""

    weight_decay: float = 0.01
    """Decoupled weight decay."""

    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the first and second moment."""

    decay_all: bool = False
    """Decay every parameter, as published trainings do that hand all of them to AdamW."""

    eps: float = 1e-8
    """Added to the root of the second moment."""

    rates: Mapping[str, float] = field(default_factory=dict)
    """Factor of the learning rate by role, or by `role.prefix` of a parameter's name; the longest that fits counts."""

    def __post_init__(self) -> None:
        """Refuse numbers that no optimiser takes.

        Raises:
            InputError: a rate, decay, eps or beta out of its range.
        """
        for name in ("lr", "weight_decay", "eps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"optimiser.{name} must be 0 or more, got {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"optimiser.betas lie from 0 to below 1, got {', '.join(map(str, self.betas))}")


@dataclass(frozen=True)
class Schedule:
    """Learning rate as a pure function of the step, so that a resumed run needs no state for it."""

    kind: Literal["constant", "cosine", "one-cycle"] = "cosine"
    """Shape after the warm-up: flat, half a cosine, or a straight line down (one-cycle, as PyTorch's with linear annealing)."""

    warmup: float = 0.02
    """Share of all steps that rises linearly (`pct_start` of a one-cycle)."""

    final: float = 0.01
    """Learning rate at the last step as a share of the peak; PyTorch's one-cycle ends at 4e-6."""

    initial: float = 0.04
    """Learning rate of a one-cycle's first step as a share of the peak; the other kinds rise from nothing."""


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
    """Builds `objective(modules, batch, step, generators) -> {term: (sum, count, weight)}`; see `StepLoss`."""

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

    start: Mapping[str, str | None] = field(default_factory=dict)
    """Role to the weights it starts from: a folder of that part, a published file, or an address of the Hub. None: they have
    to be named, since the recipe makes no sense from random ones."""

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

    evaluate: Build | None = None
    """Builds what measures the parts while they train: `len()` items, `evaluation(parts, index) -> {figure: value}`."""

    evaluate_every: int = 1000
    """Steps between evaluations; the last step is always evaluated."""

    decides: str = ""
    """Figure (lower is better; `+name`: higher) whose best evaluation is kept in OUT/best; empty keeps none."""

    seed: int = 0
    """Seeds the first weights, the order of the data and every random draw."""

    save_every: int = 500
    """Steps between checkpoints."""

    log_every: int = 50
    """Steps between lines of the log."""

    save_dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of the weights in the result."""

    tf32: bool = True
    """On NVIDIA GPUs, let float32 products be computed from 19-bit factors: several times faster, nearly as exact."""

    compile: bool = False
    """Compile the trained networks (`torch.compile`); the first steps then take minutes."""

    def __post_init__(self) -> None:
        """Refuse counts with which nothing can be done.

        Raises:
            InputError: fewer than one step, item, micro-batch, or step between two writings.
        """
        for name in ("steps", "batch", "accumulate", "evaluate_every", "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of a recipe must be at least 1, got {getattr(self, name)}")

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
