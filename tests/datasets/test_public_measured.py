"""Readers of measured stereo data, on miniatures of the official layouts (true formats, true scales) and on real files."""

import numpy as np
import pytest
import torch
from tests.datasets import miniatures as mini

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError, InputError
from wheatstone.files.calibration import parse_calibration

TRUTH = mini.disparity()
NO_TRUTH = np.zeros(TRUTH.shape, bool)
NO_TRUTH[0, 0] = NO_TRUTH[2, 3] = True
SEEN = (mini.ramp() > 90) & ~NO_TRUTH
MASK = np.where(NO_TRUTH, 0, np.where(SEEN, 255, 128)).astype(np.uint8)
CALIB = "cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]\ndoffs=31.086\nbaseline=193.001\nwidth=10\nheight=6\n"


def _evaluation_truth(folder, truth=TRUTH):
    mini.pfm(folder / "disp0GT.pfm", np.where(NO_TRUTH & (truth < 30), np.inf, truth))
    mini.codes(folder / "mask0nocc.png", MASK)


def _assert_evaluation(sample):
    mini.assert_truth(sample, TRUTH, ~NO_TRUTH)
    assert torch.equal(sample.visible[0], torch.from_numpy(SEEN))
    assert parse_calibration(sample.provenance["calib"]).doffs_px == 31.086


def test_middeval3(tmp_path):
    root = tmp_path / "MiddEval3"
    for folder, width in (("trainingQ", 10), ("trainingH", 20), ("testH", 10)):
        for scene in ("Adirondack", "ArtL"):
            mini.pair(root / folder / scene / "im0.png", root / folder / scene / "im1.png", width)
            mini.text(root / folder / scene / "calib.txt", CALIB)
            if folder == "trainingQ":
                _evaluation_truth(root / folder / scene)
    quarter = load_dataset(f"middeval3={tmp_path},resolution=Q")
    assert quarter.keys == ["Adirondack", "ArtL"]
    assert quarter.name == "middeval3-trainingQ"
    for samples in (
        quarter,
        load_dataset(f"middeval3={root}", resolution="Q"),
        load_dataset(f"middeval3={root}/trainingQ"),
    ):
        for sample in samples:
            _assert_evaluation(sample)
    half = load_dataset(f"middeval3={root},resolution=H")[0]
    assert half.views["left"].shape[-1] == 20
    assert half.disparity is None
    assert half.visible is None
    assert load_dataset(f"middeval3={root},split=test")[0].disparity is None  # the only test folder there
    with pytest.raises(InputError, match=r"trainingH, trainingQ.*resolution"):
        load_dataset(f"middeval3={root}")
    with pytest.raises(DatasetError, match="no folder trainingF"):
        load_dataset(f"middeval3={root},resolution=F")
    (root / "trainingQ/ArtL/mask0nocc.png").unlink()
    with pytest.raises(DatasetError, match=r"ArtL/mask0nocc.png: missing"):
        load_dataset(f"middeval3={root},resolution=Q")
    mini.text(root / "trainingQ/ArtL/mask0nocc.png", "")
    with pytest.raises(DatasetError, match="not a readable"):
        load_dataset(f"middeval3={root},resolution=Q")[1]


@pytest.mark.parametrize("beside", [True, False])
def test_eth3d(tmp_path, beside):
    for scene in ("delivery_area_1l", "forest_2s"):
        place = tmp_path / "two_view_training" / scene
        mini.pair(place / "im0.png", place / "im1.png")
        mini.text(place / "calib.txt", CALIB)
        _evaluation_truth(tmp_path / "two_view_training_gt" / scene if beside else place)
    mini.pair(tmp_path / "two_view_test/sandbox_1l/im0.png", tmp_path / "two_view_test/sandbox_1l/im1.png")
    for root in (tmp_path, tmp_path / "two_view_training"):
        samples = load_dataset(f"eth3d={root}")
        assert samples.keys == ["delivery_area_1l", "forest_2s"]
        for sample in samples:
            _assert_evaluation(sample)
    test = load_dataset(f"eth3d={tmp_path},split=test")
    assert test.keys == ["sandbox_1l"]
    assert test[0].disparity is None
    mini.assert_pair(test[0])
    with pytest.raises(InputError, match="training, test"):
        load_dataset(f"eth3d={tmp_path},split=val")
    with pytest.raises(DatasetError, match=r"two_view_training: no such folder.*mask0nocc"):
        load_dataset(f"eth3d={tmp_path / 'two_view_test'}/sandbox_1l")
    mini.pfm((tmp_path / "two_view_training_gt" if beside else place.parent) / "forest_2s/disp0GT.pfm", TRUTH[:5])
    with pytest.raises(DatasetError, match=r"10 x 5 pixels, but im0.png has 10 x 6"):
        load_dataset(f"eth3d={tmp_path}")[1]


