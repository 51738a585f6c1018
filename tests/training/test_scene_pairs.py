"""Rendered pairs as training items: true disparity, the baseline's answers as a start, the same draw for the same numbers."""

import numpy as np
import pytest
import torch

from wheatstone.geometry import backward_warp
from wheatstone.training.scene_pairs import drawn_pair, scene_pairs

GEOMETRY = {"crop": (64, 96), "noise": 0.0, "blur": 0.0, "erase": 0.0, "vertical_jitter": 0, "asymmetric": 0.0}
COLOURS = {"brightness": 0.0, "contrast": 0.0, "saturation": (1.0, 1.0), "hue": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    return tmp_path_factory.mktemp("scenes")


def source(folder, **options):
    return scene_pairs(folder, 0, pairs=2, size=(96, 128), augmentation={**GEOMETRY, **COLOURS}, **options)


def test_the_disparity_leads_from_the_left_view_to_the_right_one(folder):
    data = source(folder, cameras=0.0, unlike=0.0)
    for index in range(2):
        item = data.item(index, 0, np.random.default_rng(index))
        assert item["left"].shape == (3, 64, 96)
        assert item["disparity"].min() > 0
        moved = backward_warp(item["right"][None], item["disparity"][None])[0]
        away = (moved - item["left"]).abs().mean(0)
        unmoved = (item["right"] - item["left"]).abs().mean(0)
        assert away.median() < 0.02
        assert away.median() < unmoved.median()


def test_mirrored_ends_are_swapped_and_keep_the_sign(folder):
    stored = source(folder).scenes[0]
    seen = set()
    for seed in range(12):
        left, right, disparity = drawn_pair(stored, np.random.default_rng(seed))
        assert (disparity > 0).all()
        seen.add(
            int(np.array_equal(left, stored["image"][0])) + 2 * int(np.array_equal(left, stored["image"][1][:, ::-1]))
        )
        assert not np.array_equal(left, right)
    assert {1, 2} <= seen


def test_an_item_starts_from_semi_global_matching_or_from_nothing(folder):
    data = source(folder, start=1.0, cameras=0.0, unlike=0.0)
    errors, unmoved = [], []
    for seed in range(6):
        item = data.item(seed, 0, np.random.default_rng(seed))
        assert item["initial"].shape == item["known"].shape == item["disparity"].shape
        assert item["initial"].isfinite().all()
        measured = item["known"] > 0
        assert measured.any()
        truth = item["disparity"][measured]
        errors.append((item["initial"][measured] - truth).abs())
        unmoved.append((truth - truth.median()).abs())
    assert torch.cat(errors).median() < 0.5 * torch.cat(unmoved).median()
    nothing = source(folder, start=0.0).item(0, 0, np.random.default_rng(3))
    assert nothing["initial"].isnan().all()
    assert not nothing["known"].any()
    assert "initial" not in source(folder).item(0, 0, np.random.default_rng(3))


def test_the_same_numbers_draw_the_same_item(folder):
    data = source(folder, start=0.5)
    first, again, other = (data.item(1, 0, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert torch.equal(first["left"], again["left"])
    assert torch.equal(first["disparity"], again["disparity"])
    assert not torch.equal(first["left"], other["left"])


def test_pools_limit_the_scenes(folder):
    data = source(folder, pools=((0, 1), (5, 2)))
    assert {data.item(index, 0, np.random.default_rng(0))["key"] for index in range(2)} == {"scene-0"}
    assert {data.item(index, 5, np.random.default_rng(0))["key"] for index in range(2)} == {"scene-0", "scene-1"}
