"""Readers of the further sets of GenStereo's mixture, on miniatures of the official layouts (true formats, true scales).

Each miniature holds a rendered pair, so that the sign of the disparity and which side is which are seen, not only read.
"""

import gzip
import json
import pickle

import numpy as np
import pytest
import torch
from tests.datasets import miniatures as mini

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError, InputError

LEFT, RIGHT, OF_LEFT, OF_RIGHT = mini.rendered()


def assert_rendered(sample, within=1e-3, right=True, valid=None):
    """The sample is the rendered pair, with its truth."""
    valid = np.ones(OF_LEFT.shape, bool) if valid is None else valid
    assert torch.equal(sample.valid[0], torch.from_numpy(valid))
    np.testing.assert_allclose(sample.disparity[0].numpy(), np.where(valid, OF_LEFT, 0), rtol=0, atol=within)
    assert sample.disparity.dtype == torch.float32
    mini.assert_sees(sample)
    assert ("disparity_right" in sample.extras) == right
    if right:
        mini.assert_right_truth(sample, OF_RIGHT, within)
    assert sample.provenance["licence"]


# Spring


def _dsp5(path, values):
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("disparity", data=values.astype(np.float32), compression="gzip", compression_opts=9)


def _spring(root, scene="0001", frame="0001", truth=True):
    place = root / scene
    for side, image, of_view in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
        mini.colours(place / f"frame_{side}" / f"frame_{side}_{frame}.png", image)
        if truth:
            fine = of_view.repeat(2, 0).repeat(2, 1) + np.tile([[0, 0.5], [0.5, 0.5]], OF_LEFT.shape)
            _dsp5(place / f"disp1_{side}" / f"disp1_{side}_{frame}.dsp5", fine)
    mini.text(place / "cam_data" / "intrinsics.txt", "1100 1100 960 540\n")


def test_spring(tmp_path):
    _spring(tmp_path / "train")
    _spring(tmp_path / "train", "0045", "0012")
    _spring(tmp_path / "test", "0003", truth=False)
    samples = load_dataset(f"spring={tmp_path}")
    assert samples.keys == ["0001/0001", "0045/0012"]
    assert_rendered(samples[0])  # of four values a pixel, the first: not the 0.5 px beside it
    assert "1100" in samples[0].provenance["intrinsics"]
    seen = load_dataset(f"spring={tmp_path},left_right=true")[0].visible[0].numpy()
    assert not seen[:, :2].any()  # leave the frame
    assert not seen[:, 10:15].any()  # hidden behind the block
    assert seen[:, 15:].all()
    sky = np.zeros([2 * side for side in OF_LEFT.shape])
    sky[0, 2] = np.nan
    _dsp5(tmp_path / "train/0001/disp1_left/disp1_left_0001.dsp5", sky)
    sample = samples[0]
    assert (~sample.valid[0]).nonzero().tolist() == [[0, 1]]  # the sky is known: infinitely far
    assert float(sample.disparity.abs().max()) == 0
    test = load_dataset(f"spring={tmp_path},split=test")
    assert test.keys == ["0003/0001"]
    assert test[0].disparity is None
    assert load_dataset(f"spring={tmp_path / 'train' / '0001'}").keys == ["0001"]
    with pytest.raises(InputError, match="train, test"):
        load_dataset(f"spring={tmp_path}", split="val")


# IRS


def _exr(path, values, names="G"):
    import OpenEXR

    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, dict.fromkeys(names, values.astype(np.float32))).write(str(path))


def test_irs(tmp_path):
    for scene in ("Home/ArchVizInterior03Data", "Store/ConvenienceStore_Dark"):
        mini.colours(tmp_path / scene / "l_00002.png", LEFT)
        mini.colours(tmp_path / scene / "r_00002.png", RIGHT)
        _exr(tmp_path / scene / "d_00002.exr", OF_LEFT)
        _exr(tmp_path / scene / "n_00002.exr", OF_LEFT, "RGB")
    samples = load_dataset(f"irs={tmp_path}")
    assert samples.keys == ["Home/ArchVizInterior03Data/00002", "Store/ConvenienceStore_Dark/00002"]
    assert_rendered(samples[0], right=False)
    assert load_dataset(f"irs={tmp_path},part=Store").keys == samples.keys[1:]
    assert load_dataset(f"irs={tmp_path / 'Home'}").keys == ["ArchVizInterior03Data/00002"]
    holed, valid = OF_LEFT.copy(), np.ones(OF_LEFT.shape, bool)
    holed[0, :3], valid[0, :3] = (0, np.inf, -1), False
    _exr(tmp_path / "Store/ConvenienceStore_Dark/d_00002.exr", holed, "RGB")
    assert_rendered(samples[1], right=False, valid=valid)
    (tmp_path / "Store/ConvenienceStore_Dark/d_00002.exr").unlink()
    with pytest.raises(DatasetError, match=r"d_00002.exr: missing.*\{Home,Office"):
        load_dataset(f"irs={tmp_path}")


