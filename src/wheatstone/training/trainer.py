"""The one trainer: any recipe, any number of processes (`torchrun`), exact resume.

What a step sees, draws and how fast it moves are functions of (seed, step) alone, so the state of a run is its step, the
weights, their running mean and the optimiser; a run that was interrupted and resumed ends, on a CPU, in the same bits.

A masked loss is a sum and a count. Counts are added over processes and micro-batches before anything is divided, so a mean
over valid pixels is the same number, and has the same gradient, however the batch is split.
"""

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from wheatstone.checkpoints import Part
from wheatstone.errors import InputError, TrainingError
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.seeding import seed_for
from wheatstone.training.ema import WeightMean
from wheatstone.training.order import DataSource, Split, item_generators, micro_batches
from wheatstone.training.recipe import Optimiser, Recipe, Schedule
from wheatstone.training.run_folder import RunFolder
from wheatstone.training.table import recipes
from wheatstone.training.watch import curves, stop_signal

__all__ = ["TrainingResult", "learning_rate_factor", "train"]


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
        progress: called after every step.
        device: `cpu` keeps a run off the accelerator; by default the best device there is.
        workers: processes that prepare data; the result does not depend on it.
        changes: fields of the recipe to replace, for example `steps=1000`.

    Raises:
        InputError: unknown recipe or field, or a batch that cannot be split.
        OutputError: `out` holds another run, or cannot be written.
        TrainingError: the loss or its gradient is no longer a number; the last checkpoint stays.
        KeyboardInterrupt: the run was stopped; it is saved up to the last whole step.
    """
    resolved = _resolve(recipe).with_changes(**changes)
    folder = RunFolder(out)
    accelerator = Accelerator(mixed_precision=resolved.precision, cpu=device == "cpu")
    try:
        Split(resolved.batch, accelerator.num_processes, resolved.accumulate)  # refuses before anything is written
        checkpoint = folder.last_checkpoint() if not accelerator.is_main_process else None
        if accelerator.is_main_process:
            checkpoint = folder.open(resolved, resume=resume)
        accelerator.wait_for_everyone()
        run = _Run.start(resolved, accelerator, folder)
        if checkpoint is not None:
            run.restore(folder.load_checkpoint(checkpoint))
        source = _source(resolved, data, folder)
        return run.to_the_end(source, progress, workers)
    finally:
        accelerator.end_training()
        accelerator.free_memory()
        AcceleratorState._reset_state()


def learning_rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """Learning rate of a step as a share of the peak: a pure function."""
    warm = max(1, round(schedule.warmup * steps))
    if step < warm:
        return (step + 1) / warm
    if schedule.kind == "constant":
        return 1.0
    done = (step - warm) / max(1, steps - 1 - warm)
    falling = 1 - done if schedule.kind == "one-cycle" else 0.5 + 0.5 * math.cos(math.pi * done)
    return schedule.final + (1 - schedule.final) * falling


def _resolve(recipe: str | Recipe) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in recipes:
        raise InputError(f"unknown recipe {recipe!r}: use one of {', '.join(recipes)}")
    return recipes[recipe]


def _source(recipe: Recipe, data: str | Path | DataSource | None, folder: RunFolder) -> DataSource:
    if data is None or isinstance(data, str | Path):
        place = Path(data) if data is not None else folder.path / "data"
        source: DataSource = recipe.data(folder=place, seed=recipe.seed)
        return source
    return data


def _parameter_groups(networks: Mapping[str, nn.Module], optimiser: Optimiser) -> list[dict[str, Any]]:
    parameters = [p for network in networks.values() for p in network.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1]
    plain = [p for p in parameters if p.ndim <= 1]
    groups = [(decayed, optimiser.weight_decay), (plain, 0.0)]
    return [{"params": members, "weight_decay": decay} for members, decay in groups if members]


@dataclass
class _Run:
    """The moving state of one training."""

    recipe: Recipe
    accelerator: Accelerator
    folder: RunFolder
    parts: dict[str, Part]
    trained: dict[str, nn.Module]
    modules: dict[str, nn.Module]
    optimiser: Any
    objective: Any
    mean: WeightMean | None
    step: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    @classmethod
    def start(cls, recipe: Recipe, accelerator: Accelerator, folder: RunFolder) -> "_Run":
        """Build everything from the recipe; the first weights depend on its seed alone."""
        with torch.random.fork_rng():
            torch.manual_seed(seed_for(recipe.seed, recipe.name, "weights"))
            parts = {role: build() for role, build in recipe.parts.items()}
        roles = recipe.trained or tuple(parts)
        networks = {role: part.network for role, part in parts.items() if part.network is not None}
        if missing := sorted(set(roles) - set(networks)):
            raise InputError(f"recipe {recipe.name!r} trains {', '.join(missing)}, which has no network")
        trained = {role: networks[role].train() for role in roles}
        for role, network in networks.items():
            if role not in trained:
                network.requires_grad_(False).eval().to(accelerator.device)
        settings = recipe.optimiser
        groups = _parameter_groups(trained, settings)
        optimiser = torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas)
        modules = {**networks, **{role: accelerator.prepare(network) for role, network in trained.items()}}
        mean = WeightMean(trained, recipe.ema_decay) if recipe.ema_decay is not None else None
        prepared = accelerator.prepare(optimiser)
        return cls(recipe, accelerator, folder, parts, trained, modules, prepared, recipe.objective(), mean)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "networks": {role: network.state_dict() for role, network in self.trained.items()},
            "mean": self.mean.state if self.mean is not None else {},
            "optimiser": self.optimiser.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint."""
        self.step, self.seconds, self.losses = state["step"], state["seconds"], dict(state.get("losses", {}))
        for role, network in self.trained.items():
            network.load_state_dict(state["networks"][role])
        if self.mean is not None:
            self.mean.load(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.accelerator.is_main_process:
            self.folder.cut_log(self.step)

    def to_the_end(self, source: DataSource, progress: ProgressCallback | None, workers: int) -> TrainingResult:
        """The loop."""
        recipe, split = self.recipe, Split(self.recipe.batch, self.accelerator.num_processes, self.recipe.accumulate)
        rank, main = self.accelerator.process_index, self.accelerator.is_main_process
        stream = micro_batches(
            source, split, recipe.seed, rank=rank, steps=range(self.step, recipe.steps), workers=workers
        )
        clock = Clock(f"train {recipe.name}", recipe.steps, self.step)
        earlier, began = self.seconds, time.monotonic()
        with curves(self.folder.path, self.step) if main else nullcontext() as board, stop_signal() as stop:
            while self.step < recipe.steps:
                self.one_step([next(stream) for _ in range(split.accumulate)])
                self.seconds = earlier + time.monotonic() - began
                stopped = self._anyone(stop.is_set())
                last = self.step == recipe.steps
                if board is not None and (last or self.step % recipe.log_every == 0):
                    self._log(board)
                if last or stopped or self.step % recipe.save_every == 0:
                    self.save()
                if progress is not None:
                    progress(clock.at(self.step, f"loss {self.losses['loss']:.4f}"))
                if stopped and not last:
                    raise KeyboardInterrupt
        folders = {role: self.folder.path / role for role in self.trained}
        return TrainingResult(self.step, dict(self.losses), folders, find_spec("tensorboard") is not None)

    def one_step(self, micros: list[tuple[list[int], dict[str, Any]]]) -> None:
        """One optimiser step over all micro-batches."""
        recipe, accelerator = self.recipe, self.accelerator
        factor = learning_rate_factor(recipe.schedule, self.step, recipe.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.optimiser.lr * factor
        keys = [str(key) for _, batch in micros for key in batch.get("key", [])]
        counts = self._counts(micros) if len(micros) > 1 else None
        totals: dict[str, float] = {}
        for number, (positions, batch) in enumerate(micros):
            with ExitStack() as stack:
                if number < len(micros) - 1:
                    for role in self.trained:
                        stack.enter_context(accelerator.no_sync(self.modules[role]))
                terms = self._terms(positions, batch)
                denominators = counts if counts is not None else self._reduced({n: t[1] for n, t in terms.items()})
                loss = self._loss(terms, denominators, totals)
                self._check(float(loss.detach()), keys, "the loss")
                accelerator.backward(loss * accelerator.num_processes)
        self._move(keys)
        self.losses = self._summary(terms, totals)

    def _terms(self, positions: list[int], batch: dict[str, Any]) -> dict[str, tuple[Tensor, Tensor, float]]:
        device = self.accelerator.device
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
        generators = item_generators(positions, self.recipe.seed)
        with self.accelerator.autocast():
            terms = self.objective(self.modules, moved, self.step, generators)
        return {
            name: (total, torch.as_tensor(count, dtype=torch.float32, device=device), float(weight))
            for name, (total, count, weight) in terms.items()
        }

    def _counts(self, micros: list[tuple[list[int], dict[str, Any]]]) -> dict[str, Tensor]:
        """Counts of the whole step, before the first gradient: the price is a forward pass without gradients."""
        sums: dict[str, Tensor] = {}
        with torch.no_grad():
            for positions, batch in micros:
                for name, (_, count, _) in self._terms(positions, batch).items():
                    sums[name] = sums.get(name, torch.zeros_like(count)) + count
        return self._reduced(sums)

    def _reduced(self, counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add over processes, in the order of the names."""
        stacked = torch.stack([count.detach().reshape(()) for count in counts.values()])
        if self.accelerator.num_processes > 1:
            stacked = self.accelerator.reduce(stacked, "sum")
        return dict(zip(counts, stacked, strict=True))

    def _loss(
        self,
        terms: Mapping[str, tuple[Tensor, Tensor, float]],
        counts: Mapping[str, Tensor],
        totals: dict[str, float],
    ) -> Tensor:
        """Share of this micro-batch in the weighted mean; a term with no counted element at all contributes nothing."""
        shares = []
        for name, (total, _, weight) in terms.items():
            mean = (
                total.float() / counts[name].clamp(min=torch.finfo(torch.float32).tiny)
                if counts[name] > 0
                else 0 * total
            )
            totals[name] = totals.get(name, 0.0) + float(mean.detach())
            shares.append(weight * mean)
        return torch.stack([share.reshape(()) for share in shares]).sum()

    def _move(self, keys: list[str]) -> None:
        accelerator, recipe = self.accelerator, self.recipe
        parameters = [p for network in self.trained.values() for p in network.parameters() if p.requires_grad]
        norm = accelerator.clip_grad_norm_(parameters, recipe.clip_norm or float("inf"))
        if accelerator.scaler is None:  # with loss scaling an infinite gradient is normal: the scaler skips the step
            self._check(float(norm), keys, "the gradient")
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.mean is not None:
            self.mean.update(self.trained, self.step)
        self.step += 1

    def _check(self, value: float, keys: list[str], what: str) -> None:
        """The guard: a step that went wrong must not touch the weights."""
        if math.isfinite(value):
            return
        entry = {"step": self.step, "what": what, "keys": keys, "process": self.accelerator.process_index}
        self.folder.log_failure(entry)
        raise TrainingError(
            f"{what} of step {self.step} is {value}; its items are listed in {self.folder.path / 'failure.json'}. The last "
            "checkpoint is untouched: resume with a lower learning rate, precision='no' or a smaller clip_norm in a new folder"
        )

    def _summary(
        self, terms: Mapping[str, tuple[Tensor, Tensor, float]], totals: Mapping[str, float]
    ) -> dict[str, float]:
        sums = dict(totals)
        if self.accelerator.num_processes > 1:
            stacked = torch.tensor(list(sums.values()), device=self.accelerator.device)
            sums = dict(zip(sums, self.accelerator.reduce(stacked, "sum").tolist(), strict=True))
        return {**sums, "loss": sum(terms[name][2] * value for name, value in sums.items())}

    def _anyone(self, flag: bool) -> bool:
        """Whether any process was asked to stop; all must stop at the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        votes = self.accelerator.reduce(torch.tensor(float(flag), device=self.accelerator.device), "sum")
        return bool(votes > 0)

    def _log(self, board: Any) -> None:
        rate = self.optimiser.param_groups[0]["lr"]
        self.folder.log({"step": self.step, "seconds": round(self.seconds, 1), "lr": rate, **self.losses})
        for name, value in {**self.losses, "lr": rate}.items():
            board.add_scalar(name, value, self.step)

    def save(self) -> None:
        """Write the checkpoint and the parts as they would be used now."""
        if self.accelerator.is_main_process:
            self.folder.save_checkpoint(self.step, self.state())
            self._save_parts()
        self.accelerator.wait_for_everyone()

    def _save_parts(self) -> None:
        dtype = getattr(torch, self.recipe.save_dtype)
        facts = {
            "recipe": self.recipe.as_dict(),
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "threads": torch.get_num_threads(),
            "device": self.accelerator.device.type,
            "losses": self.losses,
            "torch": torch.__version__,
        }
        for role, network in self.trained.items():
            weights = {
                n: v.detach().cpu() for n, v in (self.mean.state[role] if self.mean else network.state_dict()).items()
            }
            with torch.random.fork_rng():
                fresh: Part = self.recipe.parts[role]()
            if fresh.network is not None:
                fresh.network.load_state_dict(weights)
            self.folder.save_part(role, fresh.to(dtype=dtype), facts)
