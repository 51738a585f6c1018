"""A running mean of the weights: what is saved as the result of a training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

__all__ = ["WeightMean"]


class WeightMean:
    """Exponential moving average of networks, by role; the decay starts low so that the first weights are soon forgotten."""

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        live = {role: network.state_dict(keep_vars=True) for role, network in networks.items()}
        self.state = {role: {n: v.detach().clone() for n, v in tensors.items()} for role, tensors in live.items()}
        pairs = [(self.state[role][name], value) for role, tensors in live.items() for name, value in tensors.items()]
        self._moving = [(mean, value) for mean, value in pairs if value.is_floating_point()]
        self._copied = [(mean, value) for mean, value in pairs if not value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights after `step` steps; buffers of integers are copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        means, values = [mean for mean, _ in self._moving], [value.detach() for _, value in self._moving]
        torch._foreach_lerp_(means, values, 1 - decay)  # one launch for all of them on a GPU
        for mean, value in self._copied:
            mean.copy_(value)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The networks hold the mean inside, and afterwards their own weights again, bit by bit."""
        kept = [value.detach().clone() for _, value in self._moving]
        try:
            with torch.no_grad():
                for mean, value in self._moving:
                    value.copy_(mean)
            yield
        finally:
            with torch.no_grad():
                for (_, value), own in zip(self._moving, kept, strict=True):
                    value.copy_(own)

    def load(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take over a saved state."""
        for role, tensors in state.items():
            for name, value in tensors.items():
                self.state[role][name].copy_(value)
