"""Recipes of matchers: what they name exists and fits together, they carry the published numbers, and they learn."""

import json
from dataclasses import dataclass

import pytest
import torch

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.disparity import UniformPixels, parse_rule
from wheatstone.errors import InputError
from wheatstone.matching import NetworkMatcher
from wheatstone.training import recipes, train
from wheatstone.training.overrides import with_settings
from wheatstone.training.stereo_data import check_making
from wheatstone.training.stereo_recipes import STEREO_RECIPES

NAMES = [recipe.name for recipe in STEREO_RECIPES]
_OWN = ("augmentation", "without", "scenes", "size", "depth", "degrade", "max_side", "device", "cache")


@pytest.mark.parametrize("name", NAMES)
def test_everything_a_recipe_names_exists_and_its_settings_are_known(name):
    recipe = recipes[name]
    options = dict(recipe.data.options)
    StereoAugmentation.from_settings(options["augmentation"])
    parse_rule(options.get("rule", "adaptive"))
    making = {key: value for key, value in options.items() if key not in _OWN}
    check_making(making)
    recipe.objective()
    assert recipe.evaluate is not None
    assert recipe.evaluate() is None  # no pairs to evaluate on unless they are named
    if name.endswith("-small"):
        part = recipe.parts["matcher"]()
        assert isinstance(part, NetworkMatcher)
        assert options["without"] in ("pairs", "pictures")
    else:
        assert recipe.parts["matcher"].takes("iterations") or name == "mfs"
        assert "without" not in options


@pytest.mark.parametrize("name", ["zerostereo-raft", "zerostereo-igev"])
def test_zerostereo_is_trained_with_the_published_numbers(name):
    recipe = recipes[name]
    optimiser, schedule = recipe.optimiser, recipe.schedule
    assert (recipe.steps, recipe.batch, recipe.clip_norm, recipe.ema_decay) == (200_000, 8, 1.0, None)
    assert (optimiser.lr, optimiser.weight_decay, optimiser.decay_all) == (2e-4, 0.01, True)
    assert (schedule.kind, schedule.warmup) == ("one-cycle", 0.01)
    loss = recipe.objective()
    assert (loss.iterations, loss.gamma, loss.mu) == (22, 0.9, 0.1)
    augmentation = StereoAugmentation.from_settings(recipe.data.options["augmentation"])
    assert augmentation == StereoAugmentation(crop=(384, 512))


def test_the_range_of_mfs_overshoots_now_and_then_and_its_windows_hold_it():
    rule = parse_rule(recipes["mfs"].data.options["rule"])
    assert rule == UniformPixels(low_px=50.0, high_px=192.0, official=True)
    window, trim = recipes["mfs"].data.options["window"], recipes["mfs"].data.options["trim"]
    assert window[1] - trim == recipes["mfs"].data.options["augmentation"]["crop"][1] == 608


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("-small")])
def test_full_recipes_say_what_data_they_need(name, tmp_path):
    recipe = recipes[name]
    with pytest.raises(InputError, match=r"needs data: name with --data .* generate"):
        recipe.data(folder=tmp_path / "data", seed=0, cache=tmp_path / "data")


def test_the_switches_of_the_ablation_are_settings():
    recipe = with_settings(
        recipes["zerostereo-raft-small"],
        ["data.fill=background", "data.rule=uniform:low_px=20,high_px=77", "objective.photometric=false", "steps=5"],
    )
    assert recipe.data.options["fill"] == "background"
    assert recipe.objective() != recipes["zerostereo-raft-small"].objective()
    assert parse_rule(",".join(recipe.data.options["rule"])).max_px(100) == 77  # as `made_pairs` reads it
    given = with_settings(recipes["mfs"], ["data.rule=uniform:low_px=10,high_px=48,official=true"]).data.options["rule"]
    assert parse_rule(given) == UniformPixels(low_px=10.0, high_px=48.0, official=True)


@dataclass(frozen=True)
class OnePair:
    """Always the same textured pair with a box in front, seen 8 px apart."""

    def __len__(self):
        return 1

    def item(self, index, step, generator):
        noise = torch.rand(3, 32, 64, generator=torch.Generator().manual_seed(0))
        wall, box = noise, noise.flip(-1)[:, 4:28, 24:48]
        left, right, disparity = wall.clone(), wall.clone(), torch.zeros(1, 32, 64)
        left[:, 4:28, 24:48], right[:, 4:28, 16:40] = box, box
        disparity[:, 4:28, 24:48] = 8
        ones = torch.ones(1, 32, 64)
        return {
            "key": "box",
            "left": left,
            "right": right,
            "left_clean": left,
            "right_clean": right,
            "disparity": disparity,
            "valid": ones > 0,
            "visible": ones > 0,
            "hole": ones < 0,
            "confidence": 0.9 * ones,
        }


def quick(name, out, steps):
    """A smaller small recipe on one pair; every step's line of the log."""
    recipe = with_settings(
        recipes[name],
        [
            "objective.iterations=3",
            "parts.matcher.hidden_dims=16,16,16",
            "parts.matcher.n_gru_layers=1",
            "optimiser.lr=2e-3",
        ],
    )
    options = {"batch": 1, "save_every": steps, "log_every": 1, "evaluate": None, "device": "cpu"}
    result = train(recipe, OnePair(), out, steps=steps, **options)
    return result, [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_small_recipe_learns(tmp_path):
    result, log = quick("raft-supervised-small", tmp_path, 30)
    assert len(log) == 30
    assert sum(line["loss"] for line in log[-3:]) < 0.7 * sum(line["loss"] for line in log[:3])
    assert (result.parts["matcher"] / "model.safetensors").is_file()


def test_zerostereos_terms_reach_the_log(tmp_path):
    _, log = quick("zerostereo-raft-small", tmp_path, 2)
    assert {"disparity", "photometric", "epe", "bad-3", "loss"} <= set(log[-1])
    assert log[-1]["loss"] == pytest.approx(log[-1]["disparity"] + 0.1 * log[-1]["photometric"])
