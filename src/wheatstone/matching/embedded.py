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
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_shipped
from wheatstone.errors import InputError
from wheatstone.matching.base import MatcherOutput, NetworkMatcher
from wheatstone.matching.sgbm import sgbm_disparity

__all__ = ["EmbeddedMatcher", "EmbeddedMatcherNet", "load"]

_FINE_STEPS = 2  # the last steps of a run are made at half resolution
_RADIUS = 4
_GROUPS = 8
_LEAST_CELLS = 24
_TAKEN_OVER_PX = 3.0


class _Residual(nn.Module):
    """Two convolutions on a shortcut that starts as the identity; normalised in groups, so no item sees another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.GroupNorm(4, width), nn.GroupNorm(4, width)
        self.conv_a, self.conv_b = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.conv_b.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_a(functional.relu(self.norm_a(x)))
        return x + self.conv_b(functional.relu(self.norm_b(y)))


class _Features(nn.Module):
    """Image to features at 1/2, 1/4 and 1/8: a residual U-Net whose deepest level is 1/16."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = nn.Conv2d(3, a, 5, stride=2, padding=2)
        self.encode = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(count)))
            for width, count in ((a, 1), (b, 2), (c, 2), (d, 2))
        )
        self.down = nn.ModuleList(nn.Conv2d(p, q, 3, stride=2, padding=1) for p, q in ((a, b), (b, c), (c, d)))
        self.narrow = nn.ModuleList(nn.Conv2d(q, p, 1) for p, q in ((a, b), (b, c), (c, d)))
        self.decode = nn.ModuleList(_Residual(width) for width in (a, b, c))

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.stem((image - 0.45) / 0.25)
        levels = []
        for i, encode in enumerate(self.encode):
            x = encode(x if i == 0 else self.down[i - 1](x))
            levels.append(x)
        x = levels.pop()
        features = []
        for i in (2, 1, 0):
            x = levels[i] + functional.interpolate(self.narrow[i](x), scale_factor=2, mode="nearest")
            x = self.decode[i](x)
            features.append(x)
        return features[::-1]


