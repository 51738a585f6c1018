"""The scale of relative depth is found again from the pair alone."""

import pytest
import torch
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.evaluation import fit_scale
from wheatstone.evaluation.scale_fit import fit_affine, scaled_disparity
from wheatstone.synthesis import load_synthesizer


def _pair(share, size=(48, 128), seed=0):
    """A textured slope with a nearer box, moved by a known share of the width."""
    generator = torch.Generator().manual_seed(seed)
    inverse = torch.linspace(0, 0.4, size[1]).repeat(size[0], 1)[None, None]
    inverse[..., 12:36, 50:80] = 1
    coarse = torch.rand((1, 3, size[0] // 2, size[1] // 2), generator=generator)
    left = functional.interpolate(coarse, size, mode="bilinear")
    made = scaled_disparity(inverse, share)
    return left, load_synthesizer("rows")(left, made.disparity, made.valid).image, 7 * inverse + 2


@pytest.mark.parametrize("share", [0.04, 0.12])
def test_the_scale_is_found_whatever_the_units_of_depth(share):
    left, right, inverse = _pair(share)
    found = fit_scale(left, right, inverse)
    assert found.share == pytest.approx(share, rel=0.06)  # 1/3 px of 128
    assert not found.at_end
    assert found.rmse < 0.004


def test_a_scale_beyond_the_range_is_told():
    left, right, inverse = _pair(0.12)
    found = fit_scale(left, right, inverse, lowest=0.02, highest=0.06)
    assert (found.share, found.at_end) == (0.06, True)


def test_wide_pairs_are_reduced_and_give_a_share_of_the_width():
    left, right, inverse = (functional.interpolate(v, scale_factor=6, mode="bilinear") for v in _pair(0.1))
    assert left.shape[-1] == 768
    assert fit_scale(left, right, inverse, lowest=0.06, highest=0.16).share == pytest.approx(0.1, rel=0.06)


def test_bad_ranges_and_pairs_without_texture_are_refused():
    left, right, inverse = _pair(0.05)
    with pytest.raises(InputError, match="lowest < highest"):
        fit_scale(left, right, inverse, lowest=0.2, highest=0.1)
    blank = torch.full_like(left, 0.5)
    with pytest.raises(InputError, match="nothing in this pair can be matched"):
        fit_scale(blank, torch.zeros_like(blank) + 0.1, torch.zeros_like(inverse))


@pytest.mark.parametrize("behind", [0.0, 0.05])
def test_what_films_put_behind_the_screen_is_found(behind):
    left, right, inverse = _pair(0.12)
    shift = round(behind * left.shape[-1])
    found = fit_affine(left, right.roll(shift, -1), inverse)
    assert found.share == pytest.approx(0.12, rel=0.06)
    assert found.offset == pytest.approx(-shift / left.shape[-1], abs=0.004)
    expected = scaled_disparity(inverse, 0.12).disparity - shift
    assert float((found.disparity - expected).abs().median()) < 0.5


def test_a_pair_that_does_not_match_has_no_fit():
    blank = torch.full((1, 3, 48, 128), 0.5)
    with pytest.raises(InputError, match="too little"):
        fit_affine(blank, torch.zeros_like(blank) + 0.1, torch.rand(1, 1, 48, 128))
