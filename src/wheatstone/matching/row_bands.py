"""Convolution a band of rows at a time, without gradients: what lets full-resolution layers run in little memory.

A convolution over a whole image needs, beside its input and output, copies of both in the layout of the convolution library.
Here only a band is copied, normalisation and activation happen to the band while it is in the cache, and a layer with as many
outputs as inputs writes over its input. Every number is the same sum as in the plain form.
"""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Conv2d", "bands", "convolve_bands", "convolve_rows", "in_one_piece", "least_rows", "saturate"]

# Pixels of a band: 64 channels of them fit into a cache; a GPU wants work enough to be busy.
CPU_PIXELS = 1 << 14
GPU_PIXELS = 1 << 19
_FAST_FROM = 20481


class Conv2d(nn.Conv2d):
    """Convolution whose float16 results stop at the largest finite number.

    Sums of large activations pass 65504, the end of float16; the infinities would turn to NaN at the next subtraction.
    Other number formats are untouched.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `[B,C,H,W]`."""
        return saturate(super().forward(x))


def saturate(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Convert to `dtype` (its own by default), with the values float16 cannot hold clamped to its range."""
    if (dtype or x.dtype) == torch.float16:
        limit = torch.finfo(torch.float16).max
        x = x.clamp(-limit, limit)
    return x.to(dtype or x.dtype)


def bands(rows: int, width: int, device: torch.device, stride: int = 1, least: int = 8) -> Iterator[tuple[int, int]]:
    """Cut `rows` output rows, each `stride` input rows of `width` pixels apart, into bands [start, stop).

    A band has `least` input rows or more, but for the last one, which takes up what would be a band of fewer.
    """
    pixels = CPU_PIXELS if device.type == "cpu" else GPU_PIXELS
    least = -(-least // stride)
    step = max(least, pixels // (width * stride))
    start = 0
    while start < rows:
        stop = rows if rows - start < step + min(least, step) else start + step
        yield start, stop
        start = stop


def in_one_piece(training: bool = False) -> bool:
    """Whether to compute a layer whole: with gradients all is kept anyway, and an exported program would unroll a loop."""
    return torch.is_grad_enabled() or training or torch.compiler.is_compiling()


def least_rows(plane: int) -> int:
    """Rows that a band of a volume needs, where one row and column holds `plane` numbers, to be convolved at full speed.

    On a CPU torch hands a 3-D convolution to its fast library only where batch x channels x the first two sizes pass 20480;
    smaller ones go through an unfolded copy and take three times as long.
    """
    return max(8, -(-_FAST_FROM // plane))


def convolve_bands(
    conv: nn.Conv2d, x: Tensor, prepare: Callable[[Tensor], Tensor] | None = None, in_place: bool = False
) -> Tensor:
    """Compute `conv(prepare(x))` for `[B,C,H,W]`, a band of rows at a time.

    Args:
        conv: zero-padded, the same in both directions, without dilation or groups.
        x: its input, before `prepare`.
        prepare: pixelwise function applied to each band just before it is convolved; must not write to its argument.
        in_place: write the result over `x`; needs stride 1, as many outputs as inputs and the padding of an equal size.
    """
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
    height, width = x.shape[-2:]
    rows, columns = ((size + 2 * padding - kernel) // stride + 1 for size in (height, width))
    out = x if in_place else x.new_empty(len(x), conv.out_channels, rows, columns)
    above = x[..., :0, :]  # rows above the band as they were before they were written over
    for start, stop in bands(rows, width, x.device, stride):
        first, last = start * stride - padding, (stop - 1) * stride - padding + kernel
        if in_place:
            band = torch.cat([above, x[..., start : min(last, height), :]], dim=-2)
            above = x[..., max(stop - padding, 0) : stop, :].clone()
        else:
            band = x[..., max(first, 0) : min(last, height), :]
        band = band if prepare is None else prepare(band)
        band = functional.pad(band, (0, 0, max(-first, 0), max(last - height, 0)))
        result = functional.conv2d(band, conv.weight, conv.bias, conv.stride, (0, padding))
        out[..., start:stop, :] = saturate(result)
    return out


def convolve_rows(
    conv: nn.Module, band: Float[Tensor, "B C D h w"], above: int, below: int
) -> Float[Tensor, "B K d r c"]:
    """Convolve a band of rows of a volume, 3x3x3.

    The rows go last inside: for torch's choice of a library the sizes before the last count (`least_rows`), and rows are few.

    Args:
        conv: `nn.Conv3d` with kernel 3, padding 1 and no bias.
        band: the rows, with a neighbour at either end that has no result of its own.
        above: rows of zeros to put above, where the volume ends.
        below: the same for below.
    """
    band = functional.pad(band, (0, 0, above, below)) if above or below else band
    weight = cast(Tensor, conv.weight).transpose(-1, -2)
    result = functional.conv3d(band.transpose(-1, -2), weight, None, cast(tuple[int, ...], conv.stride), (1, 1, 0))
    return saturate(result.transpose(-1, -2))
