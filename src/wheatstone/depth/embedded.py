"""The placeholder depth that ships: a small U-Net of our own, trained on rendered scenes alone.

It lets the whole path run without network, GPU or account; its depth is far from a pretrained model's, and everything it
touches says so. The network sees the photo at a small working size; its map is brought to the size of the photo by a
joint bilateral refinement, so that depth steps sit on image edges.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_shipped
from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.confidence import flip_confidence
from wheatstone.depth.refinement import refine_to_image
from wheatstone.samples import Depth, image_batch

__all__ = ["EmbeddedDepth", "EmbeddedDepthNet", "lean_on_rows", "load", "working_size"]

_STRIDE = 32  # the deepest level of the network


def _silence(layer: nn.Conv2d) -> None:
    """Let a layer start from zero, so that its shortcut starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class _Residual(nn.Module):
    """Two convolutions on a shortcut, normalised in groups (so that a result never depends on the rest of the batch)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.conv_a = nn.Conv2d(width, width, 3, padding=1)
        self.conv_b = nn.Conv2d(width, width, 3, padding=1)
        _silence(self.conv_b)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_a(functional.relu(self.norm_a(x)))
        return x + self.conv_b(functional.relu(self.norm_b(y)))


class _Attention(nn.Module):
    """A transformer block over the cells of the deepest level: what is where in the whole picture, for little work."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_a, self.norm_b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        B, C, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm_a(tokens)).view(B, h * w, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, h * w, C)
        tokens = tokens + self.out(mixed)
        tokens = tokens + self.mlp(self.norm_b(tokens))
        return tokens.transpose(1, 2).reshape(B, C, h, w)


