"""IGEV-Stereo: a filtered correlation volume gives a start value and is read again at every recurrent refinement step.

Written after Xu, Wang, Ding, Yang, "Iterative Geometry Encoding Volume for Stereo Matching" (CVPR 2023). Module names are those
of the published state dicts (765 keys; the original repository's files hold five more that nothing uses).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import resolve_weights
from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching.base import FrozenNormNetwork, MatcherOutput, NetworkMatcher
from wheatstone.matching.igev_layers import ConvBlock, Doubling, FeatureAttention
from wheatstone.matching.igev_update import IgevContext, IgevUpdate
from wheatstone.matching.igev_volume import (
    GROUPS,
    GeometryLookup,
    Hourglass,
    classify_in_bands,
    enlarge_in_bands,
    group_correlation,
    soft_argmin,
    stem_in_bands,
)
from wheatstone.matching.mobilenet import MobileNetFeatures
from wheatstone.matching.official import load_published
from wheatstone.matching.row_bands import Conv2d, bands, in_one_piece, saturate

__all__ = ["PRESETS", "IgevNetwork", "IgevStereo", "context_upsample", "load"]

UNUSED_KEYS = ("cost_agg.conv1_up.bn.*",)
"""What files of the original repository hold and no step of the network reads."""
PRESETS: dict[str, dict[str, Any]] = {"igev-stereo": {}}
_STEPS = 8  # the hourglass halves the disparity axis three times
_SIZED_FILE = re.compile(r"model_(\d+)\.safetensors")


class IgevStereo(NetworkMatcher):
    """IGEV-Stereo; the defaults are the authors' model."""

    name = "igev-stereo"

    def __init__(
        self,
        hidden_dims: Sequence[int] = (128, 128, 128),
        corr_levels: int = 2,
        corr_radius: int = 4,
        n_downsample: int = 2,
        n_gru_layers: int = 3,
        max_disparity: int = 192,
        iterations: int = 32,
        freeze_batch_norm: bool = True,
    ) -> None:
        """Build the matcher with random weights.

        Args:
            hidden_dims: channels of the recurrent units from the coarsest scale to the finest.
            corr_levels: halvings of volume and correlation along the disparity, the full ones included.
            corr_radius: samples on either side of the present disparity a level.
            n_downsample: the network works at 1/4 of the size: 2 and nothing else.
            n_gru_layers: scales with a recurrent unit, 1..3.
            max_disparity: range of the volume in px, rounded up to a multiple of 32; refinement may leave it. The weights do not
                depend on it.
            iterations: refinement steps of a call that does not say how many.
            freeze_batch_norm: keep batch norm in evaluation while training, as the authors do.

        Raises:
            InputError: a setting out of its range.
        """
        if len(hidden_dims) != 3 or n_gru_layers not in (1, 2, 3) or n_downsample != 2:
            raise InputError("igev-stereo needs three `hidden_dims`, 1..3 `n_gru_layers`, and `n_downsample` 2")
        if min(corr_levels, corr_radius, iterations, max_disparity, *hidden_dims) < 1:
            raise InputError(
                "`corr_levels`, `corr_radius`, `iterations`, `max_disparity` and `hidden_dims` must be positive"
            )
        self.config = {
            "hidden_dims": list(hidden_dims),
            "corr_levels": corr_levels,
            "corr_radius": corr_radius,
            "n_downsample": n_downsample,
            "n_gru_layers": n_gru_layers,
            "max_disparity": max_disparity,
            "iterations": iterations,
            "freeze_batch_norm": freeze_batch_norm,
        }
        self.iterations = iterations
        settings = {key: self.config[key] for key in self.config if key not in ("iterations", "n_downsample")}
        self.network = IgevNetwork(**settings).eval()


class IgevFeatures(MobileNetFeatures):
    """MobileNetV2 features brought back up to a quarter of the image: 48, 64, 192 and 160 channels at 1/4 to 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.deconv32_16 = Doubling(160, 96)
        self.deconv16_8 = Doubling(192, 32)
        self.deconv8_4 = Doubling(64, 24)
        self.conv4 = ConvBlock(48, 48, 3, norm="instance")

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of images in -1..1, finest first."""
        _, quarter, eighth, sixteenth, thirty_second = self.pyramid(image)
        sixteenth = self.deconv32_16(thirty_second, sixteenth)
        eighth = self.deconv16_8(sixteenth, eighth)
        return [self.conv4(self.deconv8_4(eighth, quarter)), eighth, sixteenth, thirty_second]


