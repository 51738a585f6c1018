"""Encoders of RAFT-Stereo (and the context network of IGEV-Stereo): residual trunk, feature head, context heads.

Written after Lipson, Teed, Deng, "RAFT-Stereo: Multilevel Recurrent Field Transforms for Stereo Matching" (3DV 2021), §3.1.
Module names are those of the published state dicts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wheatstone.matching.row_bands import Conv2d, bands, convolve_bands, in_one_piece, saturate

__all__ = ["NORMS", "ContextEncoder", "FeatureEncoder", "ResidualBlock", "make_norm", "shortcut_aliases"]

NORMS = ("batch", "instance", "group", "none")


def make_norm(kind: str, channels: int, groups: int | None = None) -> nn.Module:
    """Normalisation over `channels`: batch and group with weights, instance without, none does nothing."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(groups or channels // 8, channels)
    return nn.Identity()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is strided where the block is.

    The norm of the shortcut has two names, `norm3` and `downsample.1`, because the published state dicts have both
    (`shortcut_aliases`).
    """

    def __init__(self, inputs: int, outputs: int, norm: str, stride: int = 1) -> None:
        """Channels in and out, the kind of norm, and the stride of the first convolution."""
        super().__init__()
        self.conv1 = Conv2d(inputs, outputs, 3, stride, padding=1)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1)
        self.norm1 = make_norm(norm, outputs)
        self.norm2 = make_norm(norm, outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.norm3 = make_norm(norm, outputs)
            self.downsample = nn.Sequential(Conv2d(inputs, outputs, 1, stride), self.norm3)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B,C,H,W]` to `[B,outputs,H/stride,W/stride]`."""
        y = saturate(self.norm1(self.conv1(x))).relu()
        y = saturate(self.norm2(self.conv2(y))).relu()
        shortcut = x if self.downsample is None else self.downsample(x)
        return saturate(shortcut + y).relu()

    def consume(self, x: Tensor) -> Tensor:
        """Compute the same in bands without gradients, and use up `x`: its memory is written over."""
        y = convolve_bands(self.conv1, x)
        y = convolve_bands(self.conv2, y, _activation(self.norm1, y), in_place=True)
        activate = _activation(self.norm2, y)
        if self.downsample is not None:
            x = convolve_bands(self.downsample[0], x)  # type: ignore[arg-type]
            scale, shift = _scale_and_shift(self.norm3, x)
            x = torch.addcmul(shift, x, scale, out=x)
        for start, stop in bands(x.shape[-2], x.shape[-1], x.device):
            band = (..., slice(start, stop), slice(None))
            x[band] = saturate(x[band].add_(activate(y[band]))).relu_()
        return x


class _Trunk(nn.Module):
    """7x7 stem and three stages of two blocks: `[B,3,H,W]` to 128 channels at 1 / 2^n_downsample."""

    def __init__(self, norm: str, n_downsample: int) -> None:
        super().__init__()
        self.norm1 = make_norm(norm, 64, groups=8)
        self.conv1 = Conv2d(3, 64, 7, stride=1 + (n_downsample > 2), padding=3)
        self.layer1 = _stage(64, 64, norm, 1)
        self.layer2 = _stage(64, 96, norm, 1 + (n_downsample > 1))
        self.layer3 = _stage(96, 128, norm, 1 + (n_downsample > 0))

    def trunk(self, *images: Tensor) -> Tensor:
        """Features of images in 0..1, of several batches one below the other; inside, images are in -1..1."""
        if in_one_piece(self.training):
            x = self.conv1(_centred(torch.cat(images)))
            return self.layer3(self.layer2(self.layer1(self.norm1(x).relu())))
        return torch.cat([self._consume(one) for image in images for one in image.split(1)])

    def _consume(self, image: Tensor) -> Tensor:
        """One image, in bands: two full-resolution maps are alive at any time, not a dozen."""
        x = convolve_bands(self.conv1, image, _centred)
        activate = _activation(self.norm1, x)
        for start, stop in bands(x.shape[-2], x.shape[-1], x.device):
            x[..., start:stop, :] = activate(x[..., start:stop, :])
        for block in (*self.layer1, *self.layer2, *self.layer3):
            x = block.consume(x)
        return x


class FeatureEncoder(_Trunk):
    """Features to correlate: the trunk and a 1x1 convolution to 256 channels."""

    def __init__(self, outputs: int = 256, norm: str = "instance", n_downsample: int = 2) -> None:
        """Channels of the features, norm, and the number of halvings."""
        super().__init__(norm, n_downsample)
        self.conv2 = Conv2d(128, outputs, 1)

    def forward(self, *images: Tensor) -> Tensor:
        """Map images in 0..1 to `[B,outputs,h,w]`, several batches to one."""
        return self.conv2(self.trunk(*images))


