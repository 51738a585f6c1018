import numpy as np
import pytest

from wheatstone.errors import FileFormatError, ShapeError
from wheatstone.files import read_pfm, write_pfm

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3)])
def test_round_trip(tmp_path, shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    array.flat[0] = np.inf
    write_pfm(tmp_path / "a.pfm", array)
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), array)


@pytest.mark.parametrize(
    ("header", "order"),
    [
        (b"Pf\n3 2\n-1\n", "<f4"),
        (b"Pf \n3 2 \n-1.000000 \n", "<f4"),  # Scene Flow: a blank before every line break
        (b"Pf\r\n3 2\r\n-1.0\r\n", "<f4"),
        (b"Pf\n3\n2\n1.0\n", ">f4"),
        (b"Pf 3 2 -1e0 ", "<f4"),
    ],
)
def test_headers_in_the_wild(tmp_path, header, order):
    (tmp_path / "a.pfm").write_bytes(header + VALUES[::-1].astype(order).tobytes())
    np.testing.assert_array_equal(read_pfm(tmp_path / "a.pfm"), VALUES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a PFM"),
        (b"P5\n3 2\n255\n......", "not a PFM"),
        (b"Pf\n3 2\n-1\n" + bytes(23), "holds 24 bytes"),
        (b"Pf\n3 2\n-1\n" + bytes(25), "holds 24 bytes"),
        (b"Pf\n0 2\n-1\n", "holds 0 bytes"),
        (b"Pf\n3 2\n1-1\n" + bytes(24), "no number"),
    ],
)
def test_broken_files(tmp_path, content, reason):
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(FileFormatError, match=reason):
        read_pfm(tmp_path / "a.pfm")


def test_missing(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_pfm(tmp_path / "a.pfm")


def test_wrong_array(tmp_path):
    with pytest.raises(ShapeError):
        write_pfm(tmp_path / "a.pfm", np.zeros((2, 3)))


def test_real_scene_flow_file(data):
    path = next((data / "sceneflow").rglob("*.pfm"))
    array = read_pfm(path)
    assert array.shape == (540, 960)
    assert 0 < array.min() < array.max() < 200
