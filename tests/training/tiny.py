"""A part, an objective and data small enough to train in a test."""

from dataclasses import dataclass

import torch
from torch import nn

from wheatstone.checkpoints import Part
from wheatstone.training import Build, Optimiser, Recipe, Schedule


class FrozenNorm(nn.BatchNorm2d):
    """Normalises by its running statistics, as matchers that freeze their batch norms do."""

    def train(self, mode=True):
        return super().train(False)


class TinyPart(Part):
    """`norm` adds a frozen batch norm and a parameter that no loss reaches; `ballast` makes files large enough to catch."""

    name = "tiny"

    def __init__(self, width: int = 4, norm: bool = False, ballast: int = 0) -> None:
        self.config = {"width": width, "norm": norm, "ballast": ballast}
        between = [FrozenNorm(width), nn.Tanh()] if norm else [nn.Tanh()]
        self.network = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), *between, nn.Conv2d(width, 1, 3, padding=1))
        if norm:
            between[0].running_mean.copy_(torch.linspace(-1, 1, width))
            self.network.unused = nn.Parameter(torch.ones(2, 2))
            self.network.forward = self.network[:4].forward
        if ballast:
            self.network.register_buffer("ballast", torch.zeros(ballast))


@dataclass(frozen=True)
class TinyData:
    """Noise; the truth is known on a part of each item that differs from item to item, and on none of every fifth."""

    length: int = 11
    broken_at: int | None = None

    def __len__(self) -> int:
        return self.length

    def item(self, index, step, generator):
        x = torch.from_numpy(generator.standard_normal((1, 6, 7), dtype="float32"))
        valid = torch.zeros(1, 6, 7, dtype=torch.bool)
        valid[:, : index % 5] = True
        if index == self.broken_at:
            x = x * float("nan")
        return {"key": f"item-{index}", "x": x, "valid": valid}


def tiny_data(folder, seed, length=11):
    return TinyData(length)


@dataclass(frozen=True)
class TinyEvaluation:
    """Error on fixed inputs; the third item has no such figure."""

    def __len__(self):
        return 5

    def __call__(self, parts, index):
        x = torch.linspace(-1, 1, 42).reshape(1, 1, 6, 7) + index
        error = (parts["tiny"].network(x) - x.cos()).abs().mean()
        assert not parts["tiny"].network.training
        return {"error": float("nan") if index == 2 else float(error), "items": 1.0}


def masked_objective(modules, batch, step, generators):
    noise = torch.stack([torch.rand(1, 6, 7, generator=generator) for generator in generators])
    error = (modules["tiny"](batch["x"]) - batch["x"].cos() - 0.1 * noise).square()
    terms = {"masked": ((error * batch["valid"]).sum(), batch["valid"].sum(), 1.0)}
    never = torch.zeros((), dtype=torch.int64)
    return {**terms, "all": (error.sum(), error.numel(), 0.1), "empty": ((error * 0).sum(), never, 1.0)}


def build_objective():
    return masked_objective


RECIPE = Recipe(
    name="tiny",
    about="a test",
    parts={"tiny": Build(f"{__name__}:TinyPart", {"width": 5})},
    objective=Build(f"{__name__}:build_objective"),
    data=Build(f"{__name__}:tiny_data", {"length": 11}),
    steps=6,
    batch=4,
    optimiser=Optimiser(lr=0.01),
    schedule=Schedule("cosine", warmup=0.2),
    save_every=2,
    log_every=1,
)
