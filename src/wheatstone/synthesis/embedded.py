"""The hole filler that ships: a small network of our own that improves on `rows`, trained on rendered scenes alone.

A hole is filled by a soft choice among copies of the background of its row (next to the hole, deeper behind it, mirrored,
softened) plus a smooth correction. Choosing copies keeps the grain of the picture where plain regression would blur; and a
choice can be made on a smaller picture and applied to the full one. Known pixels are never touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_shipped
from wheatstone.geometry import HoleEnds
from wheatstone.synthesis.composition import HoleFiller, WarpedView
from wheatstone.synthesis.rows import fill_rows

__all__ = ["EmbeddedFiller", "EmbeddedFillerNet", "FillCandidates", "compose", "fill_candidates", "load"]

_COPIES = 4
_FEATURES = 13
_STRIDE = 16  # the deepest level of the network


@dataclass(frozen=True)
class FillCandidates:
    """What the network chooses from, and what it looks at; both keep the known pixels of the view.

    Attributes:
        copies: copies of the background: nearest of the row, 3 px deeper, mirrored at the rim, the nearest one softened.
        features: three copies, hole, border hole, distance to the source (log), disparity over the largest of the image.
    """

    copies: Float[Tensor, "B K 3 H W"]
    features: Float[Tensor, "B F H W"]


def fill_candidates(warped: WarpedView) -> FillCandidates:
    """Copies of the background for every hole pixel of a view (baseline >= 0), and the features the network reads."""
    rows = fill_rows(warped)
    width = warped.hole.shape[-1]
    column = torch.arange(width, device=warped.hole.device).expand_as(warped.hole)
    distance = rows.distance.long()
    left = column - distance
    from_left = (left == warped.ends.left) & (warped.disparity.gather(-1, left.clamp(min=0)) == rows.disparity)
    away = torch.where(from_left, -1, 1)
    source = column + away * distance

    def copy(index: Tensor) -> Tensor:
        inside = (index >= 0) & (index < width)
        index = index.clamp(0, width - 1)
        usable = inside & warped.hole & ~warped.hole.gather(-1, index)
        # Another surface behind the rim (its disparity jumps) is no continuation of the background.
        usable &= (warped.disparity.gather(-1, index) - rows.disparity).abs() <= 1 + 0.1 * rows.disparity.abs()
        return torch.where(usable, warped.image.gather(-1, index.expand(-1, 3, -1, -1)), rows.image)

    deeper, mirrored = copy(source + 3 * away), copy(source + away * distance)
    soft = _soften(rows.image, warped.hole)
    largest = warped.disparity.abs().flatten(1).amax(1).clamp(min=1e-6).view(-1, 1, 1, 1)
    border = (warped.ends.left < 0) | (warped.ends.right >= width)
    maps = (warped.hole, warped.hole & border, rows.distance.log1p() / 4, rows.disparity / largest)
    features = torch.cat([rows.image, deeper, mirrored, *(m.to(rows.image.dtype) for m in maps)], 1)
    return FillCandidates(torch.stack([rows.image, deeper, mirrored, soft], 1), features)


def _soften(image: Tensor, hole: Tensor) -> Tensor:
    """A 7x7 mean over hole pixels only, so that the foreground beside a hole does not bleed in."""
    inside = hole.to(image.dtype)
    sums = torch.cat([image * inside, inside], 1)
    for kernel, padding in (((7, 1), (3, 0)), ((1, 7), (0, 3))):
        sums = functional.avg_pool2d(sums, kernel, 1, padding)
    return torch.where(hole, sums[:, :3] / sums[:, 3:].clamp(min=1e-6), image)


def _silence(layer: nn.Conv2d) -> None:
    """Let a layer start from zero, so that its shortcut starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class _Residual(nn.Module):
    """Two convolutions on a shortcut that starts as the identity; no normalisation, so windows do not depend on each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(width, width, 3, padding=1)
        self.conv_b = nn.Conv2d(width, width, 3, padding=1)
        _silence(self.conv_b)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_b(functional.relu(self.conv_a(functional.relu(x))))


class EmbeddedFillerNet(nn.Module):
    """Features to a choice among the copies and a correction: a residual U-Net from 1/2 down to 1/16.

    Args:
        widths: channels at 1/2, 1/4, 1/8 and 1/16.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.stem = nn.Conv2d(4 * _FEATURES, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(_Residual(width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairs)
        self.middle = _Residual(widths[-1])
        self.decode = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4 * (_COPIES + 3), 3, padding=1)
        _silence(self.head)

    def forward(self, features: Float[Tensor, "B F H W"]) -> tuple[Float[Tensor, "B K H W"], Float[Tensor, "B 3 H W"]]:
        """Return the shares of the copies (they sum to 1) and the correction; sides must be multiples of 16."""
        x = self.stem(functional.pixel_unshuffle(features - 0.5, 2))
        kept = []
        for encode, down in zip(self.encode, self.down, strict=False):
            x = encode(x)
            kept.append(x)
            x = down(x)
        x = self.middle(self.encode[-1](x))
        for level in reversed(range(len(kept))):
            x = functional.interpolate(self.narrow[level](x), scale_factor=2, mode="nearest") + kept[level]
            x = self.decode[level](x)
        with torch.autocast(features.device.type, enabled=False):
            x = functional.pixel_shuffle(
                functional.conv2d(x.to(features.dtype), self.head.weight, self.head.bias, padding=1), 2
            )
            return x[:, :_COPIES].softmax(1), 0.25 * x[:, _COPIES:]


def compose(copies: Tensor, shares: Tensor, correction: Tensor, decision: float = 1.0) -> Tensor:
    """The fill `[B,3,H,W]`: copies weighted by their shares (raised to the power `decision`), plus the correction."""
    shares = shares**decision
    return (copies * (shares / shares.sum(1, keepdim=True).clamp(min=1e-12))[:, :, None]).sum(1) + correction


class EmbeddedFiller(HoleFiller):
    """Warp, then fill the holes with the network, in windows around them.

    Args:
        widths: channels of the network.
        window: side of the cells that the picture is looked at in; cells without holes cost nothing.
        margin: pixels around a cell that the network sees too.
        working_width: wider pictures are looked at in this width; the choice is applied at full size.
        decision: power on the shares of the copies: above 1 mixes less, which is grainier.
    """

    name = "embedded"
    tells_sides = True
    network: EmbeddedFillerNet

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96, 128),
        window: int = 128,
        margin: int = 16,
        working_width: int = 800,
        decision: float = 1.0,
    ) -> None:
        self.config = {
            "widths": list(widths),
            "window": window,
            "margin": margin,
            "working_width": working_width,
            "decision": decision,
        }
        self.network = EmbeddedFillerNet(tuple(widths)).eval()

    @torch.inference_mode()
    def fill(
        self,
        warped: WarpedView,
        generators: Sequence[torch.Generator] | None = None,  # noqa: ARG002 (nothing random)
    ) -> Float[Tensor, "B 3 H W"]:
        """Paint the holes; a view without holes comes back as it is."""
        if warped.baseline < 0:  # the network has only seen views from the right: look at this one in the mirror
            return self.fill(warped.mirror()).flip(-1)
        filled = [self._fill_one(_item(warped, index)) for index in range(warped.image.shape[0])]
        return torch.cat(filled)

    def _fill_one(self, warped: WarpedView) -> Tensor:
        if not bool(warped.hole.any()):
            return warped.image
        candidates = fill_candidates(warped)
        height, width = warped.hole.shape[-2:]
        scale = min(1.0, self.config["working_width"] / width)
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        features, hole = candidates.features, warped.hole
        if scale < 1:
            features = functional.interpolate(features, size, mode="bilinear", antialias=True)
            hole = functional.adaptive_max_pool2d(hole.float(), size) > 0
        shares, correction = self._look(features.to(self.device, self.dtype), hole)
        shares, correction = (x.to(candidates.copies) for x in (shares, correction))
        if scale < 1:
            shares, correction = (
                functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)
                for x in (shares, correction)
            )
        return compose(candidates.copies, shares, correction, self.config["decision"])

    def _look(self, features: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network on every window that holds holes; the rest stays zero."""
        height, width = hole.shape[-2:]
        shares = features.new_zeros(1, _COPIES, height, width)
        correction = features.new_zeros(1, 3, height, width)
        for cell in _cells_with_holes(hole[0, 0], self.config["window"]):
            seen, inner = _window(cell, self.config["margin"], (height, width))
            part = features[:, :, seen[0], seen[1]]
            h, w = part.shape[-2:]
            padded = functional.pad(part, (0, -w % _STRIDE, 0, -h % _STRIDE), mode="replicate")
            chosen, added = self.network(padded)
            shares[:, :, cell[0], cell[1]] = chosen[:, :, inner[0], inner[1]]
            correction[:, :, cell[0], cell[1]] = added[:, :, inner[0], inner[1]]
        return shares, correction


_Box = tuple[slice, slice]


def _item(warped: WarpedView, index: int) -> WarpedView:
    """One item of a batch: a fill must not depend on what else is in the batch."""
    one = slice(index, index + 1)
    ends = HoleEnds(left=warped.ends.left[one], right=warped.ends.right[one])
    return WarpedView(
        left=warped.left[one],
        image=warped.image[one],
        hole=warped.hole[one],
        visible=warped.visible[one],
        disparity=warped.disparity[one],
        origin=warped.origin[one],
        ends=ends,
        baseline=warped.baseline,
    )


def _cells_with_holes(hole: Bool[Tensor, "H W"], side: int) -> list[_Box]:
    """Cells of a grid that hold holes; neighbours in a row of cells are joined into one window."""
    height, width = hole.shape
    cells: list[_Box] = []
    for top in range(0, height, side):
        band = slice(top, min(top + side, height))
        columns = hole[band].any(0)
        starts = [left for left in range(0, width, side) if bool(columns[left : left + side].any())]
        for left in starts:
            right = min(left + side, width)
            if cells and cells[-1][0] == band and cells[-1][1].stop == left:
                cells[-1] = (band, slice(cells[-1][1].start, right))
            else:
                cells.append((band, slice(left, right)))
    return cells


def _window(cell: _Box, margin: int, size: tuple[int, int]) -> tuple[_Box, _Box]:
    """The cell with its margin, as far as the picture goes, and the place of the cell within."""
    seen = tuple(
        slice(max(0, s.start - margin), min(limit, s.stop + margin)) for s, limit in zip(cell, size, strict=True)
    )
    inner = tuple(slice(c.start - s.start, c.stop - s.start) for c, s in zip(cell, seen, strict=True))
    return (seen[0], seen[1]), (inner[0], inner[1])


def load(name: str, weights: str | Path | None = None, official: bool = False) -> EmbeddedFiller:  # noqa: ARG001 (no original)
    """Load the preset `embedded` from the weights that ship, or from another folder of such weights.

    Raises:
        CheckpointError: no weights there, or weights that do not fit.
    """
    return EmbeddedFiller.from_pretrained(resolve_shipped("embedded-filler", weights))
