"""RAFT-Stereo: recurrent refinement of disparity over a correlation pyramid; loads the published files.

Written after Lipson, Teed, Deng, "RAFT-Stereo: Multilevel Recurrent Field Transforms for Stereo Matching" (3DV 2021). Encoders,
correlation and update step are in the files beside this one; here they are joined. The network of ZeroStereo is the same.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.matching.base import FrozenNormNetwork, MatcherOutput, NetworkMatcher
from wheatstone.matching.correlation import Correlation, CorrelationVolume, OnDemandCorrelation
from wheatstone.matching.official import load_published
from wheatstone.matching.raft_encoder import NORMS, ContextEncoder, FeatureEncoder, ResidualBlock
from wheatstone.matching.raft_update import Context, UpdateBlock, convex_upsample
from wheatstone.matching.row_bands import Conv2d, saturate

__all__ = ["PRESETS", "RaftStereo", "RaftStereoNetwork", "load"]

CORRELATIONS: dict[str, Callable[[Tensor, Tensor, int, int], Correlation]] = {
    "volume": CorrelationVolume,
    "on-demand": OnDemandCorrelation,
}

PRESETS: dict[str, dict[str, Any]] = {
    "raft-stereo": {},
    "raft-stereo-realtime": {
        "shared_backbone": True,
        "n_downsample": 3,
        "n_gru_layers": 2,
        "slow_fast_gru": True,
        "iterations": 7,
    },
    "raft-stereo-instance": {"context_norm": "instance"},
}
"""What the published configurations change."""


class RaftStereo(NetworkMatcher):
    """RAFT-Stereo in any of its published configurations; the defaults are the authors' largest model."""

    name = "raft-stereo"

    def __init__(
        self,
        hidden_dims: Sequence[int] = (128, 128, 128),
        correlation: str = "volume",
        corr_levels: int = 4,
        corr_radius: int = 4,
        n_downsample: int = 2,
        n_gru_layers: int = 3,
        context_norm: str = "batch",
        shared_backbone: bool = False,
        slow_fast_gru: bool = False,
        iterations: int = 32,
        freeze_batch_norm: bool = True,
    ) -> None:
        """Build the matcher with random weights.

        Args:
            hidden_dims: channels of the recurrent units from the coarsest scale to the finest.
            correlation: `volume` keeps the correlation volume, `on-demand` computes its rows at every iteration (the same
                disparity from less memory; the original calls these `reg` and `alt`).
            corr_levels: halvings of the correlation in width, the full one included.
            corr_radius: samples on either side of the present disparity a level.
            n_downsample: the network works at 1 / 2^n of the size, n = 0..3.
            n_gru_layers: scales with a recurrent unit, 1..3.
            context_norm: norm of the context encoder: `batch`, `instance`, `group` or `none`.
            shared_backbone: take the features from the trunk of the context encoder.
            slow_fast_gru: renew the coarse scales more often than the finest.
            iterations: refinement steps of a call that does not say how many.
            freeze_batch_norm: keep batch norm in evaluation while training, as the authors do.

        Raises:
            InputError: a setting out of its range.
        """
        if correlation not in CORRELATIONS:
            raise InputError(f"`correlation` must be one of {', '.join(CORRELATIONS)}, got {correlation!r}")
        if context_norm not in NORMS:
            raise InputError(f"`context_norm` must be one of {', '.join(NORMS)}, got {context_norm!r}")
        if len(hidden_dims) != 3 or n_gru_layers not in (1, 2, 3) or n_downsample not in (0, 1, 2, 3):
            raise InputError("needs three `hidden_dims`, 1..3 `n_gru_layers` and 0..3 `n_downsample`")
        if min(corr_levels, corr_radius, iterations, *hidden_dims) < 1:
            raise InputError("`corr_levels`, `corr_radius`, `iterations` and `hidden_dims` must be positive")
        self.config = {
            "hidden_dims": list(hidden_dims),
            "correlation": correlation,
            "corr_levels": corr_levels,
            "corr_radius": corr_radius,
            "n_downsample": n_downsample,
            "n_gru_layers": n_gru_layers,
            "context_norm": context_norm,
            "shared_backbone": shared_backbone,
            "slow_fast_gru": slow_fast_gru,
            "iterations": iterations,
            "freeze_batch_norm": freeze_batch_norm,
        }
        self.iterations = iterations
        self.network = RaftStereoNetwork(**{key: self.config[key] for key in self.config if key != "iterations"}).eval()


