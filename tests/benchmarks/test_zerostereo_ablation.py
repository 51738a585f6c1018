import json

import pytest

TINY = "--steps 1 --seeds 1 --scenes 2 --draws 1 --tests 1 --batch 1 --crop 32,64 --size 48,80 --real scenes=7:1"
FEW = "--rows baseline full --depth degraded --filler rows --no-supervised --precision no"


@pytest.fixture
def main(series):
    return series("zerostereo_ablation")


def test_tiny_series_prints_its_tables_and_goes_on_where_it_stopped(tmp_path, capsys, main):
    def series():
        assert main([str(tmp_path), *TINY.split(), *FEW.split()]) == 0
        return capsys.readouterr().out, json.loads((tmp_path / "summary.json").read_text())

    printed, summary = series()
    assert "[2/2]" in printed
    assert "| degraded | all, ZeroStereo loss | 1 |" in printed
    assert "| degraded | all, ZeroStereo loss | tcg |" not in printed  # nothing to compare it with
    assert summary["complete"]
    assert [result["row"] for result in summary["runs"]] == ["baseline", "full"]
    assert "photometric" in summary["runs"][1]["losses"]
    assert "photometric" not in summary["runs"][0]["losses"]
    assert all(result["figures"]["real"]["epe"] >= 0 for result in summary["runs"])

    (lost,) = (tmp_path / "results").glob("degraded-full-0-*.json")  # as if it had been stopped before this run
    lost.unlink()
    printed, again = series()
    assert "degraded full seed 0" in printed
    assert "degraded baseline seed 0" not in printed
    assert again["runs"][1]["figures"] == summary["runs"][1]["figures"]
    assert again["runs"][0] == summary["runs"][0]


def test_other_test_pairs_need_another_folder(tmp_path, capsys, main):
    (tmp_path / "tests.json").write_text("{}")
    assert main([str(tmp_path), *TINY.split(), *FEW.split()]) == 2
    assert "use a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("--crop 60,160", "multiples of 32"),
        ("--crop 64", "not height,width"),
        ("--minutes 0", "must be positive"),
        ("--seeds 0", "only --draws and --workers may be 0"),
        ("--photos nowhere", "no such file or folder"),
        ("--rows best", "invalid choice"),
    ],
)
def test_wrong_options_are_named_before_anything_is_made(tmp_path, capsys, main, wrong, said):
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path / "out"), *wrong.split()])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