# UnrealStereo4K


def test_unrealstereo4k(tmp_path):
    for scene in ("00000", "00008"):
        for camera, image, truth in ((0, LEFT, OF_LEFT), (1, RIGHT, OF_RIGHT)):
            mini.colours(tmp_path / scene / f"Image{camera}/00042.png", image, alpha=0)  # alpha means nothing
            mini.array(tmp_path / scene / f"Disp{camera}/00042.npy", truth.astype(np.float32))
            mini.text(tmp_path / scene / f"Extrinsics{camera}/00042.txt", "1920 0 960 0 1920 540 0 0 1\n1 0 0 0\n")
    samples = load_dataset(f"unrealstereo4k={tmp_path}")
    assert samples.keys == ["00000/00042", "00008/00042"]
    assert_rendered(samples[0])
    assert samples[0].provenance["calib"].startswith("1920")
    holed, valid = OF_LEFT.copy(), np.ones(OF_LEFT.shape, bool)
    holed[0, :2], valid[0, :2] = (0, np.inf), False
    mini.array(tmp_path / "00000/Disp0/00042.npy", holed)
    assert_rendered(samples[0], valid=valid)
    (tmp_path / "00008/Extrinsics0/00042.txt").rename(tmp_path / "00008/elsewhere.txt")
    assert "calib" not in load_dataset(f"unrealstereo4k={tmp_path}")[0].provenance


# SimStereo


