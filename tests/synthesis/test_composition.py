"""The half that all warping synthesizers share."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wheatstone.errors import InputError
from wheatstone.geometry import ForwardWarper, forward_warp
from wheatstone.samples import Origin
from wheatstone.synthesis.composition import HoleFiller, warp_left

REFUSED = (InputError, jaxtyping.TypeCheckError)


def pair(batch=2, height=6, width=40, largest=9.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    left = torch.rand(batch, 3, height, width, generator=generator)
    blocks = torch.rand(batch, 1, height, -(-width // 5), generator=generator) * largest
    return left, blocks.repeat_interleave(5, -1)[..., :width]


class Painter(HoleFiller):
    """Fills holes with one colour, too bright on purpose."""

    name = "painter"

    def __init__(self) -> None:
        self.config = {}

    def fill(self, warped, generators):
        return torch.full_like(warped.image, 2.0)


@pytest.mark.parametrize("baseline", [1.0, 0.5, 2.0, -1.0, -0.5])
def test_known_pixels_are_the_warp_bit_by_bit(baseline):
    left, disparity = pair()
    valid = torch.rand(disparity.shape, generator=torch.Generator().manual_seed(1)) > 0.1
    view = Painter()(left, disparity, valid, baseline=baseline)
    if baseline > 0:
        warp = forward_warp(left, disparity * baseline, valid)
        image, hole, visible = warp.image, warp.hole, warp.visible
    else:
        warp = forward_warp(left.flip(-1), disparity.flip(-1) * -baseline, valid.flip(-1))
        image, hole, visible = (part.flip(-1) for part in (warp.image, warp.hole, warp.visible))
    assert torch.equal(view.hole, hole)
    assert torch.equal(view.visible, visible)
    painted = hole.expand_as(image)
    assert torch.equal(view.image[~painted], image[~painted])
    assert (view.image[painted] == 1).all()
    assert torch.equal(view.origin != Origin.WARPED, hole)


def test_baseline_zero_is_the_left_view():
    left, disparity = pair()
    view = Painter()(left, disparity, baseline=0.0)
    assert torch.equal(view.image, left)
    assert view.visible.all()


@given(st.sampled_from([0.5, 1.0, 2.0]), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_negative_baseline_is_the_mirror_of_the_mirrored(baseline, seed):
    left, disparity = pair(batch=1, seed=seed)
    there = warp_left(left, disparity, None, -baseline)
    mirrored = warp_left(left.flip(-1), disparity.flip(-1), None, baseline).mirror()
    for name in ("left", "image", "hole", "visible", "disparity", "origin"):
        assert torch.equal(getattr(there, name), getattr(mirrored, name)), name
    assert torch.equal(there.ends.left, mirrored.ends.left)
    assert there.baseline == mirrored.baseline == -baseline


@pytest.mark.parametrize(("baseline", "side"), [(1.0, 39), (-1.0, 0)])
def test_border_is_where_the_view_looks_past_the_photograph(baseline, side):
    left, _ = pair()
    warped = warp_left(left, torch.full((2, 1, 6, 40), 3.0), None, baseline)
    assert (warped.origin[..., side] == Origin.BORDER).all()
    assert int((warped.origin == Origin.BORDER).sum()) == 2 * 6 * 3
    assert (warped.origin[..., 39 - side] == Origin.WARPED).all()


def test_kinds_of_holes_do_not_depend_on_the_rest_of_the_batch():
    left, disparity = pair()
    disparity[1] -= 4.0
    together = warp_left(left, disparity, None, 1.0)
    for item in range(2):
        alone = warp_left(left[item : item + 1], disparity[item : item + 1], None, 1.0)
        assert torch.equal(together.origin[item], alone.origin[0])


def test_disparity_of_the_view_leads_back_to_the_photograph():
    left, disparity = pair(seed=5)
    for baseline in (1.0, -0.5):
        warped = warp_left(left, disparity.round(), None, baseline)
        column = torch.arange(40.0).expand(2, 1, 6, 40)
        source = column + baseline * warped.disparity
        known = ~warped.hole & (source == source.round())
        assert known.any()
        index = source.clamp(0, 39).long()
        assert torch.equal(disparity.round().gather(-1, index)[known], warped.disparity[known])
        assert (warped.disparity[warped.hole] == 0).all()


def test_holes_of_unknown_disparity_are_told_from_the_others():
    left = torch.rand(1, 3, 6, 60, generator=torch.Generator().manual_seed(0))
    disparity = torch.full((1, 1, 6, 60), 3.0)
    disparity[..., 20:30] = 9.0
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 40:44] = False  # lands at 37..40
    valid[..., 22:24] = False  # inside the near thing, lands at 13..14 or hides behind
    dense, partly = Painter()(left, disparity), Painter()(left, disparity, valid)
    unknown = partly.origin == Origin.GENERATED
    assert unknown[..., 37:41].all()
    assert torch.equal(
        partly.origin.masked_fill(unknown, 0), dense.origin
    )  # what is no hole of the unknown is as before
    assert torch.equal(unknown, partly.hole & ~dense.hole)
    nothing = Painter()(left, disparity, torch.zeros_like(valid))
    assert nothing.origin.eq(Origin.GENERATED).all()
    infinite = Painter()(left, disparity.masked_fill(~valid, torch.inf))
    assert torch.equal(infinite.origin, partly.origin)


def test_pictures_and_arrays_are_taken_too():
    array = np.random.default_rng(0).integers(0, 256, (6, 40, 3), dtype=np.uint8)
    _, disparity = pair(batch=1)
    from_array, from_picture = (warp_left(left, disparity).image for left in (array, Image.fromarray(array)))
    assert torch.equal(from_array, from_picture)


def test_official_warper_keeps_the_published_column_zero():
    left, disparity = pair()
    ours = warp_left(left, disparity + 2, None, 1.0)
    published = warp_left(left, disparity + 2, None, 1.0, warper=ForwardWarper(official=True))
    assert not published.hole[..., 0].any()
    assert torch.equal(ours.hole[..., 1:], published.hole[..., 1:])


def test_errors():
    left, disparity = pair()
    with pytest.raises(InputError, match="needs their disparity"):
        Painter()(left)
    with pytest.raises(REFUSED):
        Painter()(left, disparity[..., :-1])
    with pytest.raises(REFUSED):
        Painter()(left, disparity, torch.ones(2, 1, 6, 39, dtype=torch.bool))
    with pytest.raises(InputError, match="finite"):
        Painter()(left, disparity, baseline=math.nan)
    with pytest.raises(InputError, match="1 generators for 2"):
        Painter()(left, disparity, generators=[torch.Generator()])
