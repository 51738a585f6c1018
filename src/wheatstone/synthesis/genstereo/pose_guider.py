"""Condition maps to features that are added behind the first layer of a U-Net."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.synthesis.genstereo.conditions import CONDITION_CHANNELS

__all__ = ["PoseGuider"]

_WIDTHS = (16, 32, 64, 128)


class PoseGuider(nn.Module):
    """Convolutions from full size to 1/8, with SiLU between them; the last layer starts at 0, so training starts without it.

    Args:
        in_channels: of a condition map.
        out_channels: first width of the U-Nets.

    Source: the pose guider of Animate Anyone (Hu et al. 2023) as GenStereo (ICCV 2025) uses it; names of its weights kept.
    """

    def __init__(self, in_channels: int = CONDITION_CHANNELS, out_channels: int = 320) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, _WIDTHS[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for narrow, wide in pairwise(_WIDTHS):
            self.blocks.append(nn.Conv2d(narrow, narrow, 3, padding=1))
            self.blocks.append(nn.Conv2d(narrow, wide, 3, padding=1, stride=2))
        self.conv_out = nn.Conv2d(_WIDTHS[-1], out_channels, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        if self.conv_out.bias is not None:
            nn.init.zeros_(self.conv_out.bias)

    def forward(self, condition: Float[Tensor, "B c H W"]) -> Float[Tensor, "B C H/8 W/8"]:
        """Features at 1/8 of the size of the condition map."""
        features = functional.silu(self.conv_in(condition))
        for block in self.blocks:
            features = functional.silu(block(features))
        return self.conv_out(features)
