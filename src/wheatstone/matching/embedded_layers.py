"""Layers and look-ups of the embedded matcher: features, aggregation of the volume, the recurrent step."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.row_bands import bands, in_one_piece

__all__ = [
    "RADIUS",
    "Aggregation",
    "Features",
    "Step",
    "all_pairs",
    "by_rows",
    "census_cost",
    "convex",
    "enlarge",
    "expectations",
    "grouped_volume",
    "look_up",
    "warped_correlation",
]

RADIUS = 4
"""Steps of the disparity that a look-up sees on each side."""

_GROUPS = 8
_LEAST_SLICES = 8
_CELLS_AT_ONCE = {True: 1 << 18, False: 1 << 23}  # of a volume, on a CPU and elsewhere
_GREY = (0.299, 0.587, 0.114)
_CENSUS_STEP = 0.02


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


class Features(nn.Module):
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

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """Features of an image in 0..1, finest first."""
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
        """A block of slices at a time, so that beside the volume and the answer little exists at once."""
        B, D, _, h, w = volume.shape
        if in_one_piece():
            return self._slices(volume, 0, D)
        out = torch.empty_like(volume)
        step = max(_LEAST_SLICES, _CELLS_AT_ONCE[volume.device.type == "cpu"] // (B * h * w))
        for first in range(0, D, step):
            last = min(first + step, D)
            out[:, first:last] = self._slices(volume, first, last)
        return out

    def _slices(self, volume: Tensor, first: int, last: int) -> Tensor:
        """Slices `first` to `last` - 1 of the answer, from those and their neighbours."""
        B, D = volume.shape[:2]
        low, high = max(first - 1, 0), min(last + 1, D)
        x = volume[:, low:high].flatten(0, 1)
        x = functional.relu(self.norm_b(self.within(functional.relu(self.norm_a(x))))).unflatten(0, (B, high - low))
        x = functional.pad(x, (0, 0, 0, 0, 0, 0, low - first + 1, last + 1 - high))
        x = self.between(torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], 2).flatten(0, 1))
        return volume[:, first:last] + x.unflatten(0, (B, last - first))


class Aggregation(nn.Module):
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

    def forward(self, volume: Float[Tensor, "B D G h w"], guide: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        """Scores; `guide` `[B,C,h,w]` are the features of the left view."""
        B, D, _, h, w = volume.shape
        x = self.enter(volume.flatten(0, 1)).unflatten(0, (B, D))
        x = self.first(x * torch.sigmoid(self.gates[0](guide))[:, None])
        y = self.down(x.reshape(B * D // 2, -1, h, w)).unflatten(0, (B, D // 2))
        y = self.up(self.deep(y).flatten(0, 1))
        x = x + functional.interpolate(y, size=(h, w), mode="nearest").reshape(x.shape)
        x = self.last(x * torch.sigmoid(self.gates[1](guide))[:, None])
        return self.score(x.flatten(0, 1)).view(B, D, h, w)


class Step(nn.Module):
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
        """The new state, and by how much (float32) the disparity moves."""
        seen = functional.relu(self.look(looks.to(state.dtype)))
        seen = functional.relu(self.encode(torch.cat([seen, disparity / 16], 1)))
        gate, candidate = (self.gates(torch.cat([state, seen], 1)) + context).chunk(2, 1)
        state = torch.lerp(state, torch.tanh(candidate), torch.sigmoid(gate))
        return state, self.delta(functional.relu(self.head(state))).float()


def by_rows(function: Callable[..., Tensor], *maps: Float[Tensor, "B _ H W"], numbers: int = 1) -> Tensor:
    """A function of the rows of maps, a band of rows at a time where no gradients are kept.

    Args:
        function: from maps to a tensor `[...,H,W]`, every row by itself.
        maps: its arguments.
        numbers: how many numbers a pair of pixels in a row takes inside of it.
    """
    if in_one_piece():
        return function(*maps)
    height, width = maps[0].shape[-2:]
    parts = (
        function(*(values[..., start:stop, :] for values in maps))
        for start, stop in bands(height, width * numbers, maps[0].device)
    )
    return torch.cat(list(parts), -2)


def all_pairs(left: Float[Tensor, "B C H W"], right: Float[Tensor, "B C H W2"]) -> Float[Tensor, "B H W W2"]:
    """Correlation of every pixel with every pixel of its row in the other view."""
    scale = left.shape[1] ** -0.5
    return torch.matmul(left.permute(0, 2, 3, 1) * scale, right.permute(0, 2, 1, 3))


def grouped_volume(
    left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h w"], cells: int
) -> Float[Tensor, "B D G h w"]:
    """Mean product of the features of each group, at disparities 0 .. cells - 1; 0 where the other view ends."""
    return by_rows(lambda a, b: _grouped_rows(a, b, cells), left, right, numbers=_GROUPS)


def _grouped_rows(left: Tensor, right: Tensor, cells: int) -> Float[Tensor, "B D G h w"]:
    B, C, h, w = left.shape
    a = left.reshape(B * _GROUPS, C // _GROUPS, h, w)
    b = right.reshape(B * _GROUPS, C // _GROUPS, h, w)
    rows = all_pairs(a, b)  # [B*G, h, w, w]
    column = torch.arange(w, device=left.device)
    target = column[:, None] - torch.arange(cells, device=left.device)  # [w, D]
    taken = rows.gather(-1, target.clamp(min=0).expand(B * _GROUPS, h, w, cells))
    taken = (taken * (target >= 0)).view(B, _GROUPS, h, w, cells)
    return taken.permute(0, 4, 1, 2, 3).contiguous()


def look_up(
    values: Float[Tensor, "B H W N"], centre: Float[Tensor, "B 1 H W"], radius: int
) -> Float[Tensor, "B K H W"]:
    """Values at `centre - radius .. centre + radius` along the last axis, linearly between two; 0 outside."""
    N = values.shape[-1]
    base = centre.floor()
    share = (centre - base).to(values.dtype)[:, 0, :, :, None]
    offsets = torch.arange(-radius, radius + 2, device=centre.device)
    index = base[:, 0, :, :, None].long() + offsets
    taken = values.gather(-1, index.clamp(0, N - 1)) * ((index >= 0) & (index < N))
    return (taken[..., :-1] + (taken[..., 1:] - taken[..., :-1]) * share).permute(0, 3, 1, 2)


def warped_correlation(
    left: Float[Tensor, "B C H W"],
    right: Float[Tensor, "B C H W"],
    disparity: Float[Tensor, "B 1 H W"],
    radius: int,
) -> Float[Tensor, "B K H W"]:
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


def census_cost(
    left: Float[Tensor, "B 3 H W"], right: Float[Tensor, "B 3 H W"], disparity: Float[Tensor, "B 1 H W"]
) -> Float[Tensor, "B 1 H W"]:
    """How badly a disparity fits the images: 0 is perfect, 2 the worst.

    The right view is brought to the left by the disparity; then both are compared by the signs of the differences to eight
    pixels two away (a soft census, Zabih and Woodfill 1994; differences well below 0.02 hardly count), as the mean of a
    5x5 window. Different exposures do not show.
    """
    grey = torch.tensor(_GREY, device=left.device)[:, None, None]
    seen = (left.float() * grey).sum(1, keepdim=True)
    other = (right.float() * grey).sum(1, keepdim=True)
    column = (torch.arange(seen.shape[-1], device=left.device) - disparity.float()).clamp(0, seen.shape[-1] - 1)
    base = column.floor()
    near = other.gather(-1, base.long())
    far = other.gather(-1, (base.long() + 1).clamp(max=seen.shape[-1] - 1))
    moved = torch.lerp(near, far, column - base)
    steps = [(down, across) for down in (0, 2, 4) for across in (0, 2, 4) if (down, across) != (2, 2)]
    padded = [functional.pad(view, (2, 2, 2, 2), mode="replicate") for view in (seen, moved)]
    total = torch.zeros_like(seen)
    for down, across in steps:
        rows, columns = slice(down, down + seen.shape[-2]), slice(across, across + seen.shape[-1])
        ours, theirs = (
            torch.tanh((around[..., rows, columns] - view) / _CENSUS_STEP)
            for around, view in zip(padded, (seen, moved), strict=True)
        )
        total = total + (ours - theirs).abs()
    return functional.avg_pool2d(total / len(steps), 5, 1, 2, count_include_pad=False)


def convex(disparity: Float[Tensor, "B 1 H W"], weights: Float[Tensor, "B 36 H W"]) -> Tensor:
    """Double the resolution: every fine pixel is a convex mean of the nine coarse ones around it (RAFT); values double."""
    B, _, H, W = disparity.shape
    around = functional.unfold(2 * functional.pad(disparity, (1, 1, 1, 1), mode="replicate"), 3).view(B, 9, 1, H, W)
    share = weights.float().view(B, 9, 4, H, W).softmax(1)
    return functional.pixel_shuffle((around * share).sum(1), 2)


def expectations(scores: Float[Tensor, "B D h w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean over disparities, mean within one cell of the mode (sharp at depth steps), and the share of those cells."""
    share = scores.softmax(1)
    cells = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)[None, :, None, None]
    mean = (share * cells).sum(1, keepdim=True)
    near = share * ((cells - share.argmax(1, keepdim=True)).abs() <= 1)
    mass = near.sum(1, keepdim=True)
    return mean, (near * cells).sum(1, keepdim=True) / mass, mass


def enlarge(disparity: Float[Tensor, "B 1 H W"], factor: int) -> Tensor:
    """Disparity at `factor` times the size, bilinear, in pixels of the new width."""
    return factor * functional.interpolate(disparity, scale_factor=factor, mode="bilinear", align_corners=False)
