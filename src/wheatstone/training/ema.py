"""A running mean of the weights: what is saved as the result of a training."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["WeightMean"]


class WeightMean:
    """Exponential moving average of networks, by role; the decay starts low so that the first weights are soon forgotten."""

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.state = {role: _copy(network.state_dict()) for role, network in networks.items()}

    @torch.no_grad()
    def update(self, networks: Mapping[str, nn.Module], step: int) -> None:
        """Move towards the weights after `step` steps; buffers of integers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for role, network in networks.items():
            for name, value in network.state_dict().items():
                mean = self.state[role][name]
                if value.is_floating_point():
                    mean.lerp_(value, 1 - decay)
                else:
                    mean.copy_(value)

    def load(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over a saved state."""
        for role, tensors in state.items():
            for name, value in tensors.items():
                self.state[role][name].copy_(value)


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
