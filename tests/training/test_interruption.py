"""Killed at the worst moments and resumed: the same bits, log and best weights as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from wheatstone.training import Build, train

from .tiny import RECIPE, TinyData

SETTINGS = {
    "steps": 12,
    # 16 MB, so that writing a checkpoint takes long enough to be caught at it
    "parts": {"tiny": Build("tests.training.tiny:TinyPart", {"width": 5, "ballast": 4_000_000})},
    "evaluate": Build("tests.training.tiny:TinyEvaluation"),
    "evaluate_every": 3,
    "decides": "error",
}


def in_a_step(out, shown):
    return (out / "checkpoints").is_dir() and len(shown) >= 5


def writing_a_checkpoint(out, shown):
    return len(shown) >= 4 and any((out / "checkpoints").glob(".unfinished-step-*/*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    train(RECIPE, TinyData(), out, device="cpu", **SETTINGS)
    return out


def lines_of(out):
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{**line, "seconds": 0} for line in lines]


@pytest.mark.parametrize("moment", [in_a_step, writing_a_checkpoint])
def test_killed_and_resumed_is_bitwise_the_uninterrupted_run(whole, tmp_path, moment):
    root = Path(__file__).parents[2]
    out = tmp_path / "run"
    command = [sys.executable, "-m", "tests.training.run_tiny", str(out)]
    said = tmp_path / "said"
    with said.open("w") as stream:
        killed = subprocess.Popen(command, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=stream)
        try:
            deadline = time.monotonic() + 120
            while not moment(out, said.read_text().split()) and killed.poll() is None and time.monotonic() < deadline:
                time.sleep(0.0005)
        finally:
            killed.send_signal(signal.SIGKILL)
            killed.wait()
    assert killed.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    if moment is writing_a_checkpoint:
        assert list((out / "checkpoints").glob(".unfinished-*")), "it was not killed while it wrote"
    (before,) = (out / "checkpoints").glob("step-*")
    assert before.name < "step-0000012"
    result = train(RECIPE, TinyData(), out, device="cpu", resume=True, **SETTINGS)
    assert result.step == 12
    assert lines_of(out) == lines_of(whole)
    for place in ("tiny", "best/tiny"):
        ours, theirs = (load_file(root / place / "model.safetensors") for root in (out, whole))
        assert all(ours[name].equal(theirs[name]) for name in theirs)
    facts = [json.loads((root / "best/tiny/training.json").read_text()) for root in (out, whole)]
    assert facts[0]["step"] == facts[1]["step"] == result.best["step"]
    assert facts[0]["figures"] == facts[1]["figures"]
    assert not list(out.rglob(".unfinished-*"))


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path, whole):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "log.jsonl").write_text('{"step": 1, "loss": 5}\n{"step": 2, "lo')
    train(RECIPE, TinyData(), tmp_path / "run", device="cpu", resume=True, **{**SETTINGS, "steps": 1})
    assert [line["step"] for line in lines_of(tmp_path / "run")] == [1, 1]  # the step and its evaluation


def test_a_run_killed_before_its_weights_were_in_place_writes_them(tmp_path):
    import shutil

    first = train(RECIPE, TinyData(), tmp_path, device="cpu", steps=2)
    shutil.rmtree(first.parts["tiny"])
    again = train(RECIPE, TinyData(), tmp_path, device="cpu", steps=2, resume=True)
    assert (again.parts["tiny"] / "model.safetensors").is_file()
