"""Large pictures in overlapping windows that share one canvas of noise and are blended at every step, so that none has a border.

The networks work at the size they were made for; what a window sees is cut out of maps made once for the whole picture: its
coordinates are those of the whole, and so is the image token. The left view beside a window reaches further to the right by the
largest disparity, since what the window shows came from there.

Source: MultiDiffusion (Bar-Tal et al. 2023): the step that agrees best with all windows is their weighted mean. Weights that fall
off towards the border of a window are ours. Unlike here, GenStereo's own script for large pictures makes every tile from its
own noise, coordinates and token, and cuts along one straight column or row.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.diffusion import latent_factor
from wheatstone.synthesis.genstereo.conditions import Conditions
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks
from wheatstone.synthesis.genstereo.sampling import look_at

__all__ = ["OVERLAP", "WindowPlan", "WindowedPrediction", "decode_windows", "plan_windows", "prepare_windows"]

OVERLAP = 1 / 3
"""Least share of a window that its neighbour covers too."""

Predict = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows lie on a picture, all in pixels.

    Attributes:
        size: height and width of the picture.
        window: height and width of every window.
        corners: upper left corner (row, column) of each window, row by row.
        fade: rows and columns over which a window fades in and out.
    """

    size: tuple[int, int]
    window: tuple[int, int]
    corners: tuple[tuple[int, int], ...]
    fade: tuple[int, int]

    @property
    def single(self) -> bool:
        """Whether one window is the whole picture."""
        return self.window == self.size

    def shares(self, cell: int = 1, device: torch.device | None = None) -> list[Float[Tensor, "h w"]]:
        """How much each window counts at each of its cells of `cell` pixels; over a cell of the picture they sum to 1."""
        height, width = (length // cell for length in self.window)
        down, across = _fade(height, self.fade[0] / cell, device), _fade(width, self.fade[1] / cell, device)
        weight = down[:, None] * across
        total = torch.zeros([length // cell for length in self.size], device=device)
        for part in self.parts(cell):
            total[part] += weight
        return [weight / total[part] for part in self.parts(cell)]

    def parts(self, cell: int = 1) -> list[tuple[slice, slice]]:
        """Rows and columns of each window, in cells of `cell` pixels."""
        height, width = (length // cell for length in self.window)
        return [
            (slice(row // cell, row // cell + height), slice(column // cell, column // cell + width))
            for row, column in self.corners
        ]


def plan_windows(size: tuple[int, int], side: int, *, multiple: int, cell: int, overlap: float = OVERLAP) -> WindowPlan:
    """Cover a picture with windows of as many pixels as a square of `side`, evenly spaced.

    Args:
        size: height and width, multiples of `multiple`.
        side: of a square window; where the picture is lower or narrower than that, windows are longer instead.
        multiple: of pixels that both sides of a window must have.
        cell: of pixels that a corner must lie on.
        overlap: least share of a window that its neighbour covers.
    """
    square = max(multiple, side // multiple * multiple)
    height = min(size[0], square)
    width = min(size[1], max(square, side * side // height // multiple * multiple))
    height = min(size[0], max(square, side * side // width // multiple * multiple))
    rows, columns = (_starts(total, part, cell, overlap) for total, part in zip(size, (height, width), strict=True))
    corners = tuple((row, column) for row in rows for column in columns)
    return WindowPlan(size, (height, width), corners, (max(1, int(height * overlap)), max(1, int(width * overlap))))


@dataclass(frozen=True)
class WindowedPrediction:
    """Latents of the whole picture and time to v, the blend of what its windows predict; call it as a sampler does.

    Attributes:
        plan: of the windows.
        cell: pixels a side of a latent cell.
        predictions: each for some of the windows in their order, with how many they are.
    """

    plan: WindowPlan
    cell: int
    predictions: Sequence[tuple[int, Predict]]

    def __call__(self, latents: Float[Tensor, "1 l h w"], time: Tensor) -> Float[Tensor, "1 l h w"]:
        """Predict every window and take their mean, weighed by `WindowPlan.shares`."""
        parts, shares = self.plan.parts(self.cell), self.plan.shares(self.cell, latents.device)
        blended = torch.zeros_like(latents, dtype=torch.float32)
        done = 0
        for count, predict in self.predictions:
            some = range(done, done + count)
            made = predict(torch.cat([latents[..., *parts[i]] for i in some]), time).float()
            for i, window in zip(some, made, strict=True):
                blended[0][..., *parts[i]] += window * shares[i]
            done += count
        return blended


def prepare_windows(
    networks: GenStereoNetworks,
    left01: Float[Tensor, "1 3 H W"],
    conditions: Conditions,
    plan: WindowPlan,
    *,
    reach_px: tuple[float, float],
    guidance: float,
    tokens: Float[Tensor, "1 1 C"],
    together: int = 1,
) -> WindowedPrediction:
    """Look at the left view beside every window, once for all steps.

    Args:
        networks: to predict with.
        left01: left view of the whole picture, 0..1.
        conditions: of the whole picture, so that coordinates are global.
        plan: of the windows.
        reach_px: least and largest disparity: how far to the left and right of a window its content may come from.
        guidance: see `Prediction`.
        tokens: of the whole picture.
        together: windows in one call of the networks.
    """
    multiple = networks.multiple
    beside = [
        _source_columns(column, plan, reach_px, multiple, latent_factor(networks.vae)) for _, column in plan.corners
    ]
    predictions: list[tuple[int, Predict]] = []
    for first in range(0, len(plan.corners), together):
        some = range(first, min(first + together, len(plan.corners)))
        parts = [plan.parts()[i] for i in some]
        sources = [(part[0], beside[i]) for i, part in zip(some, parts, strict=True)]
        maps = (_cut(left01, sources), _cut(conditions.source, sources), _cut(conditions.target, parts))
        token = tokens.expand(len(parts), -1, -1)
        predictions.append((len(parts), look_at(networks, *maps, guidance=guidance, tokens=token)))
    return WindowedPrediction(plan, latent_factor(networks.vae), predictions)


def decode_windows(
    networks: GenStereoNetworks, latents: Float[Tensor, "1 l h w"], plan: WindowPlan
) -> Float[Tensor, "1 3 H W"]:
    """Decode latents window by window, blended by `WindowPlan.shares`; memory does not grow with the picture."""
    factor = latent_factor(networks.vae)
    image = torch.zeros(1, 3, *plan.size, device=latents.device)
    shares = plan.shares(device=latents.device)
    for cells, pixels, share in zip(plan.parts(factor), plan.parts(), shares, strict=True):
        image[..., *pixels] += networks.decode(latents[..., *cells]) * share
    return image


def _cut(maps: Tensor, parts: Sequence[tuple[slice, slice]]) -> Tensor:
    return torch.cat([maps[..., *part] for part in parts])


def _source_columns(column: int, plan: WindowPlan, reach_px: tuple[float, float], multiple: int, cell: int) -> slice:
    """Columns of the left view that the content of a window came from; as many for every window, and whole multiples."""
    width, window = plan.size[1], plan.window[1]
    before = math.ceil(max(0.0, -reach_px[0]) / cell) * cell
    after = math.ceil(max(0.0, reach_px[1]) / cell) * cell
    length = min(width, math.ceil((before + window + after) / multiple) * multiple)
    start = min(max(0, column - before), width - length)
    return slice(start, start + length)


def _starts(total: int, part: int, cell: int, overlap: float) -> list[int]:
    """Where windows begin along one side: evenly spaced on cells, the last flush with the end."""
    if part >= total:
        return [0]
    count = math.ceil((total - part) / (part * (1 - overlap)) - 1e-9) + 1
    return [round((total - part) * i / (count - 1) / cell) * cell for i in range(count)]


def _fade(length: int, fade: float, device: torch.device | None) -> Tensor:
    """Weights along one side of a window: rising from the border over `fade` cells."""
    place = torch.arange(length, device=device, dtype=torch.float32) + 0.5
    return torch.minimum(place, length - place).div(max(fade, 1.0)).clamp(max=1.0)
