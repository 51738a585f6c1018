"""Listing deep trees cheaply, and pairs that are named when asked for."""

import os
import pickle

import numpy as np
import pytest
from tests.datasets import miniatures as mini

from wheatstone.datasets import load_dataset
from wheatstone.datasets.decoding import read_codes
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError, FileFormatError


def test_holders_do_not_look_below_themselves(tmp_path):
    for folder in ("a/P0/image_left", "a/P0/flow/image_left", "b/c/P1/image_left", "b/other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "b" / "scene.json").write_text("{}")
    listing = Listing()
    assert list(listing.holders(tmp_path, "image_left")) == [tmp_path / "a/P0", tmp_path / "b/c/P1"]
    assert list(listing.holders(tmp_path, "image_left", "scene.json")) == [tmp_path / "a/P0", tmp_path / "b"]
    assert list(listing.holders(tmp_path / "nowhere", "image_left")) == []
    assert listing.has(tmp_path / "b" / "scene.json")
    assert not listing.has(tmp_path / "b" / "other")  # a folder


def test_what_file_managers_leave_behind_is_passed_over(tmp_path):
    scene = tmp_path / "frames_cleanpass" / "eating_x2"
    mini.pair(scene / "left/0000.png", scene / "right/0000.png")
    mini.text(scene / "left/._0000.png", "resource fork")
    mini.pfm(tmp_path / "disparity/eating_x2/left/0000.pfm", mini.disparity())
    assert load_dataset(f"monkaa={tmp_path}").keys == ["eating_x2/0000"]


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "frames_cleanpass").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)  # a super user may list everything
    with pytest.raises(DatasetError, match="cannot be listed: Permission denied"):
        load_dataset(f"monkaa={tmp_path}")


def test_links_to_folders_count_and_may_go_in_circles(tmp_path):
    (tmp_path / "disk2" / "P0" / "image_left").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "env").symlink_to(tmp_path / "disk2")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root")
    found = list(Listing().holders(tmp_path / "root", "image_left"))
    assert tmp_path / "root/env/P0" in found
    assert len(found) < 20


def test_each_folder_is_listed_once_and_no_file_is_opened(tmp_path, monkeypatch):
    for number in range(4):
        for frame in range(25):
            for side in ("left", "right"):
                for folder, suffix in (("frames_cleanpass", ".png"), ("disparity", ".pfm")):
                    path = tmp_path / folder / f"scene_{number}" / side / f"{frame:04}{suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()  # empty: opening one would be an error
    listed, asked = [], []
    scandir, stat = os.scandir, os.stat
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(str(path)) or scandir(path))
    monkeypatch.setattr(os, "stat", lambda path, **how: asked.append(str(path)) or stat(path, **how))
    samples = load_dataset(f"monkaa={tmp_path}")
    monkeypatch.undo()
    assert len(samples) == 100
    assert len(listed) == len(set(listed)) <= 2 + 4 * 3 + 4 * 2
    assert not [path for path in asked if path.endswith((".png", ".pfm"))]
    pairs = pickle.loads(pickle.dumps(samples)).pairs
    assert pairs[3].left == tmp_path / "frames_cleanpass/scene_0/left/0003.png"
    assert [pair.key for pair in pairs[1:3]] == ["scene_0/0001", "scene_0/0002"]
    with pytest.raises(DatasetError, match=r"0003.png"):
        samples[3]


def test_the_same_scene_twice_is_refused(tmp_path):
    for size in ("HalfSize", "ThirdSize"):
        for name in ("view1", "view5"):
            mini.picture(tmp_path / size / "Wood2" / f"{name}.png", 10)
        for name in ("disp1", "disp5"):
            mini.codes(tmp_path / size / "Wood2" / f"{name}.png", mini.ramp())
    with pytest.raises(DatasetError, match="two pairs of Middlebury 2006 are called Wood2"):
        load_dataset(f"middlebury-2006={tmp_path}")


def test_codes_of_the_wrong_depth_or_damaged_are_refused(tmp_path):
    mini.codes(tmp_path / "8.png", mini.ramp())
    mini.codes(tmp_path / "16.png", mini.ramp(np.uint16))
    mini.codes(tmp_path / "8.pgm", mini.ramp())
    assert (read_codes(tmp_path / "8.pgm", 8) == read_codes(tmp_path / "8.png", 8)).all()
    with pytest.raises(FileFormatError, match=r"8-bit codes, but 16 bits are due.*picture of the map"):
        read_codes(tmp_path / "8.png", 16)
    with pytest.raises(FileFormatError, match="16-bit codes, but 8 bits are due"):
        read_codes(tmp_path / "16.png", 8)
    for name in ("16.png", "8.pgm"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(FileFormatError, match=name):
            read_codes(tmp_path / name)
