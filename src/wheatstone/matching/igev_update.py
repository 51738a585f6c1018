"""Context and recurrent update of IGEV-Stereo: those of RAFT-Stereo, for a disparity instead of a flow.

After the IGEV-Stereo paper (CVPR 2023), §3.4. Module names are those of the published state dicts, in which `04`, `08`, `16` name
the scales from fine to coarse.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wheatstone.matching.raft_encoder import ContextEncoder
from wheatstone.matching.raft_update import Context, ConvGRU, halve, resize_like
from wheatstone.matching.row_bands import Conv2d

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
        return self.conv2(self.conv1(state).relu())


class IgevUpdate(nn.Module):
    """One refinement step over one to three scales; `hidden_dims` go from the coarsest to the finest."""

    def __init__(self, hidden_dims: Sequence[int], planes: int, n_gru_layers: int) -> None:
        """Channels a scale, look-up samples a pixel, and scales in use."""
        super().__init__()
        coarse, middle, fine = hidden_dims
        self.scales = n_gru_layers
        self.encoder = _DisparityEncoder(planes)
        self.gru04 = ConvGRU(fine, 128 + middle * (n_gru_layers > 1))
        self.gru08 = ConvGRU(middle, coarse * (n_gru_layers == 3) + fine)
        self.gru16 = ConvGRU(coarse, middle)
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
