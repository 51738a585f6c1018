"""The one trainer: any recipe, any number of processes (`torchrun`), exact resume.

What a step sees, draws and how fast it moves are functions of (seed, step) alone, so the state of a run is its step, the
weights, their running mean and the optimiser; a run that was interrupted and resumed ends, on a CPU, in the same bits.

A masked loss is a sum and a count. Counts are added over processes and micro-batches before anything is divided, so a mean
over valid pixels is the same number, and has the same gradient, however the batch is split.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from wheatstone.errors import InputError, TrainingError
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.training.backends import processes_of_run, training_backends
from wheatstone.training.order import DataSource, Split, micro_batches
from wheatstone.training.processes import gathered, on_main, sum_gradients, summed
from wheatstone.training.recipe import Recipe
from wheatstone.training.run_folder import RunFolder
from wheatstone.training.run_state import RunState
from wheatstone.training.schedule import learning_rate_factor
from wheatstone.training.stepping import Micro, StepLoss
from wheatstone.training.table import recipes
from wheatstone.training.validation import Evaluation, evaluate_parts, is_better
from wheatstone.training.watch import curves, stop_signal

__all__ = ["TrainingResult", "objective_of", "resolve_recipe", "source_of", "train"]

_SMALLEST_SCALE = 2.0**-14  # of the loss in fp16: below it, it is not overflow that makes gradients infinite


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training left behind."""

    step: int
    """Steps done."""

    losses: Mapping[str, float]
    """Terms of the last step, and their weighted sum as `loss`."""

    parts: Mapping[str, Path]
    """Role to the folder of its weights."""

    tensorboard: bool
    """Whether curves were written for TensorBoard (the extra `train` brings it)."""

    figures: Mapping[str, float]
    """The last evaluation; empty without one."""

    best: Mapping[str, float]
    """`step` and `value` of the best evaluation; empty without a figure that decides."""


def train(
    recipe: str | Recipe,
    data: str | Path | DataSource | None,
    out: str | Path,
    *,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    device: str | None = None,
    workers: int = 0,
    **changes: Any,
) -> TrainingResult:
    """Train the parts of a recipe.

    Args:
        recipe: a name of the table `recipes`, or a `Recipe`.
        data: folder the recipe's data lies in or may be kept in (by default a place under `out`), or a data source itself.
        out: folder of the run; see `RunFolder` for what is written there.
        resume: go on from the last checkpoint in `out`, or start when there is none.
        progress: called after every step, on the first process.
        device: `cpu` keeps a run off the accelerator; by default the best device there is.
        workers: processes that prepare data, for each process that trains; the result does not depend on it.
        changes: fields of the recipe to replace, for example `steps=1000`.

    Raises:
        InputError: unknown recipe or field, or a batch that cannot be split.
        OutputError: `out` holds another run, or cannot be written.
        CheckpointError: starting weights or a checkpoint that cannot be used.
        TrainingError: the loss or its gradient is no longer a number; the last checkpoint stays.
        KeyboardInterrupt: the run was stopped; it is saved up to the last whole step.
    """
    resolved = resolve_recipe(recipe).with_changes(**changes)
    folder = RunFolder(out)
    with processes_of_run(device) as processes, training_backends(resolved, processes.device):
        Split(resolved.batch, processes.num_processes, resolved.accumulate)
        objective = objective_of(resolved)  # what may refuse its settings comes before what takes long
        checkpoint = on_main(processes, lambda: folder.checkpoint_for(resolved, resume=resume))
        state = RunState.start(resolved, processes)
        if checkpoint is not None:
            state.restore(folder.load_checkpoint(checkpoint))
        source = source_of(resolved, data, folder.path / "data")
        evaluation = resolved.evaluate() if resolved.evaluate is not None else None
        on_main(processes, lambda: folder.prepare(resolved, state.step))  # nothing is written for wrong input
        return _Loop(state, objective, folder, evaluation, progress).to_the_end(source, workers)