class RaftStereoNetwork(FrozenNormNetwork):
    """The network, with the names of the published state dicts; settings as in `RaftStereo`."""

    def __init__(
        self,
        hidden_dims: Sequence[int],
        correlation: str,
        corr_levels: int,
        corr_radius: int,
        n_downsample: int,
        n_gru_layers: int,
        context_norm: str,
        shared_backbone: bool,
        slow_fast_gru: bool,
        freeze_batch_norm: bool,
    ) -> None:
        super().__init__()
        self.correlation, self.corr_levels, self.corr_radius = CORRELATIONS[correlation], corr_levels, corr_radius
        self.factor, self.n_gru_layers, self.slow_fast_gru = 2**n_downsample, n_gru_layers, slow_fast_gru
        self.shared_backbone, self.freeze_batch_norm = shared_backbone, freeze_batch_norm
        fine_first = list(reversed(hidden_dims))[:n_gru_layers]
        self.cnet = ContextEncoder(hidden_dims, hidden_dims, context_norm, n_downsample)
        planes = corr_levels * (2 * corr_radius + 1)
        self.update_block = UpdateBlock(hidden_dims, planes, n_gru_layers, self.factor)
        self.context_zqr_convs = nn.ModuleList(Conv2d(size, 3 * size, 3, padding=1) for size in fine_first)
        if shared_backbone:
            self.conv2 = nn.Sequential(ResidualBlock(128, 128, "instance"), Conv2d(128, 256, 3, padding=1))
        else:
            self.fnet = FeatureEncoder(256, "instance", n_downsample)

    def forward(
        self,
        left: Float[Tensor, "B 3 H W"],
        right: Float[Tensor, "B 3 H W"],
        iterations: int,
        initial: Float[Tensor, "B 1 H W"] | None = None,
        every: bool = True,
    ) -> MatcherOutput:
        """Match images in 0..1 whose sides are multiples of 32; see `NetworkMatcher`."""
        states, contexts, correlation = self._encode(left, right)
        batch, _, height, width = states[0].shape
        column = torch.arange(width, device=left.device, dtype=torch.float32).expand(batch, 1, height, width)
        # the original's sign and place: flow = -disparity, in pixels of the coarse grid, float32 in any precision
        flow = torch.zeros_like(column)
        if initial is not None:
            flow = flow - functional.avg_pool2d(initial.float(), self.factor) / self.factor
        predictions: list[Tensor] = []
        for step in range(iterations):
            flow = flow.detach()
            states, change = self._step(states, contexts, correlation(column + flow), flow)
            flow = flow + change
            if every or step == iterations - 1:
                predictions.append(-convex_upsample(flow, self.update_block.upsampling(states[0])))
        return MatcherOutput(tuple(predictions))

    def _step(
        self, states: list[Tensor], contexts: list[Context], samples: Tensor, flow: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """One refinement: new states, and the change of the flow in float32."""
        block, dtype = self.update_block, states[0].dtype
        if self.slow_fast_gru:
            for scale in range(self.n_gru_layers - 1, 0, -1):
                states = block.coarse(states, contexts, down_to=scale)
        states = block.coarse(states, contexts)
        both = functional.pad(saturate(flow, dtype), (0, 0, 0, 0, 0, 1))  # a rectified pair has no flow in y
        states, change = block.fine(states, contexts, both, saturate(samples, dtype))
        return states, change[:, :1].float()

    def _encode(self, left: Tensor, right: Tensor) -> tuple[list[Tensor], list[Context], Correlation]:
        """Start states, contexts of the gates (finest scale first), and the correlation of both views, images in 0..1."""
        if self.shared_backbone:
            shared = self.cnet.trunk(left, right)
            outputs = self.cnet.heads(shared[: len(left)], self.n_gru_layers)
            features = self.conv2(shared)
        else:
            outputs = self.cnet(left, self.n_gru_layers)
            features = self.fnet(left, right)
        states = [state.tanh() for state, _ in outputs]
        contexts = []
        for conv, (_, context) in zip(self.context_zqr_convs, outputs, strict=True):
            gates = conv(context.relu())
            size = gates.shape[1] // 3
            contexts.append((gates[:, : 2 * size], gates[:, 2 * size :]))
        first, second = features.chunk(2)
        return states, contexts, self.correlation(first, second, self.corr_levels, self.corr_radius)


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> RaftStereo:
    """Load a preset from a published file, a folder in Hub layout, or a folder that `save_pretrained` wrote.

    Args:
        name: `raft-stereo`, `raft-stereo-realtime` or `raft-stereo-instance`.
        weights: the authors' `.pth`, ZeroStereo's `model.safetensors` or its folder; by default the address of the model table.
        official: accepted for every matcher; RAFT-Stereo has nothing that differs.
        options: settings of `RaftStereo` that replace the preset's.

    Raises:
        CheckpointError: weights that are missing or do not fit; the message says which preset they are for.
        InputError: no such setting.
    """
    del official
    return load_published(RaftStereo, PRESETS, name, weights, options)
