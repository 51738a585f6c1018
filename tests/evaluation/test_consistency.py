"""The figure that says whether a pair shows the disparity it was made with."""

import math

import pytest
import torch

from wheatstone.evaluation import pair_consistency
from wheatstone.evaluation.consistency import judged_by
from wheatstone.geometry import forward_warp
from wheatstone.matching import StereoMatcher, load_matcher
from wheatstone.samples import Match


class _Answer(StereoMatcher):
    """Says the same for every pair."""

    name = "answer"

    def __init__(self, found):
        self.config = {}
        self.found = found

    def __call__(self, left, right, iterations=None, *, initial=None, all_iterations=False):
        return Match(self.found)


def test_only_counted_pixels_count_and_exactly_one_pixel_agrees():
    asked = torch.full((1, 1, 1, 5), 5.0)
    matcher = _Answer(torch.tensor([[[[5.0, 6.0, 6.01, torch.nan, 50.0]]]]))
    counted = torch.tensor([[[[True, True, True, True, False]]]])
    views = torch.zeros(1, 3, 1, 5)
    found = pair_consistency(matcher, views, views, asked, counted)
    assert found["bad"] == 0.5  # no answer is a wrong answer
    assert found["epe"] == pytest.approx((0 + 1 + 1.01) / 3)
    assert (found["density"], found["pixels"]) == (0.75, 4)
    assert pair_consistency(matcher, views, views, asked, counted, 2)["bad"] == 0.25
    assert math.isnan(pair_consistency(matcher, views, views, asked, torch.zeros_like(counted))["bad"])


def test_a_clean_warp_is_found_again_and_another_shift_is_not():
    left = torch.rand((1, 3, 40, 80), generator=torch.Generator().manual_seed(0))
    disparity = torch.full((1, 1, 40, 80), 6.0)
    warp = forward_warp(left, disparity)
    matcher = load_matcher("sgbm", max_disparity=16)
    good = pair_consistency(matcher, left, warp.image, disparity, warp.visible)
    wrong = pair_consistency(matcher, left, warp.image, disparity + 3, warp.visible)
    assert good["epe"] < 0.2
    assert good["bad"] < 0.02
    assert wrong["epe"] == pytest.approx(3, abs=0.2)
    assert wrong["bad"] > 0.98


def _film(size=(64, 160)):
    """Two planes, one behind the screen and one before it."""
    left = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    disparity = torch.full((1, 1, *size), -6.0)
    disparity[..., 16:48, 60:110] = 4.0
    return left, disparity, forward_warp(left, disparity)


def test_semi_global_matching_looks_behind_the_screen_where_that_was_asked_for():
    left, disparity, warp = _film()
    found = pair_consistency(load_matcher("sgbm"), left, warp.image, disparity, warp.visible)
    assert found["bad"] < 0.05
    assert found["epe"] < 0.5
    assert found["pixels"] == int(warp.visible.sum())
    before = judged_by(load_matcher("sgbm"), disparity.clamp(min=0), warp.visible)
    assert before.matcher.config["min_disparity"] == 0
    deep = judged_by(load_matcher("sgbm"), disparity - 30, warp.visible)
    assert deep.matcher.config["min_disparity"] < -36
    wide = judged_by(load_matcher("sgbm", min_disparity=-64), disparity, warp.visible)
    assert wide.matcher.config["min_disparity"] == -64


def test_other_matchers_are_judged_before_the_screen_only():
    asked = torch.tensor([[[[-3.0, -0.5, 0.0, 5.0, 5.0]]]])
    matcher = _Answer(torch.tensor([[[[0.0, 0.0, 0.0, 5.0, 9.0]]]]))
    views = torch.zeros(1, 3, 1, 5)
    found = pair_consistency(matcher, views, views, asked, torch.ones_like(asked, dtype=torch.bool))
    assert (found["pixels"], found["bad"]) == (3, pytest.approx(1 / 3))
    behind = pair_consistency(matcher, views, views, asked - 9, torch.ones_like(asked, dtype=torch.bool))
    assert behind["pixels"] == 0
    assert math.isnan(behind["bad"])
