"""SIoU against arrays counted by hand, and the figures of its published 8-bit arithmetic."""

import math

import jaxtyping
import numpy as np
import pytest
import torch

from wheatstone.errors import InputError, ShapeError
from wheatstone.evaluation.siou import stereo_iou, wrapped_psnr

REFUSED = (ShapeError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first


def _picture(seed=0, size=(48, 64)):
    """Grey rectangles on a grey ground: edges that Canny finds."""
    random = np.random.default_rng(seed)
    image = np.full((*size, 3), 40, np.uint8)
    for value in (230, 120, 180):
        top, left = random.integers(0, size[0] - 12), random.integers(0, size[1] - 16)
        image[top : top + 12, left : left + 16] = value
    return _tensor(image)


def _tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def _flat(value, size=(8, 10)):
    return torch.full((1, 3, *size), value / 255)


@pytest.mark.parametrize("official", [False, True])
def test_the_real_view_scores_one(official):
    left, right = _picture(), _picture().roll(3, -1)
    assert float(stereo_iou(right, right, left, official=official)) == 1.0


def test_the_left_view_has_no_change_and_only_edges_count():
    left, right = _picture(), _picture().roll(3, -1)
    assert float(stereo_iou(left, right, left, edge_share=0.0)) == 0.0
    edges = float(stereo_iou(left, right, left, edge_share=1.0))
    assert 0 < edges < 1
    assert float(stereo_iou(left, right, left)) == pytest.approx(0.75 * edges)


def test_changed_pixels_by_hand():
    left, right, view = _flat(100), _flat(100), _flat(100)
    right[..., :4] = 110 / 255  # 4 columns changed
    view[..., 2:5] = 90 / 255  # 3 columns changed, 2 of them shared, 5 in all
    assert float(stereo_iou(view, right, left, edge_share=0.0)) == pytest.approx(2 / 5)


def test_changes_of_five_grey_levels_do_not_count_and_channels_weigh_as_published():
    left = _flat(100)
    five, six = _flat(105), _flat(106)
    assert float(stereo_iou(five, six, left, edge_share=0.0)) == 0.0
    red, blue = left.clone(), left.clone()
    red[:, 0] += 20 / 255  # first channel: weight 0.114, 2 grey levels
    blue[:, 2] += 20 / 255  # last channel: weight 0.299, 6 grey levels
    assert float(stereo_iou(red, six, left, edge_share=0.0)) == 0.0
    assert float(stereo_iou(blue, six, left, edge_share=0.0)) == 1.0


def test_in_published_arithmetic_one_level_darker_counts_as_changed():
    left = _picture()  # whose edges stay where they are: the first term is 1
    darker, brighter, real = left - 1 / 255, left + 1 / 255, left + 20 / 255
    assert float(stereo_iou(darker, real, left)) == 0.75
    assert float(stereo_iou(darker, real, left, official=True)) == 1.0
    assert float(stereo_iou(brighter, real, left, official=True)) == 0.75


def test_nothing_to_compare_is_zero_and_was_nan():
    grey = _flat(100)
    assert float(stereo_iou(grey, grey, grey)) == 0.0
    assert math.isnan(float(stereo_iou(grey, grey, grey, official=True)))


def test_items_of_a_batch_are_scored_apart():
    left = torch.cat([_picture(0), _picture(1)])
    right, view = left.roll(2, -1), left.roll(3, -1)
    together = stereo_iou(view, right, left)
    assert together.shape == (2,)
    assert float(together[1]) == float(stereo_iou(view[1:], right[1:], left[1:]))


def test_published_psnr_wraps_difference_and_square():
    # 20 levels: 400 mod 256 = 144; -20 levels: 236 * 236 mod 256 = 144 too
    for value in (120, 80):
        assert float(wrapped_psnr(_flat(value), _flat(100))) == pytest.approx(10 * math.log10(255**2 / 144))
    assert float(wrapped_psnr(_flat(116), _flat(100))) == math.inf  # 256 mod 256
    random = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 3, 64, 64)) / 255.0).float()
    assert 24.17 <= float(wrapped_psnr(random[0], random[1])) == pytest.approx(27.9, abs=0.2)  # unrelated noise


def test_sizes_and_weights_that_mean_nothing_are_refused():
    with pytest.raises(REFUSED):
        stereo_iou(_flat(1), _flat(1), _flat(1, (8, 12)))
    with pytest.raises(REFUSED):
        wrapped_psnr(_flat(1), _flat(1, (8, 12)))
    with pytest.raises(InputError, match="share"):
        stereo_iou(_flat(1), _flat(1), _flat(1), edge_share=1.5)
