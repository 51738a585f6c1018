"""Readers of RGB-D data, on miniatures of the official layouts (true formats, true scales) and on real files."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError

DEPTH_M = np.linspace(0.5, 8, 12).reshape(3, 4)
KNOWN = np.ones((3, 4), bool)
KNOWN[0, 0] = False


def _frame(image, depth, codes):
    for path in (image, depth):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*codes.shape, 3), 50, np.uint8)).save(image)
    assert cv2.imwrite(str(depth), codes.astype(np.uint16))


def _assert_depth(sample, step_m):
    assert torch.equal(sample.valid[0], torch.from_numpy(KNOWN))
    depth = sample.extras["metric_depth_m"][0]
    assert float((depth - torch.from_numpy(DEPTH_M))[sample.valid[0]].abs().max()) <= step_m
    assert float(depth[0, 0]) == 0
    assert sample.disparity is None
    assert list(sample.views) == ["left"]


def test_nyuv2_is_millimetres_with_the_eigen_crop(tmp_path):
    codes = np.full((480, 640), 2500)
    codes[100, 100] = 0
    _frame(tmp_path / "kitchen" / "rgb_00045.jpg", tmp_path / "kitchen" / "sync_depth_00045.png", codes)
    cropped = load_dataset(f"nyuv2={tmp_path}")[0]
    whole = load_dataset(f"nyuv2={tmp_path}", eigen_crop=False)[0]
    assert cropped.key == "kitchen/00045"
    assert float(cropped.extras["metric_depth_m"][0, 200, 200]) == 2.5
    assert int(cropped.valid.sum()) == 426 * 560 - 1
    assert int(whole.valid.sum()) == 480 * 640 - 1
    assert cropped.provenance["intrinsics"][0] == pytest.approx(518.8579)


def test_tum_pairs_images_by_time(tmp_path):
    codes = np.where(KNOWN, DEPTH_M * 5000, 0)
    _frame(tmp_path / "rgb" / "10.000.png", tmp_path / "depth" / "10.010.png", codes)
    _frame(tmp_path / "rgb" / "10.100.png", tmp_path / "depth" / "10.500.png", codes)
    (tmp_path / "rgb.txt").write_text("# color images\n10.000 rgb/10.000.png\n10.100 rgb/10.100.png\n")
    (tmp_path / "depth.txt").write_text("# depth maps\n10.010 depth/10.010.png\n10.500 depth/10.500.png\n")
    samples = load_dataset(f"tum={tmp_path}")
    assert samples.keys == ["10.010"]
    _assert_depth(samples[0], 1 / 5000)
    (tmp_path / "depth.txt").write_text("ten depth/10.010.png\n")
    with pytest.raises(DatasetError, match="TIME FILE"):
        load_dataset(f"tum={tmp_path}")


def test_7scenes_knows_both_codes_of_unknown(tmp_path):
    codes = np.where(KNOWN, DEPTH_M * 1000, 65535)
    folder = tmp_path / "chess" / "seq-01"
    for number in range(4):
        _frame(folder / f"frame-{number:06d}.color.png", folder / f"frame-{number:06d}.depth.png", codes)
    samples = load_dataset(f"7scenes={tmp_path}", step=2)
    assert samples.keys == ["chess/seq-01/frame-000000", "chess/seq-01/frame-000002"]
    _assert_depth(samples[0], 1 / 1000)
    codes[0, 0] = 0
    _frame(folder / "frame-000000.color.png", folder / "frame-000000.depth.png", codes)
    _assert_depth(samples[0], 1 / 1000)


def test_sunrgbd_rotates_the_bits_back(tmp_path):
    millimetres = np.where(KNOWN, DEPTH_M * 1000, 0).astype(np.uint16)
    rotated = (millimetres << 3) | (millimetres >> 13)
    folder = tmp_path / "kv1" / "NYUdata" / "NYU0001"
    _frame(folder / "image" / "NYU0001.jpg", folder / "depth_bfx" / "NYU0001.png", rotated)
    _frame(folder / "image" / "NYU0001.jpg", folder / "depth" / "NYU0001.png", np.zeros_like(rotated))
    (folder / "intrinsics.txt").write_text("518.8 0 284.6\n0 519.5 208.7\n0 0 1\n")
    samples = load_dataset(f"sunrgbd={tmp_path}")
    assert samples.keys == ["kv1/NYUdata/NYU0001"]
    _assert_depth(samples[0], 1 / 1000)
    assert samples[0].provenance["intrinsics"] == (518.8, 519.5, 284.6, 208.7)


def test_kitti_depth_selection(tmp_path):
    root = tmp_path / "val_selection_cropped"
    stem = "2011_09_26_drive_0002_sync_{}_0000000005_image_02"
    _frame(
        root / "image" / f"{stem.format('image')}.png",
        root / "groundtruth_depth" / f"{stem.format('groundtruth_depth')}.png",
        np.where(KNOWN, DEPTH_M * 256, 0),
    )
    (root / "intrinsics").mkdir()
    (root / "intrinsics" / f"{stem.format('image')}.txt").write_text("721.5 0 596.5 0 721.5 149.8 0 0 1\n")
    sample = load_dataset(f"kitti-depth={tmp_path}")[0]
    _assert_depth(sample, 1 / 256)
    assert sample.provenance["intrinsics"] == (721.5, 721.5, 596.5, 149.8)


def test_errors_name_the_path_and_the_layout(tmp_path):
    with pytest.raises(DatasetError, match=r"no frames found.*sync_depth"):
        load_dataset(f"nyuv2={tmp_path}")
    with pytest.raises(DatasetError, match=r"groundtruth_depth"):
        load_dataset(f"kitti-depth={tmp_path}")
    with pytest.raises(DatasetError, match=r"rgb.txt: missing"):
        load_dataset(f"tum={tmp_path}")
    assert cv2.imwrite(str(tmp_path / "sync_depth_00000.png"), np.zeros((3, 4), np.uint16))
    with pytest.raises(DatasetError, match=r"rgb_00000.jpg: missing"):
        load_dataset(f"nyuv2={tmp_path}")
    Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / "rgb_00000.jpg")
    assert cv2.imwrite(str(tmp_path / "sync_depth_00000.png"), np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetError, match="16-bit"):
        load_dataset(f"nyuv2={tmp_path}")[0]


def test_real_frames_have_the_ranges_of_their_sheet(data):
    frames = {frame.key: frame for frame in load_dataset(f"rgbd-mini={data}")}
    assert len(frames) == 9
    medians = {}
    for key, frame in frames.items():
        known = frame.extras["metric_depth_m"][frame.valid]
        assert 0.3 < float(known.min()) < float(known.max()) < 90, key
        medians[key] = float(known.median())
    assert medians["sunrgbd/SUN"] == pytest.approx(2.7, abs=0.1)
    assert float(frames["nyuv2/unidepth"].extras["metric_depth_m"].max()) == 10
    assert float(frames["kitti/0000000005"].valid.float().mean()) == pytest.approx(0.195, abs=0.001)
