import runpy
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def series(monkeypatch):
    """`main` of a series of trainings, by its folder's name: its modules lie there and in the ablation's, as for a user."""
    threads = torch.get_num_threads()

    def main_of(name):
        for folder in ("zerostereo_ablation", name):
            monkeypatch.syspath_prepend(str(BENCHMARKS / folder))
        return runpy.run_path(str(BENCHMARKS / name / "__main__.py"), run_name=name)["main"]

    yield main_of
    torch.set_num_threads(threads)
