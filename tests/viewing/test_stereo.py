"""Anaglyph, side by side and wiggle: what each eye gets, shapes, bytes that decode, errors."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from wheatstone.errors import InputError, ShapeError
from wheatstone.viewing import (
    anaglyph,
    contact_sheet,
    converge,
    data_uri,
    encode_jpeg,
    encode_webp,
    side_by_side,
    thumbnail,
    wiggle,
)
from wheatstone.viewing.stereo import ANAGLYPH_METHODS


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 6, 8, generator=generator), torch.rand(2, 3, 6, 8, generator=generator)


@pytest.mark.parametrize("method", ANAGLYPH_METHODS)
def test_anaglyph_keeps_grey_grey(method):
    grey = torch.linspace(0, 1, 12).reshape(1, 1, 2, 6).expand(1, 3, 2, 6).contiguous()
    mixed = anaglyph(grey, grey, method)
    assert mixed.shape == grey.shape
    assert (mixed - grey).abs().max() < 0.01


def test_anaglyph_red_comes_from_the_left_and_cyan_from_the_right(pair):
    left, right = pair
    mixed = anaglyph(left, right, "colour")
    assert torch.equal(mixed[:, 0], left[:, 0])
    assert torch.equal(mixed[:, 1:], right[:, 1:])


def test_dubois_shows_a_white_left_view_red_and_a_white_right_view_cyan():
    white, black = torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)
    red, cyan = anaglyph(white, black).flatten(), anaglyph(black, white).flatten()
    assert red[0] > 0.95
    assert red[1:].max() < 0.01
    assert cyan[0] < 0.01
    assert cyan[1:].min() > 0.95


def test_dubois_of_extreme_colours_stays_in_range_and_is_finite(pair):
    left, right = (view.round() for view in pair)
    mixed = anaglyph(left, right)
    assert torch.isfinite(mixed).all()
    assert mixed.min() >= 0
    assert mixed.max() <= 1


def test_side_by_side(pair):
    left, right = pair
    assert torch.equal(side_by_side(left, right), torch.cat([left, right], -1))
    crossed = side_by_side(left, right, "cross", gap=2)
    assert crossed.shape == (2, 3, 6, 18)
    assert torch.equal(crossed[..., :8], right)
    assert not crossed[..., 8:10].any()


@pytest.mark.parametrize("pivot", [0, 3, -2])
def test_converge_puts_the_pivot_disparity_on_the_same_column(pivot):
    columns = torch.arange(8.0).expand(1, 3, 2, 8)
    left, right = converge(columns, columns + pivot, pivot)  # right[x - pivot] shows what left[x] shows
    assert left.shape == (1, 3, 2, 8 - abs(pivot))
    assert torch.equal(left, right)


def test_converge_refuses_a_pivot_as_wide_as_the_view(pair):
    with pytest.raises(InputError, match="smaller than the width"):
        converge(*pair, 8)


@pytest.mark.parametrize("format", ["webp", "gif"])
def test_wiggle_is_an_endless_animation_of_both_views(format):
    left = np.zeros((40, 64, 3), np.uint8)
    right = np.full((40, 64, 3), 255, np.uint8)
    with Image.open(io.BytesIO(wiggle(left, right, width=32, frame_ms=200, format=format))) as picture:
        assert picture.format == format.upper()
        assert picture.size == (32, 20)
        assert picture.n_frames == 2
        assert picture.info["loop"] == 0
        frames = []
        for index in range(2):
            picture.seek(index)
            picture.load()
            assert picture.info["duration"] == 200
            frames.append(np.asarray(picture.convert("RGB")).mean())
    assert frames[0] < 5
    assert frames[1] > 250


def test_errors_name_the_argument(pair):
    left, right = pair
    with pytest.raises(InputError, match="'rainbow': use one of dubois"):
        anaglyph(left, right, "rainbow")
    with pytest.raises(InputError, match="use parallel or cross"):
        side_by_side(left, right, "above")
    with pytest.raises(InputError, match="use webp or gif"):
        wiggle(left[:1], right[:1], format="mp4")
    with pytest.raises(ShapeError, match="batch of 2"):
        wiggle(left, right)
    with pytest.raises(ShapeError, match="views differ"):
        wiggle(left[:1], right[:1, :, :, 1:])
    with pytest.raises(InputError, match="frame_ms"):
        wiggle(left[:1], right[:1], frame_ms=0)
    with pytest.raises(InputError, match="gap"):
        side_by_side(left, right, gap=-1)


def test_contact_sheet_puts_pictures_in_rows_on_white():
    red, blue = (np.full((2, 3, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    sheet = contact_sheet([[red, blue], [blue, red]], enlarge=2, gap=1)
    assert sheet.shape == (9, 13, 3)
    assert (sheet[:4, :6] == red[0, 0]).all()
    assert (sheet[:4, 7:] == blue[0, 0]).all()
    assert (sheet[5:, :6] == blue[0, 0]).all()
    assert (sheet[4] == 255).all()
    assert (sheet[:, 6] == 255).all()
    with pytest.raises(ShapeError):
        contact_sheet([[red, blue], [red]])
    with pytest.raises(ShapeError):
        contact_sheet([[red, blue[:1]]])
    with pytest.raises(InputError):
        contact_sheet([])


def test_thumbnail_shrinks_keeps_proportions_and_never_enlarges():
    picture = np.arange(100 * 400 * 3, dtype=np.uint32).reshape(100, 400, 3).astype(np.uint8)
    assert thumbnail(picture, 256).shape == (64, 256, 3)
    assert thumbnail(picture, 800) is picture
    assert thumbnail(picture, None) is picture
    assert thumbnail(np.zeros((1, 4000), np.uint8), 10).shape == (1, 10)
    codes = np.tile(np.array([0, 5], np.uint8), (50, 100))
    assert set(np.unique(thumbnail(codes, 37, nearest=True))) <= {0, 5}
    with pytest.raises(InputError, match="at least 1"):
        thumbnail(picture, 0)


@pytest.mark.parametrize(("encode", "format"), [(encode_jpeg, "JPEG"), (encode_webp, "WEBP")])
@pytest.mark.parametrize("shape", [(9, 7, 3), (9, 7)])
def test_encoded_pictures_decode(encode, format, shape):
    with Image.open(io.BytesIO(encode(np.full(shape, 90, np.uint8)))) as picture:
        assert picture.format == format
        assert picture.size == (7, 9)
        assert abs(np.asarray(picture.convert("L")).astype(int) - 90).max() < 4


def test_data_uri():
    assert data_uri(b"\x00\xff", "image/webp") == "data:image/webp;base64,AP8="
