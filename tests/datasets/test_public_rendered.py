"""Readers of rendered stereo data, on miniatures of the official layouts (true formats, true scales)."""

import numpy as np
import pytest
import torch
from tests.datasets import miniatures as mini

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError, InputError

TRUTH = mini.disparity(1.25, 150)
OTHER = mini.disparity(2, 90)


def _scene_flow(root, scene, frames="frames_cleanpass", suffix=".png", sign=1, name="0006"):
    mini.pair(root / frames / scene / f"left/{name}{suffix}", root / frames / scene / f"right/{name}{suffix}")
    mini.pfm(root / "disparity" / scene / f"left/{name}.pfm", sign * TRUTH, "Pf \n{width} {height} \n-1.0 \n")
    mini.pfm(root / "disparity" / scene / f"right/{name}.pfm", OTHER)


@pytest.mark.parametrize("render", ["cleanpass", "finalpass"])
def test_flyingthings_in_full(tmp_path, render):
    for scene in ("TRAIN/A/0000", "TRAIN/C/0749", "TEST/B/0001"):
        _scene_flow(tmp_path, scene, f"frames_{render}")
    everything = load_dataset(f"flyingthings3d={tmp_path}", render=render)
    assert everything.keys == ["TEST/B/0001/0006", "TRAIN/A/0000/0006", "TRAIN/C/0749/0006"]
    for sample in everything:
        mini.assert_truth(sample, TRUTH)
        mini.assert_right_truth(sample, OTHER)
        assert sample.visible is None
    assert load_dataset(f"flyingthings3d={tmp_path},split=TEST,render={render}").keys == ["TEST/B/0001/0006"]
    other = {"cleanpass": "finalpass", "finalpass": "cleanpass"}[render]
    with pytest.raises(DatasetError, match=rf"no pairs found.*frames_{other}"):
        load_dataset(f"flyingthings3d={tmp_path}", render=other)
    with pytest.raises(InputError, match="finalpass"):
        load_dataset(f"flyingthings3d={tmp_path}", render="dirty")


def test_flyingthings_as_webp(tmp_path):
    _scene_flow(tmp_path, "TRAIN/A/0000", "frames_cleanpass_webp", ".webp")
    mini.assert_truth(load_dataset(f"flyingthings3d={tmp_path}")[0], TRUTH)


def test_flyingthings_subset_is_negative_and_has_occlusions(tmp_path):
    hidden = mini.ramp() > 100
    for split in ("train", "val"):
        for side, sign, truth in (("left", -1, TRUTH), ("right", 1, OTHER)):
            mini.picture(tmp_path / split / "image_clean" / side / "0000007.png", 10 if side == "left" else 20)
            mini.pfm(tmp_path / split / "disparity" / side / "0000007.pfm", sign * truth)
            mini.codes(tmp_path / split / "disparity_occlusions" / side / "0000007.png", hidden.astype(np.uint8) * 255)
    samples = load_dataset(f"flyingthings3d={tmp_path}")
    assert samples.keys == ["train/0000007", "val/0000007"]
    mini.assert_truth(samples[0], TRUTH)
    mini.assert_right_truth(samples[0], OTHER)
    assert torch.equal(samples[0].visible[0], torch.from_numpy(~hidden))
    assert load_dataset(f"flyingthings3d={tmp_path},split=TEST").keys == ["val/0000007"]


def test_monkaa_and_driving(tmp_path):
    _scene_flow(tmp_path / "m", "a_rain_of_stones_x2", "frames_finalpass", name="0001")
    samples = load_dataset(f"monkaa={tmp_path / 'm'},render=finalpass")
    assert samples.keys == ["a_rain_of_stones_x2/0001"]
    mini.assert_truth(samples[0], TRUTH)
    for focal in ("15mm", "35mm"):
        for direction in ("forwards", "backwards"):
            for speed in ("fast", "slow"):
                _scene_flow(tmp_path / "d", f"{focal}_focallength/scene_{direction}/{speed}", name="0300")
    assert len(load_dataset(f"driving={tmp_path / 'd'}")) == 8
    chosen = load_dataset(f"driving={tmp_path / 'd'},focal=35mm,direction=backwards")
    assert chosen.keys == [f"35mm_focallength/scene_backwards/{speed}/0300" for speed in ("fast", "slow")]
    mini.assert_truth(chosen[1], TRUTH)
    with pytest.raises(InputError, match="15mm, 35mm"):
        load_dataset(f"driving={tmp_path / 'd'}", focal="50mm")