class EmbeddedDepthNet(nn.Module):
    """Photo to inverse depth normalised by its median and mean deviation: a residual U-Net from 1/2 down to 1/32.

    Inputs are RGB and two coordinates (rows and columns from -1 to 1); the sides must be multiples of 32.

    Args:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32.
        blocks: residual blocks a level on the way down; one each on the way up, attention blocks at the deepest.
    """

    def __init__(
        self, widths: tuple[int, ...] = (24, 64, 96, 128, 160), blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(5, widths[0], 5, stride=2, padding=2)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.encode = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(count)))
            for width, count in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.think = nn.Sequential(*(_Attention(widths[-1], heads=widths[-1] // 32) for _ in range(blocks[-1])))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.coarse = nn.Conv2d(widths[-2], 1, 3, padding=1)
        self.join = nn.Conv2d(widths[0] + 12, 16, 3, padding=1)
        self.fine = nn.Conv2d(16, 4, 1)

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B 1 H W"], Float[Tensor, "B 1 h w"]]:
        """Return the map at full size and the coarse map at 1/16 that it refines."""
        B, _, H, W = image.shape
        rgb = (image - 0.45) / 0.25
        rows = torch.linspace(-1, 1, H, device=image.device, dtype=image.dtype).view(1, 1, H, 1).expand(B, 1, H, W)
        columns = torch.linspace(-1, 1, W, device=image.device, dtype=image.dtype).view(1, 1, 1, W).expand(B, 1, H, W)
        x = self.stem(torch.cat([rgb, rows, columns], 1))
        kept = []
        for encode, down in zip(self.encode, self.down, strict=True):
            x = encode(x)
            kept.append(x)
            x = down(x)
        x = self.think(x)
        for level in reversed(range(len(kept))):
            x = functional.interpolate(self.narrow[level](x), scale_factor=2, mode="nearest") + kept[level]
            x = self.decode[level](x)
            if level == len(kept) - 1:
                coarse = self.coarse(x).float()
        x = functional.relu(self.join(torch.cat([x, functional.pixel_unshuffle(rgb, 2).to(x.dtype)], 1)))
        with torch.autocast(image.device.type, enabled=False):  # eight bits of mantissa would show as terraces
            detail = functional.pixel_shuffle(functional.conv2d(x.to(rgb.dtype), self.fine.weight, self.fine.bias), 2)
        base = functional.interpolate(coarse, size=(H, W), mode="bilinear", align_corners=False)
        return base + detail, coarse


def working_size(height: int, width: int, area: int) -> tuple[int, int]:
    """Size the network sees: about `area` pixels, the aspect kept, sides multiples of 32, never under 64."""
    scale = math.sqrt(area / (height * width))
    return tuple(max(2, round(side * scale / _STRIDE)) * _STRIDE for side in (height, width))  # type: ignore[return-value]


class EmbeddedDepth(DepthEstimator):
    """The network with all around it: working size, mirror, refinement to the size of the photo.

    Args:
        widths: channels of the network by level.
        blocks: residual blocks by level.
        areas: pixels the network sees, the aspect of the photo kept; the maps of several sizes are averaged, and the first,
            largest, is the size of the mean.
        flip_average: also look at the mirrored photo and take the mean (free when a confidence is asked for).
        doubt: disagreement of the looks (see `lean_on_rows`) at which the row prior begins to count, and at which it counts
            most.
    """

    name = "embedded"
    network: EmbeddedDepthNet

    def __init__(
        self,
        widths: Sequence[int] = (24, 64, 96, 128, 160),
        blocks: Sequence[int] = (1, 2, 2, 2, 2),
        areas: Sequence[int] = (49152, 24576),
        flip_average: bool = True,
        doubt: Sequence[float] = (0.25, 0.45),
    ) -> None:
        self.config = {
            "widths": list(widths),
            "blocks": list(blocks),
            "areas": list(areas),
            "flip_average": flip_average,
            "doubt": list(doubt),
        }
        self.network = EmbeddedDepthNet(tuple(widths), tuple(blocks)).eval()

    @torch.inference_mode()
    def __call__(self, image: Any, *, confidence: bool = False) -> Depth:
        """Estimate inverse depth, positive, at the size of the image; see `DepthEstimator`."""
        batch = image_batch(image)
        items = [self._one(one[None], confidence) for one in batch]  # one item a call: the same bits in any batch
        depth = torch.cat([item[0] for item in items])
        return Depth(depth, torch.cat([item[1] for item in items if item[1] is not None]) if confidence else None)

    def _one(self, image: Tensor, confidence: bool) -> tuple[Tensor, Tensor | None]:
        size = (image.shape[-2], image.shape[-1])
        looks = [self._look(image, area, confidence or self.config["flip_average"]) for area in self.config["areas"]]
        shape = looks[0].shape[-2:]
        maps = torch.stack(
            [functional.interpolate(look, shape, mode="bilinear", align_corners=False) for look in looks]
        )
        agreement = None
        if confidence:
            pair = maps.mean(0)
            agreement = flip_confidence(pair[:1], pair[1:])
            agreement = functional.interpolate(agreement, size, mode="bilinear", align_corners=False).clamp(0, 1)
        seen = maps if self.config["flip_average"] else maps[:, :1]
        depth = lean_on_rows(seen.flatten(0, 1), *self.config["doubt"])
        return _positive(refine_to_image(depth, image)), agreement

    def _look(self, image: Tensor, area: int, mirrored: bool) -> Tensor:
        """Map of the photo and, with `mirrored`, that of its mirror image, flipped back: `[1 or 2,1,h,w]`."""
        size = working_size(image.shape[-2], image.shape[-1], area)
        seen = functional.interpolate(image, size, mode="bilinear", antialias=True)
        seen = seen.to(self.device, self.dtype)
        maps, _ = self.network(torch.cat([seen, seen.flip(-1)]) if mirrored else seen)
        maps = maps.to(image.device, torch.float32)
        return torch.cat([maps[:1], maps[1:].flip(-1)])


def lean_on_rows(maps: Float[Tensor, "K 1 h w"], low: float, high: float) -> Float[Tensor, "1 1 h w"]:
    """Mean of several looks at one photo; where they disagree, lower is nearer.

    Disagreement is the mean distance of the looks from their mean, over the mean deviation of that mean: 0 when all say the
    same, above 1 when they have nothing in common. From `low` to `high` the share of the row prior grows from 0 to 0.8, both
    sides brought to median 0 and mean deviation 1. On held-out scenes the network loses its advantage over the row prior
    above a disagreement of about a quarter.
    """
    mean = maps.mean(0, keepdim=True)
    spread = (mean - mean.median()).abs().mean()
    doubt = (maps - mean).abs().mean() / spread.clamp(min=1e-6)
    share = 0.8 * ((doubt - low) / (high - low)).clamp(0, 1)
    if share == 0:
        return mean
    rows = torch.linspace(-1, 1, mean.shape[-2], device=mean.device)[:, None].expand_as(mean)
    rows = rows / rows.abs().mean()
    return (1 - share) * (mean - mean.median()) / spread.clamp(min=1e-6) + share * rows


def _positive(depth: Tensor) -> Tensor:
    """Shift so that the farthest point keeps 2 % of the range (scale and shift carry no meaning); 1 for a constant map."""
    low, high = depth.amin(), depth.amax()
    span = high - low
    return depth - low + torch.where(span > 0, 0.02 * span, 1.0)


def load(name: str, weights: str | Path | None = None, official: bool = False) -> EmbeddedDepth:  # noqa: ARG001 (no original)
    """Load the preset `embedded` from the weights that ship, or from another folder of such weights.

    Raises:
        CheckpointError: no weights there, or weights that do not fit.
    """
    return EmbeddedDepth.from_pretrained(resolve_shipped("embedded-depth", weights))
