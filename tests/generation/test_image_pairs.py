"""Which pairs two files, two folders or a data set mean."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.generation.pairs import save_pair

from wheatstone.datasets import StereoDataset
from wheatstone.errors import DatasetError, FileFormatError, InputError, ShapeError
from wheatstone.generation.image_pairs import DatasetPairs, find_image_pairs
from wheatstone.samples import StereoSample


def test_two_files(tmp_path):
    save_pair(tmp_path / "a.png", tmp_path / "b.bmp")
    pairs = find_image_pairs(tmp_path / "a.png", tmp_path / "b.bmp")
    assert pairs.keys == ["a.png"]
    views = pairs.read(0)
    assert views.left.shape == views.right.shape == (1, 3, 72, 128)
    assert views.sources == {"left": str(tmp_path / "a.png"), "right": str(tmp_path / "b.bmp")}


def test_folders_are_matched_by_name_suffix_and_side(tmp_path):
    left, right = tmp_path / "L", tmp_path / "R"
    for name, partner in (
        ("same.png", "same.png"),
        ("sub/other.png", "sub/other.bmp"),
        ("scene_left.png", "scene_right.png"),
        ("Left01.png", "Right01.png"),
        ("pairL.png", "pairR.png"),
        ("frame-L.png", "frame-R.png"),
    ):
        save_pair(left / name, right / partner)
    save_pair(left / "alone.png", right / "nobody.png")
    pairs = find_image_pairs(left, right)
    assert pairs.keys == ["Left01.png", "frame-L.png", "pairL.png", "same.png", "scene_left.png", "sub/other.png"]
    assert set(pairs.refused) == {"alone.png", "nobody.png"}
    assert "no picture of that name in" in pairs.refused["alone.png"]
    assert [pairs.read(i).sources["right"].rpartition("/")[2] for i in (0, 5)] == ["Right01.png", "other.bmp"]


def test_what_is_no_pair(tmp_path):
    save_pair(tmp_path / "l" / "a.png", tmp_path / "r" / "b.png")
    for left, right, message in (
        ("l", "none", "no such file or folder"),
        ("l", "r/b.png", "two pictures or two folders"),
        ("l", "r", "no picture in"),
    ):
        with pytest.raises(InputError, match=message):
            find_image_pairs(tmp_path / left, tmp_path / right)


def test_sizes_that_differ_and_broken_files_are_errors(tmp_path):
    save_pair(tmp_path / "a.png", tmp_path / "b.png")
    Image.new("RGB", (100, 72)).save(tmp_path / "small.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    with pytest.raises(ShapeError, match=r"128 x 72, .*small\.png is 100 x 72"):
        find_image_pairs(tmp_path / "a.png", tmp_path / "small.png").read(0)
    with pytest.raises(FileFormatError, match=r"torn\.png"):
        find_image_pairs(tmp_path / "a.png", tmp_path / "torn.png").read(0)


def test_the_same_pixels_have_the_same_digest(tmp_path):
    save_pair(tmp_path / "a.png", tmp_path / "b.png")
    save_pair(tmp_path / "a.bmp", tmp_path / "b.tiff")
    save_pair(tmp_path / "c.png", tmp_path / "d.png", seed=1)
    digests = [
        find_image_pairs(tmp_path / left, tmp_path / right).read(0).digest()
        for left, right in (("a.png", "b.png"), ("a.bmp", "b.tiff"), ("c.png", "d.png"), ("b.png", "a.png"))
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


class Memory(StereoDataset):
    """Samples made by hand."""

    name = "memory"

    def __init__(self, *samples):
        self.samples, self.keys = samples, [sample.key for sample in samples]

    def read(self, index):
        return self.samples[index]


def sample(provenance=None, names=("left", "right")):
    views = {name: torch.from_numpy(np.full((3, 6, 8), 0.5, np.float32)) for name in names}
    return StereoSample("s", views, dict.fromkeys(names, 0.0), provenance=provenance or {})


def test_a_data_set_brings_its_calibration():
    calib = "cam0=[50 0 4; 0 50 3; 0 0 1]\ndoffs=2\nbaseline=100\nwidth=16\nheight=12\n"
    found = DatasetPairs(Memory(sample({"calib": calib}))).read(0).calibration
    assert (found.focal_px, found.doffs_px, found.baseline_m) == (25, 1, 0.1)
    numbers = DatasetPairs(Memory(sample({"focal_px": 30, "baseline_m": 0.2}))).read(0).calibration
    assert (numbers.focal_px, numbers.baseline_m) == (30, 0.2)
    for provenance in ({}, {"calib": "nonsense"}, {"focal_px": None, "baseline_m": None}):
        assert DatasetPairs(Memory(sample(provenance))).read(0).calibration is None
    with pytest.raises(DatasetError, match="no left and right view"):
        DatasetPairs(Memory(sample(names=("left",)))).read(0)
