"""OpenEXR files that hold one map."""

import sys

import numpy as np
import pytest

from wheatstone.errors import FileFormatError, MissingExtraError
from wheatstone.files import read_exr

MAP = np.linspace(0.5, 90, 12).reshape(3, 4).astype(np.float32)


def _write(path, **channels):
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))
    return path


def test_one_channel_or_several_equal_ones(tmp_path):
    for name, channels in (("y", {"Y": MAP}), ("rgb", {"R": MAP, "G": MAP, "B": MAP})):
        found = read_exr(_write(tmp_path / f"{name}.exr", **channels))
        assert found.dtype == np.float32
        assert (found == MAP).all()
    half = read_exr(_write(tmp_path / "half.exr", G=MAP.astype(np.float16)))
    np.testing.assert_allclose(half, MAP, rtol=2**-11)
    holed = np.where(MAP > 50, np.nan, MAP)
    assert np.array_equal(read_exr(_write(tmp_path / "holed.exr", R=holed, G=holed)), holed, equal_nan=True)


def test_what_is_no_map_is_refused(tmp_path):
    for path, words in (
        (_write(tmp_path / "picture.exr", R=MAP, G=MAP, B=MAP + 1), "B, G, R differ"),
        (_write(tmp_path / "codes.exr", Y=MAP.astype(np.uint32)), "floating-point"),
        (tmp_path / "absent.exr", "cannot be read"),
    ):
        with pytest.raises(FileFormatError, match=words):
            read_exr(path)
    (tmp_path / "text.exr").write_text("hello")
    with pytest.raises(FileFormatError, match="no OpenEXR file"):
        read_exr(tmp_path / "text.exr")
    whole = (tmp_path / "picture.exr").read_bytes()
    (tmp_path / "half.exr").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FileFormatError, match=r"half.exr: broken"):
        read_exr(tmp_path / "half.exr")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    path = _write(tmp_path / "a.exr", G=MAP)
    monkeypatch.setitem(sys.modules, "OpenEXR", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'wheatstone\[datasets\]'"):
        read_exr(path)
