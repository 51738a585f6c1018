"""Correlation of two feature maps along their rows, and the look-up of its values around the present disparity.

After RAFT-Stereo (3DV 2021), §3.2: dot products of all pixels of a row, halved in width by averaging pairs into a pyramid,
sampled linearly at 2 * radius + 1 places a level. `CorrelationVolume` keeps the pyramid; `OnDemandCorrelation` keeps the
features and computes the pyramid of a band of rows whenever it is asked, so that memory grows with the pixels and not with
their number times the width. Both sum in float32 for any number format of the features, autocast or not.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from wheatstone.matching.row_bands import bands

__all__ = ["Correlation", "CorrelationVolume", "OnDemandCorrelation", "correlation_rows", "look_up", "pyramid"]


Correlation = Callable[[Tensor], Tensor]
"""Samples of the similarity around columns `[B,1,h,w]` of the right features: `[B,levels * (2 radius + 1),h,w]`, float32."""


class CorrelationVolume:
    """All correlations, computed once: fastest, `h * w * 2w` numbers."""

    def __init__(
        self, left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h w"], levels: int = 4, radius: int = 4
    ) -> None:
        """Correlate two feature maps."""
        self.radius = radius
        with torch.autocast(left.device.type, enabled=False):
            self.levels = pyramid(correlation_rows(left.float(), right.float()), levels)

    def __call__(self, columns: Float[Tensor, "B 1 h w"]) -> Float[Tensor, "B P h w"]:
        """Sample around `columns`."""
        return look_up(self.levels, columns, self.radius)


class OnDemandCorrelation:
    """Correlations of a band of rows, computed at every call: little memory, some 10 % more time on a CPU.

    With gradients a band is computed once more on the way back instead of being kept.
    """

    def __init__(
        self, left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h w"], levels: int = 4, radius: int = 4
    ) -> None:
        """Remember two feature maps."""
        self.left, self.right, self.depth, self.radius = left.float(), right.float(), levels, radius

    def __call__(self, columns: Float[Tensor, "B 1 h w"]) -> Float[Tensor, "B P h w"]:
        """Sample around `columns`."""
        height, width = columns.shape[-2:]
        if torch.compiler.is_compiling():  # one band: a loop would be unrolled into the exported graph
            return self._band(self.left, self.right, columns)
        samples = []
        # a band holds `width` numbers a pixel, where a convolution holds some hundred channels
        for start, stop in bands(height, width, columns.device):
            rows = (part[..., start:stop, :] for part in (self.left, self.right, columns))
            keep = not torch.is_grad_enabled()
            samples.append(self._band(*rows) if keep else checkpoint(self._band, *rows, use_reentrant=False))
        return torch.cat(samples, dim=-2)

    def _band(self, left: Tensor, right: Tensor, columns: Tensor) -> Tensor:
        with torch.autocast(left.device.type, enabled=False):
            return look_up(pyramid(correlation_rows(left, right), self.depth), columns, self.radius)


def correlation_rows(left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h v"]) -> Float[Tensor, "B h w v"]:
    """Dot product of every left pixel with every right pixel of its row, divided by the root of the number of channels."""
    scaled = left.permute(0, 2, 3, 1) / left.shape[1] ** 0.5
    return scaled @ right.permute(0, 2, 1, 3)


def pyramid(volume: Float[Tensor, "B h w v"], levels: int) -> list[Tensor]:
    """The volume and its halvings along the last axis (an odd last column is dropped), `levels` in all."""
    made = [volume]
    while len(made) < levels:
        made.append(functional.avg_pool2d(made[-1], (1, 2)))
    return made


def look_up(levels: list[Tensor], columns: Float[Tensor, "B 1 h w"], radius: int) -> Float[Tensor, "B P h w"]:
    """Sample each level linearly at `columns / 2^level + (-radius..radius)`; outside the image the correlation is 0."""
    found = []
    for level, volume in enumerate(levels):
        width = volume.shape[-1]
        # beyond these ends every sample is 0 anyway, and far values would not survive the conversion to integers
        places = (columns[:, 0] / 2**level).clamp(-radius - 2, width + radius + 1)
        floor = places.floor()
        share = (places - floor)[..., None]
        taps = floor.long()[..., None] + torch.arange(-radius, radius + 2, device=columns.device)
        inside = (taps >= 0) & (taps < width)
        values = volume.gather(-1, taps.clamp(0, width - 1)) * inside
        found.append(torch.lerp(values[..., :-1], values[..., 1:], share))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)
