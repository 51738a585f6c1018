"""The 3-D part of PSMNet: concatenation volume, stacked hourglasses, classifiers, regression of the disparity.

After Chang, Chen, "Pyramid Stereo Matching Network" (CVPR 2018), §3.3 to §3.5 and Table 1. Without gradients convolutions and the
regression run over bands of rows, so that the enlarged volume (one cell a pixel and disparity) never exists as a whole.
"""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.row_bands import bands, convolve_rows, in_one_piece, least_rows, saturate

__all__ = [
    "Classifier",
    "ConvNorm3d",
    "StackedHourglass",
    "add",
    "concatenation_volume",
    "first_convolution",
    "regress",
]


class ConvNorm3d(nn.Sequential):
    """3x3x3 convolution without bias and batch norm; transposed (and doubling) with `up`."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, up: bool = False) -> None:
        """Channels, stride and direction."""
        conv: nn.Module = (
            nn.ConvTranspose3d(inputs, outputs, 3, 2, padding=1, output_padding=1, bias=False)
            if up
            else nn.Conv3d(inputs, outputs, 3, stride, padding=1, bias=False)
        )
        super().__init__(conv, nn.BatchNorm3d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B,C,D,h,w]`."""
        conv, norm = self
        if in_one_piece(self.training):
            return saturate(norm(saturate(conv(x))))
        if isinstance(conv, nn.ConvTranspose3d):
            return _norm_in_place(norm, _enlarge_bands(conv, x))
        return _norm_in_place(norm, _conv3d_bands(conv, _rows_of(x), x.shape))


def concatenation_volume(
    left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h w"], steps: int
) -> Float[Tensor, "B K D h w"]:
    """Left features beside the right features moved by 0 to `steps` - 1; zero where the right pixel lies outside the image."""
    width = left.shape[-1]
    moved = functional.pad(right, (steps - 1, 0)).unfold(-1, width, 1).flip(-2)  # [B,C,h,D,w], a view before the flip
    inside = torch.arange(width, device=left.device) >= torch.arange(steps, device=left.device)[:, None]
    return torch.cat([left[:, :, None] * inside[:, None], moved.transpose(2, 3)], dim=1)


def first_convolution(block: ConvNorm3d, left: Tensor, right: Tensor, steps: int) -> Float[Tensor, "B K D h w"]:
    """`block(concatenation_volume(left, right, steps))` without gradients, from bands of rows of the volume."""
    conv, norm = block

    def rows(first: int, last: int) -> Tensor:
        return concatenation_volume(left[..., first:last, :], right[..., first:last, :], steps)

    shape = (len(left), 2 * left.shape[1], steps, *left.shape[-2:])
    return _norm_in_place(norm, _conv3d_bands(conv, rows, shape))


