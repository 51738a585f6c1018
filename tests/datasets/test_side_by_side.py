"""Frames of stereo films, cut apart."""

import cv2
import numpy as np
import pytest
import torch

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError, InputError


def _views(height=36, width=64):
    """Two pictures that cannot be taken for each other: a ramp across and a ramp down."""
    across = np.broadcast_to(np.linspace(0, 250, width)[None, :, None], (height, width, 3))
    down = np.broadcast_to(np.linspace(0, 250, height)[:, None, None], (height, width, 3))
    return across.astype(np.uint8), down.astype(np.uint8)


def _write(path, *views):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.concatenate(views, axis=1)[..., ::-1])


def _bytes(view):
    return (view * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def test_whole_views_are_cut_and_not_resampled(tmp_path):
    left, right = _views()
    _write(tmp_path / "film/000000001.png", left, right)
    _write(tmp_path / "film/000000002.png", right, left)
    frames = load_dataset(f"side-by-side={tmp_path}")
    assert frames.keys == ["film/000000001", "film/000000002"]
    np.testing.assert_array_equal(_bytes(frames[0].views["left"]), left)
    np.testing.assert_array_equal(_bytes(frames[0].views["right"]), right)
    assert frames[0].disparity is None
    assert frames[0].baselines["right"] == 1.0
    crossed = load_dataset(f"side-by-side={tmp_path},first=right")
    np.testing.assert_array_equal(_bytes(crossed[1].views["left"]), left)


def test_squeezed_views_get_their_proportions_back(tmp_path):
    left, right = _views(72, 64)  # a frame of 16:9 holds two views of 16:9 at half their width
    _write(tmp_path / "frame.png", left, right)
    frame = load_dataset(f"side-by-side={tmp_path}")[0]
    assert frame.views["left"].shape == (3, 36, 64)
    np.testing.assert_allclose(_bytes(frame.views["left"]), left[::2], atol=1)
    assert load_dataset(f"side-by-side={tmp_path},squeezed=false")[0].views["left"].shape == (3, 72, 64)
    assert load_dataset(f"side-by-side={tmp_path},size=32x18")[0].views["right"].shape == (3, 18, 32)
    assert load_dataset(f"side-by-side={tmp_path}", official=True)[0].views["left"].shape == (3, 540, 960)


@pytest.mark.parametrize(
    ("frame", "view"),
    [
        ((1920, 800), (960, 400)),  # CinemaScope squeezed
        ((1920, 796), (960, 398)),
        ((1280, 480), (640, 480)),  # 4:3 whole
        ((1280, 512), (640, 512)),  # 5:4 whole
    ],
)
def test_proportions_tell_squeezed_views_from_whole_ones(tmp_path, frame, view):
    width, height = frame
    _write(tmp_path / "frame.png", np.zeros((height, width, 3), np.uint8))
    found = load_dataset(f"side-by-side={tmp_path}")[0].views["right"]
    assert tuple(found.shape[-2:]) == view[::-1]


def test_frames_cut_by_the_published_script(tmp_path):
    left, right = _views()
    _write(tmp_path / "indoor/left/000000009.jpg", left)
    _write(tmp_path / "indoor/right/000000009.jpg", right)
    frames = load_dataset(f"side-by-side={tmp_path}")
    assert frames.keys == ["indoor/000000009"]
    np.testing.assert_allclose(_bytes(frames[0].views["left"]), left, atol=4)
    with pytest.raises(InputError, match="cut already"):
        load_dataset(f"side-by-side={tmp_path},first=right")
    (tmp_path / "indoor/right/000000009.jpg").unlink()
    with pytest.raises(DatasetError, match=r"right/000000009\.jpg: missing"):
        load_dataset(f"side-by-side={tmp_path}")


def test_what_is_no_pair_of_views_is_told(tmp_path):
    with pytest.raises(DatasetError, match="no frames found"):
        load_dataset(f"side-by-side={tmp_path}")
    _write(tmp_path / "odd.png", np.zeros((8, 33, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"odd\.png: 33 pixels wide"):
        load_dataset(f"side-by-side={tmp_path}")[0]
    (tmp_path / "odd.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"odd\.png"):
        load_dataset(f"side-by-side={tmp_path}")[0]
    for setting in ("first=up", "squeezed=often", "size=12", "size=0x3"):
        with pytest.raises(InputError):
            load_dataset(f"side-by-side={tmp_path},{setting}")
