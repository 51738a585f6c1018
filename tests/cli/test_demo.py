"""`wheatstone demo`: real photos and scenes become data sets that verify, twice in a row, and missing extras are named."""

import json
import re
import sys

import pytest

from wheatstone.cli import main
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset


def call(*arguments):
    with pytest.raises(SystemExit) as done:
        main(["demo", *map(str, arguments)])
    return done.value.code


def test_the_demo_runs_and_runs_again(tmp_path, capsys):
    assert call(tmp_path / "demo") == 0
    printed = capsys.readouterr().out
    assert "6 stereo pairs made" in printed
    assert "placeholder depth" in printed
    page = tmp_path / "demo" / "report.html"
    assert f"look at {page}" in printed
    assert len(re.findall("<article", page.read_text())) == 6
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


@pytest.mark.parametrize("module", ["skimage", "numba"])
def test_a_missing_extra_is_named_before_anything_is_written(module, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    assert call(tmp_path / "demo") == 2
    message = capsys.readouterr().err
    assert module in message
    assert "pip install 'wheatstone[demo]'" in message
    assert not (tmp_path / "demo").exists()
