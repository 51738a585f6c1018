"""Recipes of Mono2Stereo: they carry the numbers of the page, and both stages run from one command each."""

import json

import numpy as np
import pytest
import torch

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.disparity import parse_rule
from wheatstone.errors import InputError
from wheatstone.training import recipes, train
from wheatstone.training.overrides import with_settings

FIRST, SECOND = recipes["mono2stereo-pretrain"], recipes["mono2stereo-finetune"]
TINY = [
    "parts.matcher.widths=8,8,8,8",
    "data.scenes=2",
    "data.size=48,80",
    "data.augmentation.crop=32,64",
    "batch=2",
    "steps=2",
    "save_every=2",
    "log_every=1",
]


def test_the_recipes_carry_the_numbers_of_the_page():
    assert (FIRST.steps, FIRST.batch, FIRST.optimiser.lr, FIRST.schedule.kind) == (150_000, 8, 2e-4, "one-cycle")
    assert FIRST.objective().gamma == 0.9
    assert parse_rule(FIRST.data.options["rule"]).max_px(1000) == pytest.approx(350.0)
    assert (SECOND.steps, SECOND.optimiser.lr) == (20_000, FIRST.optimiser.lr / 10)
    loss = SECOND.objective()
    assert (loss.variant, loss.steps, loss.ramp, loss.where) == ("pearson", "all", 0.1, "unlabelled")
    assert loss.gradient_target == 0.2
    assert recipes["mono2stereo-finetune-small"].objective().gradient_target == 8
    assert SECOND.data.options["replay"] == 0.2
    for recipe in (FIRST, SECOND):
        StereoAugmentation.from_settings(recipe.data.options["augmentation"])
        assert recipe.evaluate() is None


def test_full_recipes_say_what_they_need(tmp_path):
    for recipe in (FIRST, SECOND):
        with pytest.raises(InputError, match="--data"):
            recipe.data(folder=tmp_path, seed=0, cache=tmp_path)


@pytest.mark.parametrize("name", [SECOND.name, "mono2stereo-finetune-small"])
def test_a_fine_tuning_refuses_to_start_from_nothing(name, tmp_path):
    with pytest.raises(InputError, match="goes on from a trained matcher: name it with --start"):
        train(recipes[name], None, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_both_stages_run_on_rendered_scenes_and_the_second_starts_from_the_first(tmp_path):
    pytest.importorskip("numba")
    torch.set_num_threads(1)
    first = with_settings(recipes["mono2stereo-pretrain-small"], TINY)
    weights = train(first, None, tmp_path / "first", device="cpu").parts["matcher"]
    second = with_settings(recipes["mono2stereo-finetune-small"], [*TINY, "data.lidar.spacing=1.0", "data.replay=0.5"])
    second = second.with_changes(steps=6, batch=4)  # new and old items in one batch
    result = train(second, None, tmp_path / "second", device="cpu", start={"matcher": str(weights)})
    assert {"sequence", "distillation", "aligned"} <= set(result.losses)
    lines = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    saved = [torch.cat([p.flatten() for p in _weights(folder)]) for folder in (weights, result.parts["matcher"])]
    assert 0 < (saved[0] - saved[1]).abs().max() < 0.1


def _weights(folder):
    from wheatstone.matching import load_matcher

    return load_matcher(str(folder)).network.parameters()


def test_pairs_of_the_first_stage_are_made_edge_aware(tmp_path):
    pytest.importorskip("numba")
    recipe = with_settings(recipes["mono2stereo-pretrain-small"], TINY)
    source = recipe.data(folder=tmp_path, cache=tmp_path, seed=0)
    assert (source.filler.name, source.clean_up.method) == ("edge-aware", "edge-aware")
    sample = source.sample(0, np.random.default_rng(0))
    assert sample.hole.any()
    assert not sample.views["right"].isnan().any()
