"""Colour maps: the published table, ranges, masks, and the colours of origins."""

import cv2
import numpy as np
import pytest
import torch

from wheatstone.errors import InputError, ShapeError
from wheatstone.samples import Origin
from wheatstone.viewing import ORIGIN_COLOURS, colour_map, colour_origins
from wheatstone.viewing.colours import (
    ERROR_COLOURS,
    INVALID_COLOUR,
    NO_ANSWER_COLOUR,
    colour_errors,
    colour_table,
    error_limits,
)


def test_turbo_is_the_published_table_within_two_steps():
    published = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1].astype(int)
    assert np.abs(colour_table("turbo").astype(int) - published).max() <= 2


def test_grey_counts_up():
    assert colour_table("grey").tolist() == [[i, i, i] for i in range(256)]


def test_values_take_the_colour_of_their_share_of_the_range():
    table = colour_table("turbo")
    painted = colour_map(np.array([[0.0, 51.0, 255.0]]))
    assert painted.tolist() == [table[[0, 51, 255]].tolist()]
    fixed = colour_map(np.array([[-5.0, 10.0, 99.0]]), low=0.0, high=20.0)
    assert fixed.tolist() == [table[[0, 128, 255]].tolist()]


def test_invalid_and_not_finite_values_are_grey_and_do_not_stretch_the_range():
    values = torch.tensor([[[[0.0, 1.0, 1e9, float("nan"), float("inf")]]]])
    valid = torch.tensor([[[[True, True, False, True, True]]]])
    painted = colour_map(values, valid)
    assert painted[0, 1].tolist() == colour_table("turbo")[255].tolist()
    assert painted[0, 2:].tolist() == [list(INVALID_COLOUR)] * 3


@pytest.mark.parametrize("low", [None, 0.0])
def test_a_constant_map_and_an_empty_mask_do_not_divide_by_zero(low):
    middle = colour_table("grey")[128].tolist()
    assert colour_map(np.zeros((2, 2)), name="grey", low=low).tolist() == [[middle] * 2] * 2
    nothing = colour_map(np.ones((1, 2)), np.zeros((1, 2), bool), low=low)
    assert nothing.tolist() == [[list(INVALID_COLOUR)] * 2]


def test_one_fixed_end_beyond_the_values_is_no_error():
    assert colour_map(np.array([[1.0, 2.0]]), low=5.0, name="grey")[0, 0].tolist() == [128, 128, 128]
    assert colour_map(np.array([[1.0, 2.0]]), high=0.0, name="grey")[0, 0].tolist() == [128, 128, 128]


def test_input_arrays_are_left_as_they_are():
    values = np.array([[0.0, np.nan]])
    colour_map(values)
    assert np.isnan(values[0, 1])
    with pytest.raises(ValueError, match="read-only"):
        colour_table("turbo")[0] = 0


def test_errors():
    with pytest.raises(ShapeError, match=r"one map.*\[2, 1, 4, 4\]"):
        colour_map(torch.zeros(2, 1, 4, 4))
    with pytest.raises(ShapeError, match=r"`valid` has shape \[1, 4\]"):
        colour_map(np.zeros((4, 4)), np.ones((1, 4), bool))
    with pytest.raises(InputError, match="'rainbow': use turbo or grey"):
        colour_map(np.zeros((4, 4)), name="rainbow")
    with pytest.raises(InputError, match="must not be above"):
        colour_map(np.zeros((4, 4)), low=2.0, high=1.0)


def test_origins_are_flat_colours_over_a_pale_grey_picture():
    origin = np.array([[int(code) for code in Origin]], np.uint8)
    view = np.full((1, len(Origin), 3), (255, 0, 0), np.uint8)
    shown = colour_origins(view, origin)
    assert len(set(shown[0, 0].tolist())) == 1  # grey where it was warped
    assert [tuple(pixel) for pixel in shown[0, 1:].tolist()] == list(ORIGIN_COLOURS.values())


def test_errors_are_blue_up_to_the_limit_and_red_beyond_it():
    errors = np.array([[0.0, 0.1, 1.0, 1.001, 16.0, 17.0, np.nan, 5.0]])
    valid = np.array([[True] * 7 + [False]])
    painted = colour_errors(errors, valid, limit=1)[0].tolist()
    classes = [ERROR_COLOURS.index(tuple(colour)) for colour in painted[:6]]
    assert classes == [0, 1, 4, 5, 8, 9]
    assert painted[6:] == [list(NO_ANSWER_COLOUR), list(INVALID_COLOUR)]
    assert error_limits(2)[:2] == [0.125, 0.25]
    assert [red > blue for red, _, blue in ERROR_COLOURS] == [False] * 5 + [True] * 5


def test_error_maps_need_a_limit_and_a_mask_of_their_size():
    with pytest.raises(InputError, match="limit"):
        colour_errors(np.zeros((2, 2)), limit=0)
    with pytest.raises(ShapeError, match="valid"):
        colour_errors(np.zeros((2, 2)), np.ones((2, 3), bool), limit=1)
