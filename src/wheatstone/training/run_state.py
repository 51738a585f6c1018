"""The moving state of one training: parts, optimiser, running mean, loss scaling; built from a recipe, saved, restored."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils.operations import convert_to_fp32
from torch import nn

from wheatstone.checkpoints import Part
from wheatstone.errors import InputError
from wheatstone.seeding import seed_for
from wheatstone.training.ema import WeightMean
from wheatstone.training.processes import same_start
from wheatstone.training.recipe import Optimiser, Recipe
from wheatstone.training.start import start_weights

__all__ = ["RunState", "build_parts", "parameter_groups"]


def build_parts(recipe: Recipe) -> dict[str, Part]:
    """Build the parts; the first weights depend on the recipe's seed alone, or come from its `start`.

    Raises:
        InputError: a role without a network that is to learn, a start for no role, or none where the recipe needs one.
        CheckpointError: starting weights that are missing or do not fit.
    """
    if unknown := sorted(set(recipe.start) - set(recipe.parts)):
        raise InputError(
            f"start names {', '.join(unknown)}; the parts of {recipe.name!r} are {', '.join(recipe.parts)}"
        )
    if unnamed := [role for role, place in recipe.start.items() if place is None]:
        raise InputError(
            f"recipe {recipe.name!r} goes on from a trained {', '.join(unnamed)}: name it with --start (a run's "
            f"OUT/{unnamed[0]}, a published file, an address of the Hub)"
        )
    parts: dict[str, Part] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed_for(recipe.seed, recipe.name, "weights"))
        for role, build in recipe.parts.items():
            parts[role] = start_weights(build, recipe.start.get(role))
    roles = recipe.trained or tuple(parts)
    if missing := sorted(role for role in roles if role not in parts or parts[role].network is None):
        raise InputError(f"recipe {recipe.name!r} trains {', '.join(missing)}, which has no network")
    return parts


def parameter_groups(networks: Mapping[str, nn.Module], optimiser: Optimiser) -> list[dict[str, Any]]:
    """Parameters by weight decay and learning rate; each group keeps its factor of the learning rate as `rate`."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for role, network in networks.items():
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                decay = optimiser.weight_decay if optimiser.decay_all or parameter.ndim > 1 else 0.0
                groups.setdefault((_rate(optimiser.rates, f"{role}.{name}"), decay), []).append(parameter)
    return [{"params": members, "weight_decay": decay, "rate": rate} for (rate, decay), members in groups.items()]


def _rate(rates: Mapping[str, float], name: str) -> float:
    """Factor of the longest prefix (whole words between dots) that fits."""
    fitting = [prefix for prefix in rates if name == prefix or name.startswith(f"{prefix}.")]
    return float(rates[max(fitting, key=len)]) if fitting else 1.0


@dataclass
class RunState:
    """Everything that moves while a recipe is trained.

    Attributes:
        recipe: what is trained.
        processes: this process among the others, and its device.
        parts: role to part.
        trained: role to network, of those that learn.
        modules: role to network, of all that have one; what an objective is given.
        optimiser: moves the trained parameters.
        scaler: scales the loss in fp16, does nothing otherwise.
        mean: running mean of the trained networks, or None.
        step: optimiser steps done.
        seconds: time they took, earlier runs included.
        losses: terms of the last step.
        figures: of the last evaluation.
        best: step and value of the best evaluation so far.
    """

    recipe: Recipe
    processes: PartialState
    parts: dict[str, Part]
    trained: dict[str, nn.Module]
    modules: dict[str, nn.Module]
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    mean: WeightMean | None
    step: int = 0
    seconds: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)

    @classmethod
    def start(cls, recipe: Recipe, processes: PartialState) -> "RunState":
        """Build everything from the recipe on this process's device."""
        device = processes.device
        parts = {role: part.to(device=device) for role, part in build_parts(recipe).items()}
        modules = {role: part.network for role, part in parts.items() if part.network is not None}
        trained = {role: modules[role].train() for role in recipe.trained or tuple(parts)}
        for role, network in modules.items():
            if role not in trained:
                network.requires_grad_(False).eval()
        same_start(processes, list(modules.values()))
        for network in trained.values():
            if recipe.precision != "no":
                network.register_forward_hook(_in_float32)
            if recipe.compile:
                network.compile()
        settings = recipe.optimiser
        optimiser = torch.optim.AdamW(
            parameter_groups(trained, settings),
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
            fused=device.type == "cuda" or None,
        )
        scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        mean = WeightMean(trained, recipe.ema_decay) if recipe.ema_decay is not None else None
        return cls(recipe, processes, parts, trained, modules, optimiser, scaler, mean)

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """Those that learn, in the order of the optimiser."""
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    def saved(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "figures": self.figures,
            "best": self.best,
            "networks": {role: network.state_dict() for role, network in self.trained.items()},
            "mean": self.mean.state if self.mean is not None else {},
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what was saved."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.losses, self.figures, self.best = (dict(state.get(name, {})) for name in ("losses", "figures", "best"))
        for role, network in self.trained.items():
            network.load_state_dict(state["networks"][role])
        if self.mean is not None:
            self.mean.load(state["mean"])
        rates = [group["rate"] for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, rate in zip(self.optimiser.param_groups, rates, strict=True):
            group["rate"] = rate
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])

    @contextmanager
    def result(self) -> Iterator[dict[str, Part]]:
        """The parts as they would be used now: running mean, evaluation mode; afterwards the training goes on unchanged."""
        modes = {role: [module.training for module in network.modules()] for role, network in self.trained.items()}
        try:
            for network in self.trained.values():
                network.eval()
            # pictures of many sizes: compiling for each would take longer than looking at them
            eager = torch.compiler.set_stance("force_eager") if self.recipe.compile else nullcontext()
            with eager, self.mean.shown() if self.mean is not None else nullcontext():
                yield self.parts
        finally:
            for role, network in self.trained.items():
                for module, mode in zip(network.modules(), modes[role], strict=True):
                    module.training = mode

    def exported(self, part: Part) -> Part:
        """A part in the number format of the result; the part itself where nothing changes."""
        dtype = getattr(torch, self.recipe.save_dtype)
        return part if part.dtype == dtype else copy.deepcopy(part).to(device="cpu", dtype=dtype)


def _in_float32(_network: nn.Module, _inputs: Any, output: Any) -> Any:
    """What a network returns in a lower format, in float32: losses are computed there."""
    return convert_to_fp32(output)
