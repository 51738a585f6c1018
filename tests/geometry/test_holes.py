"""Kinds of holes."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wheatstone.errors import InputError
from wheatstone.geometry import ForwardWarper, hole_ends, hole_origin, open_mask, torn_apart
from wheatstone.samples import Origin


@given(st.lists(st.booleans(), min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_ends_are_the_nearest_known_columns(holes):
    ends = hole_ends(torch.tensor(holes)[None, None, None])
    known = [x for x, hole in enumerate(holes) if not hole]
    for x in range(len(holes)):
        assert ends.left[0, 0, 0, x] == max((k for k in known if k <= x), default=-1)
        assert ends.right[0, 0, 0, x] == min((k for k in known if k >= x), default=len(holes))


def test_two_planes_open_a_disocclusion_and_a_border():
    disparity = torch.full((1, 1, 2, 30), 2.0)
    disparity[..., 10:18] = 9.0
    landing = ForwardWarper().landing(disparity)
    origin = hole_origin(landing.hole, landing.pick(disparity), side="right")
    row = origin[0, 0, 0].tolist()
    assert row[:9] == [Origin.WARPED] * 9
    assert row[9:16] == [Origin.DISOCCLUSION] * 7
    assert row[28:] == [Origin.BORDER] * 2


def test_a_stretched_surface_cracks():
    steep = -2.5 * torch.arange(12.0) + 40
    disparity = torch.cat([torch.full((9,), 40.0), steep, torch.full((9,), float(steep[-1]))])
    disparity = disparity.expand(1, 1, 1, -1) - 40 + 2
    landing = ForwardWarper().landing(disparity)
    origin = hole_origin(landing.hole, landing.pick(disparity), side="right")
    assert (origin == Origin.CRACK).any()
    assert not (origin == Origin.DISOCCLUSION).any()


def test_side_decides_what_is_border():
    hole = torch.tensor([True, True, False, False, True])[None, None, None]
    disparity = torch.zeros(hole.shape)
    expected = {
        "right": [Origin.DISOCCLUSION] * 2 + [Origin.WARPED] * 2 + [Origin.BORDER],
        "left": [Origin.BORDER] * 2 + [Origin.WARPED] * 2 + [Origin.DISOCCLUSION],
        "both": [Origin.BORDER] * 2 + [Origin.WARPED] * 2 + [Origin.BORDER],
    }
    for side, codes in expected.items():
        assert hole_origin(hole, disparity, side=side).flatten().tolist() == codes


def test_every_hole_has_a_kind_and_nothing_else_has():
    disparity = torch.rand(2, 1, 6, 50, generator=torch.Generator().manual_seed(0)) * 20
    landing = ForwardWarper().landing(disparity)
    origin = hole_origin(landing.hole, landing.pick(disparity))
    assert origin.dtype == torch.uint8
    assert torch.equal(origin != Origin.WARPED, landing.hole)


@pytest.mark.parametrize("size", [(1, 3), (5, 1), (3, 7)])
def test_opening_is_that_of_opencv(size):
    known = torch.rand((3, 1, 12, 40), generator=torch.Generator().manual_seed(0)) < 0.8
    kernel = np.ones(size, np.uint8)
    expected = [cv2.morphologyEx(mask[0].numpy().astype(np.uint8), cv2.MORPH_OPEN, kernel) for mask in known]
    assert torch.equal(open_mask(known, size)[:, 0], torch.from_numpy(np.stack(expected)) > 0)


def test_opening_drops_short_runs_and_keeps_them_at_the_side():
    row = torch.tensor([1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1], dtype=torch.bool)[None, None, None]
    assert open_mask(row, (1, 3))[0, 0, 0].int().tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 1]
    assert torch.equal(open_mask(row, (1, 1)), row)
    with pytest.raises(InputError, match="odd sides"):
        open_mask(row, (1, 2))


@pytest.mark.parametrize("step", [1.6, 2.0])
@pytest.mark.parametrize("slope", [0.0, -0.3])
def test_a_small_step_is_a_disocclusion_and_no_crack(step, slope):
    disparity = 7 + slope * torch.arange(30.0) + step * (torch.arange(30) < 12)
    disparity = disparity.expand(1, 1, 2, -1)
    landing = ForwardWarper().landing(disparity)
    ends = hole_ends(landing.hole)
    source = landing.pick(torch.arange(30).expand(disparity.shape))
    moved = landing.pick(disparity)
    inside = landing.hole & (ends.left >= 0) & (ends.right < 30)
    assert inside.any()
    by_width = hole_origin(landing.hole, moved, side="right")
    torn = hole_origin(landing.hole, moved, side="right", torn=torn_apart(disparity, source, ends))
    assert (by_width[inside] == Origin.CRACK).all()
    assert (torn[inside] == Origin.DISOCCLUSION).all()


def test_a_stretched_surface_is_not_torn_apart():
    steep = (53 - 2.5 * torch.arange(40.0).clamp(9, 20)).expand(1, 1, 2, -1)
    landing = ForwardWarper().landing(steep)
    ends = hole_ends(landing.hole)
    torn = torn_apart(steep, landing.pick(torch.arange(40).expand(steep.shape)), ends)
    assert landing.hole[..., :20].any()
    assert not (torn & landing.hole).any()