def test_scene_flow_apart_and_merged(tmp_path):
    apart, merged = tmp_path / "apart", tmp_path / "merged"
    scenes = {"FlyingThings3D": "A/0000", "Monkaa": "eating_x2", "Driving": "15mm_focallength/scene_forwards/slow"}
    for name, scene in scenes.items():
        _scene_flow(apart / name, f"TRAIN/{scene}" if name == "FlyingThings3D" else scene, "frames_finalpass")
        _scene_flow(merged, f"TRAIN/{scene}", "frames_finalpass")
    _scene_flow(apart / "FlyingThings3D", "TEST/A/0000", "frames_finalpass")
    assert load_dataset(f"sceneflow={apart}").keys == [
        "FlyingThings3D/TRAIN/A/0000/0006",
        "Monkaa/eating_x2/0006",
        "Driving/15mm_focallength/scene_forwards/slow/0006",
    ]
    assert load_dataset(f"sceneflow={apart},split=TEST").keys == ["FlyingThings3D/TEST/A/0000/0006"]
    assert sorted(load_dataset(f"sceneflow={merged}").keys) == sorted(f"TRAIN/{s}/0006" for s in scenes.values())
    for sample in load_dataset(f"sceneflow={apart}"):
        mini.assert_truth(sample, TRUTH)
    (apart / "Monkaa").rename(apart / "monkey")
    with pytest.raises(DatasetError, match=r"Monkaa: no such folder.*Driving"):
        load_dataset(f"sceneflow={apart}")


def test_visible_from_both_truths_only_when_asked(tmp_path):
    scene = tmp_path / "disparity" / "eating_x2"
    mini.pair(
        tmp_path / "frames_cleanpass" / "eating_x2" / "left/0000.png",
        tmp_path / "frames_cleanpass" / "eating_x2" / "right/0000.png",
    )
    left = np.full((mini.HEIGHT, mini.WIDTH), 1.0)
    left[:, 6:8] = 4  # a near bar, in the right view at columns 2 and 3: it hides columns 3 and 4 of the left view
    right = np.full((mini.HEIGHT, mini.WIDTH), 1.0)
    right[:, 2:4] = 4
    mini.pfm(scene / "left/0000.pfm", left)
    mini.pfm(scene / "right/0000.pfm", right)
    assert load_dataset(f"monkaa={tmp_path}")[0].visible is None
    sample = load_dataset(f"monkaa={tmp_path},left_right=true")[0]
    assert (~sample.visible[0, 0]).nonzero().flatten().tolist() == [0, 3, 4]  # column 0 leaves the frame
    assert "agree" in sample.provenance["visible"]
    (scene / "right/0000.pfm").unlink()
    with pytest.raises(DatasetError, match="both views"):
        load_dataset(f"monkaa={tmp_path}", left_right=True)[0]


def test_vkitti2(tmp_path):
    for variation in ("clone", "15-deg-left"):
        frames = tmp_path / "Scene01" / variation / "frames"
        mini.pair(frames / "rgb/Camera_0/rgb_00001.jpg", frames / "rgb/Camera_1/rgb_00001.jpg")
        for camera, truth in ((0, TRUTH), (1, OTHER)):
            centimetres = np.rint(0.532725 * 725.0087 / truth * 100).astype(np.uint16)
            if camera == 0:
                centimetres[0, :3] = 65535, 65500, 65499
            mini.codes(frames / f"depth/Camera_{camera}/depth_00001.png", centimetres)
    samples = load_dataset(f"vkitti2={tmp_path}")
    assert samples.keys == ["Scene01/15-deg-left/00001", "Scene01/clone/00001"]
    valid = np.ones(TRUTH.shape, bool)
    valid[0, :2] = False  # the sky, and all from 655 m on
    expected = TRUTH.copy()
    expected[0, 2] = 0.532725 * 725.0087 / 654.99
    mini.assert_truth(samples[0], expected, valid, within=0.3)  # a centimetre at 2.6 m
    near = samples[0].disparity[0].numpy()[0, 3:]
    depth = np.rint(38623.03 / TRUTH[0, 3:])
    np.testing.assert_allclose(near, 38623.03 / depth, rtol=1e-5)  # 0.532725 m x 725.0087 px x 100
    mini.assert_right_truth(samples[0], OTHER, within=0.3)
    assert samples[0].provenance["baseline_m"] == 0.532725
    sky = load_dataset(f"vkitti2={tmp_path},variations=clone,sky=true")
    assert sky.keys == ["Scene01/clone/00001"]
    assert bool(sky[0].valid.all())
    assert float(sky[0].disparity[0, 0, 0]) == 0
    one = load_dataset(f"vkitti2={tmp_path / 'Scene01/clone'}")
    assert one.keys == ["00001"]
    assert one[0].views["left"].shape == samples[1].views["left"].shape


