import pytest
import torch
from torch.nn import functional

from wheatstone.matching.correlation import CorrelationVolume, OnDemandCorrelation


def features(width: int = 37) -> tuple[torch.Tensor, torch.Tensor]:
    maps = torch.randn(2, 2, 16, 5, width, generator=torch.Generator().manual_seed(0))
    return maps[0], maps[1]


def plain(left, right, columns, levels, radius):
    """The paper's words: all pairs, average pooling, bilinear sampling with zeros outside."""
    batch, channels, height, width = left.shape
    volume = torch.einsum("bchw,bchv->bhwv", left, right) / channels**0.5
    volume = volume.reshape(batch * height * width, 1, 1, width)
    found = []
    for level in range(levels):
        steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
        x = columns.reshape(-1, 1) / 2**level + steps
        x = 2 * x / (volume.shape[-1] - 1) - 1
        grid = torch.stack([x, torch.zeros_like(x)], dim=-1)[:, None]
        sampled = functional.grid_sample(volume, grid, align_corners=True)
        found.append(sampled.view(batch, height, width, -1))
        volume = functional.avg_pool2d(volume, (1, 2))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


@pytest.mark.parametrize("kind", [CorrelationVolume, OnDemandCorrelation])
def test_equals_the_plain_form(kind):
    left, right = features()
    columns = 60 * torch.rand(2, 1, 5, 37, generator=torch.Generator().manual_seed(2)) - 12
    found = kind(left, right, 3, 4)(columns)
    assert found.shape == (2, 27, 5, 37)
    assert torch.allclose(found, plain(left, right, columns, 3, 4), atol=1e-4)


def test_places_far_outside_correlate_to_zero():
    left, right = features()
    for place in (-1e30, 1e30, -50.0, 90.0):
        assert not CorrelationVolume(left, right, 4, 4)(torch.full((2, 1, 5, 37), place)).any()


def test_more_levels_than_columns_is_no_nan():
    left, right = features(width=8)
    assert torch.isfinite(CorrelationVolume(left, right, 4, 4)(torch.zeros(2, 1, 5, 8))).all()


@pytest.mark.parametrize("kind", [CorrelationVolume, OnDemandCorrelation])
def test_sums_in_float32(kind):
    left, right = features()
    left, right = 1000 * left.half(), 1000 * right.half()
    half = kind(left, right, 2, 2)
    exact = kind(left.float(), right.float(), 2, 2)
    columns = torch.arange(37.0).expand(2, 1, 5, 37)
    with torch.autocast("cpu", torch.bfloat16):
        found = half(columns)
    assert found.dtype == torch.float32
    assert float(found.abs().max()) > 70000
    assert torch.allclose(found, exact(columns), rtol=1e-5)
