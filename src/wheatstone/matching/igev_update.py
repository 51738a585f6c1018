"""Context and recurrent update of IGEV-Stereo: those of RAFT-Stereo, for a disparity instead of a flow.

After the IGEV-Stereo paper (CVPR 2023), §3.4. Module names are those of the published state dicts, in which `04`, `08`, `16` name
the scales from fine to coarse.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.raft_encoder import ContextEncoder
from wheatstone.matching.raft_update import Context, ConvGRU, halve, resize_like
from wheatstone.matching.row_bands import Conv2d, bands, in_one_piece, saturate

__all__ = ["IgevContext", "IgevUpdate"]


class IgevContext(ContextEncoder):
    """RAFT-Stereo's context encoder at quarter resolution, with the published names of the heads."""

    def __init__(self, hidden_dims: Sequence[int], context_dims: Sequence[int]) -> None:
        """Channels of states and contexts, coarsest scale first."""
        super().__init__(hidden_dims, context_dims, norm="batch", n_downsample=2)
        self.outputs04, self.outputs08, self.outputs16 = self.outputs08, self.outputs16, self.outputs32
        del self.outputs32

    def heads(self, x: Tensor, levels: int = 3) -> list[tuple[Tensor, Tensor]]:
        """(Start state, context) a scale from features of the trunk, finest first."""
        outputs = [(self.outputs04[0](x), self.outputs04[1](x))]
        if levels > 1:
            x = self.layer4(x)
            outputs.append((self.outputs08[0](x), self.outputs08[1](x)))
        if levels > 2:
            x = self.layer5(x)
            outputs.append((self.outputs16[0](x), self.outputs16[1](x)))
        return outputs


class _BandedGRU(ConvGRU):
    """The unit of RAFT-Stereo, a band of rows at a time where no gradient is wanted.

    The joined inputs and both gates, five times the size of the state, never exist as a whole.
    """

    def forward(self, state: Tensor, context: Context, *inputs: Tensor) -> Tensor:
        """Next state `[B,C,h,w]`."""
        if in_one_piece():
            return super().forward(state, context, *inputs)
        (for_gates, for_candidate), channels = context, state.shape[1]
        weight = torch.cat([self.convz.weight, self.convr.weight])
        bias = torch.cat([self.convz.bias, self.convr.bias])  # type: ignore[list-item]
        update, kept = torch.empty_like(state), torch.empty_like(state)
        cuts = list(bands(state.shape[-2], state.shape[-1], state.device))
        for start, stop in cuts:
            gates = functional.conv2d(_with_neighbours(start, stop, state, *inputs), weight, bias, padding=(0, 1))
            gates = saturate(gates).add_(for_gates[..., start:stop, :]).sigmoid_()
            update[..., start:stop, :] = gates[:, :channels]
            kept[..., start:stop, :] = gates[:, channels:].mul_(state[..., start:stop, :])
        for start, stop in cuts:
            rows = _with_neighbours(start, stop, kept, *inputs)
            candidate = saturate(functional.conv2d(rows, self.convq.weight, self.convq.bias, padding=(0, 1)))
            candidate = candidate.add_(for_candidate[..., start:stop, :]).tanh_()
            share = update[..., start:stop, :]
            update[..., start:stop, :] = torch.lerp(state[..., start:stop, :], candidate, share)
        return update


def _with_neighbours(start: int, stop: int, *maps: Tensor) -> Tensor:
    """Rows [start - 1, stop + 1) of all maps, joined; zeros beyond the image."""
    height = maps[0].shape[-2]
    first, last = max(start - 1, 0), min(stop + 1, height)
    joined = torch.cat([part[..., first:last, :] for part in maps], dim=1)
    return functional.pad(joined, (0, 0, first - start + 1, stop + 1 - last))


class _DisparityEncoder(nn.Module):
    """Look-up samples and the present disparity to 128 channels, the last of them the disparity itself."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.convc1 = Conv2d(planes, 64, 1)
        self.convc2 = Conv2d(64, 64, 3, padding=1)
        self.convd1 = Conv2d(1, 64, 7, padding=3)
        self.convd2 = Conv2d(64, 64, 3, padding=1)
        self.conv = Conv2d(128, 127, 3, padding=1)

    def forward(self, disparity: Tensor, samples: Tensor) -> Tensor:
        similar = self.convc2(self.convc1(samples).relu()).relu()
        moved = self.convd2(self.convd1(disparity).relu()).relu()
        return torch.cat([self.conv(torch.cat([similar, moved], dim=1)).relu(), disparity], dim=1)


class _DisparityHead(nn.Module):
    """State to a change of the disparity."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(inputs, 256, 3, padding=1)
        self.conv2 = Conv2d(256, 1, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        if in_one_piece():
            return self.conv2(self.conv1(state).relu())
        height = state.shape[-2]
        parts = []
        for start, stop in bands(height, state.shape[-1], state.device):
            inner = slice(max(start - 1, 0), min(stop + 1, height))  # rows of the hidden map that these rows need
            hidden = functional.conv2d(
                _with_neighbours(inner.start, inner.stop, state), self.conv1.weight, self.conv1.bias, padding=(0, 1)
            )
            hidden = saturate(hidden).relu_()
            hidden = functional.pad(hidden, (0, 0, inner.start - start + 1, stop + 1 - inner.stop))
            parts.append(saturate(functional.conv2d(hidden, self.conv2.weight, self.conv2.bias, padding=(0, 1))))
        return torch.cat(parts, dim=-2)


class IgevUpdate(nn.Module):
    """One refinement step over one to three scales; `hidden_dims` go from the coarsest to the finest."""

    def __init__(self, hidden_dims: Sequence[int], planes: int, n_gru_layers: int) -> None:
        """Channels a scale, look-up samples a pixel, and scales in use."""
        super().__init__()
        coarse, middle, fine = hidden_dims
        self.scales = n_gru_layers
        self.encoder = _DisparityEncoder(planes)
        self.gru04 = _BandedGRU(fine, 128 + middle * (n_gru_layers > 1))
        self.gru08 = _BandedGRU(middle, coarse * (n_gru_layers == 3) + fine)
        self.gru16 = _BandedGRU(coarse, middle)
        self.disp_head = _DisparityHead(fine)
        self.mask_feat_4 = nn.Sequential(Conv2d(fine, 32, 3, padding=1), nn.ReLU(inplace=True))

    def forward(
        self, states: Sequence[Tensor], contexts: Sequence[Context], samples: Tensor, disparity: Tensor
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Renew all states, coarsest first.

        Returns:
            The states, the features that upsampling needs `[B,32,h,w]`, and the change of the disparity in pixels of its own
            resolution.
        """
        states = list(states)
        if self.scales == 3:
            states[2] = self.gru16(states[2], contexts[2], halve(states[1]))
        if self.scales >= 2:
            above = [resize_like(states[2], states[1])] if self.scales == 3 else []
            states[1] = self.gru08(states[1], contexts[1], halve(states[0]), *above)
        above = [resize_like(states[1], states[0])] if self.scales >= 2 else []
        states[0] = self.gru04(states[0], contexts[0], self.encoder(disparity, samples), *above)
        return states, self.mask_feat_4(states[0]), self.disp_head(states[0])
