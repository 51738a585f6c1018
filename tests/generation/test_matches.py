"""Matching as a job: every file and its convention, going on, refusing, passing over."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.generation.pairs import HEIGHT, WIDTH, make_pair, save_pair

from wheatstone.errors import InputError, OutputError
from wheatstone.evaluation.controls import ConstantDisparity
from wheatstone.files import Calibration, decode_png, read_disparity
from wheatstone.generation import MatchSettings, find_image_pairs, match_pairs
from wheatstone.generation.match_files import PRODUCTS, PairResult, write_pair
from wheatstone.matching import load_matcher

CAMERA = Calibration(100.0, 0.1, 0.0, None, None, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    for seed, name in enumerate(("a.png", "sub/b.png")):
        save_pair(root / "l" / name, root / "r" / name, seed)
    return root


@pytest.fixture(scope="module")
def matched(folders):
    pairs = find_image_pairs(folders / "l", folders / "r")
    summary = match_pairs(pairs, folders / "out", load_matcher("sgbm"), MatchSettings(calibration=CAMERA))
    return folders / "out", summary


def test_every_format_holds_the_same_disparity_at_the_size_of_the_pictures(matched):
    out, summary = matched
    assert (summary.written, dict(summary.failed), dict(summary.warnings)) == (2, {}, {})
    maps = [read_disparity(out / f"a.png{suffix}")[0] for suffix in (".pfm", ".npy", ".disparity.png")]
    assert all(one.shape == (1, 1, HEIGHT, WIDTH) for one in maps)
    assert torch.equal(maps[0], maps[1])
    assert (maps[0] - maps[2]).abs().max() <= 1 / 256
    truth = make_pair(0)[2]
    consistent = decode_png((out / "a.png.consistent.png").read_bytes()) == 255
    assert 0.8 < consistent.mean() < 0.97
    assert not consistent[:, :6].any()  # out of frame in the right view
    assert np.abs(maps[0][0, 0].numpy() - truth)[consistent].mean() < 0.3
    picture = decode_png((out / "a.png.turbo.png").read_bytes()).astype(int)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture[35, 80, 0] > picture[35, 80, 2]  # the box is red
    assert picture[5, 120, 2] > picture[5, 120, 0]  # the wall is blue


def test_the_sidecar_says_what_the_files_hold(matched):
    out, summary = matched
    line = json.loads((out / "sub" / "b.png.json").read_text())
    assert line == summary.sidecars["sub/b.png"]
    assert set(line["files"]) == set(PRODUCTS)
    for name, entry in line["files"].items():
        assert (out / entry["file"]).is_file()
        assert entry["convention"] == PRODUCTS[name][1]
    assert (line["width"], line["height"]) == (WIDTH, HEIGHT)
    assert "x_right = x_left - d" in line["meaning"]
    assert line["files"]["png"]["scale"] == 256
    assert line["files"]["ply"]["unit"] == "m"
    assert line["calibration"]["baseline_m"] == 0.1
    assert line["rectification"]["rectified"] is True
    assert line["disparity_px"]["median"] == pytest.approx(6, abs=0.5)
    header = json.loads((out / "match.json").read_text())
    assert header["parts"]["matcher"]["part"] == "sgbm"
    assert header["config_sha256"] == line["config_sha256"]


def test_run_again_it_does_what_is_missing(matched, folders):
    out, _ = matched
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.pfm")}
    (out / "sub" / "b.png.glb").unlink()
    pairs = find_image_pairs(folders / "l", folders / "r")
    again = match_pairs(pairs, out, load_matcher("sgbm"), MatchSettings(calibration=CAMERA))
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.pfm")}
    assert again.written == 1
    assert (out / "sub" / "b.png.glb").is_file()
    assert after[out / "a.png.pfm"] == before[out / "a.png.pfm"]


def test_a_call_that_gave_nothing_leaves_the_folder_free_for_another(folders, tmp_path):
    pairs, matcher = find_image_pairs(folders / "l" / "a.png", folders / "r" / "a.png"), load_matcher("sgbm")
    crop = replace(CAMERA, width=WIDTH + 9)
    summary = match_pairs(pairs, tmp_path, matcher, MatchSettings(products=("pfm",), calibration=crop))
    assert list(summary.failed) == ["a.png"]
    assert match_pairs(pairs, tmp_path, matcher, MatchSettings(products=("npy",))).written == 1
    with pytest.raises(OutputError) as refused:
        match_pairs(pairs, tmp_path, matcher, MatchSettings(products=("npy",), calibration=CAMERA))
    assert "calibration.baseline_m was absent, is now 0.1" in str(refused.value)
    assert "calibration was" not in str(refused.value)


def test_another_configuration_or_other_pictures_are_refused(matched, folders, tmp_path):
    out, _ = matched
    pairs = find_image_pairs(folders / "l", folders / "r")
    with pytest.raises(OutputError, match=r"consistency_px was 1\.0, is now 2\.0"):
        match_pairs(pairs, out, load_matcher("sgbm"), MatchSettings(calibration=CAMERA, consistency_px=2.0))
    with pytest.raises(OutputError, match="max_disparity was auto, is now 32"):
        match_pairs(pairs, out, load_matcher("sgbm", max_disparity=32), MatchSettings(calibration=CAMERA))
    with pytest.raises(OutputError, match=r"\(parts\.matcher\.part was sgbm, is now constant\)"):
        match_pairs(pairs, out, ConstantDisparity(3.0), MatchSettings(calibration=CAMERA))
    save_pair(tmp_path / "a.png", tmp_path / "r.png", seed=7)
    other = find_image_pairs(tmp_path / "a.png", tmp_path / "r.png")
    summary = match_pairs(other, out, load_matcher("sgbm"), MatchSettings(calibration=CAMERA))
    assert "made from other pictures" in summary.failed["a.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        match_pairs(other, tmp_path / "file", load_matcher("sgbm"))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "match.json").write_text("{")
    with pytest.raises(OutputError, match="no header of matches"):
        match_pairs(other, tmp_path / "odd", load_matcher("sgbm"))


def test_one_picture_given_twice_is_told(folders, tmp_path):
    pairs = find_image_pairs(folders / "l" / "a.png", folders / "l" / "a.png")
    summary = match_pairs(pairs, tmp_path, load_matcher("sgbm"), MatchSettings(products=("pfm",)))
    assert "the same picture" in summary.warnings["a.png"][0]


def test_an_interrupt_loses_nothing(folders, tmp_path):
    def stop(state):
        raise KeyboardInterrupt

    settings = MatchSettings(products=("pfm",))
    pairs = find_image_pairs(folders / "l", folders / "r")
    with pytest.raises(KeyboardInterrupt):
        match_pairs(pairs, tmp_path / "out", load_matcher("sgbm"), settings, progress=stop)
    assert [path.name for path in (tmp_path / "out").rglob("*.pfm")] == ["a.png.pfm"]
    again = match_pairs(pairs, tmp_path / "out", load_matcher("sgbm"), settings)
    assert (again.written, len(again.sidecars)) == (1, 2)
    assert not list((tmp_path / "out").rglob(".*"))


def result(disparity, **changes):
    height, width = disparity.shape[-2:]
    return replace(PairResult(torch.full((1, 3, height, width), 0.5), disparity), **changes)


def test_what_16_bits_cannot_hold_is_unknown_there_and_counted(tmp_path):
    disparity = torch.tensor([[[[-2.0, 0.0, 3.5, 5000.0, torch.nan]]]])
    line = write_pair(tmp_path, "p", result(disparity), ("pfm", "npy", "png"))
    entry = line["files"]["png"]
    assert (entry["negative_pixels_left_out"], entry["too_large_left_out"]) == (1, 1)
    values, valid = read_disparity(tmp_path / "p.disparity.png")
    assert valid[0, 0, 0].tolist() == [False, True, True, False, False]
    assert values[0, 0, 0, 2] == 3.5
    assert line["negative_share"] == 0.2
    assert line["unknown_share"] == 0.2
    kept, valid = read_disparity(tmp_path / "p.pfm")
    assert kept[0, 0, 0, :4].tolist() == [-2.0, 0.0, 3.5, 5000.0]
    assert valid.sum() == 4


def test_a_pair_without_any_answer_still_has_its_files(tmp_path):
    disparity = torch.full((1, 1, 4, 6), torch.nan)
    nothing = torch.zeros(1, 1, 4, 6, dtype=torch.bool)
    line = write_pair(tmp_path, "p", result(disparity, consistent=nothing), tuple(PRODUCTS))
    assert line["disparity_px"] is None
    assert line["files"]["glb"] == {**line["files"]["glb"], "points": 0, "written": False}
    assert line["files"]["glb"]["why"] == "no pixel is consistent between both views"
    far = write_pair(tmp_path, "q", result(torch.zeros(1, 1, 4, 6), consistent=~nothing), ("ply",))
    assert far["files"]["ply"]["why"].startswith(
        "of the pixels consistent between both views 24 are as good as infinitely far"
    )
    assert not (tmp_path / "p.glb").exists()
    assert not read_disparity(tmp_path / "p.disparity.png")[1].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"products": ("jpg",)}, "unknown file kind 'jpg'"),
        ({"products": ()}, "no file kind"),
        ({"tile": (0, 5)}, "a tile is"),
        ({"iterations": 0}, "at least one iteration"),
        ({"consistency_px": -1.0}, "threshold"),
        ({"focal_px": 0.0}, "focal length"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MatchSettings(**settings)


def test_masks_need_both_views(tmp_path):
    with pytest.raises(InputError, match="both views"):
        write_pair(tmp_path, "p", result(torch.ones(1, 1, 2, 2)), ("ply",))
    with pytest.raises(InputError, match="unknown file kind"):
        write_pair(tmp_path, "p", result(torch.ones(1, 1, 2, 2)), ("mesh",))
