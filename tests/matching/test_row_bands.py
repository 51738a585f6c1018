import pytest
import torch

from wheatstone.matching.row_bands import Conv2d, convolve_bands


@pytest.fixture(autouse=True)
def small_bands(monkeypatch):
    monkeypatch.setattr("wheatstone.matching.row_bands.CPU_PIXELS", 1)  # the least: 8 rows a band


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (7, 1), (7, 2), (1, 2), (1, 1)])
@pytest.mark.parametrize("height", [5, 16, 39])
@torch.no_grad()
def test_equals_one_convolution(kernel, stride, height):
    conv = Conv2d(3, 5, kernel, stride, padding=kernel // 2)
    x = torch.randn(2, 3, height, 11)
    kept = x.clone()
    found = convolve_bands(conv, x, prepare=lambda band: (band + 1).relu())
    assert torch.allclose(found, conv((x + 1).relu()), atol=1e-5)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@torch.no_grad()
def test_writes_over_its_input(kernel):
    conv = Conv2d(4, 4, kernel, padding=kernel // 2)
    x = torch.randn(1, 4, 37, 9)
    expected = conv(x)
    found = convolve_bands(conv, x, in_place=True)
    assert found.data_ptr() == x.data_ptr()
    assert torch.allclose(found, expected, atol=1e-5)


def test_float16_stops_at_its_largest_number():
    conv = Conv2d(1, 1, 1).half()
    torch.nn.init.constant_(conv.weight, 100)
    found = conv(torch.tensor([6e4, -6e4], dtype=torch.float16).view(1, 1, 1, 2))
    assert found.flatten().tolist() == [65504, -65504]
