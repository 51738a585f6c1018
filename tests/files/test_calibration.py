"""Calibration files of Middlebury and KITTI, resizing, and what is refused."""

import pytest

from wheatstone.errors import FileFormatError, InputError
from wheatstone.files import Calibration, parse_calibration, read_calibration

MIDDLEBURY = """cam0=[3979.911 0 1244.772; 0 3979.911 1019.507; 0 0 1]
cam1=[3979.911 0 1369.115; 0 3979.911 1019.507; 0 0 1]
doffs=124.343
baseline=193.001
width=2964
height=1988
ndisp=280
"""
KITTI = """P0: 7.18856e+02 0 6.071928e+02 0 0 7.18856e+02 1.852157e+02 0 0 0 1 0
P1: 7.18856e+02 0 6.071928e+02 -3.861448e+02 0 7.18856e+02 1.852157e+02 0 0 0 1 0
P2: 7.18856e+02 0 6.071928e+02 4.538225e+01 0 7.18856e+02 1.852157e+02 -1.130887e-01 0 0 1 3.779761e-03
P3: 7.18856e+02 0 6.071928e+02 -3.372877e+02 0 7.18856e+02 1.852157e+02 2.369057e+00 0 0 1 4.915215e-03
"""


def test_middlebury(tmp_path):
    (tmp_path / "calib.txt").write_text(MIDDLEBURY)
    found = read_calibration(tmp_path / "calib.txt")
    assert found == Calibration(3979.911, 0.193001, 124.343, 1244.772, 1019.507, 2964, 1988)
    without = parse_calibration(MIDDLEBURY.replace("doffs=124.343\n", ""))
    assert without.doffs_px == pytest.approx(1369.115 - 1244.772)


def test_kitti_takes_the_colour_pair_unless_told_otherwise():
    found = parse_calibration(KITTI)
    assert (found.focal_px, found.cx_px, found.cy_px, found.doffs_px) == (718.856, 607.1928, 185.2157, 0)
    assert found.baseline_m == pytest.approx((45.38225 + 337.2877) / 718.856)
    grey = parse_calibration(KITTI, (0, 1))
    assert grey.baseline_m == pytest.approx(386.1448 / 718.856)
    assert parse_calibration("".join(KITTI.splitlines(keepends=True)[:2])) == grey


def test_kitti_raw_tells_the_size():
    raw = KITTI.replace("P2", "P_rect_02").replace("P3", "P_rect_03") + "S_rect_02: 1.242000e+03 3.750000e+02\n"
    found = parse_calibration(raw, (2, 3))
    assert (found.width, found.height) == (1242, 375)


def test_another_size_is_scaled_but_a_crop_is_refused():
    full = parse_calibration(MIDDLEBURY)
    half = full.at_size(1482, 994)
    assert half.focal_px == pytest.approx(full.focal_px / 2)
    assert half.doffs_px == pytest.approx(full.doffs_px / 2)
    assert half.cx_px == pytest.approx((full.cx_px + 0.5) / 2 - 0.5)
    assert half.baseline_m == full.baseline_m
    assert full.at_size(2964, 1988) is full
    with pytest.raises(InputError, match="2964 x 1988, these are 2000 x 1988"):
        full.at_size(2000, 1988)
    unsized = Calibration(500.0, 0.1)
    assert unsized.at_size(7, 5) is unsized


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no calibration that is known"),
        ("cam0=[1 0 2]\nbaseline=3\ndoffs=0", "9 numbers"),
        (MIDDLEBURY.replace("baseline=193.001", "baseline=many"), "1 number"),
        ("cam0=[9 0 2; 0 9 2; 0 0 1]\nbaseline=3", "neither doffs nor cam1"),
        (KITTI.replace("1 0\n", "1\n", 1), "12 numbers"),
    ],
)
def test_other_files_are_refused_with_the_formats_known(text, message):
    with pytest.raises(FileFormatError, match=message):
        parse_calibration(text)


def test_senseless_numbers_and_missing_cameras_are_refused(tmp_path):
    for numbers in ((0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (1.0, 1.0, float("inf"))):
        with pytest.raises(InputError):
            Calibration(*numbers)
    with pytest.raises(InputError, match=r"holds the cameras \[0, 1, 2, 3\], not 5"):
        parse_calibration(KITTI, (2, 5))
    with pytest.raises(InputError, match="baseline must be positive"):
        parse_calibration(KITTI, (3, 2))
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_calibration(tmp_path / "none.txt")


def test_real_files(data):
    assert read_calibration(data / "video/kitti_odometry/sequences/seq1/calib.txt").baseline_m == pytest.approx(
        0.537, abs=1e-3
    )
    raw = read_calibration(data / "video/kitti_raw/2011_09_26/calib_cam_to_cam.txt")
    assert (raw.width, raw.height) == (1242, 375)
    assert raw.baseline_m == pytest.approx(0.5327, abs=1e-4)