def test_simstereo(tmp_path):
    for split in ("training", "test"):
        for side, image, truth in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
            name = f"abstract_bowls_1_{side}"
            mini.colours(tmp_path / split / "rgbColormanaged" / f"{name}.jpg", image)
            mini.colours(tmp_path / split / "nirColormanaged" / f"{name}.jpg", image // 2)
            mini.pfm(tmp_path / split / "pfmDisp" / f"{name}.pfm", truth)
    samples = load_dataset(f"simstereo={tmp_path}")
    assert samples.keys == ["abstract_bowls_1"]
    assert_rendered(samples[0])
    active = load_dataset(f"simstereo={tmp_path / 'test'},render=nir")[0]
    assert float(active.views["left"].mean()) == pytest.approx(LEFT.mean() / 510, abs=0.01)
    other = load_dataset(f"simstereo={tmp_path},swapped=true")[0]
    assert torch.equal(other.views["left"], samples[0].views["right"])
    assert torch.equal(other.disparity, samples[0].extras["disparity_right"])
    with pytest.raises(AssertionError):
        mini.assert_sees(other)  # a copy that is named as documented must not be opened so
    holed, valid = OF_LEFT.copy(), np.ones(OF_LEFT.shape, bool)
    holed[0, :4], valid[0, :4] = (0, np.inf, -2, 6000), False
    mini.pfm(tmp_path / "training/pfmDisp/abstract_bowls_1_left.pfm", holed)
    assert_rendered(samples[0], valid=valid)


# PLT-D3


def test_pltd3(tmp_path):
    camera = {"fx": 800.0, "fy": 800.0, "cx": 960.0, "cy": 540.0, "baseline": 0.12, "height": 1080, "width": 1920}
    mini.text(tmp_path / "intrinsics.json", camera)
    for split in ("train", "test"):
        mini.colours(tmp_path / split / "0001/left/v1_0001_000001.png", LEFT)
        mini.colours(tmp_path / split / "0001/right/v1_0001_000001.png", RIGHT)
    depth = (96 / OF_LEFT).astype(np.float32)
    depth[0, :2] = 0, np.inf
    valid = np.ones(OF_LEFT.shape, bool)
    valid[0, :2] = False
    (tmp_path / "train/0001/depth").mkdir()
    np.savez_compressed(tmp_path / "train/0001/depth/v1_0001_000001.npz", depth)
    samples = load_dataset(f"pltd3={tmp_path}")
    assert samples.keys == ["0001/v1_0001_000001"]
    assert_rendered(samples[0], right=False, valid=valid)
    assert '"baseline": 0.12' in samples[0].provenance["intrinsics"]
    assert_rendered(load_dataset(f"pltd3={tmp_path / 'train'}")[0], right=False, valid=valid)
    assert load_dataset(f"pltd3={tmp_path},split=test")[0].disparity is None
    mini.text(tmp_path / "intrinsics.json", {**camera, "fx": 400.0})
    assert float(samples[0].disparity[0, 3, 20]) == pytest.approx(3.5)  # the file's focal length, not the usual one
    mini.text(tmp_path / "intrinsics.json", {"fx": 800.0})
    with pytest.raises(DatasetError, match=r"intrinsics.json: no numbers fx and baseline"):
        samples[0]
    (tmp_path / "intrinsics.json").unlink()
    assert_rendered(load_dataset(f"pltd3={tmp_path}")[0], right=False, valid=valid)


# Infinigen-SV


def test_infinigen_sv(tmp_path):
    for split in ("train", "test"):
        frames = tmp_path / split / "1a2b3c/frames"
        for camera, image, truth in ((0, LEFT, OF_LEFT), (1, RIGHT, OF_RIGHT)):
            mini.colours(frames / f"Image/camera_{camera}/Image_0_0_0007_{camera}.png", image)
            mini.array(frames / f"Depth/camera_{camera}/Depth_0_0_0007_{camera}.npy", (1111 * 0.075 / truth))
            pose = np.eye(4)
            pose[:3, 3] = 4 + 0.06 * camera, -1 + 0.045 * camera, 2  # 7.5 cm apart, in the axes of the world
            path = frames / f"camview/camera_{camera}/camview_0_0_0007_{camera}.npz"
            path.parent.mkdir(parents=True)
            matrix = np.array([[1111.0, 0, 640], [0, 1111, 360], [0, 0, 1]])
            np.savez(path, K=matrix, T=pose, HW=np.array([720, 1280]))
    samples = load_dataset(f"infinigensv={tmp_path}")
    assert samples.keys == ["1a2b3c/0_0_0007"]
    assert_rendered(samples[0])
    assert load_dataset(f"infinigensv={tmp_path / 'test' / '1a2b3c'}").keys == ["0_0_0007"]
    depth = 1111 * 0.075 / OF_LEFT
    depth[0, :2] = 0, np.inf
    valid = np.ones(OF_LEFT.shape, bool)
    valid[0, :2] = False
    mini.array(tmp_path / "train/1a2b3c/frames/Depth/camera_0/Depth_0_0_0007_0.npy", depth.astype(np.float32))
    assert_rendered(samples[0], valid=valid)
    (tmp_path / "train/1a2b3c/frames/camview/camera_1/camview_0_0_0007_1.npz").unlink()
    with pytest.raises(DatasetError, match=r"camview_0_0_0007_1.npz"):
        samples[0]


# Dynamic Replica

FILM = "009850-3_obj_source"


def _dynamic_replica(root, split="train", baseline=0.2, kind="ndc_isotropic"):
    """A film of one frame; its focal length is 2 in PyTorch3D's units, which is 12 px at a height of 12 px."""
    annotations = []
    for side, image, truth in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
        place = root / split / f"{FILM}_{side}"
        mini.colours(place / "images" / f"{FILM}_{side}-0000.png", image, alpha=0)
        mini.text(place / "images" / "done.ok", "")
        depth = (12 * baseline / truth).astype(np.float16)
        mini.codes(place / "depths" / f"{FILM}_{side}_0000.geometric.png", depth.view(np.uint16))
        for number in (0, 1):  # the second frame was not unpacked
            camera = {"R": np.eye(3).tolist(), "T": [0.5 + (side == "right") * baseline, 0, 1]}
            camera |= {"focal_length": [2.0, 2.0], "principal_point": [0.0, 0.0], "intrinsics_format": kind}
            annotations.append(
                {
                    "sequence_name": FILM,
                    "frame_number": number,
                    "camera_name": side,
                    "image": {"path": f"{FILM}_{side}/images/{FILM}_{side}-{number:04}.png", "size": [12, 40]},
                    "viewpoint": camera,
                }
            )
    path = root / split / f"frame_annotations_{split}.jgz"
    path.write_bytes(gzip.compress(json.dumps(annotations).encode()))
    return path


def test_dynamic_replica(tmp_path):
    _dynamic_replica(tmp_path)
    annotations = _dynamic_replica(tmp_path, "valid", baseline=0.1)
    samples = load_dataset(f"dynamicreplica={tmp_path}")
    assert samples.keys == [f"{FILM}/0000"]
    assert_rendered(samples[0], within=7 / 2048)  # depth has eleven bits
    assert samples[0].provenance["disparity_at_1_m_px"] == pytest.approx(2.4)
    assert_rendered(load_dataset(f"dynamicreplica={tmp_path},split=valid")[0], within=7 / 2048)
    assert load_dataset(f"dynamicreplica={tmp_path / 'valid'}").keys == samples.keys
    annotations.rename(tmp_path / annotations.name)  # where an earlier release had it
    assert load_dataset(f"dynamicreplica={tmp_path},split=valid").keys == samples.keys
    depth = tmp_path / "train" / f"{FILM}_left/depths/{FILM}_left_0000.geometric.png"
    holed = (2.4 / OF_LEFT).astype(np.float16)
    holed[0, :3] = 0, np.inf, np.nan
    valid = np.ones(OF_LEFT.shape, bool)
    valid[0, :3] = False
    mini.codes(depth, holed.view(np.uint16))
    assert_rendered(samples[0], within=7 / 2048, valid=valid)
    _dynamic_replica(tmp_path, kind="ndc_norm_image_bounds")
    wide = load_dataset(f"dynamicreplica={tmp_path}")
    assert wide[0].provenance["disparity_at_1_m_px"] == pytest.approx(2 * 20 * 0.2)


def test_dynamic_replica_says_what_is_wrong_with_its_list(tmp_path):
    path = _dynamic_replica(tmp_path, baseline=-0.2)
    with pytest.raises(DatasetError, match="right camera stands left"):
        load_dataset(f"dynamicreplica={tmp_path}")
    for content in (b"text", gzip.compress(b"[{"), gzip.compress(b'[{"camera_name": "left"}]')):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match="not a readable list of frames"):
            load_dataset(f"dynamicreplica={tmp_path}")
    path.write_bytes(gzip.compress(b"[]"))
    with pytest.raises(DatasetError, match="no pairs found"):
        load_dataset(f"dynamicreplica={tmp_path}")
    path.unlink()
    with pytest.raises(DatasetError, match=r"frame_annotations_train.jgz: missing"):
        load_dataset(f"dynamicreplica={tmp_path}")


