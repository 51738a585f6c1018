"""Layers of IGEV-Stereo: convolution, norm and leaky activation in one; a doubling step with a skip; attention by features."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.row_bands import in_one_piece, saturate

__all__ = ["ConvBlock", "Doubling", "FeatureAttention", "norm_and_activate"]

BlockNorm = Literal["batch", "instance"]


class ConvBlock(nn.Module):
    """Convolution without bias, batch or instance norm, leaky rectifier; in two or three dimensions, or transposed.

    Weights: `conv`, and `bn` where the norm is a batch norm.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        dims: int = 2,
        transposed: bool = False,
        norm: BlockNorm = "batch",
        bare: bool = False,
    ) -> None:
        """Channels, kernel (padded to keep the size, to double it when transposed), kind; `bare` is the convolution alone."""
        super().__init__()
        padding = 1 if transposed else kernel // 2
        plain, up = (nn.Conv2d, nn.ConvTranspose2d) if dims == 2 else (nn.Conv3d, nn.ConvTranspose3d)
        self.conv: nn.Module = (up if transposed else plain)(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn: nn.Module | None = None
        if norm == "batch" and not bare:
            self.bn = nn.BatchNorm2d(outputs) if dims == 2 else nn.BatchNorm3d(outputs)
        self.bare = bare

    def forward(self, x: Tensor) -> Tensor:
        """Apply all of it."""
        x = saturate(_convolve(self.conv, x))
        return x if self.bare else norm_and_activate(x, self.bn)


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Apply a convolution; a transposed one in float16 on a CPU sums in float32, for torch would sum in float16, to NaN."""
    if x.dtype == torch.float16 and x.device.type == "cpu":
        if isinstance(conv, nn.ConvTranspose2d):
            return saturate(functional.conv_transpose2d(x.float(), conv.weight.float(), None, 2, 1), x.dtype)
        if isinstance(conv, nn.ConvTranspose3d):
            return saturate(functional.conv_transpose3d(x.float(), conv.weight.float(), None, 2, 1), x.dtype)
    return conv(x)


def norm_and_activate(x: Tensor, norm: nn.Module | None) -> Tensor:
    """Batch norm (or instance norm, where None) and leaky rectifier; writes over `x` where no gradient needs it."""
    if norm is None:
        return functional.leaky_relu_(functional.instance_norm(x))
    if in_one_piece(norm.training):
        return saturate(functional.leaky_relu(norm(x)))
    # statistics may be small differences of large numbers: combined in float64
    mean, variance = norm.running_mean.double(), norm.running_var.double()  # type: ignore[operator, union-attr]
    scale = norm.weight.double() * (variance + norm.eps).rsqrt()  # type: ignore[operator, union-attr]
    shift = norm.bias.double() - mean * scale  # type: ignore[operator, union-attr]
    shape = (1, -1, *[1] * (x.ndim - 2))
    x = functional.leaky_relu_(x.mul_(scale.to(x.dtype).view(shape)).add_(shift.to(x.dtype).view(shape)))
    return saturate(x)


class Doubling(nn.Module):
    """Enlarge by a transposed convolution, join the finer map, and mix both."""

    def __init__(self, inputs: int, outputs: int, norm: BlockNorm = "instance") -> None:
        """Channels before and after the enlargement; the finer map has `outputs` channels, the result twice as many."""
        super().__init__()
        self.conv1 = ConvBlock(inputs, outputs, 4, 2, transposed=True, norm=norm)
        self.conv2 = ConvBlock(2 * outputs, 2 * outputs, 3, norm=norm)

    def forward(self, x: Tensor, finer: Tensor) -> Tensor:
        """`[B,inputs,h,w]` and `[B,outputs,2h,2w]` to `[B,2*outputs,2h,2w]`."""
        return self.conv2(torch.cat([self.conv1(x), finer], dim=1))


class FeatureAttention(nn.Module):
    """Gates on the channels of a volume, read from image features: the same for every disparity of a pixel."""

    def __init__(self, channels: int, features: int) -> None:
        """Channels of the volume and of the features."""
        super().__init__()
        self.feat_att = nn.Sequential(ConvBlock(features, features // 2, 1), nn.Conv2d(features // 2, channels, 1))

    def gates(self, features: Tensor) -> Tensor:
        """`[B,F,h,w]` to `[B,C,1,h,w]` in 0..1."""
        return self.feat_att(features).sigmoid().unsqueeze(2)

    def forward(self, volume: Tensor, features: Tensor) -> Tensor:
        """Scale `[B,C,D,h,w]`."""
        gates = self.gates(features)
        return volume * gates if in_one_piece() else volume.mul_(gates)
