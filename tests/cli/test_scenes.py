"""`wheatstone scenes`: a data set that keeps its promises, grows, resumes, and refuses another configuration."""

import pytest

pytest.importorskip("numba", reason="rendering needs the extra [scenes]")

from wheatstone.cli.scenes import Options, run
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.errors import InputError, OutputError


def test_writes_verifies_grows_and_refuses(tmp_path, capsys):
    out = tmp_path / "worlds"
    small = {"out": out, "size": (64, 48), "baselines": (0.5,), "report_samples": 2}
    run(Options(count=2, **small))
    assert "2 of them new" in capsys.readouterr().out
    result = verify_dataset(out)
    assert result.ok, result.problems
    before = (out / "left" / "scene-00000001.png").read_bytes()

    run(Options(count=3, **small))
    assert "1 of them new" in capsys.readouterr().out
    assert verify_dataset(out).ok
    assert (out / "left" / "scene-00000001.png").read_bytes() == before
    assert (out / "report.html").is_file()

    sample = load_dataset(out)[2]
    assert set(sample.views) == {"left", "right", "centre"}
    assert {"sky", "moving", "disparity_right", "disparity_centre"} <= set(sample.extras)
    assert sample.provenance["synthetic_views"] == []
    with pytest.raises(OutputError, match="size"):
        run(Options(out=out, count=3, size=(80, 48), baselines=(0.5,)))


def test_count_must_be_positive(tmp_path):
    with pytest.raises(InputError, match="--count"):
        run(Options(out=tmp_path, count=0))
