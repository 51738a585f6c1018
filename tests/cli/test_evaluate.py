import json

import numpy as np
import pytest
from PIL import Image

from wheatstone.cli import main
from wheatstone.files import write_pfm


@pytest.fixture
def folder(tmp_path):
    """Two pairs in the layout of Middlebury 2014: a textured wall with a nearer box."""
    rng = np.random.default_rng(0)
    for scene in ("Backpack", "Shelves"):
        disparity = np.full((40, 72), 3, np.float32)
        disparity[12:30, 30:50] = 9
        wall = rng.integers(0, 256, (40, 90, 3), dtype=np.uint8)
        (tmp_path / scene).mkdir()
        Image.fromarray(wall[:, :72]).save(tmp_path / scene / "im0.png")
        Image.fromarray(wall[:, 3:75]).save(tmp_path / scene / "im1.png")
        write_pfm(tmp_path / scene / "disp0.pfm", disparity)
    return tmp_path


def _run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", *map(str, arguments)])
    return exit_.value.code


def test_depth_table_and_json(folder, capsys):
    code = _run("depth", "row-prior", f"middlebury-2014={folder}", "--json", folder / "out" / "figures.json")
    out = capsys.readouterr().out
    assert code == 0
    assert all(word in out for word in ("AbsRel", "row-prior", "constant", "Backpack", "Shelves"))
    stored = json.loads((folder / "out" / "figures.json").read_text())
    assert stored["protocol"]["name"] == "affine-inverse-depth"
    assert [row["item"] for row in stored["rows"]] == ["Backpack"] * 2 + ["Shelves"] * 2
    assert 0 < stored["means"]["row-prior"]["abs_rel"] < 1


def test_synthesizer_with_a_baseline_on_the_first_item(folder, capsys):
    code = _run(
        "synthesizer", "rows", f"middlebury-2014={folder}", "--limit", 1, "--baseline", "classical", "--markdown"
    )
    out = capsys.readouterr().out
    assert code == 0
    assert "| item | rows | classical | warp |" in out
    assert "Shelves" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("depth", "no-such-part", "middlebury-2014={}"), "unknown depth estimator"),
        (("depth", "row-prior", "nowhere"), "no such data set"),
        (("synthesizer", "rows", "middlebury-2006={}"), "view1,view5,disp1,disp5"),
        (("depth", "row-prior", "middlebury-2014={}", "--limit", "0"), "--limit"),
    ],
)
def test_bad_calls_exit_with_2_and_one_line(folder, capsys, arguments, message):
    code = _run(*(argument.format(folder) for argument in arguments))
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert "Traceback" not in error
