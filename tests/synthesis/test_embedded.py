"""The embedded filler: known pixels untouched, any size, any hole, no holes, deterministic, saved and loaded."""

import pytest
import torch
from torch.nn import functional

from wheatstone.errors import CheckpointError
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.composition import warp_left
from wheatstone.synthesis.embedded import EmbeddedFiller, EmbeddedFillerNet, compose, fill_candidates
from wheatstone.synthesis.rows import fill_rows


def make(**changes):
    """A filler whose last layer is not zero, as it is before training, so that it does something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = EmbeddedFiller(**{"widths": [8, 8, 8, 8], "window": 32, "margin": 16, **changes})
        torch.nn.init.normal_(part.network.head.weight, std=0.05)
    return part


def scene(height, width, near=6.0, seed=0):
    """A near box before a far wall."""
    generator = torch.Generator().manual_seed(seed)
    left = functional.interpolate(torch.rand(1, 3, 9, 12, generator=generator), (height, width), mode="bilinear")
    disparity = torch.full((1, 1, height, width), 1.0)
    disparity[..., height // 4 : -(height // 4), width // 3 : -(width // 3)] = near
    return left, disparity


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 53), (90, 161)])
@pytest.mark.parametrize("baseline", [1.0, -1.0, 0.5])
def test_known_pixels_are_the_warp_bit_by_bit_at_any_size(size, baseline):
    left, disparity = scene(*size)
    view = make()(left, disparity, baseline=baseline)
    warped = warp_left(left, disparity, baseline=baseline)
    assert view.image.shape == left.shape
    assert torch.equal(view.hole, warped.hole)
    known = ~warped.hole.expand_as(left)
    assert torch.equal(view.image[known], warped.image[known])
    assert view.image.isfinite().all()
    assert 0 <= view.image.min() <= view.image.max() <= 1


def test_holes_are_filled_with_something_of_its_own():
    left, disparity = scene(64, 96)
    view = make()(left, disparity)
    rows = fill_rows(warp_left(left, disparity)).image
    assert view.hole.sum() > 100
    assert not torch.equal(view.image, rows)
    assert (view.image - rows).abs().max() < 0.6  # still a mixture of background copies


def test_no_hole_and_a_hole_of_one_pixel():
    left, flat = scene(24, 32, near=1.0)
    shifted = make()(left, torch.zeros_like(flat))
    assert torch.equal(shifted.image, left)
    assert not shifted.hole.any()
    valid = torch.ones_like(flat, dtype=torch.bool)
    valid[0, 0, 10, 15] = False
    one = make()(left, torch.zeros_like(flat), valid)
    assert one.hole.nonzero().tolist() == [[0, 0, 10, 15]]
    others = ~one.hole.expand_as(left)
    assert torch.equal(one.image[others], left[others])
    assert (one.image - left).abs().max() < 0.7


def test_a_view_that_is_all_hole_is_still_an_image():
    left, disparity = scene(20, 30)
    view = make()(left, disparity, torch.zeros_like(disparity, dtype=torch.bool))
    assert view.hole.all()
    assert view.image.isfinite().all()


def test_mirrored_input_and_baseline_give_the_mirrored_view():
    left, disparity = scene(48, 64)
    part = make()
    view = part(left, disparity, baseline=1.0)
    mirrored = part(left.flip(-1), disparity.flip(-1), baseline=-1.0)
    assert torch.allclose(mirrored.image.flip(-1), view.image, atol=1e-6)


def test_an_item_does_not_depend_on_its_batch():
    lefts, disparities = zip(*(scene(40, 64, near=near, seed=s) for s, near in enumerate((3.0, 8.0))), strict=True)
    part = make()
    together = part(torch.cat(lefts), torch.cat(disparities)).image
    alone = part(lefts[1], disparities[1]).image
    assert torch.equal(together[1:], alone)
    assert torch.equal(part(lefts[1], disparities[1]).image, alone)


def test_wide_pictures_are_looked_at_smaller_and_filled_at_full_size():
    left, disparity = scene(270, 480, near=20.0)
    wide = make(working_width=160)(left, disparity)
    warped = warp_left(left, disparity)
    known = ~wide.hole.expand_as(left)
    assert torch.equal(wide.image[known], warped.image[known])
    assert (wide.image - make()(left, disparity).image).abs().mean() < 0.02


def test_full_hd_is_taken_whole():
    left, disparity = scene(1080, 1920, near=60.0)
    assert make()(left, disparity).image.shape == left.shape


def test_copies_agree_with_known_pixels_and_never_take_the_foreground():
    left = torch.zeros(1, 3, 12, 40)
    left[..., 10:20] = 1.0  # a white near bar before black
    disparity = torch.where(left[:, :1] > 0, 8.0, 0.0)
    warped = warp_left(left, disparity)
    candidates = fill_candidates(warped)
    assert candidates.copies.shape == (1, 4, 3, 12, 40)
    hole = warped.hole[:, None].expand_as(candidates.copies)
    assert candidates.copies[hole].max() == 0
    first = candidates.copies[:, 0]
    assert torch.equal(first[~warped.hole.expand_as(first)], warped.image[~warped.hole.expand_as(first)])


def test_shares_sum_to_one_and_an_untrained_network_takes_the_mean_of_the_copies():
    net = EmbeddedFillerNet((8, 8, 8, 8))
    warped = warp_left(*scene(32, 48))
    candidates = fill_candidates(warped)
    shares, correction = net(candidates.features)
    assert torch.allclose(shares.sum(1), torch.ones(1, 32, 48), atol=1e-6)
    assert torch.allclose(compose(candidates.copies, shares, correction), candidates.copies.mean(1), atol=1e-6)


def test_save_and_load_round_trip(tmp_path):
    part = make()
    part.save_pretrained(tmp_path)
    again = load_synthesizer("embedded", weights=tmp_path)
    left, disparity = scene(30, 40)
    assert again.fingerprint() == part.fingerprint()
    assert torch.equal(again(left, disparity).image, part(left, disparity).image)
    with pytest.raises(CheckpointError, match="no weights of 'embedded-filler'"):
        load_synthesizer("embedded", weights=tmp_path / "none")
