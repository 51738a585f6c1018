"""PSMNet: a concatenation volume regularised by three stacked hourglasses; the network of stereo-from-mono (MfS).

Written after Chang, Chen, "Pyramid Stereo Matching Network" (CVPR 2018), Table 1 and §3. Module names are those of the published
state dicts (514 keys).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import Padding
from wheatstone.matching.base import MatcherOutput, NetworkMatcher
from wheatstone.matching.official import load_published
from wheatstone.matching.psmnet_volume import (
    Classifier,
    ConvNorm3d,
    StackedHourglass,
    add,
    concatenation_volume,
    first_convolution,
    regress,
)
from wheatstone.matching.row_bands import Conv2d, in_one_piece, saturate

__all__ = ["POOLING", "PRESETS", "PsmNet", "PsmNetwork", "load"]

POOLING: dict[str, tuple[tuple[int, int], ...]] = {
    "large": ((64, 64), (32, 32), (16, 16), (8, 8)),
    "small": ((32, 64), (16, 32), (8, 16), (4, 8)),
}
"""Windows of the pyramid and the steps between them, at a quarter of the image.

`large` is the paper's (Table 1), `big_SPP` in stereo-from-mono; `small` is that code's default, whose windows are half as wide
as the steps between them. Both have the same weights' names and shapes.
"""

PRESETS: dict[str, dict[str, Any]] = {"psmnet": {}}
_MEAN, _SPREAD = 0.45, 0.225
_BINS = 16  # four pixels a cell of the volume, and two halvings in the hourglasses


class PsmNet(NetworkMatcher):
    """PSMNet with stacked hourglasses; the defaults are those of stereo-from-mono."""

    name = "psmnet"
    multiple = 16

    def __init__(self, max_disparity: int = 192, pooling: str = "small") -> None:
        """Build the matcher with random weights.

        Args:
            max_disparity: range in px, a multiple of 16; no answer lies outside. The weights do not depend on it.
            pooling: `small` or `large` windows of the pyramid pooling (`POOLING`); must be what the weights were trained with.

        Raises:
            InputError: a setting out of its range.
        """
        if pooling not in POOLING:
            raise InputError(f"`pooling` must be one of {', '.join(POOLING)}, got {pooling!r}")
        if max_disparity < _BINS or max_disparity % _BINS:
            raise InputError(f"`max_disparity` of psmnet must be a positive multiple of {_BINS}, got {max_disparity}")
        self.config = {"max_disparity": max_disparity, "pooling": pooling}
        self.iterations = 1  # one pass: a call may name any number, it changes nothing
        self.network = PsmNetwork(max_disparity, pooling).eval()

    def __call__(self, left: Any, right: Any, iterations: int | None = None, **options: Any) -> Any:
        """Match two views; see `StereoMatcher`. There is nothing to iterate; `all_iterations` gives the three hourglasses.

        Raises:
            InputError: an `initial` disparity, from which this network cannot start.
        """
        if options.get("initial") is not None:
            raise InputError("the matcher 'psmnet' cannot start from an initial disparity: leave `initial` out")
        return super().__call__(left, right, iterations, **options)


class PsmNetwork(nn.Module):
    """The network of PSMNet; arguments as in `PsmNet`."""

    def __init__(self, max_disparity: int, pooling: str) -> None:
        super().__init__()
        self.max_disparity = max_disparity
        self.feature_extraction = _Features(POOLING[pooling])
        self.dres0 = nn.Sequential(ConvNorm3d(64, 32), nn.ReLU(inplace=True), ConvNorm3d(32, 32), nn.ReLU(inplace=True))
        self.dres1 = nn.Sequential(ConvNorm3d(32, 32), nn.ReLU(inplace=True), ConvNorm3d(32, 32))
        self.dres2, self.dres3, self.dres4 = (StackedHourglass(32) for _ in range(3))
        self.classif1, self.classif2, self.classif3 = (Classifier(32) for _ in range(3))

    def forward(
        self,
        left: Float[Tensor, "B 3 H W"],
        right: Float[Tensor, "B 3 H W"],
        iterations: int = 1,  # noqa: ARG002 (one pass; the argument is part of the contract)
        initial: Float[Tensor, "B 1 H W"] | None = None,
        every: bool = True,
    ) -> MatcherOutput:
        """Match images in 0..1 whose sides are multiples of 16.

        Images smaller than the largest pooling window are padded by repeated border pixels.

        Args:
            left: reference view.
            right: the other view.
            iterations: no meaning here.
            initial: not possible here.
            every: enlarge the answers of all three hourglasses, not only of the last.

        Returns:
            Disparity after each hourglass, coarse to fine: the last counts (the published code counts them backwards).

        Raises:
            InputError: a start value; or, in training, one pair too small for its batch norms.
        """
        if initial is not None:
            raise InputError("PSMNet cannot start from an initial disparity")
        height, width = left.shape[-2:]
        rows, columns = (max(0, self.feature_extraction.smallest - size) for size in (height, width))
        padding = Padding(columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        if self.training and len(left) * self.feature_extraction.fewest(height + rows, width + columns) < 2:
            raise InputError(
                f"PSMNet cannot train on one pair of {width}x{height} px at a time: its largest pooling window leaves one value "
                "a channel, which batch norm cannot normalise; give more pairs a batch, or crops of more than "
                f"{self.feature_extraction.single} px along a side"
            )
        scores = self._scores(padding.pad(left), padding.pad(right))
        size = (height + rows, width + columns)
        wanted = scores if every else scores[-1:]
        return MatcherOutput(tuple(padding.crop(regress(score, self.max_disparity, *size)) for score in wanted))

    def _scores(self, left: Tensor, right: Tensor) -> list[Tensor]:
        """One score a cell of the volume at a quarter of the size, after each hourglass."""
        features = [self.feature_extraction((image - _MEAN) / _SPREAD) for image in (left, right)]
        volume = self._entry(features[0], features[1], self.max_disparity // 4)
        del features
        down, up = self.dres2(self.dres2.conv1(volume), None, None)
        filtered = add(self.dres2.conv6(up), volume)
        scores = [self.classif1(filtered)]
        for hourglass, classifier in ((self.dres3, self.classif2), (self.dres4, self.classif3)):
            entered = hourglass.conv1(filtered)
            del filtered
            up = hourglass(entered, down, up)[1]
            del entered
            filtered = add(hourglass.conv6(up), volume)
            scores.append(classifier(filtered) + scores[-1])
        return scores

    def _entry(self, left: Tensor, right: Tensor, steps: int) -> Tensor:
        """The concatenation volume after its first four convolutions."""
        if in_one_piece(self.training):
            volume = self.dres0(concatenation_volume(left, right, steps))
        else:
            first: ConvNorm3d = self.dres0[0]  # type: ignore[assignment]
            volume = self.dres0[1:](first_convolution(first, left, right, steps))
        return add(self.dres1(volume), volume)


class _Block(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut, without an activation after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(_conv(inputs, outputs, 3, stride, dilation), nn.ReLU(inplace=True))
        self.conv2 = _conv(outputs, outputs, 3, 1, dilation)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        return saturate(y + (x if self.downsample is None else self.downsample(x)))


class _Features(nn.Module):
    """Residual features at 1/4 with a pyramid of averages over windows of four sizes, 32 channels."""

    def __init__(self, pooling: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.pooling = tuple(pooling)
        self.smallest = 4 * max(window for window, _ in pooling)
        # an image no longer than this on either side has one place of the widest pooling
        self.single = 4 * max(window + step for window, step in pooling) - 4
        first: list[nn.Module] = []
        for inputs, stride in ((3, 2), (32, 1), (32, 1)):
            first += [_conv(inputs, 32, 3, stride), nn.ReLU(inplace=True)]
        self.firstconv = nn.Sequential(*first)
        self.layer1 = nn.Sequential(*(_Block(32, 32) for _ in range(3)))
        self.layer2 = nn.Sequential(_Block(32, 64, 2), *(_Block(64, 64) for _ in range(15)))
        self.layer3 = nn.Sequential(_Block(64, 128), *(_Block(128, 128) for _ in range(2)))
        self.layer4 = nn.Sequential(*(_Block(128, 128, dilation=2) for _ in range(3)))
        self.branch1, self.branch2, self.branch3, self.branch4 = (
            nn.Sequential(nn.AvgPool2d(window, step), _conv(128, 32, 1), nn.ReLU(inplace=True))
            for window, step in pooling
        )
        self.lastconv = nn.Sequential(_conv(320, 128, 3), nn.ReLU(inplace=True), Conv2d(128, 32, 1, bias=False))

    def fewest(self, height: int, width: int) -> int:
        """Places of the widest pooling in an image of this size."""
        return min(
            math.prod((-(-side // 4) - window) // step + 1 for side in (height, width)) for window, step in self.pooling
        )

    def forward(self, image: Tensor) -> Tensor:
        middle = self.layer2(self.layer1(self.firstconv(image)))
        deep = self.layer4(self.layer3(middle))
        size = deep.shape[-2:]
        averages = [
            functional.interpolate(branch(deep), size, mode="bilinear", align_corners=True)
            for branch in (self.branch4, self.branch3, self.branch2, self.branch1)
        ]
        return self.lastconv(torch.cat([middle, deep, *averages], dim=1))


class _BatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose float16 results stay finite."""

    def forward(self, x: Tensor) -> Tensor:
        return saturate(super().forward(x))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the size (but for the stride), and batch norm."""
    padding = dilation * (kernel // 2)
    conv = Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, _BatchNorm2d(outputs))


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> PsmNet:
    """Load the preset from a published state file, or a folder that `save_pretrained` wrote.

    Args:
        name: `psmnet`.
        weights: a state file (stereo-from-mono's, or any with the same names), or a folder. There is no address by default.
        official: accepted for every matcher; PSMNet has nothing that differs.
        options: settings of `PsmNet`: `max_disparity`, and `pooling`, which no file tells.

    Raises:
        CheckpointError: weights that are missing or do not fit.
        InputError: no such setting.
    """
    del official
    return load_published(PsmNet, PRESETS, name, weights, options)
