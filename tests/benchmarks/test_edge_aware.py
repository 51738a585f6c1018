"""The comparison of edge-aware filling: one painter on both sides, and a table for every kind of disparity."""

import runpy
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from wheatstone.synthesis.rows import RowSynthesizer, SmoothRows

pytest.importorskip("numba", reason="the extra `scenes` renders")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "edge_aware.py"


@pytest.fixture
def script():
    threads = torch.get_num_threads()
    yield runpy.run_path(str(SCRIPT))
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("name", "kind"), [("smooth-rows", SmoothRows), ("rows", RowSynthesizer)])
def test_the_same_painter_stands_on_both_sides(script, name, kind):
    plain, aware = script["_painters"](name, Namespace(steps=None, device="cpu", closed=None))
    assert type(plain) is kind
    assert aware.backend is plain
    assert aware.rule.closed == 0  # rows tell the sides by themselves
    assert script["BACKENDS"][:2] == ("smooth-rows", "rows")


def test_every_way_gets_its_row(script, capsys):
    arguments = ["--scenes", "930000:1", "--size", "96", "160", "--backends", "smooth-rows", "rows"]
    assert script["main"](arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("smooth-rows", "rows"):
        rows = [line for line in lines if line.startswith(f"| {name}, edge-aware |")]
        assert len(rows) == 2
        assert all(line.rstrip(" |").endswith("of 1") for line in rows)
    for half in ("label", "rim"):
        assert sum(line.startswith(f"| smooth-rows, {half} |") for line in lines) == 1
    assert script["main"](["--scenes", "930000:1", "--size", "96", "160", "--backends", "rows", "--steps", "3"]) == 2
    assert "steps" in capsys.readouterr().err