class ContextEncoder(_Trunk):
    """Start states and context of the recurrent units at up to three scales, each half the size of the one before.

    `hidden_dims` and `context_dims` go from the coarsest scale to the finest, as in the published configuration.
    """

    def __init__(
        self, hidden_dims: Sequence[int], context_dims: Sequence[int], norm: str = "batch", n_downsample: int = 2
    ) -> None:
        """Channels of both outputs at each scale, norm, and the number of halvings before the finest scale."""
        super().__init__(norm, n_downsample)
        self.layer4 = _stage(128, 128, norm, 2)
        self.layer5 = _stage(128, 128, norm, 2)
        both = (hidden_dims, context_dims)
        self.outputs08 = nn.ModuleList(_head(dims[2], norm) for dims in both)
        self.outputs16 = nn.ModuleList(_head(dims[1], norm) for dims in both)
        self.outputs32 = nn.ModuleList(Conv2d(128, dims[0], 3, padding=1) for dims in both)

    def forward(self, image: Tensor, levels: int = 3) -> list[tuple[Tensor, Tensor]]:
        """Map images in 0..1 to (start state, context) a scale, finest first, before their activations."""
        return self.heads(self.trunk(image), levels)

    def heads(self, x: Tensor, levels: int = 3) -> list[tuple[Tensor, Tensor]]:
        """The same from features of the trunk, `[B,128,h,w]`."""
        outputs = []
        for heads, deeper in ((self.outputs08, self.layer4), (self.outputs16, self.layer5), (self.outputs32, None)):
            outputs.append((heads[0](x), heads[1](x)))
            if deeper is None or len(outputs) == levels:
                break
            x = deeper(x)
        return outputs


def _centred(image: Tensor) -> Tensor:
    return 2 * image - 1


def shortcut_aliases(network: nn.Module, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of keys of a state dict that name one tensor: `*.norm3.*` and `*.downsample.1.*` of the residual blocks."""
    pairs = []
    for name, module in network.named_modules():
        if isinstance(module, ResidualBlock) and module.downsample is not None:
            prefix = f"{name}.norm3."
            pairs += [(key, key.replace(prefix, f"{name}.downsample.1.")) for key in keys if key.startswith(prefix)]
    return pairs


def _stage(inputs: int, outputs: int, norm: str, stride: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(inputs, outputs, norm, stride), ResidualBlock(outputs, outputs, norm))


def _head(outputs: int, norm: str) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(128, 128, norm), Conv2d(128, outputs, 3, padding=1))


def _activation(norm: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """`relu(norm(x))` as a pixelwise function, its statistics taken from the whole of `x` now."""
    if isinstance(norm, nn.Identity):
        return torch.relu
    scale, shift = _scale_and_shift(norm, x)
    return lambda band: saturate(torch.addcmul(shift, band, scale)).relu_()


def _scale_and_shift(norm: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """A norm in evaluation as `x * scale + shift`, both `[B or 1,C,1,1]`; statistics are summed in float32 or better."""
    if isinstance(norm, nn.Identity):
        one = x.new_ones(1, 1, 1, 1)
        return one, torch.zeros_like(one)
    if isinstance(norm, nn.BatchNorm2d):
        mean = norm.running_mean.double()[None]  # type: ignore[union-attr]
        variance = norm.running_var.double()[None]  # type: ignore[union-attr]
    else:
        mean, variance = _plane_statistics(x, norm.num_groups if isinstance(norm, nn.GroupNorm) else x.shape[1])
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    return scale.to(x.dtype)[..., None, None], shift.to(x.dtype)[..., None, None]


def _plane_statistics(x: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Mean and variance a channel `[B,C]` in float64, over the pixels of its group of channels; in bands, in two passes."""
    cuts = list(bands(x.shape[-2], x.shape[-1], x.device))
    count = x[0].numel() // groups

    def over_groups(sums: Tensor) -> Tensor:
        grouped = sums.view(len(x), groups, -1).sum(-1, keepdim=True) / count
        return grouped.expand(-1, -1, x.shape[1] // groups).reshape(len(x), -1)

    sums = [x[..., start:stop, :].float().sum((2, 3)).double() for start, stop in cuts]
    mean = over_groups(torch.stack(sums).sum(0))
    centre = mean.float()[..., None, None]
    squares = [(x[..., a:b, :].float() - centre).square_().sum((2, 3)).double() for a, b in cuts]
    return mean, over_groups(torch.stack(squares).sum(0))
