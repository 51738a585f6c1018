import pytest
import torch
from torch import nn

from wheatstone.errors import InputError, ShapeError
from wheatstone.matching import MatcherOutput, NetworkMatcher, load_matcher


class Counting(nn.Module):
    """Each step adds the mean difference of the views to the start value; remembers what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.calls = []

    def forward(self, left, right, iterations, initial=None, every=True):
        self.calls.append((tuple(left.shape), initial, every))
        value = torch.zeros_like(left[:, :1]) if initial is None else initial
        steps = []
        for _ in range(iterations):
            value = value + (left - right).mean(1, keepdim=True) * self.weight
            steps.append(value)
        return MatcherOutput(tuple(steps if every else steps[-1:]))


class CountingMatcher(NetworkMatcher):
    name = "counting"
    iterations = 3

    def __init__(self) -> None:
        self.config = {}
        self.network = Counting()


def views(height=33, width=50, batch=2):
    return torch.rand(2, batch, 3, height, width, generator=torch.Generator().manual_seed(0)).unbind(0)


def test_pads_crops_and_takes_one_pair_a_call():
    matcher = CountingMatcher()
    left, right = views()
    found = matcher(left, right, all_iterations=True)
    assert [shape for shape, *_ in matcher.network.calls] == [(1, 3, 64, 64)] * 2
    assert found.disparity.shape == (2, 1, 33, 50)
    assert len(found.iterations) == 3
    expected = (left - right).mean(1, keepdim=True)
    for number, step in enumerate(found.iterations, start=1):
        assert torch.allclose(step, number * expected, atol=1e-6)
    assert torch.equal(found.disparity, found.iterations[-1])
    assert not found.disparity.requires_grad


def test_single_steps_are_made_only_on_request():
    matcher = CountingMatcher()
    assert matcher(*views()).iterations is None
    assert all(every is False for *_, every in matcher.network.calls)


def test_small_start_value_is_enlarged_with_its_values():
    matcher = CountingMatcher()
    left, right = views(32, 64, 1)
    matcher(left, right, 1, initial=torch.full((1, 1, 8, 16), 2.0))
    _, initial, _ = matcher.network.calls[0]
    assert initial.shape == (1, 1, 32, 64)
    assert torch.allclose(initial, torch.full_like(initial, 8.0))


def test_bad_input_is_named():
    matcher = CountingMatcher()
    left, right = views()
    with pytest.raises(ShapeError, match=r"left is 50x33 .* right is 49x33"):
        matcher(left, right[..., 1:])
    with pytest.raises(InputError, match="at least one iteration"):
        matcher(left, right, 0)
    with pytest.raises(ShapeError, match="initial"):
        matcher(left, right, initial=torch.zeros(1, 1, 33, 50))
    with pytest.raises(InputError, match="unknown matcher 'nothing'"):
        load_matcher("nothing")