def test_tartanair(tmp_path):
    depth = (80 / TRUTH).astype(np.float32)
    depth[0, 0], depth[0, 1] = 0, 10_000
    for folder in ("hospital/Easy/P037", "ocean/ocean/Hard/P001"):  # some archives unpack into a second folder
        place = tmp_path / folder
        mini.pair(place / "image_left/000012_left.png", place / "image_right/000012_right.png")
        mini.array(place / "depth_left/000012_left_depth.npy", depth)
        mini.array(place / "flow/000012_000013_flow.npy", depth)
    samples = load_dataset(f"tartanair={tmp_path}")
    assert samples.keys == ["hospital/Easy/P037/000012", "ocean/ocean/Hard/P001/000012"]
    valid, expected = np.ones(TRUTH.shape, bool), TRUTH.copy()
    valid[0, 0], expected[0, 1] = False, 0.008
    mini.assert_truth(samples[0], expected, valid)
    assert "disparity_right" not in samples[0].extras
    assert load_dataset(f"tartanair={tmp_path},difficulty=Hard").keys == ["ocean/ocean/Hard/P001/000012"]
    mini.array(tmp_path / "hospital/Easy/P037/depth_left/000012_left_depth.npy", depth.astype(np.int32))
    with pytest.raises(DatasetError, match="whole numbers"):
        samples[0]
    test = tmp_path / "test" / "SE000"
    mini.pair(test / "image_left/000000_left.png", test / "image_right/000000_right.png")
    with pytest.raises(DatasetError, match="others not"):
        load_dataset(f"tartanair={tmp_path}")
    without = load_dataset(f"tartanair={test}")
    assert without.keys == ["000000"]
    assert without[0].disparity is None


def test_crestereo(tmp_path):
    for part in ("tree", "hole"):
        stem = tmp_path / part / "0003c2ad-2128-4916"
        names = {side: stem.with_name(f"{stem.name}_{side}.jpg") for side in ("left", "right")}
        mini.pair(names["left"], names["right"])
        for side, truth in (("left", TRUTH), ("right", OTHER)):
            mini.codes(stem.with_name(f"{stem.name}_{side}.disp.png"), np.rint(truth * 32).astype(np.uint16))
    samples = load_dataset(f"crestereo={tmp_path}")
    assert samples.keys == ["tree/0003c2ad-2128-4916", "hole/0003c2ad-2128-4916"]
    mini.assert_truth(samples[0], TRUTH, within=1 / 64)
    mini.assert_right_truth(samples[0], OTHER, within=1 / 64)
    assert len(load_dataset(f"crestereo={tmp_path},part=hole")) == 1
    assert load_dataset(f"crestereo={tmp_path / 'tree'}").keys == ["0003c2ad-2128-4916"]
    with pytest.raises(DatasetError, match="no pairs found"):
        load_dataset(f"crestereo={tmp_path},part=shapenet")
    mini.codes(tmp_path / "tree/0003c2ad-2128-4916_left.disp.png", np.full((6, 10), 90, np.uint8))
    with pytest.raises(DatasetError, match="8-bit codes, but 16 bits are due"):
        samples[0]
    (tmp_path / "tree/0003c2ad-2128-4916_right.jpg").unlink()
    with pytest.raises(DatasetError, match=r"_right.jpg: missing.*\{tree,shapenet"):
        load_dataset(f"crestereo={tmp_path}")


def test_falling_things(tmp_path):
    focal = 768.1605834960938
    settings = {"camera_settings": [{"name": side, "intrinsic_settings": {"fx": focal}} for side in ("left", "right")]}
    truth = mini.disparity(20, 90)
    tenths = np.rint(focal * 0.06 / truth * 10_000).astype(np.uint16)
    tenths[0, :2] = 0, 65535
    for scene in ("single/002_master_chef_can_16k/kitchen_0", "mixed/temple_1"):
        stem = tmp_path / scene / "000003"
        mini.pair(stem.with_name("000003.left.jpg"), stem.with_name("000003.right.jpg"))
        for side in ("left", "right"):
            mini.codes(stem.with_name(f"000003.{side}.depth.png"), tenths)
        mini.text(stem.with_name("_camera_settings.json"), settings)
    samples = load_dataset(f"fallingthings={tmp_path}")
    assert samples.keys == ["mixed/temple_1/000003", "single/002_master_chef_can_16k/kitchen_0/000003"]
    valid = np.ones(truth.shape, bool)
    valid[0, :2] = False
    mini.assert_truth(samples[0], truth, valid, within=0.02)
    assert str(focal) in samples[0].provenance["camera_settings"]
    assert len(load_dataset(f"fallingthings={tmp_path},part=single")) == 1
    mini.text(tmp_path / "mixed/temple_1/_camera_settings.json", {"camera_settings": []})
    with pytest.raises(DatasetError, match=r"_camera_settings.json: no camera_settings\[0\]"):
        samples[0]
