"""Depth Anything V2 (Yang et al. 2024): a DINOv2 vision transformer with a DPT head, one file, read top to bottom.

Module names are those of the authors' files (`depth_anything_v2_vit{s,b,l}.pth`), so their keys fit without renaming.
The position table is enlarged as in DINOv2: bicubic, with 0.1 of a patch added to the wanted size before the ratio is
taken. (transformers' conversion of the same weights takes the plain ratio, so the two differ slightly.)

Shape letters: B batch, H W image (multiples of 14), h w patches, N = h w, C embedding width, F head width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import ShapeError

__all__ = ["SIZES", "DepthAnythingV2", "Size"]

PATCH = 14
TABLE = 37  # side of the trained position table: 518 / 14
OFFSET = 0.1


@dataclass(frozen=True)
class Size:
    """Widths and depths of one member of the family.

    Attributes:
        width: embedding width of the transformer.
        blocks: number of transformer blocks.
        heads: attention heads a block.
        features: width of the head.
        stages: channels of the four maps handed to the head, finest first.
        taps: blocks whose tokens go to the head.
    """

    width: int
    blocks: int
    heads: int
    features: int
    stages: tuple[int, int, int, int]
    taps: tuple[int, int, int, int]


SIZES = {
    "small": Size(384, 12, 6, 64, (48, 96, 192, 384), (2, 5, 8, 11)),
    "base": Size(768, 12, 12, 128, (96, 192, 384, 768), (2, 5, 8, 11)),
    "large": Size(1024, 24, 16, 256, (256, 512, 1024, 1024), (4, 11, 17, 23)),
}


class DepthAnythingV2(nn.Module):
    """Normalised image to relative inverse depth, larger = nearer, never negative."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.pretrained = VisionTransformer(size)
        self.depth_head = DPTHead(size)

    def forward(self, pixels: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 1 H W"]:
        """Predict at the size of the input, whose sides must be multiples of 14."""
        height, width = pixels.shape[-2:]
        if height % PATCH or width % PATCH:
            raise ShapeError(f"`pixels` must have sides that are multiples of {PATCH}, got {height}x{width}")
        tokens = self.pretrained(pixels, self.size.taps)
        return self.depth_head([t[:, 1:] for t in tokens], height // PATCH, width // PATCH)


class VisionTransformer(nn.Module):
    """DINOv2 encoder: patch tokens and a class token through pre-norm blocks with layer scale."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TABLE * TABLE, size.width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, size.width, PATCH, stride=PATCH)})
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.blocks))
        self.norm = nn.LayerNorm(size.width, eps=1e-6)

    def forward(self, pixels: Float[Tensor, "B 3 H W"], taps: Sequence[int]) -> list[Tensor]:
        """Return the tokens `[B,1+N,C]` after the blocks named by `taps`, class token first, each through the final norm."""
        patches = self.patch_embed["proj"](pixels)  # [B,C,h,w]
        h, w = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2)  # [B,N,C]
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + self.positions(h, w)
        kept = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in taps:
                kept.append(self.norm(tokens))
        return kept

    def positions(self, h: int, w: int) -> Float[Tensor, "1 n C"]:
        """Position embeddings of an h x w grid: the trained 37 x 37 table, interpolated in float32."""
        if h == w == TABLE:
            return self.pos_embed
        table = self.pos_embed[:, 1:].float().reshape(1, TABLE, TABLE, -1).permute(0, 3, 1, 2)
        ratio = ((h + OFFSET) / TABLE, (w + OFFSET) / TABLE)
        grid = functional.interpolate(table, scale_factor=ratio, mode="bicubic", align_corners=False)
        grid = grid.permute(0, 2, 3, 1).reshape(1, h * w, -1).to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], grid], dim=1)


class Block(nn.Module):
    """Attention and a four times wider MLP, each normed before and scaled after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls2 = LayerScale(width)

    def forward(self, tokens: Float[Tensor, "B n C"]) -> Float[Tensor, "B n C"]:
        """Apply the block."""
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        hidden = functional.gelu(self.mlp["fc1"](self.norm2(tokens)))
        return tokens + self.ls2(self.mlp["fc2"](hidden))


class Attention(nn.Module):
    """Multi-head self-attention with one joint projection to queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B n C"]) -> Float[Tensor, "B n C"]:
        """Attend to all tokens of the image."""
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each [B,heads,n,C/heads]
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, width))


class LayerScale(nn.Module):
    """A learned factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Float[Tensor, "B n C"]) -> Float[Tensor, "B n C"]:
        """Scale every channel."""
        return tokens * self.gamma


class DPTHead(nn.Module):
    """Dense prediction head (Ranftl et al. 2021): tokens of four depths to one map, coarse to fine."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        one, two, three, four = size.stages
        self.projects = nn.ModuleList(nn.Conv2d(size.width, channels, 1) for channels in size.stages)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(one, one, 4, stride=4),
                nn.ConvTranspose2d(two, two, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(four, four, 3, stride=2, padding=1),
            ]
        )
        self.scratch = nn.Module()
        for index, channels in enumerate((one, two, three, four), start=1):
            self.scratch.add_module(f"layer{index}_rn", nn.Conv2d(channels, size.features, 3, padding=1, bias=False))
            self.scratch.add_module(f"refinenet{index}", Fusion(size.features))
        self.scratch.output_conv1 = nn.Conv2d(size.features, size.features // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(size.features // 2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1), nn.ReLU()
        )

    def forward(self, tokens: Sequence[Tensor], h: int, w: int) -> Float[Tensor, "B 1 H W"]:
        """Fuse patch tokens `[B,N,C]` of four depths into a map at 14 times the patch grid."""
        maps = []
        for index, stage in enumerate(tokens):
            grid = stage.transpose(1, 2).unflatten(2, (h, w))  # [B,C,h,w]
            grid = self.resize_layers[index](self.projects[index](grid))
            maps.append(self.scratch.get_submodule(f"layer{index + 1}_rn")(grid))  # [B,F,.,.] at 4, 2, 1, 1/2 of h w
        path = None
        for index in (3, 2, 1, 0):
            wanted = maps[index - 1].shape[-2:] if index else None
            path = self.scratch.get_submodule(f"refinenet{index + 1}")(maps[index], path, wanted)
        path = self.scratch.get_submodule("output_conv1")(path)
        path = functional.interpolate(path, (h * PATCH, w * PATCH), mode="bilinear", align_corners=True)
        return self.scratch.get_submodule("output_conv2")(path)


class Fusion(nn.Module):
    """Add a finer map to the coarser path, refine, enlarge."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.resConfUnit1 = Residual(features)
        self.resConfUnit2 = Residual(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, finer: Tensor, path: Tensor | None, wanted: Sequence[int] | None) -> Tensor:
        """Fuse `[B,F,.,.]` maps; `wanted` is the size of the next finer map, None for twice the own size."""
        joined = finer if path is None else path + self.resConfUnit1(finer)
        wanted = wanted or [2 * side for side in joined.shape[-2:]]
        joined = functional.interpolate(self.resConfUnit2(joined), tuple(wanted), mode="bilinear", align_corners=True)
        return self.out_conv(joined)


class Residual(nn.Module):
    """Two pre-activated 3x3 convolutions beside the identity."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, grid: Tensor) -> Tensor:
        """Refine a map `[B,F,.,.]`."""
        return grid + self.conv2(functional.relu(self.conv1(functional.relu(grid))))
