import json
import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "inpainting_gpu.py"


def test_toy_run_prints_a_table_and_writes_json(tmp_path, capsys):
    main = runpy.run_path(str(SCRIPT))["main"]
    file = tmp_path / "figures.json"
    main(["--tiny", "--size", "64", "--steps", "2", "--batches", "1", "2", "--repeats", "1", "--json", str(file)])
    rows = json.loads(file.read_text())["rows"]
    assert [row["batch"] for row in rows] == [1, 2]
    assert all(row["images_per_second"] > 0 for row in rows)
    assert "| 2 | trailing | 1 |" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu_it_says_so(capsys):
    runpy.run_path(str(SCRIPT))["main"]([])
    assert "no GPU here" in capsys.readouterr().out
