import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wheatstone.errors import FileFormatError, InputError, ShapeError
from wheatstone.files import read_disparity, write_disparity
from wheatstone.files.disparity import decode_disparity_png, encode_disparity_png


def _map(top=100.0):
    generator = torch.Generator().manual_seed(0)
    disparity = torch.rand(1, 1, 6, 9, generator=generator) * top
    return disparity, torch.rand(1, 1, 6, 9, generator=generator) > 0.3


@pytest.mark.parametrize(("suffix", "step"), [(".pfm", 0), (".npy", 0), (".png", 0.5 / 256)])
def test_round_trip(tmp_path, suffix, step):
    disparity, valid = _map()
    write_disparity(tmp_path / f"d{suffix}", disparity, valid)
    again, known = read_disparity(tmp_path / f"d{suffix}")
    assert torch.equal(known, valid)
    assert ((again - disparity).abs()[valid] <= step + 1e-6).all()
    assert (again[~valid] == 0).all()


@pytest.mark.parametrize(("top", "scale"), [(255, 256), (257, 64), (1023, 64), (1030, 16), (4095, 16)])
def test_scale_is_the_finest_that_fits(tmp_path, top, scale):
    write_disparity(tmp_path / "d.png", torch.tensor([[float(top), 0.0]]))
    codes = cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)
    assert codes.tolist() == [[top * scale, 1]]  # zero disparity is known: code 1, never 0


def test_too_large_or_negative_for_png(tmp_path):
    with pytest.raises(InputError, match="does not fit"):
        write_disparity(tmp_path / "d.png", torch.tensor([[5000.0, 0.0]]))
    with pytest.raises(InputError, match="scale 256"):
        write_disparity(tmp_path / "d.png", torch.tensor([[300.0, 0.0]]), scale=256)
    with pytest.raises(InputError, match="negative"):
        write_disparity(tmp_path / "d.png", torch.tensor([[-1.0, 0.0]]))
    assert list(tmp_path.iterdir()) == []
    write_disparity(tmp_path / "d.pfm", torch.tensor([[-1.0, 0.0]]))
    assert read_disparity(tmp_path / "d.pfm")[0].tolist() == [[[[-1.0, 0.0]]]]


def test_nan_and_inf_are_unknown(tmp_path):
    np.save(tmp_path / "d.npy", np.array([[1.0, np.nan], [np.inf, 0.0]]))
    disparity, valid = read_disparity(tmp_path / "d.npy")
    assert valid.tolist() == [[[[True, False], [False, True]]]]
    assert disparity.dtype == torch.float32
    assert disparity.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


def test_png_without_scale_is_refused_unless_told(tmp_path):
    cv2.imwrite(str(tmp_path / "kitti.png"), np.array([[256, 0, 640]], np.uint16))
    with pytest.raises(FileFormatError, match="does not say its scale"):
        read_disparity(tmp_path / "kitti.png")
    disparity, valid = read_disparity(tmp_path / "kitti.png", scale=256)
    assert disparity.flatten().tolist() == [1.0, 0.0, 2.5]
    assert valid.flatten().tolist() == [True, False, True]


def test_eight_bit_png(tmp_path):
    cv2.imwrite(str(tmp_path / "teddy.png"), np.array([[4, 0, 210]], np.uint8))
    with pytest.raises(FileFormatError, match="8-bit PNG that does not say"):
        read_disparity(tmp_path / "teddy.png")
    assert read_disparity(tmp_path / "teddy.png", scale=4)[0].flatten().tolist() == [1.0, 0.0, 52.5]


def test_contradicting_scale(tmp_path):
    write_disparity(tmp_path / "d.png", torch.ones(2, 2), scale=64)
    assert read_disparity(tmp_path / "d.png", scale=64)[0].eq(1).all()
    with pytest.raises(FileFormatError, match="the file says scale 64"):
        read_disparity(tmp_path / "d.png", scale=256)


def test_a_picture_of_a_map_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "turbo.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FileFormatError, match="picture of a map"):
        read_disparity(tmp_path / "turbo.png", scale=1)


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_impossible_scale(tmp_path, scale):
    with pytest.raises(InputError, match="must be positive"):
        read_disparity(tmp_path / "d.png", scale=scale)


def test_scale_makes_no_sense_for_pixels(tmp_path):
    with pytest.raises(InputError, match="does not apply"):
        read_disparity(tmp_path / "d.pfm", scale=2)


def test_other_errors(tmp_path):
    with pytest.raises(FileFormatError, match="no disparity format"):
        read_disparity(tmp_path / "d.exr")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_disparity(tmp_path / "d.png")
    with pytest.raises(InputError, match="no disparity format"):
        write_disparity(tmp_path / "d.exr", torch.ones(2, 2))
    with pytest.raises(ShapeError, match="one disparity map"):
        write_disparity(tmp_path / "d.png", torch.ones(2, 1, 2, 2))
    (tmp_path / "evil.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(FileFormatError):
        read_disparity(tmp_path / "evil.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError):  # pickles are never opened
        read_disparity(tmp_path / "objects.npy")
    np.save(tmp_path / "stack.npy", np.zeros((3, 4, 5)))
    with pytest.raises(FileFormatError, match=r"\[H,W\]"):
        read_disparity(tmp_path / "stack.npy")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([256, 64, 16]))
def test_stored_values_are_a_fixed_point(seed, scale):
    random = np.random.default_rng(seed)
    values = random.uniform(0, 65534 / scale, (5, 7))
    valid = random.random((5, 7)) < 0.7
    once, known = decode_disparity_png(encode_disparity_png(values, valid, scale))
    assert (np.abs(once - values)[valid] <= 0.5 / scale + (values[valid] < 0.5 / scale) / scale + 1e-4).all()
    twice, _ = decode_disparity_png(encode_disparity_png(once, known, scale))
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_array_equal(known, valid)
