"""Photometric terms: published numbers, what they ignore, and what they refuse."""

import numpy as np
import pytest
import torch

from wheatstone.errors import InputError, ShapeError
from wheatstone.objectives.photometric import photometric_error, ssim_distance


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def golden(goldens):
    with np.load(goldens / "zerostereo_disp_warp_photometric.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    for name in ("left", "right"):
        arrays[name] = arrays[name].permute(0, 3, 1, 2).float()
    return arrays


@pytest.mark.parametrize(
    ("name", "window", "scale"), [("ssim7_0_255", 7, 1), ("ssim7_0_1", 7, 255), ("ssim3_0_1", 3, 255)]
)
def test_ssim_is_the_published_one(golden, name, window, scale):
    made = ssim_distance(golden["left"] / scale, golden["right"] / scale, window=window)
    assert (made - golden[name]).abs().max() < 4e-4  # ten times the float32 noise of the original


@pytest.mark.parametrize(("name", "scale"), [("photometric_0_255", 1), ("photometric_0_1", 255)])
def test_the_photometric_error_is_the_published_one(golden, name, scale):
    made = photometric_error(golden["left"] / scale, golden["right"] / scale)
    assert (made - golden[name]).abs().max() < 5e-5


def test_equal_pictures_do_not_differ_and_the_order_does_not_matter():
    a, b = rand(2, 3, 12, 16), rand(2, 3, 12, 16, seed=1)
    assert ssim_distance(a, a).max() < 1e-5
    assert torch.allclose(ssim_distance(a, b), ssim_distance(b, a), atol=1e-6)
    assert 0.3 < ssim_distance(a, b).mean() < 0.6


def test_bright_flat_pictures_do_not_turn_rounding_into_structure():
    """Variances as differences of squares would be noise here, many times the tiny constants."""
    flat = torch.full((1, 3, 32, 32), 0.9)
    a, b = flat + 1e-3 * rand(1, 3, 32, 32), flat + 1e-3 * rand(1, 3, 32, 32, seed=1)
    constants = (1e-4 / 255**2, 9e-4 / 255**2)
    exact = ssim_distance(a.double(), b.double(), constants=constants)
    assert (ssim_distance(a, b, constants=constants) - exact).abs().max() < 2e-3


def test_gradients_are_right():
    a, b = rand(1, 2, 6, 7).double().requires_grad_(), rand(1, 2, 6, 7, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: photometric_error(x, y, window=3), (a, b))


def test_senseless_windows_and_sizes_are_refused():
    with pytest.raises(InputError, match="odd"):
        ssim_distance(rand(1, 1, 8, 8), rand(1, 1, 8, 8), window=4)
    with pytest.raises(ShapeError, match="one size above 3"):
        ssim_distance(rand(1, 1, 3, 8), rand(1, 1, 3, 8))
