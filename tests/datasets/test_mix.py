"""Mixtures of data sets, and settings behind a data set's name."""

import json
import pickle
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.datasets import miniatures as mini

from wheatstone.datasets import load_dataset
from wheatstone.datasets.mix import Mix, repeated
from wheatstone.datasets.registry import PUBLIC, READERS
from wheatstone.errors import DatasetError, InputError

_RGBD = {"nyuv2", "kitti-depth", "7scenes", "tum", "sunrgbd"}


def _instereo(root, names):
    for name in names:
        mini.pair(root / name / "left.png", root / name / "right.png")
        for side in ("left", "right"):
            mini.codes(root / name / f"{side}_disp.png", np.full((mini.HEIGHT, mini.WIDTH), 250, np.uint16))
    return root


def test_factors_repeat_and_thin_out_evenly():
    assert repeated(3, 1) == [(0, 1), (1, 1), (2, 1)]
    assert repeated(2, 2) == [(0, 1), (1, 1), (0, 2), (1, 2)]
    assert repeated(6, 0.5) == [(0, 1), (2, 1), (4, 1)]
    assert repeated(4, 1.5) == [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2), (2, 2)]
    for length in (1, 7, 10):
        for times in (0.3, 1, 2.7):
            chosen = repeated(length, times)
            assert len(chosen) == len(set(chosen)) == round(length * times)
            assert all(0 <= index < length for index, _ in chosen)


def test_a_mixture_on_one_line(tmp_path):
    a = _instereo(tmp_path / "a", ["1", "2"])
    b = _instereo(tmp_path / "b", ["7", "8"])
    mix = load_dataset(f"instereo2k={a} + 2*instereo2k={b},split=train + 0.5*instereo2k={a}")
    names = ["instereo2k/1", "instereo2k/2"]
    names += [f"instereo2k.2/{key}" for key in ("7", "8", "7#2", "8#2")] + ["instereo2k.3/1"]
    assert mix.keys == names
    assert [sample.key for sample in mix] == names
    assert float(mix[0].disparity[0, 0, 0]) == 2.5
    assert mix[3].provenance["source"] == mix[5].provenance["source"] == str(b / "8" / "left.png")
    assert load_dataset(f"3*instereo2k={a}").keys[-1] == "instereo2k/2#3"
    assert pickle.loads(pickle.dumps(mix))[1].key == names[1]  # worker processes get a copy
    with pytest.raises(InputError, match="belongs to"):
        load_dataset(f"instereo2k={a} + instereo2k={b}", split="test")
    with pytest.raises(InputError, match="positive"):
        load_dataset(f"0*instereo2k={a} + instereo2k={b}")
    with pytest.raises(InputError, match="no such folder"):
        load_dataset(f"instereo2k={a} + instereo2k={tmp_path / 'c'}")
    with pytest.raises(InputError, match="empty part"):
        load_dataset(f"instereo2k={a} +  + instereo2k={b}")
    with pytest.raises(DatasetError, match="nothing is taken"):
        Mix("thin", [(load_dataset(f"instereo2k={a}"), 0.1)])


def test_a_mixture_from_a_file(tmp_path):
    a = _instereo(tmp_path / "a", ["1", "2"])
    listing = tmp_path / "mix.json"
    parts = [
        {"dataset": f"instereo2k={a}", "times": 2, "options": {"left_right": True}},
        {"dataset": f"instereo2k={a}"},
    ]
    listing.write_text(json.dumps({"name": "mine", "parts": parts}))
    mix = load_dataset(f"mix={listing}")
    assert mix.name == "mine"
    assert len(mix) == 6
    assert mix[0].visible is not None
    assert mix[4].visible is None
    for wrong in (
        "[",
        "[]",
        '{"parts": [{"times": 1}]}',
        '{"parts": [{"dataset": "x", "times": "2"}]}',
        '{"parts": 3}',
    ):
        listing.write_text(wrong)
        with pytest.raises(DatasetError, match="form"):
            load_dataset(f"mix={listing}")
    listing.write_text('{"parts": []}')
    with pytest.raises(InputError, match="at least one"):
        load_dataset(f"mix={listing}")


