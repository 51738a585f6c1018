"""The geometry encoding volume of IGEV-Stereo: group-wise correlation, filtered by a small 3-D network, and its look-up.

After Xu et al., "Iterative Geometry Encoding Volume for Stereo Matching" (CVPR 2023), §3.2 and §3.3; the group-wise correlation
is that of Guo et al. (GwcNet, CVPR 2019). Module names are those of the published state dicts.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from wheatstone.matching.correlation import OnDemandCorrelation, look_up, pyramid
from wheatstone.matching.igev_layers import ConvBlock, FeatureAttention, norm_and_activate
from wheatstone.matching.row_bands import bands, convolve_rows, least_rows, saturate

__all__ = [
    "GeometryLookup",
    "Hourglass",
    "classify_in_bands",
    "enlarge_in_bands",
    "group_correlation",
    "soft_argmin",
    "stem_in_bands",
]

GROUPS = 8


def group_correlation(
    left: Float[Tensor, "B C h w"], right: Float[Tensor, "B C h w"], steps: int, groups: int = GROUPS
) -> Float[Tensor, "B G D h w"]:
    """Mean product of left and right features in each group of channels, for disparities 0 to `steps` - 1.

    Zero where the right pixel would lie outside the image. Products are summed in float32.
    """
    batch, _, height, width = left.shape
    a = left.float().unflatten(1, (groups, -1))
    b = functional.pad(right.float(), (steps - 1, 0)).unflatten(1, (groups, -1))
    cells = [(a * b[..., steps - 1 - d : steps - 1 - d + width]).mean(2) for d in range(steps)]
    return saturate(torch.stack(cells, dim=2), left.dtype).view(batch, groups, steps, height, width)


def soft_argmin(scores: Float[Tensor, "B D h w"]) -> Float[Tensor, "B 1 h w"]:
    """Mean disparity under the softmax of scores, in float32 (GC-Net, ICCV 2017, eq. 1)."""
    with torch.autocast(scores.device.type, enabled=False):  # it would sum in half precision: steps of a quarter pixel
        share = scores.float().softmax(dim=1)
        steps = torch.arange(scores.shape[1], device=scores.device, dtype=share.dtype)
        return torch.einsum("bdhw,d->bhw", share, steps)[:, None]


class Hourglass(nn.Module):
    """3-D network of three halvings and doublings over the correlation volume, guided by features at every scale."""

    def __init__(self, channels: int = GROUPS) -> None:
        """Channels of the volume."""
        super().__init__()
        c = channels
        self.conv1 = nn.Sequential(_conv3d(c, 2 * c, 3, 2), _conv3d(2 * c, 2 * c, 3))
        self.conv2 = nn.Sequential(_conv3d(2 * c, 4 * c, 3, 2), _conv3d(4 * c, 4 * c, 3))
        self.conv3 = nn.Sequential(_conv3d(4 * c, 6 * c, 3, 2), _conv3d(6 * c, 6 * c, 3))
        self.conv3_up = ConvBlock(6 * c, 4 * c, 4, 2, dims=3, transposed=True)
        self.conv2_up = ConvBlock(4 * c, 2 * c, 4, 2, dims=3, transposed=True)
        self.conv1_up = ConvBlock(2 * c, c, 4, 2, dims=3, transposed=True, bare=True)
        self.agg_0 = nn.Sequential(_conv3d(8 * c, 4 * c, 1), _conv3d(4 * c, 4 * c, 3), _conv3d(4 * c, 4 * c, 3))
        self.agg_1 = nn.Sequential(_conv3d(4 * c, 2 * c, 1), _conv3d(2 * c, 2 * c, 3), _conv3d(2 * c, 2 * c, 3))
        self.feature_att_8 = FeatureAttention(2 * c, 64)
        self.feature_att_16 = FeatureAttention(4 * c, 192)
        self.feature_att_32 = FeatureAttention(6 * c, 160)
        self.feature_att_up_16 = FeatureAttention(4 * c, 192)
        self.feature_att_up_8 = FeatureAttention(2 * c, 64)

    def forward(self, volume: Tensor, features: Sequence[Tensor]) -> Tensor:
        """`[B,C,D,h,w]` and features at 1/4, 1/8, 1/16, 1/32 to a volume of the same shape."""
        return self.conv1_up(self.coarse(self.conv1[0](volume), features))

    def coarse(self, eighth: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Everything between the first convolution and the last: `[B,2C,D/2,h/2,w/2]` in and out."""
        fine = self.feature_att_8(self.conv1[1](eighth), features[1])
        middle = self.feature_att_16(self.conv2(fine), features[2])
        deep = self.feature_att_32(self.conv3(middle), features[3])
        middle = self.agg_0(torch.cat([self.conv3_up(deep), middle], dim=1))
        middle = self.feature_att_up_16(middle, features[2])
        fine = self.agg_1(torch.cat([self.conv2_up(middle), fine], dim=1))
        return self.feature_att_up_8(fine, features[1])


