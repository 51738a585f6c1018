"""The recurrent update of RAFT-Stereo: motion features, gated units at up to three scales, heads, convex upsampling.

After RAFT-Stereo (3DV 2021), §3.3 and §3.4, and RAFT (ECCV 2020), §3.3. Module names are those of the published state dicts;
`08`, `16`, `32` name the scales from fine to coarse whatever their real sizes are.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.row_bands import Conv2d, saturate

__all__ = ["ConvGRU", "UpdateBlock", "convex_upsample", "halve", "resize_like"]

Context = tuple[Tensor, Tensor]
"""What the context adds to a unit: to the update and reset gates together `[B,2C,h,w]`, and to the candidate `[B,C,h,w]`."""


class ConvGRU(nn.Module):
    """Gated recurrent unit with 3x3 convolutions and a context that is added to its gates."""

    def __init__(self, hidden: int, inputs: int) -> None:
        """Channels of the state and of all inputs together."""
        super().__init__()
        self.convz = Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convr = Conv2d(hidden + inputs, hidden, 3, padding=1)
        self.convq = Conv2d(hidden + inputs, hidden, 3, padding=1)

    def forward(self, state: Tensor, context: Context, *inputs: Tensor) -> Tensor:
        """Next state `[B,C,h,w]`."""
        for_gates, for_candidate = context
        # both gates read the same input: one convolution reads it once
        weight = torch.cat([self.convz.weight, self.convr.weight])
        bias = torch.cat([self.convz.bias, self.convr.bias])  # type: ignore[list-item]
        gates = saturate(functional.conv2d(torch.cat([state, *inputs], dim=1), weight, bias, padding=1))
        update, reset = (gates + for_gates).sigmoid().chunk(2, dim=1)
        candidate = self.convq(torch.cat([reset * state, *inputs], dim=1)) + for_candidate
        return torch.lerp(state, candidate.tanh(), update)


class _MotionEncoder(nn.Module):
    """Correlation samples and the present flow to 128 channels, the last two of them the flow itself."""

    def __init__(self, planes: int) -> None:
        """Number of correlation samples a pixel."""
        super().__init__()
        self.convc1 = Conv2d(planes, 64, 1)
        self.convc2 = Conv2d(64, 64, 3, padding=1)
        self.convf1 = Conv2d(2, 64, 7, padding=3)
        self.convf2 = Conv2d(64, 64, 3, padding=1)
        self.conv = Conv2d(128, 126, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        """Flow `[B,2,h,w]` and correlation `[B,P,h,w]` to `[B,128,h,w]`."""
        similar = self.convc2(self.convc1(correlation).relu()).relu()
        moved = self.convf2(self.convf1(flow).relu()).relu()
        return torch.cat([self.conv(torch.cat([similar, moved], dim=1)).relu(), flow], dim=1)


class _FlowHead(nn.Module):
    """State to a change of the flow, `[B,2,h,w]`."""

    def __init__(self, inputs: int) -> None:
        """Channels of the state."""
        super().__init__()
        self.conv1 = Conv2d(inputs, 256, 3, padding=1)
        self.conv2 = Conv2d(256, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        """Change of the flow in pixels of its own resolution."""
        return self.conv2(self.conv1(state).relu())


class UpdateBlock(nn.Module):
    """One refinement step over one to three scales.

    `hidden_dims` goes from the coarsest scale to the finest, as in the published configuration; lists of states and contexts go
    from the finest to the coarsest.
    """

    def __init__(self, hidden_dims: Sequence[int], planes: int, n_gru_layers: int, factor: int) -> None:
        """Channels a scale, correlation samples a pixel, scales in use, and the factor to the size of the image."""
        super().__init__()
        coarse, middle, fine = hidden_dims
        self.scales = n_gru_layers
        self.encoder = _MotionEncoder(planes)
        self.gru08 = ConvGRU(fine, 128 + middle * (n_gru_layers > 1))
        self.gru16 = ConvGRU(middle, coarse * (n_gru_layers == 3) + fine)
        self.gru32 = ConvGRU(coarse, middle)
        self.flow_head = _FlowHead(fine)
        self.mask = nn.Sequential(Conv2d(fine, 256, 3, padding=1), nn.ReLU(), Conv2d(256, factor**2 * 9, 1))

    def coarse(self, states: list[Tensor], contexts: Sequence[Context], down_to: int = 1) -> list[Tensor]:
        """Renew the states of the scales from the coarsest in use up to number `down_to` (0 is the finest)."""
        states = list(states)
        if self.scales == 3 and down_to <= 2:
            states[2] = self.gru32(states[2], contexts[2], halve(states[1]))
        if self.scales >= 2 and down_to <= 1:
            above = [resize_like(states[2], states[1])] if self.scales == 3 else []
            states[1] = self.gru16(states[1], contexts[1], halve(states[0]), *above)
        return states

    def fine(
        self, states: list[Tensor], contexts: Sequence[Context], flow: Tensor, correlation: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Renew the finest state, and read the change of the flow `[B,2,h,w]` from it."""
        above = [resize_like(states[1], states[0])] if self.scales > 1 else []
        state = self.gru08(states[0], contexts[0], self.encoder(flow, correlation), *above)
        return [state, *states[1:]], self.flow_head(state)

    def upsampling(self, state: Tensor) -> Tensor:
        """Logits of convex upsampling from the finest state; a quarter keeps their gradients in proportion (RAFT)."""
        return 0.25 * self.mask(state)


def convex_upsample(values: Float[Tensor, "B 1 h w"], logits: Float[Tensor, "B K h w"]) -> Float[Tensor, "B 1 H W"]:
    """Enlarge a map in pixels by the factor f hidden in its logits (K = 9 f^2), and its values with it, in float32.

    Every fine pixel is a convex mixture of the 3x3 coarse pixels around it (zeros outside the image).
    """
    batch, channels, height, width = logits.shape
    factor = round((channels / 9) ** 0.5)
    shares = logits.float().view(batch, 9, factor, factor, height, width).softmax(dim=1)
    around = functional.unfold(factor * values.float(), 3, padding=1).view(batch, 9, 1, 1, height, width)
    mixed = (shares * around).sum(1)  # [B, f, f, h, w]
    return mixed.permute(0, 3, 1, 4, 2).reshape(batch, 1, factor * height, factor * width)


def halve(x: Tensor) -> Tensor:
    """Average 3x3 pixels at every other place; pixels outside count as zeros, as in the original."""
    return functional.avg_pool2d(x, 3, stride=2, padding=1)


def resize_like(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge bilinearly, corner to corner, to the size of `like`."""
    return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)
