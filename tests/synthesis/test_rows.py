"""Row fill."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wheatstone import load_synthesizer
from wheatstone.errors import InputError
from wheatstone.synthesis.composition import warp_left
from wheatstone.synthesis.rows import RowSynthesizer, fill_rows


def literal_fill(known, disparity):
    """The rule, pixel by pixel: source column of every pixel of a row, None in a row without known pixels."""
    sources = []
    for x, here in enumerate(known):
        left = max((k for k in range(x) if known[k]), default=None)
        right = min((k for k in range(x + 1, len(known)) if known[k]), default=None)
        if here:
            sources.append(x)
        elif left is None or right is None:
            sources.append(left if right is None else right)
        elif disparity[left] != disparity[right]:
            sources.append(left if disparity[left] < disparity[right] else right)
        else:
            sources.append(left if x - left <= right - x else right)
    return sources


@given(st.integers(0, 10_000), st.sampled_from([1.0, -1.0, 0.5]), st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_equals_the_literal_rule(seed, baseline, width):
    generator = torch.Generator().manual_seed(seed)
    left = torch.rand(1, 3, 1, width, generator=generator)
    disparity = torch.randint(0, 5, (1, 1, 1, -(-width // 3)), generator=generator).float().repeat_interleave(3, -1)
    warped = warp_left(left, disparity[..., :width], None, baseline)
    known = (~warped.hole).flatten().tolist()
    assume(any(known))
    sources = literal_fill(known, warped.disparity.flatten().tolist())
    filled = fill_rows(warped)
    for x, source in enumerate(sources):
        assert torch.equal(filled.image[..., x], warped.image[..., source])
        assert filled.disparity[..., x] == warped.disparity[..., source]
        assert filled.distance[..., x] == abs(x - source)


@pytest.mark.parametrize("baseline", [1.0, -1.0])
def test_the_background_is_continued_whatever_the_side(baseline):
    left = torch.zeros(1, 3, 2, 30)
    left[..., 10:18] = 1.0  # a white thing before a dark wall
    disparity = torch.full((1, 1, 2, 30), 1.0)
    disparity[..., 10:18] = 6.0
    view = RowSynthesizer()(left, disparity, baseline=baseline)
    assert int(view.hole[0, 0, 0].sum()) == 6
    assert (view.image[view.hole.expand_as(view.image)] == 0).all()
    assert int((view.image[0, 0, 0] == 1).sum()) == 8


def test_signed_disparities_behind_the_screen():
    left = torch.zeros(1, 3, 1, 20)
    left[..., 8:12] = 1.0
    disparity = torch.full((1, 1, 1, 20), -2.0)
    disparity[..., 8:12] = 2.0
    view = RowSynthesizer()(left, disparity)
    assert (view.image[view.hole.expand_as(view.image)] == 0).all()


def test_rows_without_any_known_pixel_take_the_nearest_row():
    left = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(1, 1, 6, 10, dtype=torch.bool)
    valid[:, :, :2] = False
    valid[:, :, 4] = False
    view = RowSynthesizer()(left, torch.zeros(1, 1, 6, 10), valid)
    assert torch.equal(view.image[..., 0, :], left[..., 2, :])
    assert torch.equal(view.image[..., 4, :], left[..., 3, :])
    nothing = RowSynthesizer()(left, torch.zeros(1, 1, 6, 10), torch.zeros_like(valid))
    assert (nothing.image == 0.5).all()


def test_presets_and_round_trip(tmp_path):
    left, disparity = torch.rand(1, 3, 4, 20), torch.rand(1, 1, 4, 20) * 6
    rows, warp = load_synthesizer("rows"), load_synthesizer("warp")
    assert (warp(left, disparity).image[warp(left, disparity).hole.expand(1, 3, 4, 20)] == 0).all()
    rows.save_pretrained(tmp_path)
    again = RowSynthesizer.from_pretrained(tmp_path)
    assert torch.equal(again(left, disparity).image, rows(left, disparity).image)
    with pytest.raises(InputError, match="no weights"):
        load_synthesizer("rows", weights=tmp_path)
