import json
import runpy
from pathlib import Path

import pytest
import torch

from wheatstone.synthesis.genstereo import GenStereo, small_networks
from wheatstone.training.inpainter import small_inpainter

pytest.importorskip("numba", reason="the extra `scenes` renders")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "small_synthesizers.py"


def tiny_inpainter():
    return small_inpainter(widths=(8, 16), heads=1, vae_widths=(4, 4, 8), side=64, steps=2)


def tiny_genstereo():
    return GenStereo(small_networks(0, widths=(8, 16), heads=1, vae_widths=(4, 4, 8, 8), side=32), steps=2)


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (tiny_inpainter, ("painted", "own-colours", "untrained", "shown", "warp", "rows")),
        (tiny_genstereo, ("known", "fusion", "generated", "untrained", "shown", "warp", "rows")),
    ],
)
def test_either_system_gets_its_table_and_picture(tmp_path, capsys, make, rows):
    torch.manual_seed(0)
    make().save_pretrained(tmp_path / "weights")
    picture = tmp_path / "picture.png"
    main = runpy.run_path(str(SCRIPT))["main"]
    arguments = [str(tmp_path / "weights"), "--scenes", "900000:1", "--size", "32", "64", "--steps", "1", "--rows", "1"]
    assert main([*arguments, "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert all(f"| `{row}` |" in printed for row in rows)
    assert "psnr of the codec alone" in printed
    assert "- rows" in printed
    assert picture.is_file()


def test_another_part_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"wheatstone": "embedded"}))
    assert runpy.run_path(str(SCRIPT))["main"]([str(tmp_path)]) == 2
    assert "holds a 'embedded'" in capsys.readouterr().err
