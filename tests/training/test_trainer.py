"""The trainer: exact resume, means that do not depend on the split, a guard against NaN, nothing lost on Ctrl-C."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wheatstone.errors import InputError, OutputError, TrainingError
from wheatstone.training import Build, Schedule, recipes, train
from wheatstone.training.schedule import learning_rate_factor
from wheatstone.training.trainer import objective_of

from .tiny import RECIPE, TinyData


def run(out, data=None, **changes):
    return train(RECIPE, TinyData() if data is None else data, out, device="cpu", **changes)


def weights(out):
    return load_file(Path(out) / "tiny" / "model.safetensors")


def assert_same(first, second, tolerance=0.0):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.allclose(first[name], second[name], rtol=0, atol=tolerance), name


def test_a_run_leaves_recipe_log_weights_and_one_checkpoint(tmp_path):
    states = []
    result = run(tmp_path / "run", progress=states.append)
    assert result.step == 6
    assert set(result.losses) == {"masked", "all", "empty", "loss"}
    assert result.losses["empty"] == 0
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["optimiser"]["lr"] == 0.01
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-0000006"]
    assert json.loads((tmp_path / "run" / "tiny" / "training.json").read_text())["step"] == 6
    assert states[-1].done == states[-1].total == 6
    assert states[2].seconds_left is not None


@pytest.mark.parametrize("accumulate", [1, 2])
def test_interrupted_and_resumed_is_bitwise_the_uninterrupted_run(tmp_path, accumulate):
    run(tmp_path / "whole", accumulate=accumulate)

    def interrupt(state):
        if state.done == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", accumulate=accumulate, progress=interrupt)
    assert (tmp_path / "parts" / "checkpoints" / "step-0000004" / "state.pt").is_file()
    run(tmp_path / "parts", accumulate=accumulate, resume=True)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "parts")]
    drop_time = [[{**json.loads(line), "seconds": 0} for line in log] for log in logs]
    assert drop_time[0] == drop_time[1]


def test_the_split_of_a_batch_changes_nothing(tmp_path):
    """Masks differ from item to item, so a mean of means would give another gradient."""
    whole = run(tmp_path / "whole", ema_decay=None)
    for accumulate in (2, 4):
        split = run(tmp_path / f"split-{accumulate}", ema_decay=None, accumulate=accumulate)
        assert split.losses == pytest.approx(whole.losses, rel=1e-5)
        assert_same(weights(tmp_path / "whole"), weights(tmp_path / f"split-{accumulate}"), tolerance=1e-6)


def test_workers_change_nothing(tmp_path):
    run(tmp_path / "none", steps=3)
    run(tmp_path / "two", steps=3, workers=2)
    assert_same(weights(tmp_path / "none"), weights(tmp_path / "two"))


def test_a_loss_that_is_no_number_stops_before_the_weights_move(tmp_path):
    with pytest.raises(TrainingError, match=r"step 1 is nan.*failure.json"):
        run(tmp_path / "run", data=TinyData(broken_at=6), save_every=1)
    assert "item-6" in json.loads((tmp_path / "run" / "failure.json").read_text())["keys"]
    assert all(value.isfinite().all() for value in weights(tmp_path / "run").values())


def test_refusals_name_the_cause(tmp_path):
    run(tmp_path / "run", steps=1)
    with pytest.raises(OutputError, match=r"holds a run at step-0000001"):
        run(tmp_path / "run")
    with pytest.raises(OutputError, match=r"another recipe \(seed: 0 there, 1 now\)"):
        run(tmp_path / "run", resume=True, seed=1)
    with pytest.raises(InputError, match="batch of 4 cannot be split evenly over 1 processes and 3"):
        run(tmp_path / "other", accumulate=3)
    with pytest.raises(InputError, match="unknown recipe 'no-such'"):
        train("no-such", None, tmp_path / "other")
    with pytest.raises(InputError, match="no field pace"):
        run(tmp_path / "other", pace=3)
    with pytest.raises(InputError, match="holds no items"):
        run(tmp_path / "other", data=TinyData(length=0))
    with pytest.raises(InputError, match="cannot be imported"):
        train(
            replace(RECIPE, objective=Build("wheatstone.objectives:NoSuch")),
            TinyData(),
            tmp_path / "third",
            device="cpu",
        )


def test_resuming_may_go_on_for_longer(tmp_path):
    run(tmp_path / "run", steps=2)
    longer = run(tmp_path / "run", steps=4, resume=True)
    assert longer.step == 4
    assert run(tmp_path / "run", steps=4, resume=True) == longer  # finished already: nothing left to do


def test_the_first_weights_depend_on_the_seed_alone_and_leave_the_global_generator_alone(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    run(tmp_path / "first", steps=1)
    assert torch.equal(torch.rand(1), expected)
    run(tmp_path / "again", steps=1)
    run(tmp_path / "other", steps=1, seed=1)
    assert_same(weights(tmp_path / "first"), weights(tmp_path / "again"))
    first, other = weights(tmp_path / "first"), weights(tmp_path / "other")
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_an_objective_that_changes_over_the_training_is_told_how_long_it_is():
    taught = Build("wheatstone.objectives.s2dkd:S2DKD", {"ramp": 0.1})
    assert objective_of(replace(RECIPE, objective=taught, steps=70)).factor(0) == 0
    assert objective_of(replace(RECIPE, objective=taught, steps=70)).factor(7) == 1
    fixed = replace(taught, options={**taught.options, "total_steps": 10})
    assert objective_of(replace(RECIPE, objective=fixed, steps=70)).factor(1) == 1
    objective_of(RECIPE)  # one that does not ask is not told


def test_half_precision_result_loads_back(tmp_path):
    from .tiny import TinyPart

    run(tmp_path / "run", steps=1, save_dtype="float16", precision="bf16")
    assert weights(tmp_path / "run")["0.weight"].dtype == torch.float16
    assert TinyPart.from_pretrained(tmp_path / "run" / "tiny").network is not None


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_learning_rate_rises_then_falls_to_its_final_share(kind):
    schedule = Schedule(kind, warmup=0.1, final=0.05)
    factors = [learning_rate_factor(schedule, step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(1.0 if kind == "constant" else 0.05)
    assert factors[10:] == sorted(factors[10:], reverse=True)


@pytest.mark.parametrize(("share", "steps"), [(0.01, 1000), (0.3, 17), (0.5, 4)])
def test_one_cycle_is_the_one_of_pytorch(share, steps):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-4, total_steps=steps, pct_start=share, anneal_strategy="linear", cycle_momentum=False
    )
    schedule = Schedule("one-cycle", warmup=share, initial=1 / 25, final=4e-6)
    for step in range(steps):
        ours = 2e-4 * learning_rate_factor(schedule, step, steps)
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        if step + 1 < steps:
            theirs.step()


def test_the_table_holds_plain_values(tmp_path):
    for name, recipe in recipes.items():
        assert recipe.name == name
        json.dumps(recipe.as_dict())
        recipe.objective()
        for part in recipe.parts.values():
            # a part that starts from weights of others cannot be built without them
            assert part.takes("start") or part().network is not None
