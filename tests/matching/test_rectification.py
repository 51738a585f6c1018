"""Rectification measured on pairs that the test shifts, turns, scales and swaps; no false alarm on real rectified pairs."""

import cv2
import numpy as np
import pytest
import torch

from wheatstone.errors import ShapeError
from wheatstone.files import read_image
from wheatstone.matching.rectification import measure_rectification

HEIGHT, WIDTH = 240, 320


def scene(seed=0):
    """Blobs of many sizes: what features are found on."""
    random = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT, WIDTH + 80, 3), np.float32)
    for size in (4, 8, 16, 32):
        coarse = random.random((HEIGHT // size, (WIDTH + 80) // size, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (WIDTH + 80, HEIGHT), interpolation=cv2.INTER_CUBIC) / 4
    return picture.clip(0, 1)


def image(array):
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)[None].clamp(0, 1)


def pair(angle=0.0, down=0.0, scale=1.0, disparity=20):
    """The left view and a right view `disparity` px further on, moved by hand."""
    wall = scene()
    turn = cv2.getRotationMatrix2D(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), angle, scale)
    turn[1, 2] += down
    right = cv2.warpAffine(wall[:, disparity : disparity + WIDTH], turn, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
    return image(wall[:, :WIDTH]), image(right)


def test_a_rectified_pair_is_fine():
    found = measure_rectification(*pair())
    assert found.measured
    assert found.rectified
    assert not found.swapped
    assert found.warnings == ()
    assert found.vertical_offset_px == pytest.approx(0, abs=0.05)
    assert found.vertical_error_px < 0.1
    assert found.negative_share == 0


@pytest.mark.parametrize("down", [-12.0, 2.0, 5.0])
def test_a_vertical_shift_is_measured(down):
    found = measure_rectification(*pair(down=down))
    assert found.vertical_offset_px == pytest.approx(down, abs=0.15)
    assert not found.rectified
    assert f"{found.vertical_offset_px:+.1f} px" in found.warnings[0]
    assert "not rectified" in found.warnings[0]


@pytest.mark.parametrize("angle", [-3.0, 1.0])
def test_a_turn_is_measured(angle):
    found = measure_rectification(*pair(angle=angle))
    # OpenCV turns counter-clockwise while rows grow downwards
    assert found.rotation_deg == pytest.approx(-angle, abs=0.1)
    assert found.vertical_error_px > 1.5
    assert not found.rectified


def test_a_scale_is_measured():
    found = measure_rectification(*pair(scale=1.03))
    assert found.vertical_scale == pytest.approx(1.03, abs=0.003)
    assert not found.rectified


def test_swapped_views_are_noticed():
    left, right = pair()
    found = measure_rectification(right, left)
    assert found.swapped
    assert found.negative_share == pytest.approx(1, abs=0.02)
    assert "100% of" in found.warnings[0]
    assert "negative disparity" in found.warnings[0]


def test_negative_disparities_of_a_part_are_told():
    wall, rows = scene(), 160
    left, right = wall[:, 20 : 20 + WIDTH], wall[:, 40 : 40 + WIDTH].copy()
    right[rows:] = wall[rows:, 8 : 8 + WIDTH]  # 20 px above, -12 px below
    found = measure_rectification(image(left), image(right))
    assert 0.15 < found.negative_share < 0.5
    assert not found.swapped
    assert found.partly_negative
    assert (
        "have negative disparity, which most matchers do not look for: shift the right view to the left"
        in found.warnings[-1]
    )
    assert found.as_json()["partly_negative"] is True


def test_nothing_is_claimed_without_features():
    flat = torch.full((1, 3, HEIGHT, WIDTH), 0.5)
    found = measure_rectification(flat, flat)
    assert not found.measured
    assert found.warnings == ()
    assert found.as_json()["vertical_offset_px"] is None
    other = measure_rectification(image(scene(1)[:, :WIDTH]), image(scene(2)[:, :WIDTH]))
    assert not other.measured


def test_sizes_that_differ_are_an_error():
    left, right = pair()
    with pytest.raises(ShapeError, match="one size"):
        measure_rectification(left, right[..., 1:])


PAIRS = (
    "middlebury/2001/tsukuba/im[LR].png",
    "middlebury/2003/teddy/im[26].png",
    "middlebury/2006/HalfSize/Wood2/view[15].png",
    "middlebury/2014/Motorcycle/im[01].png",
    "middlebury/MiddEval3/trainingQ/*/im[01].png",
    "eth3d/two_view_training/*/im[01].png",
    "kitti201[25]/*/image_[23]/*_10.png",
    "kitti201[25]/*/colored_[01]/*_10.png",
    "sceneflow/FlyingThings3D/frames_cleanpass/TRAIN/A/0000/*/*.png",
)


@pytest.mark.slow
def test_no_false_alarm_on_any_rectified_pair(data):
    files = [sorted(data.glob(pattern)) for pattern in PAIRS]
    by_place: dict = {}
    for path in (path for group in files for path in group):
        folder = (
            path.parent
            if path.parent.name not in ("image_2", "image_3", "colored_0", "colored_1", "left", "right")
            else path.parent.parent
        )
        by_place.setdefault((folder, "" if folder == path.parent else path.name), []).append(path)
    pairs = [found for found in by_place.values() if len(found) == 2]
    assert len(pairs) >= 35
    for left, right in pairs:
        found = measure_rectification(read_image(left), read_image(right))
        assert found.measured, left
        assert found.warnings == (), left


def test_no_false_alarm_on_some_real_pairs(data):
    for left, right in (
        ("middlebury/2003/teddy/im2.png", "middlebury/2003/teddy/im6.png"),
        ("kitti2012/training/colored_0/000000_10.png", "kitti2012/training/colored_1/000000_10.png"),
        ("eth3d/two_view_training/electro_3l/im0.png", "eth3d/two_view_training/electro_3l/im1.png"),
    ):
        assert measure_rectification(read_image(data / left), read_image(data / right)).warnings == ()


def test_an_unrectified_rig_is_noticed(data):
    rig = data / "video" / "euroc_micro" / "mav0"
    name = sorted((rig / "cam0" / "data").iterdir())[0].name
    views = [read_image(rig / camera / "data" / name) for camera in ("cam0", "cam1")]
    assert 12 < measure_rectification(*views).vertical_offset_px < 14
