"""Exports are read back: by our readers of those layouts, by webdataset, by plain OpenCV and NumPy."""

import json

import cv2
import numpy as np
import pytest
import torch
from tests.datasets.samples import synthetic_sample, tree, write_dataset

from wheatstone.datasets import load_dataset
from wheatstone.datasets.export import export_dataset
from wheatstone.datasets.layout import key_of_id
from wheatstone.datasets.writer import DatasetWriter
from wheatstone.errors import InputError, OutputError
from wheatstone.samples import to_uint8

KEYS = ("a.jpg", "b/c with blank.png", "b/c_with_blank.png", "b/d.x.jpg")


@pytest.fixture
def dataset(tmp_path):
    return load_dataset(write_dataset(tmp_path / "ours", KEYS))


def _same_views(one, two):
    return all((to_uint8(one.views[name]) == to_uint8(two.views[name])).all() for name in ("left", "right"))


def test_zerostereo_by_list_and_by_folders(dataset, tmp_path):
    out = tmp_path / "out"
    seen = []
    assert export_dataset(dataset, out, "zerostereo", progress=seen.append) == 4
    assert len(seen) == 4
    names = {line["name"]: line["key"] for line in map(json.loads, (out / "names.jsonl").read_text().splitlines())}
    assert sorted(names.values()) == sorted(KEYS)
    by_list = load_dataset(out / "list.txt", official=True)
    assert len(by_list) == 4
    for sample in by_list:
        original = dataset[dataset.keys.index(names[sample.key.removesuffix(".png")])]
        assert _same_views(sample, original)
        for name in ("disparity", "valid", "confidence", "visible", "hole"):
            assert torch.equal(getattr(sample, name), getattr(original, name)), name
    assert sorted(load_dataset(out).keys) == sorted(by_list.keys)


def test_zerostereo_files_are_plain_arrays(dataset, tmp_path):
    export_dataset(dataset, tmp_path / "out", "zerostereo")
    disparity = np.load(tmp_path / "out" / "disparity" / "a.jpg.npy")
    assert (disparity.dtype, disparity.shape) == (np.float32, (24, 40))
    mask = cv2.imread(str(tmp_path / "out" / "mask_inpaint" / "a.jpg.png"), cv2.IMREAD_UNCHANGED)
    assert (mask.dtype, mask.ndim, set(np.unique(mask))) == (np.uint8, 2, {0, 255})
    lines = (tmp_path / "out" / "list.txt").read_text().splitlines()
    assert all(len(line.split()) == 6 for line in lines)


def test_kitti(dataset, tmp_path):
    export_dataset(dataset, tmp_path / "out", "kitti")
    names = [json.loads(line) for line in (tmp_path / "out" / "names.jsonl").read_text().splitlines()]
    assert [line["name"] for line in names] == [f"{n:06d}_10.png" for n in range(4)]
    for original, line in zip(dataset, names, strict=True):
        assert line["key"] == original.key
        occ, noc = (
            cv2.imread(str(tmp_path / "out" / "training" / folder / line["name"]), cv2.IMREAD_UNCHANGED)
            for folder in ("disp_occ_0", "disp_noc_0")
        )
        assert occ.dtype == np.uint16
        np.testing.assert_array_equal(occ > 0, original.valid[0])
        np.testing.assert_array_equal(occ / 256, original.disparity[0])
        np.testing.assert_array_equal(noc > 0, (original.valid & original.visible)[0])
        left = cv2.imread(str(tmp_path / "out" / "training" / "image_2" / line["name"]))[..., ::-1]
        np.testing.assert_array_equal(left, to_uint8(original.views["left"]))


def test_kitti_by_our_reader(dataset, tmp_path):
    export_dataset(dataset, tmp_path / "out", "kitti")
    again = load_dataset(f"kitti-2015={tmp_path / 'out'}")
    assert len(again) == 4
    for one, two in zip(again, dataset, strict=True):
        assert _same_views(one, two)
        assert torch.equal(one.disparity, two.disparity)
        assert torch.equal(one.valid, two.valid)


def test_kitti_marks_what_does_not_fit(tmp_path):
    sample = synthetic_sample("far", width=900, top=700.0, scale=64)
    assert sample.disparity.max() > 256
    with DatasetWriter(tmp_path / "ours", {}) as writer:
        writer.write(sample)
        writer.finish()
    export_dataset(load_dataset(tmp_path / "ours"), tmp_path / "out", "kitti")
    codes = cv2.imread(str(tmp_path / "out/training/disp_occ_0/000000_10.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(codes > 0, (sample.valid & (sample.disparity < 256))[0])
    line = json.loads((tmp_path / "out" / "names.jsonl").read_text())
    assert line["too_large"] == int((sample.valid & (sample.disparity >= 256)).sum())


def test_webdataset(dataset, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="the extra [scale] is not installed")
    export_dataset(dataset, tmp_path / "out", "webdataset")
    shard = str(tmp_path / "out" / "shard-000000.tar")
    records = list(webdataset.WebDataset(shard, shardshuffle=False, empty_check=False))
    assert [key_of_id(record["__key__"]) for record in records] == list(dataset.keys)
    for record, original in zip(records, dataset, strict=True):
        meta = json.loads(record["json"])
        assert meta["key"] == original.key
        codes = cv2.imdecode(np.frombuffer(record["disparity.png"], np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(codes / meta["disparity_scale"], original.disparity[0])
        left = cv2.imdecode(np.frombuffer(record["left.png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(left, to_uint8(original.views["left"]))
        assert {"right.png", "confidence.png", "mask_nocc.png", "mask_inpaint.png", "origin.png"} <= set(record)


@pytest.mark.parametrize("layout", ["zerostereo", "kitti", "webdataset"])
def test_an_interrupted_export_goes_on_to_the_same_bytes(dataset, tmp_path, layout):
    if layout == "webdataset":
        pytest.importorskip("webdataset", reason="the extra [scale] is not installed")

    def stop(state):
        if state.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_dataset(dataset, tmp_path / "out", layout, progress=stop)
    export_dataset(dataset, tmp_path / "out", layout)
    export_dataset(dataset, tmp_path / "whole", layout)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_refusals(dataset, tmp_path):
    with pytest.raises(InputError, match="unknown layout"):
        export_dataset(dataset, tmp_path / "out", "coco")
    with pytest.raises(InputError, match="no samples"):
        export_dataset(dataset[:0], tmp_path / "out", "kitti")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match="not empty"):
        export_dataset(dataset, tmp_path / "mine", "kitti")
    export_dataset(dataset, tmp_path / "out", "kitti")
    with pytest.raises(OutputError, match="another export"):
        export_dataset(dataset[:2], tmp_path / "out", "kitti")
    with DatasetWriter(tmp_path / "bare", {}) as writer:
        writer.write(synthetic_sample("a", confidence=None))
        writer.finish()
    with pytest.raises(InputError, match="needs confidence"):
        export_dataset(load_dataset(tmp_path / "bare"), tmp_path / "zero", "zerostereo")