def _conv3d_bands(
    conv: nn.Module, rows: Callable[[int, int], Tensor], shape: torch.Size | tuple[int, ...]
) -> Float[Tensor, "B K D h w"]:
    """3x3x3 convolution of a volume of which bands of rows come from a function, without gradients.

    Args:
        conv: `nn.Conv3d` with kernel 3, padding 1 and no bias.
        rows: rows [first, last) of the volume.
        shape: of the whole volume.
    """
    stride = int(conv.stride[0])  # type: ignore[index, arg-type, union-attr]
    depth, height, width = shape[2:]
    sizes = [(size - 1) // stride + 1 for size in (depth, height, width)]
    weight: Tensor = conv.weight  # type: ignore[assignment]
    out: Tensor | None = None
    least = least_rows(shape[0] * shape[1] * width)
    for start, stop in bands(sizes[1], width * depth, weight.device, stride, least):
        first, last = start * stride - 1, (stop - 1) * stride + 2
        band = rows(max(first, 0), min(last, height))
        band = convolve_rows(conv, band, max(-first, 0), max(last - height, 0))
        if out is None:
            out = band.new_empty(len(band), len(weight), *sizes)
        out[..., start:stop, :] = band
    return out if out is not None else weight.new_empty(shape[0], len(weight), *sizes)


def _enlarge_bands(conv: nn.ConvTranspose3d, volume: Tensor) -> Float[Tensor, "B K D2 h2 w2"]:
    """Transposed 3x3x3 convolution that doubles a volume, without gradients: torch unfolds its whole result otherwise."""
    depth, height, width = volume.shape[2:]
    out = volume.new_empty(len(volume), conv.out_channels, 2 * depth, 2 * height, 2 * width)
    for start, stop in bands(height, 4 * width * depth, volume.device):
        last = min(stop + 1, height)  # the row below adds to a band's last one
        band = functional.conv_transpose3d(volume[..., start:last, :], conv.weight, None, 2, 1, 1)
        out[..., 2 * start : 2 * stop, :] = saturate(band[..., : 2 * (stop - start), :])
    return out


def _rows_of(volume: Tensor) -> Callable[[int, int], Tensor]:
    return lambda first, last: volume[..., first:last, :]


def _norm_in_place(norm: nn.Module, x: Tensor) -> Tensor:
    """Batch norm in evaluation, written over its input."""
    mean, variance = norm.running_mean.double(), norm.running_var.double()  # type: ignore[operator, union-attr]
    scale = norm.weight.double() * (variance + norm.eps).rsqrt()  # type: ignore[operator, union-attr]
    shift = norm.bias.double() - mean * scale  # type: ignore[operator, union-attr]
    return saturate(x.mul_(scale.to(x.dtype).view(1, -1, 1, 1, 1)).add_(shift.to(x.dtype).view(1, -1, 1, 1, 1)))


def add(x: Tensor, other: Tensor) -> Tensor:
    """Sum, written over `x` where no gradient needs it."""
    return saturate(x + other if in_one_piece() else x.add_(other))


class StackedHourglass(nn.Module):
    """One of the three hourglasses, which hands its inner maps on to the next."""

    def __init__(self, channels: int) -> None:
        """Channels of the volume."""
        super().__init__()
        wide = 2 * channels
        self.conv1 = nn.Sequential(ConvNorm3d(channels, wide, 2), nn.ReLU(inplace=True))
        self.conv2 = ConvNorm3d(wide, wide)
        self.conv3 = nn.Sequential(ConvNorm3d(wide, wide, 2), nn.ReLU(inplace=True))
        self.conv4 = nn.Sequential(ConvNorm3d(wide, wide), nn.ReLU(inplace=True))
        self.conv5 = ConvNorm3d(wide, wide, up=True)
        self.conv6 = ConvNorm3d(wide, channels, up=True)

    def forward(self, entered: Tensor, before_first: Tensor | None, after: Tensor | None) -> tuple[Tensor, Tensor]:
        """The inner maps of a volume; the whole filter is `conv6(hourglass(conv1(volume), ...)[1])`.

        In steps, because who makes them can let go of what has been read in between: at the size of photos every volume counts.

        Args:
            entered: the volume after `conv1`.
            before_first: inner map on the way down of the first hourglass, None in that one.
            after: inner map on the way up of the hourglass before, None in the first.

        Returns:
            The inner maps on the way down and up.
        """
        down = self.conv2(entered)
        down = (down if after is None else add(down, after)).relu_()
        up = self.conv5(self.conv4(self.conv3(down)))
        return down, add(up, down if before_first is None else before_first).relu_()


class Classifier(nn.Sequential):
    """Two convolutions that turn a volume into one score a cell."""

    def __init__(self, channels: int) -> None:
        """Channels of the volume."""
        super().__init__(
            ConvNorm3d(channels, channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(channels, 1, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B,C,D,h,w]` to `[B,1,D,h,w]`, float32."""
        first, activate, last = self
        if in_one_piece(self.training):
            return saturate(last(activate(first(x)))).float()
        conv, norm = cast(ConvNorm3d, first)
        height, parts = x.shape[-2], []
        least = least_rows(len(x) * x.shape[1] * x.shape[-1])
        for start, stop in bands(height, x.shape[-1] * x.shape[2], x.device, 1, least):
            inner = slice(max(start - 1, 0), min(stop + 1, height))  # rows that the second convolution reads
            outer = slice(max(start - 2, 0), min(stop + 2, height))
            band = convolve_rows(conv, x[..., outer, :], outer.start - inner.start + 1, inner.stop - outer.stop + 1)
            band = _norm_in_place(norm, band).relu_()
            parts.append(convolve_rows(last, band, inner.start - start + 1, stop - inner.stop + 1))
        return torch.cat(parts, dim=-2).float()


def regress(
    scores: Float[Tensor, "B 1 D h w"], max_disparity: int, height: int, width: int
) -> Float[Tensor, "B 1 H W"]:
    """Disparity of every pixel: scores enlarged trilinearly, corner to corner, to one a pixel; mean under their softmax.

    Source: the paper's eq. 1.
    """
    if in_one_piece():
        return _mean(
            functional.interpolate(scores, (max_disparity, height, width), mode="trilinear", align_corners=True)
        )
    rows = scores.shape[-2]
    parts = []
    for start, stop in bands(height, width * max_disparity // 8, scores.device):
        place = torch.arange(start, stop, device=scores.device, dtype=torch.float64) * ((rows - 1) / max(height - 1, 1))
        above = place.floor().long().clamp(max=rows - 1)
        share = (place - above).to(scores.dtype)[:, None]
        band = torch.lerp(scores[..., above, :], scores[..., (above + 1).clamp(max=rows - 1), :], share)
        size = (max_disparity, stop - start, width)
        parts.append(_mean(functional.interpolate(band, size, mode="trilinear", align_corners=True)))
    return torch.cat(parts, dim=-2)


def _mean(scores: Tensor) -> Tensor:
    with torch.autocast(scores.device.type, enabled=False):  # half precision does not even hold all whole disparities
        share = scores.float().softmax(dim=2)
        steps = torch.arange(scores.shape[2], device=scores.device, dtype=share.dtype)
        return torch.einsum("bcdhw,d->bchw", share, steps)
