"""A matcher whose answer is known, and random maps, for the tests of matching losses."""

import torch
from torch import nn

from wheatstone.matching import MatcherOutput


class FixedMatcher(nn.Module):
    """Answers with what it was given, whatever the pair."""

    def __init__(self, predictions, initial=None):
        super().__init__()
        self.predictions, self.initial = tuple(predictions), initial

    def forward(self, left, right, iterations, initial=None, every=True):
        return MatcherOutput(self.predictions, self.initial)


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
