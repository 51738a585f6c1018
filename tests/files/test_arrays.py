"""NumPy files that hold one map."""

import numpy as np
import pytest
import torch

from wheatstone.errors import FileFormatError
from wheatstone.files import read_disparity, read_map, write_disparity, write_pfm

MAP = np.linspace(0.5, 90, 12).reshape(3, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maps_come_back(tmp_path, dtype):
    np.save(tmp_path / "a.npy", MAP.astype(dtype)[None, None])
    np.savez(tmp_path / "one.npz", depth=MAP.astype(dtype))
    np.savez_compressed(tmp_path / "two.npz", disparity=MAP.astype(dtype), confidence=MAP)
    for path in ("a.npy", "one.npz", "two.npz"):
        assert (read_map(tmp_path / path) == MAP.astype(dtype)).all()
        assert torch.equal(read_disparity(tmp_path / path)[0][0, 0], torch.from_numpy(MAP).float())
    assert (read_map(tmp_path / "two.npz", key="confidence") == MAP).all()


def test_a_npz_may_say_what_is_known(tmp_path):
    valid = MAP > 20
    for name, stated in {"bool": valid, "number": valid.astype(np.uint8), "batch": valid[None, None]}.items():
        np.savez(tmp_path / f"{name}.npz", disparity=MAP, valid=stated)
        assert (read_disparity(tmp_path / f"{name}.npz")[1][0, 0].numpy() == valid).all()
    holed = np.where(MAP > 80, np.nan, MAP)
    np.savez(tmp_path / "both.npz", disparity=holed, valid=valid)
    assert (read_disparity(tmp_path / "both.npz")[1][0, 0].numpy() == (valid & (MAP <= 80))).all()
    for name, stated, words in (("share", MAP, "True and False"), ("size", valid[:2], r"`valid` is \[2, 4\]")):
        np.savez(tmp_path / f"{name}.npz", disparity=MAP, valid=stated)
        with pytest.raises(FileFormatError, match=words):
            read_disparity(tmp_path / f"{name}.npz")


def test_a_npz_without_the_key_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", left=MAP, right=MAP)
    with pytest.raises(FileFormatError, match=r"a.npz: has no array 'disparity', it holds left, right"):
        read_disparity(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="has no array 'depth'"):
        read_map(tmp_path / "a.npz", key="depth")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(FileFormatError, match="holds nothing"):
        read_map(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (MAP.astype(np.float16), "float16.*too coarse"),
        (MAP.astype(np.uint16), r"whole numbers \(uint16\) of unknown scale"),
        (MAP.astype(np.int64), "whole numbers"),
        (MAP.astype(np.complex64), "complex64"),
        (MAP > 3, "bool"),
        (MAP[0], r"holds \[4\]"),
        (np.stack([MAP, MAP]), r"holds \[2, 3, 4\]"),
        (np.zeros((0, 4)), r"holds \[0, 4\]"),
        (np.array([None]), "Object arrays"),
    ],
)
def test_the_wrong_type_is_refused_with_the_reason(tmp_path, values, reason):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(FileFormatError, match=reason):
        read_disparity(tmp_path / "a.npy")
    if values.dtype == np.float16:
        assert (read_map(tmp_path / "a.npy", half=True) == values).all()


def test_damaged_files(tmp_path):
    np.savez(tmp_path / "a.npz", disparity=MAP)
    np.save(tmp_path / "a.npy", MAP)
    for name in ("a.npz", "a.npy"):
        whole = (tmp_path / name).read_bytes()
        for size in (0, 20, len(whole) - 30):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(FileFormatError, match=f"{name}: not a readable"):
                read_disparity(tmp_path / name)
    with pytest.raises(FileFormatError, match="No such file"):
        read_map(tmp_path / "b.npy")


def test_an_8_bit_picture_of_a_16_bit_map_is_refused(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4), 100, np.uint8))
    with pytest.raises(FileFormatError, match=r"8-bit PNG, but at scale 256 disparity needs 16 bits"):
        read_disparity(tmp_path / "a.png", scale=256)
    assert float(read_disparity(tmp_path / "a.png", scale=16)[0][0, 0, 0, 0]) == 6.25  # Middlebury's tsukuba
    write_disparity(tmp_path / "b.png", torch.from_numpy(MAP))
    assert read_disparity(tmp_path / "b.png", scale=256)[0].shape == (1, 1, 3, 4)


def test_a_pfm_of_three_channels_is_refused(tmp_path):
    write_pfm(tmp_path / "a.pfm", np.zeros((3, 4, 3), np.float32))
    with pytest.raises(FileFormatError, match=r"\[H,W\], this file holds \[3, 4, 3\]"):
        read_disparity(tmp_path / "a.pfm")
