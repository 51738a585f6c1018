"""Readers of public stereo data, on miniatures of the official layouts (true formats, true scales) and on real files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.datasets.miniatures import HEIGHT, WIDTH, assert_pair
from tests.datasets.miniatures import codes as _codes
from tests.datasets.miniatures import picture as _picture
from tests.datasets.miniatures import ramp as _ramp

from wheatstone.datasets import load_dataset
from wheatstone.datasets.pairs import PairFolder
from wheatstone.errors import DatasetError, InputError
from wheatstone.files import write_pfm


def _assert_truth(sample, codes, scale):
    assert torch.equal(sample.valid[0], torch.from_numpy(codes > 0))
    expected = torch.from_numpy(codes.astype(np.float64) / scale).float()
    assert torch.equal(sample.disparity[0], expected)
    assert sample.disparity.dtype == torch.float32
    assert_pair(sample)


def test_middlebury_2001_has_several_layouts_and_two_scales(tmp_path):
    for scene in ("tsukuba", "venus"):
        _picture(tmp_path / scene / "imL.png", 10)
        _picture(tmp_path / scene / "imR.png", 20)
        _codes(tmp_path / scene / "groundtruth.png", _ramp())
    seen = np.where(_ramp() > 100, 255, 0).astype(np.uint8)
    _codes(tmp_path / "venus" / "nonocc.png", seen)
    _picture(tmp_path / "sawtooth" / "im2.ppm", 10)
    _picture(tmp_path / "sawtooth" / "im6.ppm", 20)
    _codes(tmp_path / "sawtooth" / "disp2.pgm", _ramp())
    _codes(tmp_path / "sawtooth" / "disp6.pgm", _ramp())
    names = "scene1.row3.col3.ppm", "scene1.row3.col4.ppm", "truedisp.row3.col3.pgm"
    for scene, (left, right, truth) in {"map": ("im0.pgm", "im1.pgm", "disp0.pgm"), "data/tsukuba": names}.items():
        _picture(tmp_path / scene / left, 10)
        _picture(tmp_path / scene / right, 20)
        _codes(tmp_path / scene / truth, _ramp())
    _assert_truth(load_dataset(f"middlebury-2001={tmp_path / 'data'}")[0], _ramp(), 16)
    with pytest.raises(DatasetError, match="two pairs of Middlebury 2001 are called tsukuba"):
        load_dataset(f"middlebury-2001={tmp_path}")
    (tmp_path / "data").rename(tmp_path / ".data")
    samples = {sample.key: sample for sample in load_dataset(f"middlebury-2001={tmp_path}")}
    for scene, scale in {"tsukuba": 16, "venus": 8, "sawtooth": 8, "map": 8}.items():
        _assert_truth(samples[scene], _ramp(), scale)
    assert torch.equal(samples["venus"].visible[0], torch.from_numpy(seen == 255))
    assert samples["tsukuba"].visible is None
    assert "disparity_right" in samples["sawtooth"].extras


@pytest.mark.parametrize(("edition", "width", "scale"), [("2003", 450, 4), ("2003", 900, 2), ("2003", 1800, 1)])
def test_middlebury_2003_scale_follows_the_size(tmp_path, edition, width, scale):
    folder = tmp_path / "teddy"
    _picture(folder / "im2.png", 10, width)
    _picture(folder / "im6.png", 20, width)
    _codes(folder / "disp2.png", _ramp(width=width))
    _codes(folder / "disp6.png", _ramp(width=width))
    _assert_truth(load_dataset(f"middlebury-{edition}={tmp_path}")[0], _ramp(width=width), scale)


@pytest.mark.parametrize(
    ("size", "width", "scale"), [("FullSize", 1306, 1), ("HalfSize", 653, 2), ("ThirdSize", 435, 3)]
)
def test_middlebury_2005_and_2006_scale_follows_the_size(tmp_path, size, width, scale):
    folder = tmp_path / size / "Wood2"
    _picture(folder / "view1.png", 10, width)
    _picture(folder / "view5.png", 20, width)
    _codes(folder / "disp1.png", _ramp(width=width))
    _codes(folder / "disp5.png", _ramp(width=width))
    for root in (tmp_path, tmp_path / size, folder):
        sample = load_dataset(f"middlebury-2006={root}")[0]
        assert sample.key == "Wood2"
        _assert_truth(sample, _ramp(width=width), scale)
    assert len(load_dataset(f"middlebury-2005={tmp_path}")) == 1


def test_middlebury_2014_reads_pfm_and_marks_whole_pixel_truth(tmp_path):
    for scene in ("Motorcycle", "Adirondack"):
        _picture(tmp_path / scene / "im0.png", 10)
        _picture(tmp_path / scene / "im1.png", 20)
    truth = np.linspace(1.25, 40, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    truth[2, 3] = np.inf
    write_pfm(tmp_path / "Motorcycle" / "disp0.pfm", truth)
    (tmp_path / "Motorcycle" / "calib.txt").write_text("doffs=31.086\n")
    _codes(tmp_path / "Adirondack" / "disp0.png", _ramp())
    coarse, fine = load_dataset(f"middlebury-2014={tmp_path}")
    assert not fine.valid[0, 2, 3]
    assert float(fine.disparity[0, 2, 3]) == 0
    assert torch.equal(fine.disparity[0][fine.valid[0]], torch.from_numpy(truth[np.isfinite(truth)]))
    assert "doffs=31.086" in fine.provenance["calib"]
    _assert_truth(coarse, _ramp(), 1)
    assert coarse.provenance["truth_step_px"] == 1


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("kitti-2012", ("colored_0", "colored_1", "disp_occ", "disp_noc")),
        ("kitti-2015", ("image_2", "image_3", "disp_occ_0", "disp_noc_0")),
    ],
)
def test_kitti(tmp_path, name, folders):
    training = tmp_path / "training"
    codes = _ramp(np.uint16, step=257)
    for number in ("000000_10", "000001_10"):
        _picture(training / folders[0] / f"{number}.png", 10)
        _picture(training / folders[1] / f"{number}.png", 20)
        _codes(training / folders[2] / f"{number}.png", codes)
    _picture(training / folders[0] / "000000_11.png", 99)  # the next frame of the sequence has no truth
    seen = np.where(codes > 5000, codes, 0)
    _codes(training / folders[3] / "000001_10.png", seen)
    samples = load_dataset(f"{name}={tmp_path}")
    assert samples.keys == ["000000_10", "000001_10"]
    _assert_truth(samples[0], codes, 256)
    assert samples[0].visible is None
    assert torch.equal(samples[1].visible[0], torch.from_numpy(seen > 0))
    assert "BY-NC-SA" in samples[0].provenance["licence"]


def test_a_list_of_files(tmp_path):
    for name, level in (("l", 10), ("r", 20)):
        _picture(tmp_path / "images" / f"{name} 1.png", level)
        _picture(tmp_path / "images" / f"{name}2.png", level)
    codes = _ramp(np.uint16)
    _codes(tmp_path / "truth.png", codes)
    write_pfm(tmp_path / "truth.pfm", np.where(codes > 0, codes / 8, np.inf).astype(np.float32))
    listing = tmp_path / "pairs.txt"
    listing.write_text(
        "# two pairs\nimages/l 1.png\timages/r 1.png\ttruth.png\t8\n\nimages/l2.png images/r2.png truth.pfm\n"
    )
    samples = load_dataset(f"list={listing}")
    assert samples.keys == ["images/l 1.png", "images/l2.png"]
    for sample in samples:
        _assert_truth(sample, codes, 8)
    for line, reason in {
        "images/l2.png": "1 columns",
        "images/l2.png images/r2.png truth.png eight": "'eight' is no number",
        "images/l2.png images/r3.png": r"r3.png: missing",
        "images/l2.png images/r2.png\nimages/l2.png images/r2.png": "again",
    }.items():
        listing.write_text(line)
        with pytest.raises(DatasetError, match=reason):
            load_dataset(f"list={listing}")
    listing.write_text("images/l2.png images/r2.png truth.png")
    with pytest.raises(DatasetError, match="scale"):
        load_dataset(f"list={listing}")[0]


def test_errors_name_the_path_and_the_layout(tmp_path):
    with pytest.raises(DatasetError, match=r"no scene found.*view1,view5,disp1,disp5"):
        load_dataset(f"middlebury-2006={tmp_path}")
    with pytest.raises(DatasetError, match=r"image_2: no such folder.*training/"):
        load_dataset(f"kitti-2015={tmp_path}")
    _picture(tmp_path / "training" / "image_2" / "000000_10.png", 10)
    (tmp_path / "training" / "disp_occ_0").mkdir()
    with pytest.raises(DatasetError, match=r"image_3/000000_10.png: missing"):
        load_dataset(f"kitti-2015={tmp_path}")
    _picture(tmp_path / "training" / "image_3" / "000000_10.png", 20, WIDTH + 1)
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[..., 0] = 200
    _codes(tmp_path / "training" / "disp_occ_0" / "000000_10.png", colours)
    samples = load_dataset(f"kitti-2015={tmp_path}")
    with pytest.raises(DatasetError, match=r"11 x 6 pixels, but 000000_10.png has 10 x 6"):
        samples[0]
    _picture(tmp_path / "training" / "image_3" / "000000_10.png", 20)
    with pytest.raises(DatasetError, match="a colour picture"):
        samples[0]
    (tmp_path / "training" / "disp_occ_0" / "000000_10.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="not a readable"):
        samples[0]


def test_names_that_do_not_exist(tmp_path, monkeypatch):
    monkeypatch.delenv("WHEATSTONE_DATA", raising=False)
    with pytest.raises(InputError, match="WHEATSTONE_DATA"):
        load_dataset("stereo-mini")
    with pytest.raises(InputError, match=r"names are .*kitti-2015"):
        load_dataset("kitty")
    with pytest.raises(InputError, match="SEED:COUNT"):
        load_dataset("scenes=5")
    with pytest.raises(InputError, match="at least 1"):
        load_dataset("scenes=5:0")
    with pytest.raises(DatasetError, match=r"no such folder"):
        load_dataset(f"stereo-mini={tmp_path}")


def test_visible_from_both_truths_is_nearly_what_middlebury_states(data):
    scene = load_dataset(f"middlebury-2003={data / 'middlebury/2003'}")
    unmasked = PairFolder(scene.name, [replace(scene.pairs[0], masks=())], scene.licence, left_right=True)
    stated, computed = scene[0], unmasked[0]
    valid = stated.valid
    assert float((stated.visible == computed.visible)[valid].float().mean()) > 0.98
    assert float(stated.visible[valid].float().mean()) == pytest.approx(0.893, abs=0.005)


def test_real_pairs_have_the_disparities_of_their_sheet(data):
    expected = {  # key: share known, least and largest disparity
        "tsukuba": (0.793, 5.0, 14.0),
        "venus": (1.0, 3.0, 19.75),
        "teddy": (0.980, 12.5, 52.75),
        "Cloth3": (0.992, 22.5, 83.0),
        "Wood2": (0.981, 21.5, 108.5),
        "Motorcycle": (0.927, 7.19, 59.91),
        "Adirondack": (0.994, 7.0, 60.0),
        "kitti2015/000000_10": (0.191, 4.62, 64.09),
        "kitti2012/000000_10": (0.358, 4.40, 69.82),
        "things/TEST/A/0000/0006": (1.0, 1.17, 99.39),
        "things/TRAIN/A/0000/0006": (1.0, 1.21, 152.12),
        "things/TRAIN/B/0749/0015": (1.0, 1.25, 94.88),
    }
    samples = load_dataset(f"stereo-mini={data}")
    assert set(samples.keys) == set(expected)
    assert len(load_dataset(f"stereo-mini-dense={data}")) == 9
    real = load_dataset(f"stereo-mini-real={data}")
    assert len(real) == 9
    assert {"tsukuba", "kitti2015/000000_10"} <= set(real.keys)
    for sample in samples:
        known = sample.disparity[sample.valid]
        found = (float(sample.valid.float().mean()), float(known.min()), float(known.max()))
        assert found == pytest.approx(expected[sample.key], abs=0.006), sample.key
        assert sample.provenance["licence"]
