"""Inverse depth as 16-bit PNG: the file alone gives the numbers back."""

import numpy as np
import pytest
import torch

from wheatstone.errors import FileFormatError, ShapeError
from wheatstone.files import decode_png, encode_png
from wheatstone.files.inverse_depth import OFFSET_KEYWORD, STEP_KEYWORD, read_inverse_depth, write_inverse_depth


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-6, 5.0), (1e6, -3e5)])
def test_round_trip_is_exact_to_half_a_step(tmp_path, scale, shift):
    values = torch.rand(1, 1, 7, 9, generator=torch.Generator().manual_seed(0)).double() * scale + shift
    offset, step = write_inverse_depth(tmp_path / "a.png", values)
    back, known = read_inverse_depth(tmp_path / "a.png")
    assert known.all()
    assert back.shape == (1, 1, 7, 9)
    rounding = float(values.abs().max()) * 2**-23  # the map is read as float32
    assert (back.double() - values).abs().max() <= step / 2 * (1 + 1e-6) + rounding
    codes = decode_png((tmp_path / "a.png").read_bytes())
    assert codes.dtype == np.uint16
    assert (codes.min(), codes.max()) == (1, 65535)
    assert offset + step == pytest.approx(float(values.min()), rel=1e-9, abs=1e-12)


def test_unknown_pixels_stay_unknown(tmp_path):
    write_inverse_depth(tmp_path / "a.png", torch.tensor([[1.0, float("nan")], [float("inf"), 3.0]]))
    back, known = read_inverse_depth(tmp_path / "a.png")
    assert known[0, 0].tolist() == [[True, False], [False, True]]
    assert back[0, 0].tolist() == [[1.0, 0.0], [0.0, pytest.approx(3.0)]]


@pytest.mark.parametrize("value", [0.0, -2.5, float("nan")])
def test_a_constant_map(tmp_path, value):
    write_inverse_depth(tmp_path / "a.png", torch.full((3, 4), value))
    back, known = read_inverse_depth(tmp_path / "a.png")
    assert known.all() == np.isfinite(value)
    assert (back == (value if np.isfinite(value) else 0)).all()


def test_errors(tmp_path):
    with pytest.raises(ShapeError, match="one map"):
        write_inverse_depth(tmp_path / "a.png", torch.zeros(2, 1, 3, 3))
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_inverse_depth(tmp_path / "missing.png")
    (tmp_path / "b.png").write_bytes(encode_png(np.ones((3, 3), np.uint16)))
    with pytest.raises(FileFormatError, match="offset and step"):
        read_inverse_depth(tmp_path / "b.png")


def test_a_map_that_was_saved_again_in_8_bits_is_refused(tmp_path):
    text = {OFFSET_KEYWORD: "0.5", STEP_KEYWORD: "0.001"}
    (tmp_path / "a.png").write_bytes(encode_png(np.full((3, 4), 200, np.uint8), text))
    with pytest.raises(FileFormatError, match="8-bit codes"):
        read_inverse_depth(tmp_path / "a.png")
