"""Edges of disparity: none on surfaces however steep, the border of a step, one for a soft slope; sharpening takes sides."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import clean_disparity, disparity_edges, forward_warp, sharpen_disparity
from wheatstone.geometry.edges import _excess

COLUMN = torch.arange(40.0)


def rows(values, height=5):
    return torch.as_tensor(values, dtype=torch.float32).view(1, 1, 1, -1).expand(1, 1, height, -1).contiguous()


def step_at(column, low=3.0, high=12.0):
    return torch.where(column > COLUMN, torch.tensor(low), torch.tensor(high))


def blurred(values, width):
    kernel = torch.ones(1, 1, 1, width) / width
    return functional.conv2d(functional.pad(rows(values), (width // 2, width // 2, 0, 0), mode="replicate"), kernel)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_wall_has_no_edge_however_steep(across, down, offset):
    y, x = torch.meshgrid(torch.arange(20.0), COLUMN, indexing="ij")
    wall = (offset + across * x + down * y)[None, None]
    assert not disparity_edges(wall).mask.any()
    assert torch.equal(sharpen_disparity(wall), wall)


@given(st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_two_walls_that_meet_have_no_edge(one, other):
    crease = rows(torch.where(COLUMN < 20, one * (COLUMN - 20), other * (COLUMN - 20)))
    assert not disparity_edges(crease).mask.any()


def test_a_steep_wall_between_two_others_survives_where_the_plain_slope_cuts_it():
    wall = rows((6 * (COLUMN - 10)).clamp(0, 120))
    assert not torch.equal(clean_disparity(wall, dilate=0), wall)
    assert torch.equal(sharpen_disparity(wall), wall)


def test_every_pole_of_a_fence_has_its_two_edges():
    fence = disparity_edges(rows(torch.where(COLUMN % 8 < 3, 20.0, 4.0))).step[0, 0, 0]
    assert fence.nonzero().flatten().tolist() == [x for x in range(39) if x % 8 in (2, 7)]
    assert set(fence.unique().tolist()) == {-16.0, 0.0, 16.0}


@given(st.integers(1, 39), st.floats(4.1, 60), st.booleans(), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_a_step_at_the_side_is_found_as_one_inside(column, height, rises, slope):
    height = height if rises else -height
    found = disparity_edges(rows(step_at(column, 0.0, height) + slope * COLUMN))
    assert found.step[0, 0, 2].nonzero().flatten().tolist() == [column - 1]
    assert float(found.step[0, 0, 2, column - 1]) == pytest.approx(height, abs=1e-3)


@given(st.integers(2, 37), st.floats(1.1, 60), st.booleans(), st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_a_step_on_a_wall_is_found_with_its_sign_and_height(column, height, rises, slope):
    height = height if rises else -height
    found = disparity_edges(rows(step_at(column, 0.0, height) + slope * COLUMN))
    assert found.mask[0, 0, 2].nonzero().flatten().tolist() == [column - 1, column]
    assert found.step[0, 0, 2].nonzero().flatten().tolist() == [column - 1]
    assert float(found.step[0, 0, 2, column - 1]) == pytest.approx(height, abs=1e-3)
    assert not found.ramp.any()


def test_steps_of_the_threshold_and_below_are_no_edges():
    assert not disparity_edges(rows(step_at(20, 0.0, 1.0))).mask.any()
    assert disparity_edges(rows(step_at(20, 0.0, 1.0)), threshold=0.9).mask.any()


@pytest.mark.parametrize("width", [3, 5, 7, 9])
@pytest.mark.parametrize("ends", [(3.0, 30.0), (30.0, 3.0)])
def test_a_soft_step_is_one_edge_and_becomes_a_step_in_its_middle(width, ends):
    soft = blurred(step_at(20, *ends), width)
    found = disparity_edges(soft)
    touched = found.mask[0, 0, 0].nonzero().flatten().tolist()
    assert touched == list(range(20 - width // 2 - 1, 20 + width // 2 + 1))
    assert torch.allclose(found.step[found.step != 0], torch.tensor(ends[1] - ends[0]), atol=1e-4)
    assert int((found.step[0, 0, 0] != 0).sum()) == width
    torch.testing.assert_close(sharpen_disparity(soft), rows(step_at(20, *ends)), atol=1e-4, rtol=0)


def ramp_from(first, width, slope=2.0, length=40):
    return slope * (torch.arange(float(length)) - first).clamp(0, width)


@given(st.integers(0, 29), st.integers(1, 10), st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_soft_step_is_one_edge_wherever_it_begins(first, width, falls):
    """At the side the surface beside it is seen on one side only."""
    found = disparity_edges(rows(ramp_from(first, width, -2.0 if falls else 2.0))).step[0, 0, 0]
    assert found.nonzero().flatten().tolist() == list(range(first, first + width))
    assert torch.equal(found[first : first + width].unique(), torch.tensor([width * (-2.0 if falls else 2.0)]))


@given(st.integers(2, 36), st.floats(1.5, 20), st.booleans(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_flat_ground_has_no_edge_where_a_wall_begins_however_little_of_it_is_seen(corner, slope, falls, mirrored):
    wall = (-slope if falls else slope) * (COLUMN - corner).clamp(min=0)
    step = disparity_edges(rows(wall.flip(0) if mirrored else wall)).step[0, 0, 0]
    step = step[:-1].flip(0) if mirrored else step[:-1]
    assert not step[:corner].any()


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_between_unknown_stretches_flat_ground_has_no_edge(seed, holes):
    generator = torch.Generator().manual_seed(seed)
    plain = rows(ramp_from(20, 6, 3.0))
    valid = torch.ones_like(plain, dtype=torch.bool)
    for _ in range(holes):
        start = int(torch.randint(0, 38, (), generator=generator))
        valid[..., start : start + 5] = False
    found = disparity_edges(plain, valid).step[0, 0, 0, :-1]
    known = (valid[..., 1:] & valid[..., :-1])[0, 0, 0]
    assert not found[~known].any()
    flat = known & ((COLUMN[:-1] < 20) | (COLUMN[:-1] >= 26))
    assert not found[flat].any()


def test_beside_a_hole_a_soft_step_keeps_its_height_and_invents_none():
    plain = rows(torch.cat([torch.zeros(20), ramp_from(3, 10)]), 2)
    valid = torch.ones_like(plain, dtype=torch.bool)
    valid[..., :20] = False
    found = disparity_edges(plain, valid).step[0, 0, 0]
    assert found.nonzero().flatten().tolist() == list(range(23, 33))
    assert set(found[23:33].tolist()) == {20.0}


def test_inside_a_known_map_the_surface_is_the_median_of_the_window():
    generator = torch.Generator().manual_seed(0)
    disparity = 3 * torch.randn(2, 1, 6, 70, generator=generator).cumsum(-1)
    gradient = disparity[..., 1:] - disparity[..., :-1]
    excess = _excess(gradient, torch.ones_like(gradient, dtype=torch.bool), 12)
    for gap in range(12, 69 - 12):
        surface = gradient[..., gap - 12 : gap + 13].sort(-1).values[..., 12]
        assert torch.equal(excess[..., gap], gradient[..., gap] - surface)


@pytest.mark.parametrize("signed", [1.0, -1.0])
def test_narrow_rows_treat_rises_and_falls_alike(signed):
    step = signed * rows([0.0, 0.0, 0.0, 9.0, 9.0])
    found = disparity_edges(step).step[0, 0, 0]
    assert found.tolist() == [0.0, 0.0, 9.0 * signed, 0.0, 0.0]
    assert not disparity_edges(signed * rows([0.0, 9.0, 9.0])).mask.any()  # one of two gaps: neither is the surface


def test_edges_across_columns_are_sharpened_alike():
    soft = blurred(step_at(20), 5)
    turned = sharpen_disparity(soft.transpose(-1, -2).contiguous()).transpose(-1, -2)
    assert torch.equal(turned, sharpen_disparity(soft))


def test_what_is_wider_than_the_reach_is_a_surface():
    assert not disparity_edges(blurred(step_at(20, 0.0, 40.0), 15), reach=8).mask.any()
    assert disparity_edges(blurred(step_at(20, 0.0, 40.0), 15), reach=16).mask.any()


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 24), st.integers(0, 2))
@settings(max_examples=30, deadline=None)
def test_no_value_is_made_up_and_unknown_pixels_have_no_say(seed, height, width, dilate):
    generator = torch.Generator().manual_seed(seed)
    disparity = 40 * torch.rand(2, 1, height, width, generator=generator)
    valid = torch.rand(2, 1, height, width, generator=generator) < 0.8
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30])
    poisoned = torch.where(valid, disparity, odd[torch.randint(0, 4, (2, 1, height, width), generator=generator)])
    sharp = sharpen_disparity(poisoned, valid, dilate=dilate)
    for item in range(2):
        known = valid[item]
        assert set(sharp[item][known].tolist()) <= set(disparity[item][known].tolist())
    assert torch.equal(sharp[~valid].nan_to_num(), poisoned[~valid].nan_to_num())
    zeroed = disparity.masked_fill(~valid, 0)
    assert torch.equal(sharpen_disparity(zeroed, valid, dilate=dilate)[valid], sharp[valid])
    alone = sharpen_disparity(poisoned[1:], valid[1:], dilate=dilate)
    assert torch.equal(alone.nan_to_num(), sharp[1:].nan_to_num())


def test_what_is_not_finite_is_unknown_without_a_mask():
    disparity = rows(step_at(20))
    disparity[..., 30] = float("nan")
    found = disparity_edges(disparity)
    assert found.mask[0, 0, 0].nonzero().flatten().tolist() == [19, 20]
    assert found.step.isfinite().all()


def test_a_gap_beside_an_unknown_pixel_is_no_edge():
    disparity, valid = rows(step_at(20)), torch.ones(1, 1, 5, 40, dtype=torch.bool)
    valid[..., 20] = False
    assert not disparity_edges(disparity, valid).mask.any()


def test_after_sharpening_the_warp_shows_nothing_between_the_surfaces():
    soft = blurred(step_at(20, 12.0, 2.0), 7)
    sharp = sharpen_disparity(soft)
    image = rows(step_at(20, 1.0, 0.0)).expand(1, 3, -1, -1).contiguous()
    flying = forward_warp(image, soft)
    clean = forward_warp(image, sharp)
    assert int(clean.hole[0, 0, 0, :30].sum()) == 10  # one gap as wide as the step
    assert int(flying.hole[0, 0, 0, :30].sum()) < 10  # pixels in between stand in it


@pytest.mark.parametrize("size", [(0, 5), (1, 1), (1, 2), (7, 1), (2, 3)])
def test_tiny_maps(size):
    disparity = 9 * torch.rand(1, 1, *size)
    found = disparity_edges(disparity)
    assert found.step.shape == disparity.shape
    assert found.mask.dtype == torch.bool
    assert sharpen_disparity(disparity).shape == disparity.shape


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": float("nan")}, {"reach": 0}, {"dilate": -1}])
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        sharpen_disparity(rows(COLUMN), **wrong)
