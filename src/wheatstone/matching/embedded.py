"""The small matcher that ships: semi-global matching finds what it can, a small network finishes.

Semi-global matching (Hirschmueller 2008) is sharp and right inside textured surfaces and has no answer for the rest; the
network takes its answers where there are any and its own volume where there are none, looks again, mends the edges and
fills what only one view sees. Without the start value (`start="none"`) it is a matcher of its own, less exact.

Where its pieces come from: group-wise correlation and hourglass (GwcNet, Guo et al. 2019), excitation of the volume by image
features (CoEx, Bangunharcana et al. 2021), recurrent steps that look around the present disparity (RAFT-Stereo, Lipson et
al. 2021) in a raw and in an aggregated volume (IGEV-Stereo, Xu et al. 2023). Ours: the start value is the mode of the
volume, not its mean, so that it is sharp at depth steps; the last steps run at half resolution; and the last of all may take
the given disparity over, pixel by pixel.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_shipped
from wheatstone.errors import InputError
from wheatstone.matching.base import MatcherOutput, NetworkMatcher
from wheatstone.matching.embedded_layers import (
    RADIUS,
    Aggregation,
    Features,
    Step,
    all_pairs,
    convex,
    enlarge,
    expectations,
    grouped_volume,
    look_up,
    warped_correlation,
)
from wheatstone.matching.sgbm import sgbm_disparity

__all__ = ["EmbeddedMatcher", "EmbeddedMatcherNet", "load"]

_FINE_STEPS = 2  # the last steps of a run are made at half resolution
_LEAST_CELLS = 24
_TAKEN_OVER_PX = 3.0


class EmbeddedMatcherNet(nn.Module):
    """See the module. Sides of the images must be multiples of 32.

    Args:
        widths: feature channels at 1/2, 1/4, 1/8 and 1/16.
        volume: channels of the aggregated volume.
        hidden: channels of the state at 1/4 and at 1/2.
        reach: largest disparity the volume covers, as a share of the width, but never less than 192 px; the steps may
            leave it.
    """

    def __init__(
        self,
        widths: Sequence[int] = (24, 48, 64, 96),
        volume: int = 16,
        hidden: Sequence[int] = (48, 24),
        reach: float = 0.2,
    ) -> None:
        super().__init__()
        self.reach = reach
        a, b, c, _ = widths
        coarse, fine = hidden
        self.features = Features(widths)
        self.aggregation = Aggregation(volume, c)
        self.spread = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, 36, 1))
        self.coarse_join = nn.Conv2d(c, b, 1)
        self.coarse_context = nn.Conv2d(b, 3 * coarse, 3, padding=1)
        self.coarse_step = Step(coarse, 3 * (2 * RADIUS + 1) + 2)
        self.coarse_spread = nn.Sequential(nn.Conv2d(coarse, coarse, 3, padding=1), nn.ReLU(), nn.Conv2d(coarse, 36, 1))
        self.fine_join = nn.Conv2d(coarse, a, 1)
        self.fine_context = nn.Conv2d(a, 3 * fine, 3, padding=1)
        self.fine_step = Step(fine, 2 * RADIUS + 1 + 8)
        # 36 weights of the convex mean, and for each of the four fine pixels how far to take over the given disparity
        self.fine_spread = nn.Sequential(nn.Conv2d(fine + 20, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 40, 1))

    def forward(
        self,
        left: Tensor,
        right: Tensor,
        iterations: int = 4,
        initial: Tensor | None = None,
        every: bool = True,
        known: Tensor | None = None,
    ) -> MatcherOutput:
        """Disparity at full size after each step; `MatcherOutput.initial` is the mean of the volume.

        `initial` is the disparity to start from where `known` (default everywhere), full size, px.
        """
        fine_steps = min(_FINE_STEPS, iterations)
        (left2, left4, left8), (right2, right4, right8) = self.features(left), self.features(right)
        scores = self.aggregation(grouped_volume(left8, right8, self._cells(left8.shape[-1])), left8)
        spread = self.spread(left8)
        given = _Given.of(initial, known, left)
        with torch.autocast(left.device.type, enabled=False):
            mean, mode = expectations(scores.float())
            first = enlarge(convex(mean, spread), 4) if every else None
            disparity = given.over(convex(mode, spread).detach())
        predictions: list[Tensor] = []
        state, context = self._context(self.coarse_context, left4, self.coarse_join(left8))
        views = _CoarseViews(left4, right4, scores)
        for _ in range(iterations - fine_steps):
            disparity = disparity.detach()
            looks = torch.cat([views(disparity), given.beside(disparity, 4)], 1)
            state, delta = self.coarse_step(state, context, looks, disparity.to(state.dtype))
            disparity = disparity + delta
            if every:
                predictions.append(enlarge(convex(disparity, self.coarse_spread(state)), 2))
        disparity = convex(disparity, self.coarse_spread(state))
        state, context = self._context(self.fine_context, left2, self.fine_join(state))
        rgb = functional.pixel_unshuffle(left - 0.45, 2).to(state.dtype)
        for step in range(fine_steps):
            disparity = disparity.detach() if step else disparity
            held = disparity.detach()
            looks = torch.cat([warped_correlation(left2, right2, held, RADIUS), given.beside(held, 2)], 1)
            state, delta = self.fine_step(state, context, looks, held.to(state.dtype))
            disparity = disparity + delta
            if every or step == fine_steps - 1:
                predictions.append(self._full_size(disparity, torch.cat([state, rgb], 1), given))
        return MatcherOutput(tuple(predictions), first)

    def _full_size(self, disparity: Tensor, features: Tensor, given: "_Given") -> Tensor:
        """From half to full size, taking over given disparities that are close."""
        beside = given.beside(disparity.detach(), 2).to(features.dtype)
        weights, take = self.fine_spread(torch.cat([features, beside], 1)).split([36, 4], 1)
        full = convex(disparity, weights)
        share = torch.sigmoid(functional.pixel_shuffle(take.float(), 2)) * given.known
        return full + share * (given.disparity - full).clamp(-_TAKEN_OVER_PX, _TAKEN_OVER_PX)

    @staticmethod
    def _context(layer: nn.Module, features: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """First state, and what the features of the left view add to every step."""
        joined = functional.relu(features + functional.interpolate(below, scale_factor=2, mode="nearest"))
        both: Tensor = layer(joined)
        hidden = both.shape[1] // 3
        return both[:, :hidden].tanh(), both[:, hidden:]

    def _cells(self, width: int) -> int:
        """Cells of a volume of `width` columns: an even number, so that the hourglass halves it."""
        return max(_LEAST_CELLS, 2 * math.ceil(self.reach * width / 2))


class _Given:
    """A disparity to start from, with where it is known, at full size."""

    def __init__(self, disparity: Tensor, known: Tensor) -> None:
        self.disparity, self.known = disparity * known, known

    @classmethod
    def of(cls, initial: Tensor | None, known: Tensor | None, left: Tensor) -> "_Given":
        """`initial` may be missing, and `known` with it."""
        if initial is None:
            nothing = torch.zeros_like(left[:, :1], dtype=torch.float32)
            return cls(nothing, nothing)
        return cls(initial.float(), torch.ones_like(initial).float() if known is None else known.float())

    def over(self, disparity: Tensor) -> Tensor:
        """What is known in each cell of a coarser map, px of that map, over `disparity` where nothing is.

        The pixel in the middle of the cell counts if it is known (a mean would mix both sides of an edge), else the mean.
        """
        factor = self.known.shape[-1] // disparity.shape[-1]
        middle = slice(factor // 2, None, factor)
        share = functional.avg_pool2d(self.known, factor)
        mean = functional.avg_pool2d(self.disparity, factor) / share.clamp(min=1e-6)
        value = torch.where(self.known[..., middle, middle] > 0, self.disparity[..., middle, middle], mean)
        return torch.where(share > 0, value / factor, disparity)

    def beside(self, disparity: Tensor, factor: int) -> Tensor:
        """How far the given disparity lies from a coarser map, px of that map, and where it is known.

        At 1/2 each of the four fine pixels has its own channel (8 in all), further down they share one (2).
        """
        if factor == 2:
            known = functional.pixel_unshuffle(self.known, 2)
            away = functional.pixel_unshuffle(self.disparity, 2) / 2 - disparity
        else:
            known = (functional.avg_pool2d(self.known, factor) > 0).float()
            away = self.over(disparity) - disparity
        return torch.cat([(away * known).clamp(-8, 8) / 4, known], 1)


class _CoarseViews:
    """What a step at 1/4 sees around a disparity: raw correlation, the same at half resolution, the aggregated scores."""

    def __init__(self, left: Tensor, right: Tensor, scores: Tensor) -> None:
        pairs = all_pairs(left, right)
        self.raw = pairs
        self.pooled = functional.avg_pool1d(pairs.flatten(0, 2)[:, None], 2).view(*pairs.shape[:-1], -1)
        # [B,D,h,w] at 1/8 -> [B,H,W,D] at 1/4: every cell serves four pixels
        cells = scores.permute(0, 2, 3, 1)
        self.scores = cells.repeat_interleave(2, 1).repeat_interleave(2, 2)
        self.column = torch.arange(left.shape[-1], device=left.device, dtype=torch.float32)

    def __call__(self, disparity: Tensor) -> Tensor:
        column = self.column - disparity
        raw = look_up(self.raw, column, RADIUS)
        pooled = look_up(self.pooled, column / 2 - 0.25, RADIUS)
        scores = look_up(self.scores, disparity / 2, RADIUS)
        return torch.cat([raw, pooled, scores], 1)


class EmbeddedMatcher(NetworkMatcher):
    """Semi-global matching and the network behind the contract of every matcher.

    Args:
        widths, volume, hidden, reach: of the network (see `EmbeddedMatcherNet`).
        iterations: steps of a call that does not say how many; the last two are made at half resolution.
        start: `"sgbm"` starts from semi-global matching on the CPU, `"none"` from the network's own volume; a call's
            `initial` goes before either.
    """

    name = "embedded"
    multiple: ClassVar[int] = 32
    network: EmbeddedMatcherNet

    def __init__(
        self,
        widths: Sequence[int] = (24, 48, 64, 96),
        volume: int = 16,
        hidden: Sequence[int] = (48, 24),
        reach: float = 0.2,
        iterations: int = 4,
        start: str = "sgbm",
    ) -> None:
        if start not in ("sgbm", "none"):
            raise InputError(f"unknown start {start!r} of the embedded matcher: use sgbm or none")
        self.config = {
            "widths": list(widths),
            "volume": volume,
            "hidden": list(hidden),
            "reach": reach,
            "iterations": iterations,
            "start": start,
        }
        self.iterations = iterations
        self.network = EmbeddedMatcherNet(tuple(widths), volume, tuple(hidden), reach).eval()

    def _start_values(self, left: Tensor, right: Tensor, initial: Tensor | None) -> dict[str, Tensor]:
        """The disparity to start from and where it is known; nothing for the network's own start."""
        if initial is not None or self.config["start"] == "none":
            return super()._start_values(left, right, initial)
        disparity, known = sgbm_disparity(left, right)
        return {"initial": disparity, "known": known.float()}


def load(
    name: str,  # noqa: ARG001 (one preset)
    weights: str | Path | None = None,
    official: bool = False,  # noqa: ARG001 (no original)
    **options: object,
) -> EmbeddedMatcher:
    """Load the preset `embedded` from the weights that ship, or from another folder of such weights.

    Raises:
        CheckpointError: no weights there, or weights that do not fit.
    """
    return EmbeddedMatcher.from_pretrained(resolve_shipped("embedded-matcher", weights), **options)