class _AcrossCells(nn.Module):
    """A residual block over a volume `[B,D,C,h,w]`: within each slice of equal disparity, then between neighbouring slices.

    A 3-D convolution in two parts, 2.4 times cheaper, made of the 2-D ones that every machine runs fast.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.GroupNorm(4, width), nn.GroupNorm(4, width)
        self.within = nn.Conv2d(width, width, 3, padding=1)
        self.between = nn.Conv2d(3 * width, width, 1)
        nn.init.zeros_(self.between.weight)

    def forward(self, volume: Tensor) -> Tensor:
        B, D = volume.shape[:2]
        x = volume.flatten(0, 1)
        x = functional.relu(self.norm_b(self.within(functional.relu(self.norm_a(x))))).unflatten(0, (B, D))
        beside = functional.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))
        x = self.between(torch.cat([beside[:, :-2], x, beside[:, 2:]], 2).flatten(0, 1))
        return volume + x.unflatten(0, (B, D))


class _Aggregation(nn.Module):
    """Correlation volume `[B,D,G,h,w]` to one score a disparity `[B,D,h,w]`; a small hourglass, steered by the left features."""

    def __init__(self, width: int, guide: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(_GROUPS, width, 3, padding=1)
        self.first = nn.Sequential(_AcrossCells(width), _AcrossCells(width))
        self.down = nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1)  # two slices become one
        self.deep = nn.Sequential(*(_AcrossCells(2 * width) for _ in range(4)))
        self.up = nn.Conv2d(2 * width, 2 * width, 1)  # and one becomes two
        self.last = nn.Sequential(_AcrossCells(width), _AcrossCells(width))
        self.score = nn.Conv2d(width, 1, 3, padding=1)
        self.gates = nn.ModuleList(nn.Conv2d(guide, width, 1) for _ in range(2))

    def forward(self, volume: Tensor, guide: Tensor) -> Tensor:
        B, D, _, h, w = volume.shape
        x = self.enter(volume.flatten(0, 1)).unflatten(0, (B, D))
        x = self.first(x * torch.sigmoid(self.gates[0](guide))[:, None])
        y = self.down(x.reshape(B * D // 2, -1, h, w)).unflatten(0, (B, D // 2))
        y = self.up(self.deep(y).flatten(0, 1))
        x = x + functional.interpolate(y, size=(h, w), mode="nearest").reshape(x.shape)
        x = self.last(x * torch.sigmoid(self.gates[1](guide))[:, None])
        return self.score(x.flatten(0, 1)).view(B, D, h, w)


class _Step(nn.Module):
    """One recurrent step: what the volumes say around the present disparity moves the state, the state moves the disparity.

    A gated unit without a reset gate: gate and candidate come out of one convolution.
    """

    def __init__(self, hidden: int, looks: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(looks, hidden, 1)
        self.encode = nn.Conv2d(hidden + 1, hidden, 3, padding=1)
        self.gates = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1)
        self.head = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.delta = nn.Conv2d(hidden, 1, 3, padding=1)

    def forward(self, state: Tensor, context: Tensor, looks: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
        seen = functional.relu(self.look(looks))
        seen = functional.relu(self.encode(torch.cat([seen, disparity / 16], 1)))
        gate, candidate = (self.gates(torch.cat([state, seen], 1)) + context).chunk(2, 1)
        state = torch.lerp(state, torch.tanh(candidate), torch.sigmoid(gate))
        return state, self.delta(functional.relu(self.head(state))).float()


def _all_pairs(left: Tensor, right: Tensor) -> Float[Tensor, "B H W W2"]:
    """Correlation of every pixel with every pixel of its row in the other view."""
    scale = left.shape[1] ** -0.5
    return torch.matmul(left.permute(0, 2, 3, 1) * scale, right.permute(0, 2, 1, 3))


def _grouped_volume(left: Tensor, right: Tensor, cells: int) -> Float[Tensor, "B D G h w"]:
    """Mean product of the features of each group, at disparities 0 .. cells - 1; 0 where the other view ends."""
    B, C, h, w = left.shape
    a = left.reshape(B * _GROUPS, C // _GROUPS, h, w)
    b = right.reshape(B * _GROUPS, C // _GROUPS, h, w)
    rows = _all_pairs(a, b)  # [B*G, h, w, w]
    column = torch.arange(w, device=left.device)
    target = column[:, None] - torch.arange(cells, device=left.device)  # [w, D]
    taken = rows.gather(-1, target.clamp(min=0).expand(B * _GROUPS, h, w, cells))
    taken = (taken * (target >= 0)).view(B, _GROUPS, h, w, cells)
    return taken.permute(0, 4, 1, 2, 3).contiguous()


def _look_up(values: Float[Tensor, "B H W N"], centre: Float[Tensor, "B 1 H W"], radius: int) -> Tensor:
    """Values at `centre - radius .. centre + radius` along the last axis, linearly between two; 0 outside."""
    N = values.shape[-1]
    base = centre.floor()
    share = (centre - base).to(values.dtype)[:, 0, :, :, None]
    offsets = torch.arange(-radius, radius + 2, device=centre.device)
    index = base[:, 0, :, :, None].long() + offsets
    taken = values.gather(-1, index.clamp(0, N - 1)) * ((index >= 0) & (index < N))
    return (taken[..., :-1] + (taken[..., 1:] - taken[..., :-1]) * share).permute(0, 3, 1, 2)


def _warped_correlation(left: Tensor, right: Tensor, disparity: Tensor, radius: int) -> Tensor:
    """Correlation around `x - d` without a volume: for fine maps, where all pairs would not fit."""
    B, C, H, W = left.shape
    column = torch.arange(W, device=left.device, dtype=torch.float32) - disparity
    base = column.floor()
    share = (column - base).to(left.dtype)
    products = []
    for offset in range(-radius, radius + 2):
        index = base.long() + offset
        fetched = right.gather(-1, index.clamp(0, W - 1).expand(B, C, H, W))
        product = (left * fetched).sum(1, keepdim=True) * C**-0.5
        products.append(product * ((index >= 0) & (index < W)))
    stack = torch.cat(products, 1)
    return stack[:, :-1] + (stack[:, 1:] - stack[:, :-1]) * share


def _convex(disparity: Tensor, weights: Tensor) -> Tensor:
    """Double the resolution: every fine pixel is a convex mean of the nine coarse ones around it (RAFT); values double."""
    B, _, H, W = disparity.shape
    around = functional.unfold(2 * functional.pad(disparity, (1, 1, 1, 1), mode="replicate"), 3).view(B, 9, 1, H, W)
    share = weights.float().view(B, 9, 4, H, W).softmax(1)
    return functional.pixel_shuffle((around * share).sum(1), 2)


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
        self.features = _Features(widths)
        self.aggregation = _Aggregation(volume, c)
        self.spread = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, 36, 1))
        self.coarse_join = nn.Conv2d(c, b, 1)
        self.coarse_context = nn.Conv2d(b, 3 * coarse, 3, padding=1)
        self.coarse_step = _Step(coarse, 3 * (2 * _RADIUS + 1) + 2)
        self.coarse_spread = nn.Sequential(nn.Conv2d(coarse, coarse, 3, padding=1), nn.ReLU(), nn.Conv2d(coarse, 36, 1))
        self.fine_join = nn.Conv2d(coarse, a, 1)
        self.fine_context = nn.Conv2d(a, 3 * fine, 3, padding=1)
        self.fine_step = _Step(fine, 2 * _RADIUS + 1 + 8)
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
        scores = self.aggregation(_grouped_volume(left8, right8, self._cells(left8.shape[-1])), left8)
        spread = self.spread(left8)
        given = _Given.of(initial, known, left)
        with torch.autocast(left.device.type, enabled=False):
            mean, mode = _expectations(scores.float())
            first = _enlarge(_convex(mean, spread), 4) if every else None
            disparity = given.over(_convex(mode, spread).detach())
        predictions: list[Tensor] = []
        state, context = self._context(self.coarse_context, left4, self.coarse_join(left8))
        views = _CoarseViews(left4, right4, scores)
        for _ in range(iterations - fine_steps):
            disparity = disparity.detach()
            looks = torch.cat([views(disparity), given.beside(disparity, 4)], 1)
            state, delta = self.coarse_step(state, context, looks, disparity.to(state.dtype))
            disparity = disparity + delta
            if every:
                predictions.append(_enlarge(_convex(disparity, self.coarse_spread(state)), 2))
        disparity = _convex(disparity, self.coarse_spread(state))
        state, context = self._context(self.fine_context, left2, self.fine_join(state))
        rgb = functional.pixel_unshuffle(left - 0.45, 2).to(state.dtype)
        for step in range(fine_steps):
            disparity = disparity.detach() if step else disparity
            looks = [
                _warped_correlation(left2, right2, disparity.detach(), _RADIUS),
                given.beside(disparity.detach(), 2),
            ]
            state, delta = self.fine_step(state, context, torch.cat(looks, 1), disparity.detach().to(state.dtype))
            disparity = disparity + delta
            if every or step == fine_steps - 1:
                predictions.append(self._full_size(disparity, torch.cat([state, rgb], 1), given))
        return MatcherOutput(tuple(predictions), first)

    def _full_size(self, disparity: Tensor, features: Tensor, given: "_Given") -> Tensor:
        """From half to full size, taking over given disparities that are close."""
        beside = given.beside(disparity.detach(), 2).to(features.dtype)
        weights, take = self.fine_spread(torch.cat([features, beside], 1)).split([36, 4], 1)
        full = _convex(disparity, weights)
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
        pairs = _all_pairs(left, right)
        self.raw = pairs
        self.pooled = functional.avg_pool1d(pairs.flatten(0, 2)[:, None], 2).view(*pairs.shape[:-1], -1)
        # [B,D,h,w] at 1/8 -> [B,H,W,D] at 1/4: every cell serves four pixels
        cells = scores.permute(0, 2, 3, 1)
        self.scores = cells.repeat_interleave(2, 1).repeat_interleave(2, 2)
        self.column = torch.arange(left.shape[-1], device=left.device, dtype=torch.float32)

    def __call__(self, disparity: Tensor) -> Tensor:
        column = self.column - disparity
        raw = _look_up(self.raw, column, _RADIUS)
        pooled = _look_up(self.pooled, column / 2 - 0.25, _RADIUS)
        scores = _look_up(self.scores, disparity / 2, _RADIUS)
        return torch.cat([raw, pooled, scores], 1)


def _expectations(scores: Float[Tensor, "B D h w"]) -> tuple[Tensor, Tensor]:
    """Mean of the distribution over disparities, and mean of it within one cell of its mode (sharp at depth steps)."""
    share = scores.softmax(1)
    cells = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)[None, :, None, None]
    mean = (share * cells).sum(1, keepdim=True)
    near = share * ((cells - share.argmax(1, keepdim=True)).abs() <= 1)
    return mean, (near * cells).sum(1, keepdim=True) / near.sum(1, keepdim=True)


def _enlarge(disparity: Tensor, factor: int) -> Tensor:
    return factor * functional.interpolate(disparity, scale_factor=factor, mode="bilinear", align_corners=False)


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
