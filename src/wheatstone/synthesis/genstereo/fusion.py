"""How much of a known pixel to take from the moved left view, and how much from what was generated."""

from typing import Literal, cast, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["AdaptiveFusion", "Polarity"]

Polarity = Literal["known", "hole"]


class AdaptiveFusion(nn.Module):
    """One convolution that weighs moved against generated pixels, in float32 whatever the number format of the weights.

    `fused = m w warped + (1 - m w) generated` with `w = sigmoid(convolution(generated, warped, m))`.

    Args:
        polarity: what the mask m is: `"known"` (1 where a pixel landed), as the published inference has it and the formula
            means it; or `"hole"` (1 where none did), as the published trainer passes it. Of a network trained with holes the
            weights on known pixels have learned nothing; use it to reproduce that training only.

    Raises:
        InputError: another polarity.

    Source: GenStereo (ICCV 2025), adaptive fusion; names of its 64 weights kept.
    """

    def __init__(self, polarity: str = "known") -> None:
        super().__init__()
        if polarity not in get_args(Polarity):
            raise InputError(f"the polarity of the fusion mask must be known or hole, got {polarity!r}")
        self.polarity = polarity
        self.fusion_layer = nn.Sequential(nn.Conv2d(7, 1, 3, padding=1), nn.Sigmoid())

    def forward(
        self,
        generated01: Float[Tensor, "B 3 H W"],
        warped01: Float[Tensor, "B 3 H W"],
        known: Bool[Tensor, "B 1 H W"],
    ) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B 1 H W"]]:
        """Fuse two pictures in 0..1.

        Args:
            generated01: decoded picture.
            warped01: moved left view, 0 in holes.
            known: True where a pixel landed, whatever the polarity.

        Returns:
            The fused picture, and the weights w in 0..1 before they are multiplied by the mask.
        """
        mask = (known if self.polarity == "known" else ~known).float()
        seen = torch.cat([generated01.float(), warped01.float(), mask], 1)
        layer = cast(nn.Conv2d, self.fusion_layer[0])
        with torch.autocast(seen.device.type, enabled=False):
            weights = functional.conv2d(
                seen, layer.weight.float(), cast(Tensor, layer.bias).float(), padding=1
            ).sigmoid()
        share = mask * weights
        return share * warped01 + (1 - share) * generated01, weights
