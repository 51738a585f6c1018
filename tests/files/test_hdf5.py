"""HDF5 files that hold one map."""

import sys

import numpy as np
import pytest

from wheatstone.errors import FileFormatError, MissingExtraError
from wheatstone.files import read_hdf5

MAP = np.linspace(0.5, 90, 24).reshape(4, 6).astype(np.float32)


def _write(path, name="disparity", values=MAP):
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=values, compression="gzip")
    return path


def test_maps_come_back_whole_or_every_second_pixel(tmp_path):
    path = _write(tmp_path / "a.dsp5")
    assert (read_hdf5(path, "disparity") == MAP).all()
    assert (read_hdf5(path, "disparity", step=2) == MAP[::2, ::2]).all()


def test_what_is_no_map_is_refused(tmp_path):
    for path, words in (
        (_write(tmp_path / "flow.flo5", "flow"), "no array 'disparity', it holds flow"),
        (_write(tmp_path / "group.dsp5", "disparity/left"), "no array 'disparity'"),
        (_write(tmp_path / "codes.dsp5", values=MAP.astype(np.int32)), "of int32"),
        (_write(tmp_path / "deep.dsp5", values=MAP[None]), r"\[1, 4, 6\]"),
        (tmp_path / "absent.dsp5", "not a readable HDF5"),
    ):
        with pytest.raises(FileFormatError, match=words):
            read_hdf5(path, "disparity")
    whole = (tmp_path / "flow.flo5").read_bytes()
    (tmp_path / "half.dsp5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="not a readable HDF5"):
        read_hdf5(tmp_path / "half.dsp5", "disparity")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    path = _write(tmp_path / "a.dsp5")
    monkeypatch.setitem(sys.modules, "h5py", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"pip install 'wheatstone\[datasets\]'"):
        read_hdf5(path, "disparity")
