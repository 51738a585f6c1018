"""`wheatstone demo`: real photos and scenes become data sets that verify, twice in a row, and missing extras are named."""

import json
import re
import sys
from pathlib import Path

import pytest

from wheatstone.cli import main
from wheatstone.cli.demo import _match_pair
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.files import read_disparity


def call(*arguments):
    with pytest.raises(SystemExit) as done:
        main(["demo", *map(str, arguments)])
    return done.value.code


def test_the_demo_runs_and_runs_again(tmp_path, capsys):
    assert call(tmp_path / "demo") == 0
    printed = capsys.readouterr().out
    assert "7 stereo pairs made or matched" in printed
    assert "the real pair: mean error" in printed
    assert "placeholder depth" in printed
    page = tmp_path / "demo" / "report.html"
    assert f"look at {page}" in printed
    assert len(re.findall("<article", page.read_text())) == 7
    assert "A real pair, scored against its truth" in page.read_text()
    score = json.loads((tmp_path / "demo" / "match" / "score.json").read_text())
    assert 0 < score["epe"] < 2.5
    assert 0 < score["bad_2"] < 0.2
    assert read_disparity(tmp_path / "demo" / "match" / "motorcycle.pfm")[0].shape == (1, 1, 500, 741)
    photos, scenes = load_dataset(tmp_path / "demo" / "photos"), load_dataset(tmp_path / "demo" / "scenes")
    assert list(photos.keys) == ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"]
    assert len(scenes) == 2
    assert verify_dataset(tmp_path / "demo" / "photos").ok
    assert verify_dataset(tmp_path / "demo" / "scenes").ok
    header = json.loads((tmp_path / "demo" / "photos" / "dataset.json").read_text())
    assert header["parts"]["depth"]["part"] == "embedded"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.png")}
    assert call(tmp_path / "demo") == 0
    assert "everything was there already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").rglob("*.png")} == before


def test_a_scikit_image_without_the_pair_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr("wheatstone.datasets.example_pair.FILES", ("bicycle.png",))
    assert _match_pair(Path("nowhere"), print) == (None, 0)
    printed = capsys.readouterr().out
    assert printed.startswith("no pair with truth: motorcycle: this scikit-image comes without bicycle.png")
    assert printed.count("\n") == 1


@pytest.mark.parametrize("module", ["skimage", "numba"])
def test_a_missing_extra_is_named_before_anything_is_written(module, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert call(tmp_path / "demo") == 2
    message = capsys.readouterr().err
    assert module in message
    assert "pip install 'wheatstone[demo]'" in message
    assert not (tmp_path / "demo").exists()