def test_the_mixture_of_zerostereo(tmp_path):
    scene = "TRAIN/A/0000"
    frames = tmp_path / "sceneflow/frames_finalpass" / scene
    mini.pair(frames / "left/0006.png", frames / "right/0006.png")
    mini.pfm(tmp_path / "sceneflow/disparity" / scene / "left/0006.pfm", mini.disparity())
    flight = tmp_path / "tartanair/ocean/Easy/P000"
    mini.pair(flight / "image_left/000000_left.png", flight / "image_right/000000_right.png")
    mini.array(flight / "depth_left/000000_left_depth.npy", (80 / mini.disparity()).astype(np.float32))
    with pytest.raises(DatasetError, match=r"crestereo: no such folder"):
        load_dataset(f"zerostereo-mix={tmp_path}")
    tree = tmp_path / "crestereo/tree"
    mini.pair(tree / "1_left.jpg", tree / "1_right.jpg")
    room = tmp_path / "fallingthings/mixed/kitchen_0"
    mini.pair(room / "000000.left.jpg", room / "000000.right.jpg")
    mini.text(room / "_camera_settings.json", {"camera_settings": [{"intrinsic_settings": {"fx": 768.16}}]})
    street = tmp_path / "vkitti2/Scene01/clone/frames"
    mini.pair(street / "rgb/Camera_0/rgb_00000.jpg", street / "rgb/Camera_1/rgb_00000.jpg")
    far = np.full((mini.HEIGHT, mini.WIDTH), 65535, np.uint16)
    for file in (tree / "1_left.disp.png", tree / "1_right.disp.png", street / "depth/Camera_0/depth_00000.png"):
        mini.codes(file, far)
    for side in ("left", "right"):
        mini.codes(room / f"000000.{side}.depth.png", far)
    mix = load_dataset(f"zerostereo-mix={tmp_path}")
    parts = ["sceneflow", "tartanair", "crestereo", "fallingthings", "vkitti2"]
    assert [key.split("/")[0] for key in mix.keys] == parts
    assert [sample.disparity is not None for sample in mix] == [True] * 5
    assert bool(mix[4].valid.all())  # the sky stays in place


def test_settings_behind_the_name(tmp_path):
    a = _instereo(tmp_path / "a,split=odd", ["train/1", "test/2"])
    assert load_dataset(f"instereo2k={a},split=test").keys == ["2"]
    assert load_dataset(f"instereo2k={a},split=test", split="train").keys == ["1"]
    assert load_dataset(f"instereo2k={a},left_right=true")[0].visible is not None
    with pytest.raises(InputError, match="no setting 'resolution'; it has split, left_right"):
        load_dataset(f"instereo2k={a},resolution=H")
    odd = _instereo(tmp_path / "a + b", ["1"])
    assert load_dataset(f"instereo2k={odd}").keys == ["1"]
    with pytest.raises(InputError, match="no setting 'speed'"):
        load_dataset(f"list={tmp_path}", speed=1)


def test_the_page_has_a_row_for_every_reader():
    page = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {}
    for line in page.splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if line.startswith("| `"):
            rows |= dict.fromkeys(re.findall(r"`([^`]+)`", cells[1]), cells)
    stereo = set(PUBLIC) - _RGBD - {"list"}
    assert set(PUBLIC) - {"list"} <= set(rows)
    own = {name: (module, "load") for name, module in READERS.items()}
    for name, (module, function) in {**own, **{name: PUBLIC[name] for name in (*stereo, "list")}}.items():
        text = getattr(import_module(module), function).__doc__
        for word in ("Scale:", "Unknown:", "Occlusion:", "Licence:", "Layout:"):
            assert word in text, f"{name} does not state its {word}"
    for name in stereo:
        cells = rows[name][1:-1]
        assert len(cells) == 6, f"{name}: name, layout, truth, unknown, occlusion, licence"
        assert all(cell.strip() for cell in cells), f"{name} has an empty cell"