class IgevNetwork(FrozenNormNetwork):
    """The network of IGEV-Stereo; arguments as in `IgevStereo`."""

    def __init__(
        self,
        hidden_dims: Sequence[int],
        corr_levels: int,
        corr_radius: int,
        n_gru_layers: int,
        max_disparity: int,
        freeze_batch_norm: bool,
    ) -> None:
        super().__init__()
        self.steps = -(-max_disparity // (4 * _STEPS)) * _STEPS
        self.corr_levels, self.corr_radius, self.scales = corr_levels, corr_radius, n_gru_layers
        self.freeze_batch_norm = freeze_batch_norm
        self.cnet = IgevContext(hidden_dims, hidden_dims)
        planes = corr_levels * (2 * corr_radius + 1) * (GROUPS + 1)
        self.update_block = IgevUpdate(hidden_dims, planes, n_gru_layers)
        self.context_zqr_convs = nn.ModuleList(Conv2d(dim, 3 * dim, 3, padding=1) for dim in reversed(hidden_dims))
        self.feature = IgevFeatures()
        self.stem_2 = _stem(3, 32, 2)
        self.stem_4 = _stem(32, 48, 2)
        self.spx = nn.Sequential(nn.ConvTranspose2d(64, 9, 4, 2, 1))
        self.spx_2 = Doubling(24, 32)
        self.spx_4 = _stem(96, 24, 1)
        self.spx_2_gru = Doubling(32, 32, norm="batch")
        self.spx_gru = nn.Sequential(nn.ConvTranspose2d(64, 9, 4, 2, 1))
        self.conv = ConvBlock(96, 96, 3, norm="instance")
        self.desc = Conv2d(96, 96, 1)
        self.corr_stem = ConvBlock(GROUPS, GROUPS, 3, dims=3)
        self.corr_feature_att = FeatureAttention(GROUPS, 96)
        self.cost_agg = Hourglass(GROUPS)
        self.classifier = nn.Conv3d(GROUPS, 1, 3, padding=1, bias=False)

    def forward(
        self,
        left: Float[Tensor, "B 3 H W"],
        right: Float[Tensor, "B 3 H W"],
        iterations: int,
        initial: Float[Tensor, "B 1 H W"] | None = None,
        every: bool = True,
    ) -> MatcherOutput:
        """Match images in 0..1 whose sides are multiples of 32.

        Args:
            left: reference view.
            right: the other view.
            iterations: refinement steps.
            initial: disparity to refine instead of the network's own start value, px.
            every: enlarge every step (and the start value), not only the last.

        Returns:
            Disparity of every step, and with `every` the start value, at full size in float32.
        """
        # first, because its full-resolution maps are the largest of all and nothing else is kept yet
        states, contexts = self._context(left)
        start, lookup, half, features = self._volume(2 * left - 1, 2 * right - 1)
        first = self._enlarge_start(start, features, half) if every else None
        del features
        disparity = start if initial is None else functional.avg_pool2d(initial.float(), 4) / 4
        predictions = []
        for step in range(iterations):
            disparity = disparity.detach()
            samples = saturate(lookup(disparity), left.dtype)
            states, fine, change = self.update_block(states, contexts, samples, disparity.to(left.dtype))
            disparity = disparity + change.float()
            if every or step == iterations - 1:
                shares = self.spx_gru(self.spx_2_gru(fine, half))
                predictions.append(context_upsample(4 * disparity, shares))
        return MatcherOutput(tuple(predictions), first)

    def _volume(self, left: Tensor, right: Tensor) -> tuple[Tensor, GeometryLookup, Tensor, list[Tensor]]:
        """Start value at 1/4, the look-up around it, left features at 1/2 and the left pyramid."""
        features, half = self._features(left)
        matching_left = self.desc(self.conv(features[0]))
        other, _ = self._features(right)
        matching_right = self.desc(self.conv(other[0]))
        del other
        gates = self.corr_feature_att.gates(features[0])
        if in_one_piece(self.training):
            correlation = group_correlation(matching_left, matching_right, self.steps)
            volume = self.cost_agg(self.corr_stem(correlation) * gates, features)
            start = soft_argmin(saturate(self.classifier(volume))[:, 0])
            volume = volume.permute(0, 1, 3, 4, 2)
        else:
            first: ConvBlock = self.cost_agg.conv1[0]  # type: ignore[assignment]
            eighth = stem_in_bands(self.corr_stem, gates, first, matching_left, matching_right, self.steps)
            volume = enlarge_in_bands(self.cost_agg.conv1_up.conv, self.cost_agg.coarse(eighth, features))
            start = classify_in_bands(self.classifier, volume)
        lookup = GeometryLookup(volume, matching_left, matching_right, self.corr_levels, self.corr_radius)
        return start, lookup, half, features

    def _features(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features at 1/4 to 1/32 (96, 64, 192, 160 channels) and those of the stem at 1/2."""
        half = self.stem_2(image)
        features = self.feature(image)
        return [torch.cat([features[0], self.stem_4(half)], dim=1), *features[1:]], half

    def _enlarge_start(self, start: Tensor, features: list[Tensor], half: Tensor) -> Tensor:
        shares = self.spx(self.spx_2(self.spx_4(features[0]), half))
        return context_upsample(4 * start, shares)

    def _context(self, left: Tensor) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Start states and gate contexts of the recurrent units, finest first, of an image in 0..1."""
        states, contexts = [], []
        for (state, context), conv in zip(self.cnet(left, self.scales), self.context_zqr_convs, strict=False):
            states.append(state.tanh())
            channels = state.shape[1]
            contexts.append(tuple(conv(context.relu()).split([2 * channels, channels], dim=1)))
        return states, contexts


def context_upsample(disparity: Float[Tensor, "B 1 h w"], shares: Float[Tensor, "B 9 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Enlarge four times: every pixel a convex mixture (softmax of `shares`) of the 3x3 coarse pixels around it, float32."""
    around = functional.unfold(disparity.float(), 3, padding=1).unflatten(2, disparity.shape[-2:])
    if in_one_piece():
        return _mix(around, shares)
    parts = [
        _mix(around[..., start:stop, :], shares[..., 4 * start : 4 * stop, :])
        for start, stop in bands(disparity.shape[-2], shares.shape[-1], shares.device, 4)
    ]
    return torch.cat(parts, dim=-2)


def _mix(around: Tensor, shares: Tensor) -> Tensor:
    near = functional.interpolate(around, scale_factor=4, mode="nearest")
    return (near * saturate(shares).float().softmax(dim=1)).sum(1, keepdim=True)


def _stem(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = Conv2d(outputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(ConvBlock(inputs, outputs, 3, stride, norm="instance"), conv, _InstanceRelu())


class _InstanceRelu(nn.Module):
    """Instance norm and rectifier, without weights."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.instance_norm(x).relu_()


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> IgevStereo:
    """Load the preset from a published file, a folder in Hub layout, or a folder that `save_pretrained` wrote.

    Args:
        name: `igev-stereo`.
        weights: the authors' `.pth`, a safetensors file of ZeroStereo or its folder, in which `max_disparity` chooses
            between `model_192.safetensors` and `model_700.safetensors`; such a file name sets `max_disparity` where the options
            do not. By default the address of the model table.
        official: accepted for every matcher; IGEV-Stereo has nothing that differs.
        options: settings of `IgevStereo`.

    Raises:
        CheckpointError: weights that are missing or do not fit.
        InputError: no such setting.
    """
    del official
    place = resolve_weights(name, weights, allow_patterns=["*.json", "*.safetensors"])
    if place.is_dir() and not any((place / file).is_file() for file in ("config.json", "model.safetensors")):
        place = _sized_file(place, options.get("max_disparity", 192))
    if (sized := _SIZED_FILE.fullmatch(place.name)) and "max_disparity" not in options:
        options["max_disparity"] = int(sized[1])
    return load_published(IgevStereo, PRESETS, name, place, options, UNUSED_KEYS)


def _sized_file(folder: Path, max_disparity: object) -> Path:
    """The file of a folder that was trained for a range of disparities."""
    wanted = folder / f"model_{max_disparity}.safetensors"
    found = sorted(file.name for file in folder.glob("model_*.safetensors"))
    if not wanted.is_file() and found:
        raise CheckpointError(f"{folder}: has no {wanted.name}, but {', '.join(found)}: name the file")
    return wanted if found else folder
