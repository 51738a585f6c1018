"""Two real processes against one: the same batch gives the same parameters, and what one finds wrong stops both."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.own_process import context
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from wheatstone.training import train

from .tiny import RECIPE, TinyData
from .two_processes import changes_of, trainings

# Rank 0 sees items without any truth and with little, rank 1 those with most of it. The norm of the gradient is above 0.05.
RUNS = {
    "plain": {"ema_decay": None},
    "clipped": {"clip_norm": 0.05},
    "accumulated": {"accumulate": 2, "clip_norm": 0.05},
    "frozen-norm": {"part": {"width": 5, "norm": True}},
    "evaluated": {"evaluated": True},
    "broken": {"broken_at": 6},
}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Folder of the runs, and what went wrong on each of two processes started as torchrun starts them."""
    out = tmp_path_factory.mktemp("two")
    context()  # the launcher asks for forks of the same server
    launch = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        run_id="two",
        start_method="forkserver",
        monitor_interval=0.05,
    )
    errors = elastic_launch(launch, trainings)(str(out), RUNS)
    return out, [errors[rank] for rank in (0, 1)]


def last_line(folder):
    return json.loads((folder / "log.jsonl").read_text().splitlines()[-1])


@pytest.mark.parametrize("name", [name for name in RUNS if name != "broken"])
def test_two_processes_are_one_with_the_summed_batch(two, tmp_path, name):
    changes = {**changes_of(RUNS[name]), "accumulate": 1}  # one process, and the batch in one piece
    one = train(RECIPE, TinyData(), tmp_path, device="cpu", **changes)
    ours, theirs = load_file(tmp_path / "tiny/model.safetensors"), load_file(two[0] / name / "tiny/model.safetensors")
    start = load_file(two[0] / "plain/tiny/model.safetensors")
    for key, value in ours.items():
        torch.testing.assert_close(theirs[key], value, rtol=0, atol=1e-6, msg=lambda m, key=key: f"{key}: {m}")
    if name == "clipped":
        assert not torch.allclose(ours["0.weight"], start["0.weight"], atol=1e-5)  # the clipping did something
    if name == "frozen-norm":
        assert torch.equal(theirs["1.running_mean"], torch.linspace(-1, 1, 5))
        assert torch.equal(theirs["unused"], torch.ones(2, 2))  # no gradient: not even decayed
    if name == "evaluated":
        figures = last_line(two[0] / name)["evaluation"]
        assert figures == pytest.approx(one.figures, rel=1e-5)
        best = json.loads((two[0] / name / "best/tiny/training.json").read_text())
        assert best["step"] == one.best["step"]
    else:
        assert last_line(two[0] / name)["masked"] == pytest.approx(one.losses["masked"], rel=1e-4)


def test_a_broken_item_of_one_process_stops_both_and_is_named(two):
    out, errors = two
    assert all("the loss of step 1 is nan" in found["broken"] for found in errors)
    failure = json.loads((out / "broken" / "failure.json").read_text())
    assert failure["step"] == 1
    assert "item-6" in failure["keys"]
    assert failure["keys"] == ["item-6", "item-7"]  # what the process that saw it saw, not the other's items
    assert not (out / "broken" / "tiny").exists()


@pytest.mark.slow
def test_torchrun_itself(two, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = str(Path(__file__).with_name("two_processes.py"))
    clipped = {"clipped": RUNS["clipped"]}
    subprocess.run([*torchrun, script, str(tmp_path), json.dumps(clipped)], env=surroundings, check=True)
    ours, theirs = (load_file(root / "clipped/tiny/model.safetensors") for root in (tmp_path, two[0]))
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    call = ["-m", "wheatstone", "train", "no-such-recipe", str(tmp_path / "out")]
    done = subprocess.run([*torchrun, *call], env=surroundings, capture_output=True, text=True, check=False)
    assert "unknown recipe 'no-such-recipe'" in done.stderr
    assert done.returncode != 0