def stem_in_bands(
    stem: ConvBlock, gates: Tensor, first: ConvBlock, left: Tensor, right: Tensor, steps: int
) -> Float[Tensor, "B K d r c"]:
    """`first(gates * stem(group_correlation(...)))` without gradients, a band of rows at a time.

    The three volumes at the full resolution of the features, of which the plain form keeps several, never exist as a whole.
    """
    height, width = left.shape[-2:]
    parts = []
    least = least_rows(len(left) * GROUPS * width)
    for start, stop in bands((height - 1) // 2 + 1, width * steps, left.device, 2, least):
        low, high = 2 * start - 1, 2 * stop  # rows that the strided convolution reads
        inner = slice(max(low, 0), min(high, height))
        outer = slice(max(low - 1, 0), min(high + 1, height))
        volume = group_correlation(left[..., outer, :], right[..., outer, :], steps)
        volume = convolve_rows(stem.conv, volume, outer.start - inner.start + 1, inner.stop - outer.stop + 1)
        volume = norm_and_activate(volume, stem.bn).mul_(gates[..., inner, :])
        volume = convolve_rows(first.conv, volume, inner.start - low, high - inner.stop)
        parts.append(norm_and_activate(volume, first.bn))
    return torch.cat(parts, dim=-2)


def enlarge_in_bands(conv: nn.Module, volume: Float[Tensor, "B C d r c"]) -> Float[Tensor, "B K h w D"]:
    """The last transposed convolution without gradients, its result with the disparity axis last, as the look-up wants it."""
    volume = volume.permute(0, 1, 3, 4, 2)
    weight: Tensor = conv.weight.permute(0, 1, 3, 4, 2)  # type: ignore[operator]
    rows, columns, steps = volume.shape[2:]
    out = volume.new_empty(len(volume), weight.shape[1], 2 * rows, 2 * columns, 2 * steps)
    for start, stop in bands(rows, columns * steps, volume.device):
        first, last = max(start - 1, 0), min(stop + 1, rows)
        # in float32, because torch sums float16 in float16 here, and infinities of both signs make NaN
        dtype = torch.float32 if volume.dtype == torch.float16 else volume.dtype
        band = functional.conv_transpose3d(volume[:, :, first:last].to(dtype), weight.to(dtype), None, 2, (0, 1, 1))
        skip = 2 * (start - first) + 1  # row 0 of a band would be row -1 of its first input row
        out[:, :, 2 * start : 2 * stop] = saturate(band[:, :, skip : skip + 2 * (stop - start)], out.dtype)
    return out


def classify_in_bands(conv: nn.Conv3d, volume: Float[Tensor, "B C h w D"]) -> Float[Tensor, "B 1 h w"]:
    """Start disparity of a volume with the disparity axis last: `soft_argmin` of a 3x3x3 convolution, in bands."""
    weight = conv.weight.permute(0, 1, 3, 4, 2)
    height, width, steps = volume.shape[2:]
    parts = []
    least = least_rows(len(volume) * volume.shape[1] * width)
    for start, stop in bands(height, width * steps, volume.device, 1, least):
        first, last = max(start - 1, 0), min(stop + 1, height)
        band = functional.pad(volume[:, :, first:last], (0, 0, 0, 0, first - start + 1, stop + 1 - last))
        scores = saturate(functional.conv3d(band, weight, None, 1, (0, 1, 1)))
        parts.append(soft_argmin(scores[:, 0].permute(0, 3, 1, 2)))
    return torch.cat(parts, dim=-2)


def _conv3d(inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvBlock:
    return ConvBlock(inputs, outputs, kernel, stride, dims=3)


class GeometryLookup:
    """What volume and correlations say around a disparity: the samples that a refinement step reads.

    The volume is sampled at disparities, the correlations at the columns they point to; both at `levels` widths, each half as
    fine as the one before. Rows come in bands, so that neither all correlations nor a copy of the volume are kept.
    """

    def __init__(self, volume: Tensor, left: Tensor, right: Tensor, levels: int, radius: int) -> None:
        """Remember `[B,G,h,w,D]` (disparity last) and the features `[B,C,h,w]` that are correlated."""
        self.volume, self.levels, self.radius = volume, levels, radius
        # the published network correlates without the division by the root of the number of channels
        self.correlation = OnDemandCorrelation(left.float() * left.shape[1] ** 0.5, right, levels, radius)

    def __call__(self, disparity: Float[Tensor, "B 1 h w"]) -> Float[Tensor, "B P h w"]:
        """Samples in the published order, float32: level by level, the groups of the volume, then the correlation."""
        column = torch.arange(disparity.shape[-1], device=disparity.device, dtype=disparity.dtype)
        similar = self.correlation(column - disparity).unflatten(1, (self.levels, -1))
        around = self._around(disparity)
        return torch.cat([around, similar], dim=2).flatten(1, 2)

    def _around(self, disparity: Tensor) -> Tensor:
        """Samples of the volume, `[B,levels,groups * (2 radius + 1),h,w]`."""
        if torch.compiler.is_compiling():
            return self._band(self.volume, disparity)
        samples = []
        for start, stop in bands(disparity.shape[-2], disparity.shape[-1], disparity.device):
            rows = (self.volume[:, :, start:stop], disparity[..., start:stop, :])
            keep = not torch.is_grad_enabled()
            samples.append(self._band(*rows) if keep else checkpoint(self._band, *rows, use_reentrant=False))
        return torch.cat(samples, dim=-2)

    def _band(self, volume: Tensor, disparity: Tensor) -> Tensor:
        batch, groups = volume.shape[:2]
        levels = pyramid(volume.float().flatten(0, 1), self.levels)
        columns = disparity.repeat_interleave(groups, dim=0)
        samples = look_up(levels, columns, self.radius)
        return samples.unflatten(1, (self.levels, -1)).unflatten(0, (batch, groups)).transpose(1, 2).flatten(2, 3)
