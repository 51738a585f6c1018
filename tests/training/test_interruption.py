"""Killed at the worst moments and resumed: the same bits, log and best weights as if nothing had happened."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tests.own_process import start

from wheatstone.training import train

from .run_tiny import SETTINGS, training
from .tiny import RECIPE, TinyData


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in the processes that are killed: sums depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, one_thread):
    out = tmp_path_factory.mktemp("whole")
    train(RECIPE, TinyData(), out, device="cpu", **SETTINGS)
    return out


def lines_of(out):
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{**line, "seconds": 0} for line in lines]


@pytest.mark.parametrize("moment", ["step", "checkpoint"])
def test_killed_and_resumed_is_bitwise_the_uninterrupted_run(whole, tmp_path, moment):
    out = tmp_path / "run"
    process, connection = start(training, out, moment)
    try:
        assert connection.poll(120), "it never came to that moment"
        assert connection.recv() == moment
    finally:
        process.kill()
        process.join()
    half_written = list((out / "checkpoints").glob(".unfinished-*/*"))
    assert bool(half_written) == (moment == "checkpoint")
    (before,) = (out / "checkpoints").glob("step-*")
    assert before.name == "step-0000004"
    assert len(lines_of(out)) > 4  # the log had gone on
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
