"""MobileNetV2 features at 1/2 to 1/32 of the image, the encoder that IGEV-Stereo rests on."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.row_bands import Conv2d, bands, in_one_piece, saturate

__all__ = ["MobileNetFeatures"]

# Width expansion, output channels, blocks, stride of each stage (Table 2 of the paper, without the last).
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
# Which stages end at the same resolution: 1/2, 1/4, 1/8, 1/16, 1/32.
_GROUPS = ((0,), (1,), (2,), (3, 4), (5,))


class _Separable(nn.Module):
    """The first block: a depthwise convolution and a linear pointwise one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv_dw = Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_pw = Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_dw(x)))
        return saturate(self.bn2(self.conv_pw(x)))


class _Inverted(nn.Module):
    """An inverted residual block: widen, filter each channel, narrow without an activation."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        self.conv_pw = Conv2d(inputs, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_dw = Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.act2 = nn.ReLU6(inplace=True)
        self.conv_pwl = Conv2d(wide, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        plain = in_one_piece(self.training)
        y = self._filtered(x, 1, 1) if plain else self._in_bands(x)
        return saturate(x + y) if self.shortcut else y

    def _in_bands(self, x: Tensor) -> Tensor:
        """A band of rows at a time: the widened map is six times the input and never needed as a whole."""
        height, width = x.shape[-2:]
        stride = self.conv_dw.stride[0]
        rows = (height - 1) // stride + 1
        parts = []
        for start, stop in bands(rows, width, x.device, stride):
            first, last = start * stride - 1, (stop - 1) * stride + 2
            band = x[..., max(first, 0) : min(last, height), :]
            parts.append(self._filtered(band, max(-first, 0), max(last - height, 0)))
        return torch.cat(parts, dim=-2)

    def _filtered(self, x: Tensor, above: int, below: int) -> Tensor:
        """The block without its shortcut, with so many rows of zeros above and below the widened map."""
        y = self.act1(self.bn1(self.conv_pw(x)))
        y = functional.pad(y, (1, 1, above, below))
        y = functional.conv2d(y, self.conv_dw.weight, None, self.conv_dw.stride, groups=y.shape[1])
        return saturate(self.bn3(self.conv_pwl(self.act2(self.bn2(y)))))


class MobileNetFeatures(nn.Module):
    """MobileNetV2 (width 1.0) without its last stage and head.

    The names of the weights are those of timm's `mobilenetv2_100` with the stages grouped as IGEV-Stereo groups them
    (`block0` ... `block4`), so that files of either fit after a renaming of `blocks.N`.

    Source: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018, Table 2.
    """

    channels = (16, 24, 32, 96, 160)

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.act1 = nn.ReLU6(inplace=True)
        stages, width = [], 32
        for expansion, outputs, blocks, stride in _STAGES:
            layers: list[nn.Module] = []
            for index in range(blocks):
                if expansion == 1:
                    layers.append(_Separable(width, outputs))
                else:
                    layers.append(_Inverted(width, outputs, expansion, stride if index == 0 else 1))
                width = outputs
            stages.append(nn.Sequential(*layers))
        for number, group in enumerate(_GROUPS):
            setattr(self, f"block{number}", nn.Sequential(*(stages[stage] for stage in group)))

    def pyramid(self, image: Tensor) -> list[Tensor]:
        """`[B,3,H,W]` to features at 1/2, 1/4, 1/8, 1/16 and 1/32, with `channels` channels."""
        levels = [self.act1(self.bn1(self.conv_stem(image)))]
        for number in range(len(_GROUPS)):
            levels.append(getattr(self, f"block{number}")(levels[-1]))
            if number == 0:
                del levels[0]  # the stem's map is as large as that of block 0
        return levels
