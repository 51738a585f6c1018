"""The small matcher that ships: semi-global matching finds what it can, a small network finishes.

Semi-global matching (Hirschmueller 2008) is sharp and right inside textured surfaces and guesses the rest from the
background; the network starts as its echo, is told where it guessed, looks again, mends the edges and fills what only one
view sees. Without that start (`start="none"`) it begins with its own volume and is a matcher of its own, less exact.

Where its pieces come from: group-wise correlation and hourglass (GwcNet, Guo et al. 2019), excitation of the volume by image
features (CoEx, Bangunharcana et al. 2021), recurrent steps that look around the present disparity (RAFT-Stereo, Lipson et
al. 2021) in a raw and in an aggregated volume (IGEV-Stereo, Xu et al. 2023). Ours: the start value is the mode of the
volume, not its mean, so that it is sharp at depth steps; the last steps run at half resolution; and the last of all takes
the given disparity over, pixel by pixel, where the network is not sure to know better. After training, the images have the
last word: of two answers for a pixel that semi-global matching measured, the one that fits them better stays.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_shipped
from wheatstone.errors import InputError
from wheatstone.geometry import background_fill
from wheatstone.matching.base import MatcherOutput, NetworkMatcher
from wheatstone.matching.embedded_layers import (
    RADIUS,
    Aggregation,
    Features,
    Step,
    all_pairs,
    by_rows,
    census_cost,
    convex,
    enlarge,
    expectations,
    grouped_volume,
    look_up,
    warped_correlation,
)
from wheatstone.matching.sgbm import Sgbm, sgbm_disparity
from wheatstone.matching.tiling import in_row_bands

__all__ = ["EmbeddedMatcher", "EmbeddedMatcherNet", "load", "sgbm_start"]

_PIXELS_AT_ONCE = (
    3 << 20
)  # larger pairs pass through the network in bands of rows: memory stops growing with the height
_LEAST_ROWS = 256
_FINE_STEPS = 2  # the last steps of a run are made at half resolution
_LEAST_CELLS = 24
_TAKEN_OVER_PX = 8.0
_TAKEN_OVER_AT_FIRST = 1.5  # before training: 82 % of the given disparity


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
        self.coarse_step = Step(coarse, 3 * (2 * RADIUS + 1) + 2 + 2)
        self.coarse_spread = nn.Sequential(nn.Conv2d(coarse, coarse, 3, padding=1), nn.ReLU(), nn.Conv2d(coarse, 36, 1))
        self.fine_join = nn.Conv2d(coarse, a, 1)
        self.fine_context = nn.Conv2d(a, 3 * fine, 3, padding=1)
        self.fine_step = Step(fine, 2 * RADIUS + 1 + 8)
        # 36 weights of the convex mean, and for each of the four fine pixels how far to take over the given disparity
        last = nn.Conv2d(32, 40, 1)
        self.fine_spread = nn.Sequential(nn.Conv2d(fine + 20, 32, 3, padding=1), nn.ReLU(), last)
        # before training a run answers what it was given
        for parameter in (*self.coarse_step.delta.parameters(), *self.fine_step.delta.parameters()):
            nn.init.zeros_(parameter)
        with torch.no_grad():
            last.weight[36:] = 0
            last.get_parameter("bias").copy_(torch.arange(40).ge(36) * _TAKEN_OVER_AT_FIRST)

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

        `initial` is the disparity to start from, full size, px, NaN where there is none; `known` is 1 where it was measured
        and 0 where it is a guess (default: measured).
        """
        fine_steps = min(_FINE_STEPS, iterations)
        (left2, left4, left8), (right2, right4, right8) = self.features(left), self.features(right)
        scores = self.aggregation(grouped_volume(left8, right8, self._cells(left8.shape[-1])), left8)
        spread = self.spread(left8)
        given = _Given.of(initial, known, left)
        with torch.autocast(left.device.type, enabled=False):
            mean, mode, peak = expectations(scores.float())
            first = enlarge(convex(mean, spread), 4) if every else None
            own = convex(mode, spread).detach()
            sure = functional.interpolate(peak.detach(), scale_factor=2, mode="nearest")
            disparity = given.over(own)
        predictions: list[Tensor] = []
        state, context = self._context(self.coarse_context, left4, self.coarse_join(left8))
        views = _CoarseViews(left4, right4, scores)
        for _ in range(iterations - fine_steps):
            disparity = disparity.detach()
            opinion = ((own - disparity).clamp(-16, 16) / 4) * sure
            looks = torch.cat([views(disparity), given.beside(disparity, 4), opinion, sure], 1)
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
        if initial is not None and not self.training:
            predictions[-1] = given.where_it_fits_better(predictions[-1], left, right)
        return MatcherOutput(tuple(predictions), first)

    def _full_size(self, disparity: Tensor, features: Tensor, given: "_Given") -> Tensor:
        """From half to full size, taking over given disparities that are close."""
        beside = given.beside(disparity.detach(), 2).to(features.dtype)
        weights, take = self.fine_spread(torch.cat([features, beside], 1)).split([36, 4], 1)
        full = convex(disparity, weights)
        share = torch.sigmoid(functional.pixel_shuffle(take.float(), 2)) * given.there
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
    """A disparity to start from at full size: its values, where there are any, and where they were measured."""

    def __init__(self, disparity: Tensor, there: Tensor, measured: Tensor) -> None:
        self.disparity, self.there, self.measured = disparity, there, measured

    @classmethod
    def of(cls, initial: Tensor | None, known: Tensor | None, left: Tensor) -> "_Given":
        """`initial` may be missing or NaN, and `known` with it."""
        if initial is None:
            nothing = torch.zeros_like(left[:, :1], dtype=torch.float32)
            return cls(nothing, nothing, nothing)
        there = initial.isfinite().float()
        measured = there if known is None else there * known.float()
        return cls(torch.nan_to_num(initial.float(), 0.0), there, measured)

    def over(self, disparity: Tensor) -> Tensor:
        """What is given for each cell of a coarser map, px of that map, over `disparity` where nothing is.

        The pixel in the middle of the cell counts if it was measured (a mean would mix both sides of an edge), else the
        mean of the measured ones, else the guess in the middle.
        """
        factor = self.there.shape[-1] // disparity.shape[-1]
        middle = slice(factor // 2, None, factor)
        share = functional.avg_pool2d(self.measured, factor)
        mean = functional.avg_pool2d(self.disparity * self.measured, factor) / share.clamp(min=1e-6)
        at_middle = (share == 0) | (self.measured[..., middle, middle] > 0)
        value = torch.where(at_middle, self.disparity[..., middle, middle], mean)
        there = (share > 0) | (self.there[..., middle, middle] > 0)
        return torch.where(there, value / factor, disparity)

    def beside(self, disparity: Tensor, factor: int) -> Tensor:
        """How far the given disparity lies from a coarser map, px of that map, and where it was measured.

        At 1/2 each of the four fine pixels has its own channel (8 in all), further down they share one (2).
        """
        if factor == 2:
            there, measured = (functional.pixel_unshuffle(mask, 2) for mask in (self.there, self.measured))
            away = functional.pixel_unshuffle(self.disparity, 2) / 2 - disparity
        else:
            there, measured = (functional.max_pool2d(mask, factor) for mask in (self.there, self.measured))
            away = self.over(disparity) - disparity
        return torch.cat([(away * there).clamp(-8, 8) / 4, measured], 1)

    def where_it_fits_better(self, disparity: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """The given disparity where it was measured and fits the images better than `disparity`, else that.

        What is hidden in the other view has no fit: there nothing was measured, and the network decides alone.
        """
        better = census_cost(left, right, self.disparity) < census_cost(left, right, disparity)
        return torch.where(better & (self.measured > 0), self.disparity, disparity)


class _CoarseViews:
    """What a step at 1/4 sees around a disparity: raw correlation, the same at half resolution, the aggregated scores."""

    def __init__(self, left: Tensor, right: Tensor, scores: Tensor) -> None:
        self.left, self.right = left, right
        # [B,D,h,w] at 1/8 -> [B,H,W,D] at 1/4: every cell serves four pixels
        cells = scores.permute(0, 2, 3, 1)
        self.scores = cells.repeat_interleave(2, 1).repeat_interleave(2, 2)
        self.column = torch.arange(left.shape[-1], device=left.device, dtype=torch.float32)

    def __call__(self, disparity: Tensor) -> Tensor:
        # the correlations are computed anew in every step, and forgotten: there are but two
        raw = by_rows(_correlations, self.left, self.right, self.column - disparity)
        return torch.cat([raw, look_up(self.scores, disparity / 2, RADIUS)], 1)


def _correlations(left: Tensor, right: Tensor, column: Tensor) -> Tensor:
    """Correlation with the columns around `column`, at full and at half resolution."""
    pairs = all_pairs(left, right)
    pooled = functional.avg_pool1d(pairs.flatten(0, 2)[:, None], 2).view(*pairs.shape[:-1], -1)
    return torch.cat([look_up(pairs, column, RADIUS), look_up(pooled, column / 2 - 0.25, RADIUS)], 1)


class EmbeddedMatcher(NetworkMatcher):
    """Semi-global matching and the network behind the contract of every matcher.

    Args:
        widths, volume, hidden, reach: of the network (see `EmbeddedMatcherNet`).
        iterations: steps of a call that does not say how many; the last two are made at half resolution.
        start: `"sgbm"` starts from semi-global matching on the CPU, `"none"` from the network's own volume; a call's
            `initial` goes before either.
        half_on_cpu: compute in bfloat16 on CPUs that do so natively, as in training: 1.7 times as fast; 95 in 100 answers stay
            within 0.01 px, 3 in 10 000 move by more than 1 px. Elsewhere, and in any other number format, it changes nothing.
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
        half_on_cpu: bool = True,
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
            "half_on_cpu": half_on_cpu,
        }
        self.iterations = iterations
        self.network = EmbeddedMatcherNet(tuple(widths), volume, tuple(hidden), reach).eval()

    def _run_network(
        self, left: Tensor, right: Tensor, steps: int, start: dict[str, Tensor], every: bool
    ) -> list[Tensor]:
        half = self.config["half_on_cpu"] and self.device.type == "cpu" and self.dtype == torch.float32
        height, width = left.shape[-2:]

        def band(rows: slice) -> list[Tensor]:
            given = {name: value[..., rows, :] for name, value in start.items()}
            return run(left[..., rows, :], right[..., rows, :], steps, given, every)

        run = super()._run_network
        with torch.autocast("cpu", torch.bfloat16, enabled=half and _native_bfloat16()):
            return in_row_bands(band, height, max(_LEAST_ROWS, _PIXELS_AT_ONCE // width))

    def start_values(self, left: Tensor, right: Tensor, initial: Tensor | None) -> dict[str, Tensor]:
        """The disparity to start from and where it is known; nothing for the network's own start."""
        if initial is not None or self.config["start"] == "none":
            return super().start_values(left, right, initial)
        return sgbm_start(left, right)


def _native_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 (PyTorch says so from 2.8 on)."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def sgbm_start(
    left: Float[Tensor, "B 3 H W"], right: Float[Tensor, "B 3 H W"], matcher: Sgbm | None = None
) -> dict[str, Float[Tensor, "B 1 H W"]]:
    """What the network is told by semi-global matching.

    Args:
        left: in 0..1.
        right: the same for the other view.
        matcher: its settings; those of `Sgbm()` by default.

    Returns:
        `initial` `[B,1,H,W]`, px, filled from the background, and `known`, 1 where it was measured.
    """
    disparity, known = sgbm_disparity(left, right, matcher)
    return {"initial": background_fill(disparity, known), "known": known.float()}


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
