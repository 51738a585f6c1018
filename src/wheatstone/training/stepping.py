"""The loss of one step, however its batch is split: sums and counts are added before anything is divided.

Numbers stay on the device until the whole step is computed, and then come over together: one wait a step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn

from wheatstone.objectives.terms import Terms
from wheatstone.seeding import seed_for
from wheatstone.training.order import item_generators
from wheatstone.training.processes import summed

__all__ = ["Gradients", "Micro", "StepLoss", "autocast"]

Micro = tuple[list[int], dict[str, Any]]
"""Positions in the stream of items, and their batch."""

_FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The number format of the forward pass: `no` (float32), `bf16` or `fp16`."""
    dtype = _FORMATS.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


@dataclass(frozen=True)
class Gradients:
    """What the backward passes of a step left besides the gradients; tensors are still on the device.

    Attributes:
        names: terms of the loss.
        weights: their weights.
        means: their masked means over the whole step, all processes together, `[terms]`.
        shares: the loss of each micro-batch of this process, `[micro-batches]`.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    means: Tensor
    shares: Tensor

    def read(self, *more: Tensor) -> tuple[dict[str, float], list[float], list[float]]:
        """Fetch everything at once: the terms and their weighted sum as `loss`, the shares, and further single numbers."""
        extra = [value.detach().double().reshape(1) for value in more]
        together = torch.cat([self.means.double(), self.shares.double(), *extra]).tolist()
        values, rest = together[: len(self.names)], together[len(self.names) :]
        losses = dict(zip(self.names, values, strict=True))
        losses["loss"] = sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        return losses, rest[: len(self.shares)], rest[len(self.shares) :]


@dataclass(frozen=True)
class StepLoss:
    """An objective on networks, evaluated over the micro-batches of a step.

    Attributes:
        objective: `objective(modules, batch, step, generators) -> {term: (sum, count, weight)}`. It may have a method
            `counts(batch) -> {term: count}`; then a split step need not run the networks twice.
        modules: role to network.
        state: the processes and this one's device.
        seed: of the run.
        precision: number format of the forward pass.
    """

    objective: Any
    modules: Mapping[str, nn.Module]
    state: PartialState
    seed: int
    precision: str

    def backward(self, micros: Sequence[Micro], step: int, scale: Callable[[Tensor], Tensor]) -> Gradients:
        """Add the gradients of this process's micro-batches to the parameters.

        Args:
            micros: micro-batches of this process.
            step: the step they belong to.
            scale: multiplies a loss before its backward pass (loss scaling).
        """
        batches = [(positions, self._moved(batch)) for positions, batch in micros]
        counts = self._counts(batches, step) if len(batches) > 1 else None
        means, shares = None, []
        names: tuple[str, ...] = ()
        weights: tuple[float, ...] = ()
        for micro in batches:
            terms = self._terms(micro, step)
            names, weights = tuple(terms), tuple(weight for _, _, weight in terms.values())
            own = torch.stack([count.detach() for _, count, _ in terms.values()])
            divisors = torch.stack([counts[name] for name in names]) if counts else summed(self.state, own)
            # nothing counted at all: the term is 0 and has no gradient
            divisors = torch.where(divisors > 0, divisors, torch.inf)
            values = torch.stack([total.float().reshape(()) for total, _, _ in terms.values()]) / divisors
            share = torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum()
            scale(share).backward()
            means = values.detach() if means is None else means + values.detach()
            shares.append(share.detach())
        total = torch.zeros(0) if means is None else summed(self.state, means)
        return Gradients(names, weights, total, torch.stack(shares))

    def _moved(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        device = self.state.device
        return {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in batch.items()
        }

    def _terms(self, micro: Micro, step: int) -> Terms:
        positions, batch = micro
        # layers that draw (dropout) see numbers of this step and these items alone; the trainer guards the global state
        torch.manual_seed(seed_for(self.seed, f"{step}/{positions[0]}", "layers"))
        with autocast(self.state.device, self.precision):
            terms = self.objective(self.modules, batch, step, item_generators(positions, self.seed))
        return {name: (total, self._count(count), float(weight)) for name, (total, count, weight) in terms.items()}

    def _count(self, count: Any) -> Tensor:
        if isinstance(count, Tensor):
            return count.detach().to(self.state.device, torch.float32).reshape(())
        return torch.full((), float(count), device=self.state.device)

    @torch.no_grad()
    def _counts(self, batches: Sequence[Micro], step: int) -> dict[str, Tensor]:
        """Counts of the whole step, before the first gradient; the price, without `objective.counts`, is a forward pass."""
        count_of = getattr(self.objective, "counts", None)
        if count_of is None:
            kept = [(buffer, buffer.clone()) for network in self.modules.values() for buffer in network.buffers()]
        totals: dict[str, Tensor] = {}
        for micro in batches:
            if count_of is not None:
                own = {name: self._count(count) for name, count in count_of(micro[1]).items()}
            else:
                own = {name: count for name, (_, count, _) in self._terms(micro, step).items()}
            for name, count in own.items():
                totals[name] = totals.get(name, torch.zeros_like(count)) + count
        if count_of is None:
            for buffer, before in kept:  # running statistics of a normalisation must see every item once
                buffer.copy_(before)
        stacked = summed(self.state, torch.stack(list(totals.values())))
        return dict(zip(totals, stacked, strict=True))
