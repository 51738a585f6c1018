import json

import pytest

TINY = "--steps 1 --seeds 1 --scenes 2 --tests 1 --batch 1 --crop 32,64 --size 48,80 --real scenes=7:1 --precision no"


@pytest.fixture
def main(series):
    return series("genstereo_matching")


def test_tiny_series_compares_synthesizers_and_goes_on_where_it_stopped(tmp_path, capsys, main):
    def series():
        assert main([str(tmp_path), *TINY.split(), "--synthesizers", "rows", "background", "--no-supervised"]) == 0
        return capsys.readouterr().out, json.loads((tmp_path / "summary.json").read_text())

    printed, summary = series()
    assert "[2/2]" in printed
    assert "| background | 1 |" in printed
    assert "Differences to rows, seed by seed" in printed
    assert summary["complete"]
    assert set(summary["label_agreement"]) == {"rows", "background"}
    disparities = [sorted((tmp_path / "data" / name / "disparity").iterdir()) for name in ("rows", "background")]
    assert [file.read_bytes() for file in disparities[0]] == [file.read_bytes() for file in disparities[1]]

    (lost,) = (tmp_path / "results").glob("estimated-background-0-*.json")  # as if it had been stopped before this run
    lost.unlink()
    printed, again = series()
    assert "[1/2]" not in printed
    assert [run["figures"] for run in again["runs"]] == [run["figures"] for run in summary["runs"]]


def test_bad_options_are_refused(tmp_path, capsys, main):
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--synthesizers", "rows", "rows"])
    assert "every synthesizer once" in capsys.readouterr().err
    assert main([str(tmp_path), *TINY.split(), "--synthesizers", "nothing"]) == 2
    assert "unknown synthesizer" in capsys.readouterr().err