def test_middlebury_2021(tmp_path):
    scene = tmp_path / "data" / "artroom1"
    mini.pair(scene / "im0.png", scene / "im1.png")
    mini.picture(scene / "ambient/L0/im0e0.png", 99)
    mini.pfm(scene / "disp0.pfm", np.where(NO_TRUTH, np.inf, TRUTH))
    mini.pfm(scene / "disp1.pfm", TRUTH)
    mini.text(scene / "calib.txt", CALIB)
    sample = load_dataset(f"middlebury-2021={tmp_path}")[0]
    assert sample.key == "artroom1"
    mini.assert_truth(sample, TRUTH, ~NO_TRUTH)
    mini.assert_right_truth(sample, TRUTH)
    assert "doffs=31.086" in sample.provenance["calib"]
    colours = np.repeat(TRUTH[..., None], 3, axis=2)
    mini.pfm(scene / "disp0.pfm", colours, "PF\n{width} {height}\n-1.0\n")
    with pytest.raises(DatasetError, match="one channel, this one has 3"):
        load_dataset(f"middlebury-2021={tmp_path}")[0]


def test_sintel(tmp_path):
    steps = np.rint(TRUTH * 64).astype(int)  # 16 bits: red counts 4 px, green 1/64 px
    coded = np.stack([steps // 256, steps % 256, np.zeros_like(steps)], axis=2).astype(np.uint8)
    coded[1, 1, 2] = 128
    expected = steps / 64
    expected[1, 1] += 128 / 2**14
    occluded, outside = mini.ramp() > 200, mini.ramp() < 20
    for render in ("clean", "final"):
        name = "alley_1/frame_0001.png"
        mini.pair(tmp_path / f"training/{render}_left" / name, tmp_path / f"training/{render}_right" / name)
        mini.codes(tmp_path / "training/disparities" / name, coded)
        mini.codes(tmp_path / "training/occlusions" / name, occluded.astype(np.uint8) * 255)
        mini.codes(
            tmp_path / "training/outofframe" / name, outside.astype(np.uint8)
        )  # its README says 1, the files 255
    for spec in (f"sintel={tmp_path}", f"sintel={tmp_path}/training,render=clean"):
        samples = load_dataset(spec)
        assert samples.keys == ["alley_1/frame_0001"]
        mini.assert_truth(samples[0], expected, within=1e-6)
        assert torch.equal(samples[0].visible[0], torch.from_numpy(~(occluded | outside)))
        assert torch.equal(samples[0].extras["out_of_frame"][0], torch.from_numpy(outside))
        assert torch.equal(samples[0].extras["occluded"][0], torch.from_numpy(occluded))
    mini.codes(tmp_path / "training/disparities/alley_1/frame_0001.png", coded[..., 0])
    with pytest.raises(DatasetError, match="8-bit RGB"):
        samples[0]
    (tmp_path / "training/outofframe/alley_1/frame_0001.png").unlink()
    with pytest.raises(DatasetError, match=r"outofframe/alley_1/frame_0001.png: missing"):
        load_dataset(f"sintel={tmp_path}")


def test_drivingstereo(tmp_path):
    sequence, time = "2018-07-09-16-11-56", "2018-07-09-16-11-56_2018-07-09-16-12-25-133"
    for kind, split, size, suffix, scale in (
        ("train-{}", "train", "", ".jpg", 256),
        ("test-{}/{}-half-size", "test", "half", ".jpg", 256),
        ("test-{}/{}-full-size", "test", "full", ".png", 128),
        ("rainy/{}-half-size", "rainy", "half", ".jpg", 256),
        ("rainy/{}-full-size", "rainy", "full", ".png", 128),
    ):
        inside = "" if split == "rainy" else sequence
        left, right, truth = (
            tmp_path / kind.format(name, name) / inside for name in ("left-image", "right-image", "disparity-map")
        )
        mini.pair(left / f"{time}{suffix}", right / f"{time}{suffix}")
        mini.codes(truth / f"{time}.png", np.rint(np.where(NO_TRUTH, 0, TRUTH) * scale).astype(np.uint16))
        samples = load_dataset(f"drivingstereo={tmp_path},split={split},size={size or 'half'}")
        assert samples.keys == [f"{inside}/{time}".lstrip("/")]
        mini.assert_truth(samples[0], TRUTH, ~NO_TRUTH, within=1 / scale)
    assert len(load_dataset(f"drivingstereo={tmp_path / 'rainy'},split=rainy")) == 1
    with pytest.raises(DatasetError, match=r"left-image-half-size: no such folder"):
        load_dataset(f"drivingstereo={tmp_path},split=foggy")
    with pytest.raises(InputError, match="half, full"):
        load_dataset(f"drivingstereo={tmp_path},size=third")


def test_instereo2k(tmp_path):
    hundredths = np.rint(np.where(NO_TRUTH, 0, TRUTH) * 100).astype(np.uint16)
    for scene in ("train/part1/000001", "train/part5/000001", "test/000040"):
        place = tmp_path / scene
        mini.pair(place / "left.png", place / "right.png")
        mini.codes(place / "left_disp.png", hundredths)
        mini.codes(place / "right_disp.png", np.rint(TRUTH * 100).astype(np.uint16))
    samples = load_dataset(f"instereo2k={tmp_path}")
    assert samples.keys == ["part1/000001", "part5/000001"]
    mini.assert_truth(samples[0], TRUTH, ~NO_TRUTH, within=0.005)
    mini.assert_right_truth(samples[0], TRUTH, within=0.005)
    assert load_dataset(f"instereo2k={tmp_path},split=test").keys == ["000040"]


def test_booster(tmp_path):
    scene = tmp_path / "train/balanced/Bathroom"
    for number in (0, 2, 10):
        mini.pair(scene / f"camera_00/im{number}.png", scene / f"camera_02/im{number}.png")
    truth = np.where(NO_TRUTH, 0, TRUTH).astype(np.float32)
    mini.array(scene / "disp_00.npy", truth)
    mini.array(scene / "disp_02.npy", TRUTH.astype(np.float32))
    mini.codes(scene / "mask_00.png", SEEN.astype(np.uint8) * 255)
    mini.codes(scene / "mask_cat.png", mini.ramp() % 4)
    mini.text(scene / "calib_00-02.xml", "<opencv_storage/>")
    mini.pair(tmp_path / "test/balanced/Bar/camera_00/im0.png", tmp_path / "test/balanced/Bar/camera_02/im0.png")
    samples = load_dataset(f"booster={tmp_path}")
    assert samples.keys == ["Bathroom/im0", "Bathroom/im2", "Bathroom/im10"]
    for sample in samples:
        mini.assert_truth(sample, TRUTH, ~NO_TRUTH)
        assert torch.equal(sample.visible[0], torch.from_numpy(SEEN))
        assert torch.equal(sample.extras["transparent_or_mirror"][0], torch.from_numpy(mini.ramp() % 4 >= 2))
        assert "opencv_storage" in sample.provenance["calib"]
    assert load_dataset(f"booster={tmp_path},split=test")[0].disparity is None
    assert load_dataset(f"booster={scene}").keys == ["im0", "im2", "im10"]
    mini.array(scene / "disp_00.npy", truth.astype(np.float16))
    with pytest.raises(DatasetError, match=r"float16.*too coarse"):
        samples[0]


def _raw_calibration(path):
    rows = {2: 44.85728, 3: -339.5242}  # P_rect_02 and P_rect_03 of 2011_09_26: 0.5327 m apart
    lines = [f"P_rect_0{n}: 721.5377 0 609.5593 {x} 0 721.5377 172.854 0.2163791 0 0 1 0.0027" for n, x in rows.items()]
    mini.text(path, "calib_time: 09-Jan-2012 13:57:47\n" + "\n".join(lines) + "\n")


def test_kitti_raw(tmp_path):
    drive = tmp_path / "2011_09_26/2011_09_26_drive_0001_sync"
    metres = (44.85728 + 339.5242) / TRUTH
    depth = np.rint(np.where(NO_TRUTH, 0, metres) * 256).astype(np.uint16)
    for number in (0, 5, 6):
        mini.pair(drive / f"image_02/data/{number:010}.png", drive / f"image_03/data/{number:010}.png")
    unrectified = tmp_path / "2011_09_26/2011_09_26_drive_0001_extract"
    mini.pair(unrectified / "image_02/data/0000000000.png", unrectified / "image_03/data/0000000000.png")
    _raw_calibration(tmp_path / "2011_09_26/calib_cam_to_cam.txt")
    inside = drive / "proj_depth/velodyne_raw/image_02"
    packed = tmp_path / "val/2011_09_26_drive_0001_sync/proj_depth/groundtruth/image_02"
    mini.codes(inside / "0000000005.png", depth)
    mini.codes(inside / "0000000006.png", depth)
    mini.codes(packed / "0000000005.png", depth)
    samples = load_dataset(f"kitti-raw={tmp_path}")
    assert samples.keys == [f"2011_09_26_drive_0001_sync/{n:010}" for n in (0, 5, 6)]
    assert [sample.provenance.get("depth") for sample in samples] == [None, "groundtruth", "velodyne_raw"]
    assert samples[0].disparity is None
    mini.assert_pair(samples[0])
    expected = np.divide(384.38148 * 256, depth, out=np.zeros(depth.shape), where=depth > 0)
    for sample in samples[1:]:
        mini.assert_truth(sample, expected, ~NO_TRUTH)
        assert parse_calibration(sample.provenance["calib"], (2, 3)).baseline_m == pytest.approx(0.5327, abs=1e-4)
    assert len(load_dataset(f"kitti-raw={tmp_path},depth=velodyne_raw")) == 2
    assert len(load_dataset(f"kitti-raw={tmp_path},depth=groundtruth")) == 1
    assert all(sample.disparity is None for sample in load_dataset(f"kitti-raw={drive},depth=none"))
    with pytest.raises(DatasetError, match="no pairs found"):
        load_dataset(f"kitti-raw={tmp_path}", drives=["2011_09_26_drive_0002_sync"])
    (tmp_path / "2011_09_26/calib_cam_to_cam.txt").unlink()
    with pytest.raises(DatasetError, match=r"calib_cam_to_cam.txt: missing.*image_03"):
        load_dataset(f"kitti-raw={tmp_path}")


def test_kitti_testing_split_and_calibration(tmp_path):
    name = "000007_10.png"
    mini.pair(tmp_path / "testing/image_2" / name, tmp_path / "testing/image_3" / name)
    _raw_calibration(tmp_path / "testing/calib_cam_to_cam/000007.txt")
    sample = load_dataset(f"kitti-2015={tmp_path},split=testing")[0]
    assert sample.disparity is None
    assert parse_calibration(sample.provenance["calib"]).focal_px == 721.5377
    with pytest.raises(InputError, match="training, testing"):
        load_dataset(f"kitti-2015={tmp_path},split=test")


def test_real_benchmarks_open_without_truth(data):
    folders = {
        f"eth3d={data / 'eth3d'}": (18, "delivery_area_1l", (942, 489)),
        f"middeval3={data / 'middlebury/MiddEval3'}": (11, "Adirondack", (718, 496)),
        f"kitti-2012={data / 'kitti2012'},split=testing": (1, "000000_10", (1241, 376)),
        f"kitti-2015={data / 'kitti2015'},split=testing": (1, "000000_10", (1242, 375)),
    }
    for spec, (count, key, (width, height)) in folders.items():
        samples = load_dataset(spec)
        assert len(samples) == count, spec
        assert samples.keys[0] == key
        sample = samples[0]
        assert tuple(sample.views["left"].shape) == (3, height, width)
        assert sample.disparity is None
        assert sample.valid is None
        assert sample.visible is None


def test_real_kitti_raw_drive_lacks_its_right_camera(data):
    with pytest.raises(DatasetError, match=r"image_03/data/\d{10}.jpg: missing"):
        load_dataset(f"kitti-raw={data / 'video/kitti_raw'}")
