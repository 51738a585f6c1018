"""What a training would do, and the memory it needs: the plan is read off the recipe, the memory off one real step."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wheatstone.training.backends import processes_of_run, training_backends
from wheatstone.training.order import DataSource, Split, micro_batches
from wheatstone.training.recipe import Recipe
from wheatstone.training.run_state import RunState
from wheatstone.training.schedule import learning_rate_factor
from wheatstone.training.stepping import StepLoss
from wheatstone.training.trainer import resolve_recipe, source_of

__all__ = ["Memory", "Plan", "dry_run", "saved_bytes"]


@dataclass(frozen=True)
class Memory:
    """Bytes of one process.

    Attributes:
        weights: of all parts, frozen ones included.
        gradients: of what learns.
        optimiser: both moments.
        mean: running mean.
        activations: what the forward pass of one micro-batch keeps for the backward pass.
        peak: most that was allocated on the device during a whole step, where the device counts it (NVIDIA GPUs).
    """

    weights: int
    gradients: int
    optimiser: int
    mean: int
    activations: int
    peak: int | None

    @property
    def total(self) -> int:
        """The measured peak, or the sum of the parts."""
        if self.peak is not None:
            return self.peak
        return self.weights + self.gradients + self.optimiser + self.mean + self.activations

    def text(self) -> str:
        """One line that says whether it was measured or estimated."""
        parts = ", ".join(
            f"{name} {_size(getattr(self, name))}"
            for name in ("weights", "gradients", "optimiser", "mean", "activations")
        )
        if self.peak is not None:
            return f"{_size(self.peak)} a process, measured on the device over one step ({parts})"
        return (
            f"about {_size(self.total)} a process, estimated: {parts}, the last counted in one forward pass; "
            "working memory of single operations comes on top"
        )


@dataclass(frozen=True)
class Plan:
    """What a training would do: lines of (subject, fact), and the memory of one step."""

    lines: tuple[tuple[str, str], ...]
    memory: Memory

    def text(self) -> str:
        """A table to read."""
        lines = [*self.lines, ("memory", self.memory.text())]
        width = max(len(name) for name, _ in lines)
        return "\n".join(f"{name:<{width}}  {fact}" for name, fact in lines)


def dry_run(
    recipe: str | Recipe,
    data: str | Path | DataSource | None,
    out: str | Path | None = None,
    *,
    device: str | None = None,
    workers: int = 0,
) -> Plan:
    """Build everything, do one step, and say what a training would do; nothing is written to `out`.

    Without `data`, a source that keeps what it makes (rendered scenes) gets a temporary folder.

    Args:
        recipe: as in `train`.
        data: as in `train`.
        out: only named in the plan.
        device: as in `train`.
        workers: only named in the plan.

    Raises:
        InputError: whatever would stop the training before its first step.
    """
    resolved = resolve_recipe(recipe)
    with (
        processes_of_run(device) as processes,
        training_backends(resolved, processes.device),
        tempfile.TemporaryDirectory() as place,
    ):
        split = Split(resolved.batch, processes.num_processes, resolved.accumulate)
        state = RunState.start(resolved, processes)
        source = source_of(resolved, data, Path(place))
        evaluation = resolved.evaluate() if resolved.evaluate is not None else None
        part_lines = _part_lines(state)  # before the step: a later stage of the loss may stop a part from learning
        memory, seconds, terms = _one_step(state, source, split)
        lines = [
            ("recipe", f"{resolved.name}: {resolved.about}"),
            *part_lines,
            ("data", _data_line(resolved, source, data, workers)),
            ("steps", f"{resolved.steps} of {_split_text(split)}"),
            ("objective", f"{resolved.objective.target.rpartition(':')[2]}: {terms}"),
            *_optimiser_lines(resolved),
            ("precision", _precision_text(resolved, processes.device)),
            ("evaluation", _evaluation_text(resolved, evaluation)),
            ("output", _output_text(resolved, state, out)),
            (
                "one step",
                f"{seconds:.2f} s, the first one, on {processes.device.type} ({torch.get_num_threads()} threads)",
            ),
        ]
    return Plan(tuple(lines), memory)


def _one_step(state: RunState, source: DataSource, split: Split) -> tuple[Memory, float, str]:
    """One real step of each stage of the loss, on the first batch; memory as the device counts it, or what is kept for it."""
    recipe, processes = state.recipe, state.processes
    loss = StepLoss(recipe.objective(), state.modules, processes, recipe.seed, recipe.precision)
    stream = micro_batches(source, split, recipe.seed, rank=processes.process_index, steps=range(1))
    micros = list(stream)
    on_gpu = processes.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(processes.device)
    activations, seconds, texts = 0, 0.0, []
    for step, until in _stages(loss.objective, recipe.steps):
        began = time.monotonic()
        kept: dict[int, int] = {}
        with saved_bytes(state.modules, kept):
            gradients = loss.backward(micros[:1], step, state.scaler.scale)
        if on_gpu:
            state.scaler.unscale_(state.optimiser)
            state.scaler.step(state.optimiser)
            state.scaler.update()
            torch.cuda.synchronize(processes.device)
        state.optimiser.zero_grad()
        seconds = max(seconds, (time.monotonic() - began) * len(micros))
        activations = max(activations, sum(kept.values()))
        terms = ", ".join(
            f"{name} x {weight:g}" for name, weight in zip(gradients.names, gradients.weights, strict=True)
        )
        texts.append(terms + until)
    trained = sum(p.numel() * p.element_size() for p in state.parameters)
    weights = sum(_bytes(network.state_dict()) for network in state.modules.values())
    mean = sum(_bytes(tensors) for tensors in state.mean.state.values()) if state.mean is not None else 0
    peak = int(torch.cuda.max_memory_allocated(processes.device)) if on_gpu else None
    return Memory(weights, trained, 2 * trained, mean, activations, peak), seconds, "; ".join(texts)


def _stages(objective: Any, steps: int) -> list[tuple[int, str]]:
    """A step of every stage of the loss, and what to say behind its terms: some train a codec alone at first."""
    first = min(getattr(objective, "codec_steps", 0), steps)
    stages = [(0, f" in the first {first} steps")] if first else []
    return [*stages, *([(first, "")] if first < steps else [])]


def saved_bytes(modules: Mapping[str, nn.Module], kept: dict[int, int]) -> Any:
    """Context in which every tensor kept for a backward pass is counted once in `kept`, weights not at all."""
    own = {p.untyped_storage().data_ptr() for network in modules.values() for p in network.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    return torch.autograd.graph.saved_tensors_hooks(pack, _unchanged)


def _unchanged(tensor: Tensor) -> Tensor:
    return tensor


def _bytes(state: Mapping[str, Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in state.values())


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GB" if count >= 2**30 else f"{count / 2**20:.1f} MB"


def _part_lines(state: RunState) -> list[tuple[str, str]]:
    lines = []
    for role, part in state.parts.items():
        network = part.network
        total = sum(p.numel() for p in network.parameters()) if network is not None else 0
        learning = sum(p.numel() for p in network.parameters() if p.requires_grad) if network is not None else 0
        trains = "trains all" if learning == total else f"trains {learning:,}" if learning else "frozen"
        start = state.recipe.start.get(role)
        origin = f", starts from {start}" if start is not None else ""
        lines.append(
            (f"part {role}", f"{part.name}, {total:,} parameters, {trains if total else 'none to train'}{origin}")
        )
    return lines


def _data_line(recipe: Recipe, source: DataSource, data: Any, workers: int) -> str:
    passes = recipe.steps * recipe.batch / len(source)
    place = f" in {data}" if isinstance(data, str | Path) else ""
    helpers = f"{workers} workers" if workers else "no workers (--workers prepares items in other processes)"
    return f"{type(source).__name__}{place}: {len(source)} items, seen {passes:.1f} times; {helpers}"


def _split_text(split: Split) -> str:
    size = split.batch // (split.processes * split.accumulate)
    return f"{split.batch} items = {split.processes} processes x {split.accumulate} micro-batches x {size}"


def _optimiser_lines(recipe: Recipe) -> list[tuple[str, str]]:
    optimiser, schedule, last = recipe.optimiser, recipe.schedule, recipe.steps - 1
    top = max(0, round(schedule.warmup * recipe.steps) - 1)
    steps = sorted({0, min(top, last), last // 4, last // 2, 3 * last // 4, last})
    rates = ", ".join(f"{optimiser.lr * learning_rate_factor(schedule, s, recipe.steps):.3g} at {s + 1}" for s in steps)
    what = "everything" if optimiser.decay_all else "kernels and matrices"
    clip = f"gradient norm at most {recipe.clip_norm:g}" if recipe.clip_norm else "gradient not clipped"
    mean = f"running mean {recipe.ema_decay:g}" if recipe.ema_decay is not None else "no running mean"
    adam = f"AdamW, betas {optimiser.betas[0]:g} {optimiser.betas[1]:g}, decay {optimiser.weight_decay:g} of {what}"
    factors = "".join(f", {name} x {rate:g}" for name, rate in optimiser.rates.items())
    return [("optimiser", f"{adam}; {clip}; {mean}"), ("learning rate", f"{schedule.kind}: {rates}{factors}")]


def _precision_text(recipe: Recipe, device: torch.device) -> str:
    names = {"no": "float32", "bf16": "bfloat16 (losses and weights float32)", "fp16": "float16 with loss scaling"}
    extra = ", TF32 allowed" if device.type == "cuda" and recipe.tf32 else ""
    return names[recipe.precision] + extra + (", compiled" if recipe.compile else "")


def _evaluation_text(recipe: Recipe, evaluation: Any) -> str:
    if evaluation is None:
        return "none"
    best = f", the best by {recipe.decides} is kept" if recipe.decides else ""
    return f"{len(evaluation)} items every {recipe.evaluate_every} steps and at the end{best}"


def _output_text(recipe: Recipe, state: RunState, out: str | Path | None) -> str:
    place = Path("OUT") if out is None else Path(out)
    roles = ", ".join(str(place / role) for role in state.trained)
    copies = 3 + (1 if state.mean is not None else 0)
    size = copies * sum(p.numel() * p.element_size() for p in state.parameters)
    return f"{roles} ({recipe.save_dtype}) and a checkpoint of about {_size(size)} every {recipe.save_every} steps"
