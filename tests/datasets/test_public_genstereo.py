"""Readers of the further sets of GenStereo's mixture, on miniatures of the official layouts (true formats, true scales).

Each miniature holds a rendered pair, so that the sign of the disparity and which side is which are seen, not only read.
"""

import gzip
import pickle

import numpy as np
import pytest
import torch
from tests.datasets import miniatures as mini
from tests.datasets import rendered_sets as sets
from tests.datasets.rendered_sets import FILM, LEFT, OF_LEFT, OF_RIGHT, RIGHT

from wheatstone.datasets import load_dataset
from wheatstone.errors import DatasetError, InputError


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


def test_spring(tmp_path):
    sets.spring(tmp_path / "train")
    sets.spring(tmp_path / "train", "0045", "0012")
    sets.spring(tmp_path / "test", "0003", truth=False)
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
    sets.dsp5(tmp_path / "train/0001/disp1_left/disp1_left_0001.dsp5", sky)
    sample = samples[0]
    assert (~sample.valid[0]).nonzero().tolist() == [[0, 1]]  # the sky is known: infinitely far
    assert float(sample.disparity.abs().max()) == 0
    test = load_dataset(f"spring={tmp_path},split=test")
    assert test.keys == ["0003/0001"]
    assert test[0].disparity is None
    assert load_dataset(f"spring={tmp_path / 'train' / '0001'}").keys == ["0001"]
    with pytest.raises(InputError, match="train, test"):
        load_dataset(f"spring={tmp_path}", split="val")


def test_irs(tmp_path):
    for scene in ("Home/ArchVizInterior03Data", "Store/ConvenienceStore_Dark"):
        sets.irs(tmp_path, scene)
    samples = load_dataset(f"irs={tmp_path}")
    assert samples.keys == ["Home/ArchVizInterior03Data/00002", "Store/ConvenienceStore_Dark/00002"]
    assert_rendered(samples[0], right=False)
    assert load_dataset(f"irs={tmp_path},part=Store").keys == samples.keys[1:]
    assert load_dataset(f"irs={tmp_path / 'Home'}").keys == ["ArchVizInterior03Data/00002"]
    holed, valid = OF_LEFT.copy(), np.ones(OF_LEFT.shape, bool)
    holed[0, :3], valid[0, :3] = (0, np.inf, -1), False
    sets.exr(tmp_path / "Store/ConvenienceStore_Dark/d_00002.exr", holed, "RGB")
    assert_rendered(samples[1], right=False, valid=valid)
    (tmp_path / "Store/ConvenienceStore_Dark/d_00002.exr").unlink()
    with pytest.raises(DatasetError, match=r"d_00002.exr: missing.*\{Home,Office"):
        load_dataset(f"irs={tmp_path}")


def test_unrealstereo4k(tmp_path):
    for scene in ("00000", "00008"):
        sets.unreal(tmp_path, scene)
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


def test_simstereo(tmp_path):
    sets.simstereo(tmp_path)
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


def test_pltd3(tmp_path):
    camera = sets.pltd3(tmp_path)
    valid = np.ones(OF_LEFT.shape, bool)
    valid[0, :2] = False
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


def test_infinigen_sv(tmp_path):
    sets.infinigen(tmp_path)
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


def test_dynamic_replica(tmp_path):
    sets.dynamic_replica(tmp_path)
    annotations = sets.dynamic_replica(tmp_path, "valid", baseline=0.1)
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
    sets.dynamic_replica(tmp_path, kind="ndc_norm_image_bounds")
    wide = load_dataset(f"dynamicreplica={tmp_path}")
    assert wide[0].provenance["disparity_at_1_m_px"] == pytest.approx(2 * 20 * 0.2)


def test_dynamic_replica_says_what_is_wrong_with_its_list(tmp_path):
    path = sets.dynamic_replica(tmp_path, baseline=-0.2)
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


def test_layeredflow(tmp_path):
    for split in ("val", "test"):
        for name, image in (("0_0", LEFT), ("0_1", RIGHT), ("3_0", LEFT), ("3_1", RIGHT)):
            mini.colours(tmp_path / split / "17" / f"{name}.png", image)
    truth = tmp_path / "val/17/gt.pickle"
    truth.write_bytes(pickle.dumps(sets.markers()))
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
        (pickle.dumps(sets.markers(shift=-20)), "seem swapped"),
        (pickle.dumps({"annotations": {}}), "usual form"),
        (pickle.dumps(pytest.raises), r"it asks for .*raises"),  # a pickle may run any program
        (pickle.dumps(sets.markers())[:90], "not a pickle"),
    ):
        truth.write_bytes(content)
        with pytest.raises(DatasetError, match=words):
            samples[0]
    with pytest.raises(InputError, match="layer is one of"):
        load_dataset(f"layeredflow={tmp_path},layer=9")
