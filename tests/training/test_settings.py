"""Recipes changed by text, starting weights, parameter groups, the plan of a dry run, loss scaling, evaluation."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from wheatstone.cli import main
from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching import StereoMatcher
from wheatstone.samples import Match, StereoSample
from wheatstone.training import Build, Optimiser, dry_run, recipes, train, with_settings
from wheatstone.training.run_folder import RunFolder
from wheatstone.training.run_state import parameter_groups
from wheatstone.training.validation import MatcherEvaluation, is_better, matcher_evaluation

from .tiny import RECIPE, TinyData, TinyPart

FILLER = recipes["embedded-filler"]


def test_settings_reach_every_level():
    changed = with_settings(
        FILLER,
        [
            "steps=1e3",
            "optimiser.lr=3e-5",
            "optimiser.betas=0.9,0.95",
            "optimiser.rates.filler=0.5",
            "schedule.kind=one-cycle",
            "data.crop=64,96",
            "data.pools=[[0, 10], [5, 20]]",
            "parts.filler.decision=2",
            "objective.grain=0",
            "start.filler=/some/where",
            "clip_norm=none",
            "tf32=false",
        ],
    )
    assert changed.steps == 1000
    assert isinstance(changed.steps, int)
    assert (changed.optimiser.lr, changed.optimiser.betas) == (3e-5, (0.9, 0.95))
    assert changed.optimiser.rates == {"filler": 0.5}
    assert changed.schedule.kind == "one-cycle"
    assert changed.data.options["crop"] == (64, 96)
    assert changed.data.options["pools"] == ((0, 10), (5, 20))
    assert changed.data.options["pairs"] == 2000
    assert changed.parts["filler"].options == {"decision": 2.0}
    assert changed.objective.options["grain"] == 0.0
    assert changed.start == {"filler": "/some/where"}
    assert changed.clip_norm is None
    assert changed.tf32 is False
    assert FILLER.data.options["crop"] == (128, 192)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("steps", "write FIELD=VALUE"),
        ("pace=3", "no field 'pace'"),
        ("optimiser.momentum=3", "no field 'optimiser.momentum': a optimiser has lr"),
        ("data.crp=3", "no option 'data.crp': .*fill_pairs has pairs, size, crop, pools"),
        ("data.folder=x", "no option 'data.folder'"),
        ("parts.fill.decision=3", "the parts are filler"),
        ("schedule.kind=steep", "one of constant, cosine, one-cycle"),
        ("steps=many", "steps is a number"),
        ("optimiser.lr=none", "optimiser.lr cannot be none"),
        ("tf32=3", "tf32 is true or false"),
        ("data.crop=wide", "numbers with commas between"),
        ("data=x", "one option at a time"),
        ("parts.filler=x", "one option at a time"),
        ("steps.more=3", "deeper than the recipe does"),
    ],
)
def test_settings_that_make_no_sense_name_what_there_is(setting, message):
    with pytest.raises(InputError, match=message):
        with_settings(FILLER, [setting])


def test_weight_decay_and_rates_go_by_parameter():
    networks = {"tiny": TinyPart(5).network, "other": torch.nn.Linear(2, 2)}
    plain = parameter_groups(networks, Optimiser(weight_decay=0.1))
    assert sorted((group["weight_decay"], len(group["params"])) for group in plain) == [(0.0, 3), (0.1, 3)]
    everything = parameter_groups(networks, Optimiser(weight_decay=0.1, decay_all=True))
    assert [(group["weight_decay"], len(group["params"])) for group in everything] == [(0.1, 6)]
    rates = parameter_groups(networks, Optimiser(decay_all=True, rates={"tiny": 0.5, "tiny.0": 0.1}))
    assert sorted((group["rate"], len(group["params"])) for group in rates) == [(0.1, 2), (0.5, 2), (1.0, 2)]


def test_a_training_starts_from_given_weights(tmp_path):
    first = train(RECIPE, TinyData(), tmp_path / "first", device="cpu", steps=3)
    start = {"tiny": str(first.parts["tiny"])}
    still = replace(RECIPE, start=start, optimiser=Optimiser(lr=0.0), ema_decay=None)
    second = train(still, TinyData(), tmp_path / "second", device="cpu", steps=1)
    given = TinyPart.from_pretrained(first.parts["tiny"]).network.state_dict()
    kept = TinyPart.from_pretrained(second.parts["tiny"]).network.state_dict()
    assert all(torch.equal(given[name], kept[name]) for name in given)
    other = replace(RECIPE, start=start, parts={"tiny": Build("tests.training.tiny:TinyPart", {"width": 7})})
    with pytest.raises(CheckpointError, match=r"of other settings .*'0.weight' differs"):
        train(other, TinyData(), tmp_path / "third", device="cpu")
    with pytest.raises(InputError, match="the parts of 'tiny' are tiny"):
        train(replace(RECIPE, start={"big": "x"}), TinyData(), tmp_path / "third", device="cpu")


def test_half_precision_with_loss_scaling_learns_what_single_does(tmp_path):
    single = train(RECIPE, TinyData(), tmp_path / "single", device="cpu", ema_decay=None, steps=20)
    half = train(RECIPE, TinyData(), tmp_path / "half", device="cpu", ema_decay=None, steps=20, precision="fp16")
    # the first factor may be too large for the format: such a step is skipped, and the factor halved
    assert half.losses["loss"] == pytest.approx(single.losses["loss"], rel=0.1)
    state = RunFolder(tmp_path / "half").load_checkpoint(RunFolder(tmp_path / "half").last_checkpoint())
    assert state["scaler"]["scale"] >= 1024


def test_a_dry_run_tells_the_plan_and_writes_nothing(tmp_path, capsys):
    recipe = replace(RECIPE, evaluate=Build("tests.training.tiny:TinyEvaluation"), decides="error", accumulate=2)
    plan = dry_run(recipe, TinyData(), tmp_path / "out", device="cpu")
    text = plan.text()
    network = TinyPart(5).network
    count = sum(p.numel() for p in network.parameters())
    for expected in (
        f"tiny, {count} parameters, trains all",
        "11 items, seen 2.2 times",
        "6 of 4 items = 1 processes x 2 micro-batches x 2",
        "cosine: 0.01 at 1",
        "5 items every 1000 steps and at the end, the best by error is kept",
        "masked x 1, all x 0.1, empty x 1",
        "estimated",
    ):
        assert expected in text
    # two inputs and two outputs of each of the layers are far below, and weights alone far above, what a wrong unit gives
    memory = plan.memory
    assert memory.optimiser == 2 * memory.gradients == 8 * count
    assert 2 * 6 * 7 * 5 * 4 <= memory.activations <= 40 * 2 * 6 * 7 * 5 * 4
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit) as end:
        main(["train", "embedded-filler", str(tmp_path / "out"), "--dry-run", "--batch", "7", "--accumulate", "2"])
    assert end.value.code == 2
    assert "cannot be split evenly" in capsys.readouterr().err


class AlwaysThree(StereoMatcher):
    name = "three"
    config: ClassVar = {}

    def __call__(self, left, right, iterations=None, *, initial=None, all_iterations=False):
        return Match(torch.full_like(left[:, :1], 3.0))


def test_a_matcher_is_evaluated_by_the_protocol():
    views = {"left": torch.rand(3, 32, 40), "right": torch.rand(3, 32, 40)}
    samples = [
        StereoSample(f"s{i}", views, {"left": 0.0, "right": 1.0}, disparity=torch.full((1, 32, 40), 3.0 + i))
        for i in range(2)
    ]
    evaluation = MatcherEvaluation(samples)
    parts = {"matcher": AlwaysThree()}
    assert len(evaluation) == 2
    assert [evaluation(parts, i)["epe"] for i in range(2)] == pytest.approx([0.0, 1.0])
    assert "seconds" not in evaluation(parts, 0)
    with pytest.raises(InputError, match="no matcher"):
        evaluation({"matcher": TinyPart()}, 0)
    assert matcher_evaluation() is None


def test_an_evaluation_takes_the_form_of_the_protocol_for_its_data_set(data):
    of_kitti = matcher_evaluation(f"kitti-2015={data / 'kitti2015'}", protocol="raft-stereo").protocol
    assert (of_kitti.thresholds, of_kitti.outlier_average) == ((3,), "pixels")
    assert matcher_evaluation("scenes=3:1", protocol="zerostereo:eth3d").protocol.thresholds == (1,)
    with pytest.raises(InputError, match=r"not for scenes=3:1.*--set evaluate\.protocol=NAME"):
        matcher_evaluation("scenes=3:1", protocol="zerostereo")


@pytest.mark.parametrize("name", [name for name in recipes if name.endswith("-small") and recipes[name].evaluate])
def test_small_recipes_can_be_evaluated_on_rendered_scenes(name):
    evaluate = recipes[name].evaluate
    assert len(replace(evaluate, options={**evaluate.options, "dataset": "scenes=3:1"})()) == 1


def test_which_evaluation_is_the_best():
    assert is_better("epe", 1.0, None)
    assert is_better("epe", 1.0, 2.0)
    assert not is_better("epe", 2.0, 2.0)
    assert is_better("+psnr", 3.0, 2.0)
    assert not is_better("epe", float("nan"), None)
