"""`wheatstone match` as a user calls it: files, folders, data sets, odd pictures, bad pairs, bad calls."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from tests.generation.pairs import HEIGHT, WIDTH, make_pair, save_pair

from wheatstone.cli import main
from wheatstone.files import read_disparity

FEW = ("--write", "pfm", "picture")


def call(*arguments):
    with pytest.raises(SystemExit) as done:
        main(["match", *map(str, arguments)])
    return done.value.code


@pytest.fixture
def pair(tmp_path):
    save_pair(tmp_path / "l.png", tmp_path / "r.png")
    return tmp_path / "l.png", tmp_path / "r.png"


def test_one_pair_gives_every_file_and_says_so(pair, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(*pair, "-o", out, "--matcher", "sgbm") == 0
    names = {path.name for path in out.iterdir()}
    suffixes = (".pfm", ".npy", ".disparity.png", ".turbo.png", ".consistent.png", ".ply", ".glb", ".json")
    assert names == {"match.json", *(f"l.png{suffix}" for suffix in suffixes)}
    printed = capsys.readouterr()
    assert "128 x 72, disparity" in printed.out
    assert "of the pixels are consistent" in printed.out
    assert "points, relative)" in printed.out
    assert "warning" not in printed.err
    header = json.loads((out / "match.json").read_text())
    assert header["call"]["matcher"] == "sgbm"
    assert call(*pair, "-o", out, "--matcher", "sgbm") == 0
    assert "was there already" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["grey", "alpha", "deep", "rotated"])
def test_pictures_as_they_come_keep_their_size(kind, tmp_path):
    for view, picture in zip(("l", "r"), make_pair()[:2], strict=True):
        image = Image.fromarray(picture)
        path = tmp_path / f"{view}.png"
        if kind == "grey":
            image.convert("L").save(path)
        elif kind == "alpha":
            image.convert("RGBA").save(path)
        elif kind == "deep":
            cv2.imwrite(str(path), picture[..., ::-1].astype(np.uint16) * 257)
        else:
            exif = Image.Exif()
            exif[ExifTags.Base.Orientation] = 6  # shown after a quarter turn clockwise
            image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    assert call(tmp_path / "l.png", tmp_path / "r.png", "-o", tmp_path / "out", *FEW) == 0
    found, valid = read_disparity(tmp_path / "out" / "l.png.pfm")
    assert found.shape == (1, 1, HEIGHT, WIDTH)
    assert abs(float(found[valid].median()) - 6) < 0.5


def test_a_bad_pair_is_told_and_the_others_go_on(tmp_path, capsys):
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        save_pair(tmp_path / "l" / name, tmp_path / "r" / name, seed)
    Image.new("RGB", (64, 64)).save(tmp_path / "r" / "b.png")
    (tmp_path / "l" / "c.png").write_bytes(b"no picture")
    save_pair(tmp_path / "l" / "d.png", tmp_path / "elsewhere.png")
    assert call(tmp_path / "l", tmp_path / "r", "-o", tmp_path / "out", *FEW) == 1
    printed = capsys.readouterr()
    assert "1 pairs matched, 1 of them new" in printed.out
    for key, why in (("b.png", "128 x 72"), ("c.png", "not an image file"), ("d.png", "no picture of that name")):
        assert f"no match: {key}: " in printed.err
        assert why in printed.err
    assert (tmp_path / "out" / "a.png.pfm").is_file()
    assert not (tmp_path / "out" / "b.png.json").exists()


def test_a_pair_that_is_not_rectified_and_one_that_is_swapped_are_warned_of(tmp_path, capsys):
    left, right, _ = make_pair()
    large = [cv2.resize(view, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC) for view in (left, right)]
    Image.fromarray(large[0][:-6]).save(tmp_path / "l.png")
    Image.fromarray(large[1][6:]).save(tmp_path / "r.png")
    assert call(tmp_path / "l.png", tmp_path / "r.png", "-o", tmp_path / "out", *FEW) == 0
    error = capsys.readouterr().err
    assert "warning: l.png: not rectified" in error
    assert "median offset -6.0 px" in error
    for name, view in zip("lr", reversed(large), strict=True):
        Image.fromarray(view).save(tmp_path / f"{name}.png")
    assert call(tmp_path / "l.png", tmp_path / "r.png", "-o", tmp_path / "two", *FEW) == 0
    assert "left and right seem swapped: 100% of" in capsys.readouterr().err


def test_metric_by_numbers_and_by_file(pair, tmp_path, capsys):
    numbers = ("--focal-px", 100, "--baseline-m", 0.1, "--doffs-px", 2, "--cx", 60, "--cy", 30)
    assert call(*pair, "-o", tmp_path / "a", "--write", "ply", *numbers) == 0
    assert "points, metric)" in capsys.readouterr().out
    line = json.loads((tmp_path / "a" / "l.png.json").read_text())
    assert line["calibration"]["doffs_px"] == 2
    calib = "cam0=[100 0 60; 0 100 30; 0 0 1]\ncam1=[100 0 62; 0 100 30; 0 0 1]\ndoffs=2\nbaseline=100\n"
    calib += f"width={WIDTH}\nheight={HEIGHT}\n"
    (tmp_path / "calib.txt").write_text(calib)
    assert call(*pair, "-o", tmp_path / "b", "--write", "ply", "--calib", tmp_path / "calib.txt") == 0
    bodies = [(tmp_path / name / "l.png.ply").read_bytes().partition(b"end_header\n")[2] for name in "ab"]
    assert bodies[0] == bodies[1]


def test_tiles_agree_with_the_whole(pair, tmp_path):
    settings = ("--matcher", "sgbm", "--write", "pfm")
    assert call(*pair, "-o", tmp_path / "whole", *settings) == 0
    assert call(*pair, "-o", tmp_path / "tiles", *settings, "--tile", "72x112") == 0
    whole, tiles = (read_disparity(tmp_path / name / "l.png.pfm")[0] for name in ("whole", "tiles"))
    assert float((whole - tiles).abs().median()) < 0.1


def test_a_data_set_with_its_own_calibration(tmp_path, capsys):
    pytest.importorskip("skimage", reason="the pair with truth needs the extra [demo]")
    assert call("motorcycle", "-o", tmp_path / "out", "--write", "pfm", "ply") == 0
    line = json.loads((tmp_path / "out" / "motorcycle.json").read_text())
    assert line["files"]["ply"]["unit"] == "m"
    assert line["warnings"] == []
    assert (line["width"], line["height"]) == (741, 500)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the left and the right picture"),
        (("{l}",), "is one picture: name the right one too"),
        (("{l}", "{folder}"), "two pictures or two folders"),
        (("{l}", "{small}"), "128 x 72"),
        (("{l}", "missing.png"), "no such file or folder"),
        (("nowhere",), "no such data set"),
        (("{l}", "{r}", "--matcher", "magic"), "unknown matcher 'magic'"),
        (("{l}", "{r}", "--tile", "512"), "--tile is HEIGHTxWIDTH"),
        (("{l}", "{r}", "--baseline-m", "0.1"), "--baseline-m needs --focal-px"),
        (("{l}", "{r}", "--calib", "{l}"), "no calibration that is known"),
        (("{l}", "{r}", "--calib", "{l}", "--focal-px", "9"), "not both"),
        (("{l}", "{r}", "--iterations", "0"), "at least one iteration"),
        (("{l}", "{r}", "--device", "abacus"), "cannot be used here"),
        (("{l}", "{r}", "-o", "{l}"), "is a file"),
    ],
)
def test_bad_calls_exit_with_2_and_one_line(pair, tmp_path, capsys, arguments, message):
    Image.new("RGB", (64, 64)).save(tmp_path / "small.png")
    places = {"l": pair[0], "r": pair[1], "small": tmp_path / "small.png", "folder": tmp_path}
    filled = [argument.format(**places) for argument in arguments]
    assert call(*filled, *([] if "-o" in filled else ["-o", tmp_path / "out"])) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wheatstone match: ")
    assert message in error


def test_interrupted_says_how_to_go_on(tmp_path):
    for seed in range(24):
        save_pair(tmp_path / "l" / f"{seed}.bmp", tmp_path / "r" / f"{seed}.bmp", seed)
    arguments = ["match", str(tmp_path / "l"), str(tmp_path / "r"), "-o", str(tmp_path / "out")]
    # A shell that runs the tests in the background hands down an ignored SIGINT: give the command what a terminal gives.
    restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-m", "wheatstone.cli", *arguments]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=restore)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not list((tmp_path / "out").glob("*.bmp.json")):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, error = run.communicate(timeout=240)
    assert run.returncode == 130
    assert "run the same command again" in error
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.bmp.json")}
    assert 0 < len(done) < 24
    assert call(*arguments[1:]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.bmp.json")}
    assert len(after) == 24
    assert {name: after[name] for name in done} == done
    assert not list((tmp_path / "out").glob(".tmp-*"))