def resolve_recipe(recipe: str | Recipe) -> Recipe:
    """A recipe by its name.

    Raises:
        InputError: no such recipe.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in recipes:
        raise InputError(f"unknown recipe {recipe!r}: use one of {', '.join(recipes)}")
    return recipes[recipe]


def source_of(recipe: Recipe, data: str | Path | DataSource | None, place: Path) -> DataSource:
    """The data of a recipe: from the folder the user named, else kept in `place`; or the source that was handed in.

    A source that keeps what it makes of the user's data (`cache`) keeps it in `place`, too.
    """
    if data is None or isinstance(data, str | Path):
        kept = {"cache": place} if recipe.data.takes("cache") and "cache" not in recipe.data.options else {}
        source: DataSource = recipe.data(folder=Path(data) if data is not None else place, seed=recipe.seed, **kept)
        return source
    return data


def objective_of(recipe: Recipe) -> Any:
    """The objective of a recipe; one that changes over the training (`total_steps`) is told how long that is."""
    known = recipe.objective.takes("total_steps") and "total_steps" not in recipe.objective.options
    return recipe.objective(**({"total_steps": recipe.steps} if known else {}))


@dataclass
class _Loop:
    """The loop around the state of a run."""

    state: RunState
    objective: Any
    folder: RunFolder
    evaluation: Evaluation | None
    progress: ProgressCallback | None

    def __post_init__(self) -> None:
        state = self.state
        self.recipe, self.processes = state.recipe, state.processes
        self.loss = StepLoss(self.objective, state.modules, state.processes, self.recipe.seed, self.recipe.precision)
        if not self.processes.is_main_process:
            self.progress = None

    def to_the_end(self, source: DataSource, workers: int) -> TrainingResult:
        """Step, evaluate, log and save until the last step or until somebody asks to stop."""
        recipe, state, main = self.recipe, self.state, self.processes.is_main_process
        clock = Clock(f"train {recipe.name}", recipe.steps, state.step)
        stream = self._stream(source, workers)
        earlier, began = state.seconds, time.monotonic()
        with curves(self.folder.path, state.step) if main else nullcontext() as board, stop_signal() as stop:
            while state.step < recipe.steps:
                stopped = self._one_step([next(stream) for _ in range(recipe.accumulate)], stop.is_set())
                state.seconds = earlier + time.monotonic() - began
                last = state.step == recipe.steps
                if last or state.step % recipe.log_every == 0:
                    self._log(board, state.losses, self._rate())
                if self.evaluation is not None and (last or state.step % recipe.evaluate_every == 0):
                    self._evaluate(board)
                if last or stopped or state.step % recipe.save_every == 0:
                    self._save()
                if self.progress is not None:
                    self.progress(clock.at(state.step, self._note()))
                if stopped and not last:
                    raise KeyboardInterrupt
        self._complete()
        folders = {role: self.folder.part_folder(role) for role in state.trained}
        curves_written = find_spec("tensorboard") is not None
        return TrainingResult(
            state.step, dict(state.losses), folders, curves_written, dict(state.figures), dict(state.best)
        )

    def _stream(self, source: DataSource, workers: int) -> Iterator[Micro]:
        recipe, processes = self.recipe, self.processes
        return micro_batches(
            source,
            Split(recipe.batch, processes.num_processes, recipe.accumulate),
            recipe.seed,
            rank=processes.process_index,
            steps=range(self.state.step, recipe.steps),
            workers=workers,
            pin=processes.device.type == "cuda",
        )

    def _rate(self) -> float:
        return float(self.state.optimiser.param_groups[0]["lr"])

    def _note(self) -> str:
        """What to show beside the bar: the loss, and the figure that decides (or the first) of the last evaluation."""
        figure = self.recipe.decides.removeprefix("+") or next(iter(self.state.figures), "")
        value = self.state.figures.get(figure)
        return f"loss {self.state.losses['loss']:.4f}" + (f", {figure} {value:.3f}" if value is not None else "")

    def _one_step(self, micros: list[Micro], stop: bool) -> bool:
        """One optimiser step over all micro-batches; says whether any process was asked to stop: all do so together."""
        recipe, state = self.recipe, self.state
        factor = learning_rate_factor(recipe.schedule, state.step, recipe.steps)
        for group in state.optimiser.param_groups:
            group["lr"] = recipe.optimiser.lr * factor * group["rate"]
        gradients = self.loss.backward(micros, state.step, state.scaler.scale)
        parameters = state.parameters
        sum_gradients(self.processes, parameters)
        state.scaler.unscale_(state.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm or math.inf)
        votes = summed(self.processes, torch.full((), float(stop), device=self.processes.device))
        losses, shares, (length, stopped) = gradients.read(norm, votes)
        self._guard(losses["loss"], shares, length, micros)
        state.scaler.step(state.optimiser)
        state.scaler.update()
        state.optimiser.zero_grad()
        if state.mean is not None:
            state.mean.update(state.step)
        state.step += 1
        state.losses = losses
        return stopped > 0

    def _guard(self, loss: float, shares: list[float], norm: float, micros: list[Micro]) -> None:
        """A step that went wrong must not touch the weights; every process comes to the same verdict."""
        scaled = self.state.scaler.is_enabled()
        if not math.isfinite(loss):
            what, value, suspects = "the loss", loss, [not math.isfinite(share) for share in shares]
        elif not math.isfinite(norm) and (not scaled or self.state.scaler.get_scale() < _SMALLEST_SCALE):
            # with loss scaling an infinite gradient is normal at first: the scaler skips the step and halves its factor
            what, value, suspects = "the gradient", norm, [True] * len(shares)
        else:
            return
        guilty = [batch for (_, batch), odd in zip(micros, suspects, strict=True) if odd]
        keys = gathered(self.processes, [str(key) for batch in guilty for key in batch.get("key", [])])
        step = self.state.step
        place = self.folder.path / "failure.json"
        entry = {"step": step, "what": what, "value": str(value), "keys": keys, "losses": _plain(self.state.losses)}
        on_main(self.processes, lambda: self.folder.log_failure(entry))
        raise TrainingError(
            f"{what} of step {step} is {value}; its items are listed in {place} ({', '.join(keys[:3])}"
            f"{', ...' if len(keys) > 3 else ''}). The last checkpoint is untouched: resume with a lower learning rate, "
            "precision='no' or a smaller clip_norm in a new folder"
        )

    def _log(self, board: Any, values: Mapping[str, float], rate: float | None = None, group: str = "") -> None:
        """One line of the log and the points of the curves; of an evaluation the figures stand in a group of their own."""
        if board is None:
            return
        state = self.state
        head = {"step": state.step, "seconds": round(state.seconds, 1)}
        entry = {**head, group: dict(values)} if group else {**head, "lr": rate, **values}
        self.folder.log(entry)
        for name, value in (values if group else {**values, "lr": rate}).items():
            board.add_scalar(f"{group}/{name}" if group else name, value, state.step)

    def _evaluate(self, board: Any) -> None:
        """Measure the parts as they would be used now, and keep them if they are the best so far."""
        state, decides = self.state, self.recipe.decides
        if self.evaluation is None:
            return
        with state.result() as parts, torch.no_grad():
            state.figures = evaluate_parts(self.evaluation, parts, self.processes, self.progress)
            self._log(board, state.figures, group="evaluation")
            if not decides:
                return
            value = state.figures.get(decides.removeprefix("+"), math.nan)
            if is_better(decides, value, state.best.get("value")):
                state.best = {"step": float(state.step), "value": value}
                on_main(self.processes, lambda: self._save_parts(best=True))

    def _save(self) -> None:
        """Write the checkpoint and the parts as they would be used now."""
        on_main(self.processes, lambda: self.folder.save_checkpoint(self.state.step, self.state.saved()) and None)
        with self.state.result():
            on_main(self.processes, self._save_parts)

    def _save_parts(self, best: bool = False) -> None:
        state = self.state
        facts = {
            "recipe": self.recipe.as_dict(),
            "step": state.step,
            "minutes": round(state.seconds / 60, 1),
            "threads": torch.get_num_threads(),
            "processes": self.processes.num_processes,
            "device": self.processes.device.type,
            "losses": state.losses,
            "figures": state.figures,
            "torch": torch.__version__,
        }
        for role in state.trained:
            self.folder.save_part(role, state.exported(state.parts[role]), facts, best=best)

    def _complete(self) -> None:
        """A run killed between its last checkpoint and its weights has nothing left to do but to write these."""
        if any(self.folder.saved_step(role) != self.state.step for role in self.state.trained):
            with self.state.result():
                on_main(self.processes, self._save_parts)


def _plain(losses: Mapping[str, float]) -> dict[str, Any]:
    """NaN and inf are no JSON."""
    return {name: value if math.isfinite(value) else str(value) for name, value in losses.items()}
