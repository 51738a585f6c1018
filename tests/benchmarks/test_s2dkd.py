import json
import shutil

import pytest
from PIL import Image

from wheatstone.training import recipes

TINY = "--steps 1 --pretrain-steps 1 --pretrain-scenes 2 --seeds 1 --scenes 2 --development 1 --tests 1 --batch 1 --crop 32,64"
FEW = "--matcher narrow --size 48,80 --spacing 1 --variants kl_spatial gradient --estimated-variants --no-dense"


@pytest.fixture
def main(monkeypatch, series):
    monkeypatch.delenv("WHEATSTONE_DATA", raising=False)
    return series("s2dkd")


def test_tiny_series_prints_its_tables_and_goes_on_where_it_stopped(tmp_path, capsys, main):
    def series():
        assert main([str(tmp_path), *TINY.split(), *FEW.split()]) == 0
        return capsys.readouterr().out, json.loads((tmp_path / "summary.json").read_text())

    printed, summary = series()
    assert "[3/3]" in printed
    assert "| - | sparse truth alone | 1 |" in printed
    assert "| spoilt true depth | the teacher itself |  |" in printed
    assert "| spoilt true depth | `gradient` | 1 |" in printed
    assert "Change against sparse truth alone, seed by seed" in printed
    assert "Smallest end-point error in the edge band there: `" in printed
    assert summary["complete"]
    assert [run["row"] for run in summary["runs"]] == ["sparse", "kl_spatial", "gradient"]
    assert "distillation" in summary["runs"][1]["losses"]
    assert "distillation" not in summary["runs"][0]["losses"]
    starts = {json.dumps(run["recipe"]["parts"], sort_keys=True) for run in summary["runs"]}
    assert len(starts) == 1
    figures = summary["before"]["fresh"]
    assert {"all/epe", "edge/epe", "above/epe", "edge/bad_2"} <= set(figures)

    (lost,) = (tmp_path / "results").glob("spoilt-gradient-0-*.json")  # as if it had been stopped before this run
    lost.unlink()
    printed, again = series()
    assert "spoilt gradient seed 0" in printed
    assert "none sparse seed 0" not in printed
    assert again["runs"][2]["figures"] == summary["runs"][2]["figures"]
    assert again["before"] == summary["before"]
    assert main([str(tmp_path), *TINY.split(), *FEW.split(), "--spacing", "2"]) == 2
    assert "use a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("--crop 60,160", "multiples of 32"),
        ("--pull 0", "must be positive"),
        ("--pull nothing=2", "no such variant"),
        ("--set steps=all", "is not JSON"),
        ("--set force=1", "no such variant or setting"),
        ("--variants best", "invalid choice"),
        ("--picture students.png", "give --keep, too"),
        ("--tests 0", "only --workers, --mixed and --first-seed may be 0"),
    ],
)
def test_wrong_options_are_named_before_anything_is_made(tmp_path, capsys, main, wrong, said):
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "out"), *wrong.split()])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_picture_shows_the_students_if_their_weights_were_kept(tmp_path, capsys, main):
    variant = recipes["mono2stereo-finetune-small"].objective().variant
    few = f"--matcher narrow --size 48,80 --spacing 1 --variants {variant} --estimated-variants --no-dense"
    place = tmp_path / "students.png"
    command = [str(tmp_path / "out"), *TINY.split(), *few.split(), "--picture", str(place)]
    assert main([*command, "--keep"]) == 0
    with Image.open(place) as picture:
        assert picture.size == (5 * 80 + 4 * 6, 3 * 48 + 2 * 6)
    shutil.rmtree(tmp_path / "out" / "runs")
    capsys.readouterr()
    assert main([*command, "--report"]) == 2
    assert "make the series with --keep" in capsys.readouterr().err