# LayeredFlow


def _markers(shift=0.0):
    """Markers 0 to 3 on the rendered pair in four pictures, at sub-pixel places; 2 is invalid and 3 lies on the second layer."""
    places = {0: (5.25, 2.5), 1: (20.75, 6.5), 2: (30.0, 3.0), 3: (33.5, 9.5)}  # column, row
    points = []
    for picture in range(4):
        right = picture % 2
        points.append(
            [
                (number, 0, (column - right * (OF_LEFT[int(row), int(column)] + shift), np.float64(row)))
                for number, (column, row) in places.items()
                if not (picture == 3 and number == 1)  # not found in one picture
            ]
        )
    kinds = {0: (True, "Transparent", 0), 1: (True, "Diffuse", 0), 2: (False, "Diffuse", 0), 3: (True, "Reflective", 1)}
    return {"optical_points": points, "annotations": {(number, 0): kind for number, kind in kinds.items()}}


def test_layeredflow(tmp_path):
    for split in ("val", "test"):
        for name, image in (("0_0", LEFT), ("0_1", RIGHT), ("3_0", LEFT), ("3_1", RIGHT)):
            mini.colours(tmp_path / split / "17" / f"{name}.png", image)
    truth = tmp_path / "val/17/gt.pickle"
    truth.write_bytes(pickle.dumps(_markers()))
    samples = load_dataset(f"layeredflow={tmp_path}")
    assert samples.keys == ["17/0", "17/3"]
    assert samples[0].valid[0].nonzero().tolist() == [[2, 5], [6, 20]]
    assert samples[0].disparity[0, [2, 6], [5, 20]].tolist() == [2, 7]
    mini.assert_sees(samples[0])
    assert samples[1].valid[0].nonzero().tolist() == [[2, 5]]
    second = load_dataset(f"layeredflow={tmp_path},layer=1")[0]
    assert second.valid[0].nonzero().tolist() == [[9, 33]]
    assert load_dataset(f"layeredflow={tmp_path},split=test")[1].disparity is None
    for content, words in (
        (pickle.dumps(_markers(shift=-20)), "seem swapped"),
        (pickle.dumps({"annotations": {}}), "usual form"),
        (pickle.dumps(pytest.raises), r"it asks for .*raises"),  # a pickle may run any program
        (pickle.dumps(_markers())[:90], "not a pickle"),
    ):
        truth.write_bytes(content)
        with pytest.raises(DatasetError, match=words):
            samples[0]
    with pytest.raises(InputError, match="layer is one of"):
        load_dataset(f"layeredflow={tmp_path},layer=9")
