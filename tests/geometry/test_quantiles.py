import torch
from hypothesis import given
from hypothesis import strategies as st

from wheatstone.geometry import quantiles


@given(st.integers(1, 200), st.integers(0, 2**31), st.floats(0, 1))
def test_nearest_rank(count, seed, share):
    values = torch.rand(count, generator=torch.Generator().manual_seed(seed))
    low, found, high = quantiles(values, 0.0, share, 1.0)
    assert (low, high) == (values.min(), values.max())
    assert int((values < found).sum()) <= share * (count - 1) + 0.5
    assert int((values <= found).sum()) >= share * (count - 1) + 0.5


def test_a_map_is_taken_as_a_whole():
    assert [float(value) for value in quantiles(torch.arange(101.0).view(1, 1, 1, 101), 0.02, 0.5)] == [2.0, 50.0]
