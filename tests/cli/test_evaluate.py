import json

import numpy as np
import pytest
from PIL import Image

from wheatstone.cli import main
from wheatstone.files import write_pfm
from wheatstone.matching import load_matcher


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
    assert "| item | rows | classical | warp | identity |" in out
    assert "Shelves" not in out


def test_synthesizers_by_the_published_protocol_with_a_page(folder, capsys):
    page, figures = folder / "out" / "page.html", folder / "out" / "figures.json"
    arguments = ["--protocol", "genstereo:kitti-2015", "--square", "64", "--official", "--matcher", "none"]
    assert _run("synthesizer", "rows", f"middlebury-2014={folder}", *arguments, "--page", page) == 0
    assert "the disparity that was asked for" not in capsys.readouterr().out
    options = ("--depth", "row-prior", "--square", 64, "--json", figures, "--limit", 1)
    assert _run("synthesizer", "warp", f"middlebury-2014={folder}", "--protocol", "genstereo", *options) == 0
    out = capsys.readouterr().out
    assert out.startswith("synthesizer warp on middlebury-2014, protocol genstereo, changed\n")
    assert "no true geometry: the disparity is the inverse depth of row-prior" in out
    assert "as the matcher sgbm finds it" in out
    stored = json.loads(figures.read_text())
    assert stored["protocol"]["name"] == "genstereo, changed"
    assert stored["protocol"]["depth"]["part"] == "row-prior"
    assert stored["parts"] == ["warp", "rows", "classical", "identity"]
    assert "Holes" in page.read_text()


def test_matchers_side_by_side_with_a_page_and_every_figure(folder, capsys):
    page, figures = folder / "out" / "page.html", folder / "out" / "figures.json"
    weights = folder / "mine"
    load_matcher("sgbm", max_disparity=16).save_pretrained(weights)
    code = _run(
        "matcher",
        "sgbm",
        f"middlebury-2014={folder}",
        "--against",
        f"{weights},sgbm={weights}",
        "--page",
        page,
        "--json",
        figures,
    )
    out = capsys.readouterr().out
    assert code == 0
    assert all(
        word in out
        for word in ("EPE px", "bad-2", "D1", "s/pair", "within 5 px of a step", "Backpack", f"page: {page}")
    )
    assert "occluded" not in out  # there is no mask
    stored = json.loads(figures.read_text())
    assert stored["parts"] == ["sgbm", str(weights), "sgbm=mine", "constant"]
    assert stored["means"]["sgbm=mine"] == {
        **stored["means"][str(weights)],
        "seconds": stored["means"]["sgbm=mine"]["seconds"],
    }
    assert stored["protocol"]["name"] == "wheatstone"
    assert page.read_text().startswith("<!doctype html>")


def test_the_switches_reach_the_protocol(folder, capsys):
    figures = folder / "figures.json"
    arguments = (
        "--protocol raft-stereo --thresholds 1 2.5 --inclusive --d1 on --pooled all --max-disparity 8 --clamp --edges 3"
    )
    arguments += " --resolution 144x40 --iterations 5 --region all noc --sgbm-range truth --limit 1"
    code = _run("matcher", "sgbm", f"middlebury-2014={folder}", *arguments.split(), "--json", figures, "--markdown")
    assert code == 0
    assert "bad-2.5 % ↓" in capsys.readouterr().out
    stored = json.loads(figures.read_text())
    expected = {
        "name": "raft-stereo, changed",
        "regions": ["all", "noc"],
        "thresholds": [1, 2.5],
        "inclusive": True,
        "d1": True,
        "epe_average": "pixels",
        "outlier_average": "pixels",
        "max_disparity": 8.0,
        "beyond": "clamp",
        "resolution": [40, 144],
        "iterations": 5,
        "edge_radius": 3,
        "sgbm_range": "truth",
    }
    assert {name: stored["protocol"][name] for name in expected} == expected
    assert stored["parts"] == ["sgbm", "sgbm, told the range", "constant"]


def test_rendered_scenes_have_every_region(capsys):
    assert _run("matcher", "sgbm", "scenes=900000:1", "--region", "noc", "all", "occ") == 0
    out = capsys.readouterr().out
    assert out.startswith("matcher sgbm on scenes=900000:1, protocol wheatstone, changed\n")
    assert out.index("pixels that both views see") < out.index("all pixels") < out.index("occluded pixels")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matcher", "sgbm", "middlebury-2014={}", "--protocol", "best"), "unknown protocol 'best'"),
        (("matcher", "sgbm", "middlebury-2014={}", "--protocol", "kitti"), "not for middlebury-2014"),
        (("matcher", "sgbm", "middlebury-2014={}", "--region", "noc"), "no mask of what both views see"),
        (("matcher", "sgbm", "middlebury-2014={}", "--resolution", "wide"), "--resolution"),
        (("matcher", "sgbm", "middlebury-2014={}", "--clamp"), "--max-disparity"),
        (("matcher", "sgbm", "middlebury-2014={}", "--resolution", "inf"), "positive factor"),
        (("matcher", "sgbm", "middlebury-2014={}", "--thresholds", "0"), "thresholds"),
        (("matcher", "sgbm", "middlebury-2014={}", "--thresholds", "1", "nan"), "got 1, nan"),
        (("matcher", "sgbm", "middlebury-2014={}", "--thresholds", "inf"), "thresholds"),
        (("matcher", "sgbm", "middlebury-2014={}", "--thresholds", "2", "2"), "each once"),
        (("matcher", "sgbm", "middlebury-2014={}", "--against", "sgbm"), "named twice"),
        (("matcher", "no-such-part", "middlebury-2014={}"), "unknown matcher"),
        (("depth", "row-prior", "middlebury-2014={}", "--region", "noc"), "--region is an option of a matcher"),
        (("matcher", "sgbm", "middlebury-2014={}", "--robust"), "--robust is an option of a depth"),
        (("matcher", "sgbm", "middlebury-2014={}", "--page", "p.html", "--page-items", "-1"), "--page-items"),
        (("depth", "no-such-part", "middlebury-2014={}"), "unknown depth estimator"),
        (("depth", "row-prior", "middlebury-2014={}", "--protocol", "leak-free"), "in one way only"),
        (
            ("synthesizer", "rows", "middlebury-2014={}", "--protocol", "kitti"),
            "use one of wheatstone, genstereo, leak-free",
        ),
        (("synthesizer", "rows", "middlebury-2014={}", "--square", "3"), "at least 16 px"),
        (("synthesizer", "rows", "middlebury-2014={}", "--matcher", "best"), "unknown matcher"),
        (("synthesizer", "rows", "middlebury-2014={}", "--region", "noc"), "--region is an option of a matcher"),
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
