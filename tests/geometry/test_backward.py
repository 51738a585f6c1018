"""Backward warp: published outputs, exactness, gradients."""

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wheatstone.errors import InputError
from wheatstone.geometry import backward_warp, forward_warp


@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_equals_zerostereo(committed_goldens, padding, mode):
    with np.load(committed_goldens / "zerostereo_disp_warp.npz") as golden:
        right = torch.from_numpy(golden["right"]).permute(0, 3, 1, 2).float()
        disparity = torch.from_numpy(golden["disp"])
        expected = torch.from_numpy(golden[f"disp_warp/{padding}/{mode}"])
    # the original rounds normalised coordinates to float32: up to 4e-4 of 255
    torch.testing.assert_close(backward_warp(right, disparity, padding, mode), expected, atol=6e-4, rtol=0)


def test_negative_disparity_equals_zerostereo(committed_goldens):
    with np.load(committed_goldens / "zerostereo_disp_warp.npz") as golden:
        right = torch.from_numpy(golden["right"]).permute(0, 3, 1, 2).float()
        disparity, expected = torch.from_numpy(golden["disp"]), torch.from_numpy(golden["disp_warp/neg"])
    torch.testing.assert_close(backward_warp(right, -disparity), expected, atol=6e-4, rtol=0)


@given(st.integers(-12, 12), st.integers(1, 10), st.sampled_from(["bilinear", "nearest"]))
@settings(max_examples=40, deadline=None)
def test_integer_shift_is_exact(shift, width, mode):
    image = torch.randn(2, 3, 2, width)
    disparity = torch.full((2, 1, 2, width), float(shift))
    zeros, border = (backward_warp(image, disparity, padding, mode) for padding in ("zeros", "border"))
    for x in range(width):
        source = x - shift
        inside = 0 <= source < width
        assert torch.equal(border[..., x], image[..., min(max(source, 0), width - 1)])
        assert torch.equal(zeros[..., x], image[..., source] if inside else torch.zeros(2, 3, 2))


@given(st.floats(-4, 4, width=32))
@settings(max_examples=30, deadline=None)
def test_interpolates_a_ramp(shift):
    ramp = torch.arange(20.0).reshape(1, 1, 1, 20)
    fetched = backward_warp(ramp, torch.full_like(ramp, shift))
    torch.testing.assert_close(fetched, (ramp - shift).clamp(0, 19), atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_gradients(padding):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 2, 2, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    # away from whole columns, where the interpolation has a kink
    disparity = torch.randint(-3, 4, (2, 1, 2, 7), generator=generator).double() + 0.37
    disparity.requires_grad_()
    assert torch.autograd.gradcheck(lambda i, d: backward_warp(i, d, padding), (image, disparity))


def test_undoes_the_forward_warp_where_seen():
    generator = torch.Generator().manual_seed(4)
    image = torch.rand(1, 3, 6, 40, generator=generator)
    disparity = torch.randint(0, 6, (1, 1, 6, 40), generator=generator).float()
    moved = forward_warp(image, disparity, method="nearest")
    back = backward_warp(moved.image, disparity, padding="zeros", mode="nearest")
    assert torch.equal(back[moved.visible.expand_as(back)], image[moved.visible.expand_as(back)])


def test_unknown_disparity_is_far_outside():
    image = torch.ones(1, 1, 1, 3)
    disparity = torch.tensor([[[[float("nan"), float("inf"), float("-inf")]]]])
    assert backward_warp(image, disparity, padding="zeros").tolist() == [[[[0, 0, 0]]]]


def test_errors():
    image, disparity = torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    refused = (InputError, jaxtyping.TypeCheckError)
    with pytest.raises(refused):
        backward_warp(image, disparity, padding="reflect")
    with pytest.raises(refused):
        backward_warp(image, disparity, mode="cubic")
    with pytest.raises(refused):
        backward_warp(image, torch.zeros(1, 1, 2, 3))
