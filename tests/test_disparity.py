"""Disparity rules: published statistics and arithmetic, guards, the command line's spelling."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wheatstone.disparity import (
    RULES,
    AdaptiveDisparity,
    FixedShare,
    RigDisparity,
    UniformPixels,
    parse_rule,
    rule_from_config,
)
from wheatstone.errors import InputError

RULE_EXAMPLES = [
    AdaptiveDisparity(),
    AdaptiveDisparity(0.08, 0.02, far_px=3.0),
    AdaptiveDisparity(official=True),
    UniformPixels(10.0, 24.0),
    UniformPixels(official=True),
    FixedShare(0.05, far_px=1.5),
    RigDisparity(700.0, 0.12),
    RigDisparity(700.0, 0.12, metric=True, near_m=0.8, width_px=1280),
]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def scales(rule, count, width=512, seed=0):
    draws = np.random.default_rng(seed).random((count, 2))
    return np.array([rule.scale_px(width, u, v) for u, v in draws]) / width


def test_official_adaptive_scale_is_the_published_one(committed_goldens):
    with np.load(committed_goldens / "zerostereo_ads.npz") as golden:
        first, quantiles, moments = (golden[f"{n}_f64"] for n in ("first64_over_w", "quantiles", "moments"))
        low, high = float(golden["frac_low"]), float(golden["frac_high"])
        depth, expected = golden["norm_depth"], golden["disp_from_norm_depth"]
    legacy = np.random.RandomState(1234)
    rule = AdaptiveDisparity(official=True)
    draws = legacy.rand(64, 2)
    ours = [rule.scale_px(512, u, v) / 512 for u, v in draws]
    np.testing.assert_allclose(ours, first, atol=1e-12)
    drawn = scales(rule, 100_000)
    np.testing.assert_allclose(
        np.quantile(drawn, [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]), quantiles, atol=2e-3
    )
    np.testing.assert_allclose([drawn.mean(), drawn.std()], moments, atol=5e-4)
    np.testing.assert_allclose([(drawn < 0.05).mean(), (drawn > 0.15).mean()], [low, high], atol=4e-3)
    width = depth.shape[1]
    disparity = torch.from_numpy(depth) * rule.scale_px(width, *draws[0])
    np.testing.assert_allclose(disparity.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_adaptive_floor_works_by_default_and_not_under_official():
    ours, published = scales(AdaptiveDisparity(), 20_000), scales(AdaptiveDisparity(official=True), 20_000)
    assert ours.min() >= 0.01
    assert published.min() < 0.001
    assert ours.max() <= 0.2


@pytest.mark.parametrize("which", [f"{size}/{draw}" for size in (0, 1) for draw in (0, 1, 2)])
def test_official_uniform_equals_stereo_from_mono(goldens, which):
    with np.load(goldens / "mfs_process_disparity.npz") as golden:
        depth = torch.from_numpy(golden[f"{which.split('/')[0]}/inv_depth"])[None, None]
        expected = torch.from_numpy(golden[f"{which}/no_sharpen"])
        seed, size = int(golden[f"{which}/seed"]), which[0]
    rule = UniformPixels(10.0, 24.0 if size == "0" else 20.0, official=True)
    python = random.Random(seed)
    scale = rule.scale_px(depth.shape[-1], python.random(), python.random())
    disparity = scale * rule.normalise(depth, torch.ones_like(depth, dtype=torch.bool))
    torch.testing.assert_close(disparity[0, 0], expected, rtol=2e-6, atol=2e-6)


def test_uniform_overshoots_only_under_official():
    depth = torch.linspace(2, 3, 12).reshape(1, 1, 3, 4)
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    assert UniformPixels(50.0, 192.0).scale_px(100, 0.001, 0.5) <= 192
    assert UniformPixels(50.0, 192.0, official=True).scale_px(100, 0.001, 0.5) == pytest.approx(1.1 * 192)
    assert UniformPixels().normalise(depth, everywhere).min() == 0
    assert UniformPixels(official=True).normalise(depth, everywhere).min() == pytest.approx(2 / 3)
    assert UniformPixels(official=True).normalise(depth - 5, everywhere).min() == 0


@pytest.mark.parametrize("rule", RULE_EXAMPLES, ids=str)
@given(seed=st.integers(0, 2**31), width=st.integers(1, 40))
@settings(max_examples=12, deadline=None)
def test_disparity_keeps_order_and_bounds(rule, seed, width):
    depth = torch.rand(1, 1, 6, width, generator=generator(seed))
    made = rule(depth, generator(seed))
    again = rule(depth, generator(seed))
    assert torch.equal(made.disparity, again.disparity)
    assert made.disparity.isfinite().all()
    assert (made.disparity >= 0).all()
    assert float(made.disparity.max()) <= rule.max_px(width) * (1 + 1e-6)
    order = depth[made.valid].argsort()
    ranked = made.disparity[made.valid][order].tolist()
    assert all(before <= after for before, after in pairwise(ranked))


@pytest.mark.parametrize("rule", RULE_EXAMPLES, ids=str)
def test_constant_and_unknown_depth(rule):
    constant = rule(torch.full((1, 1, 4, 5), 0.3), generator())
    assert constant.disparity.isfinite().all()
    assert constant.disparity.unique().numel() == 1
    depth = torch.rand(1, 1, 4, 5)
    depth[0, 0, 0, 0], depth[0, 0, 1, 1] = torch.nan, torch.inf
    holed = rule(depth, generator())
    assert not holed.valid[0, 0, 0, 0]
    assert not holed.valid[0, 0, 1, 1]
    assert holed.disparity.isfinite().all()
    nothing = rule(torch.full((1, 1, 4, 5), torch.nan), generator())
    assert not nothing.valid.any()
    assert (nothing.disparity == 0).all()


def test_far_plane_is_where_it_was_put():
    made = FixedShare(0.1, far_px=2.5)(torch.rand(1, 1, 5, 40), None)
    assert made.disparity.min() == 2.5
    assert made.disparity.max() == pytest.approx(6.5)
    assert made.scale_px.tolist() == [4.0]


def test_one_generator_an_item():
    depth = torch.rand(3, 1, 4, 100)
    rule = AdaptiveDisparity()
    together = rule(depth, [generator(seed) for seed in range(3)])
    for item in range(3):
        alone = rule(depth[item : item + 1], generator(item))
        assert torch.equal(alone.disparity[0], together.disparity[item])
        assert alone.scale_px[0] == together.scale_px[item]
    with pytest.raises(InputError, match="2 generators for 3"):
        rule(depth, [generator(), generator()])
    with pytest.raises(InputError, match="needs the generator"):
        rule(depth)


def test_rig_takes_metric_depth_as_it_is():
    metres = torch.tensor([2.0, 4.0, 8.0, 0.4]).reshape(1, 1, 1, 4)
    made = RigDisparity(700.0, 0.12, metric=True)(1 / metres)
    torch.testing.assert_close(made.disparity.flatten()[:3], torch.tensor([42.0, 21.0, 10.5]))
    assert made.valid.flatten().tolist() == [True, True, True, False]
    half = RigDisparity(700.0, 0.12, metric=True, width_px=8)(1 / metres)
    torch.testing.assert_close(half.disparity.flatten()[:3], torch.tensor([21.0, 10.5, 5.25]))


def test_rig_matches_relative_depth_by_quantiles():
    depth = torch.linspace(-3, 5, 101).reshape(1, 1, 1, 101)
    made = RigDisparity(500.0, 0.1, near_m=2.0, far_m=50.0, quantile=0.1)(depth)
    row = made.disparity.flatten()
    assert row[10].item() == pytest.approx(1.0)
    assert row[90].item() == pytest.approx(25.0)
    assert row.min() >= 0
    assert row.max() > 25


@pytest.mark.parametrize("rule", RULE_EXAMPLES, ids=str)
def test_config_round_trip(rule):
    assert rule_from_config(rule.config) == rule
    assert rule.config["rule"] in RULES


def test_rules_are_read_from_the_command_line():
    assert parse_rule("adaptive") == AdaptiveDisparity()
    assert parse_rule("adaptive:center=0.08, radius=0.02, official=yes") == AdaptiveDisparity(0.08, 0.02, official=True)
    assert parse_rule("uniform:low_px=50,high_px=100,far_px=2") == UniformPixels(50.0, 100.0, far_px=2.0)
    assert parse_rule("fixed:share=0.05") == FixedShare(0.05)
    assert parse_rule("rig:focal_px=700,baseline_m=0.12,width_px=1280") == RigDisparity(700.0, 0.12, width_px=1280)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("median", "unknown disparity rule 'median': use one of adaptive, uniform, fixed, rig"),
        ("fixed:width=2", "settings of 'fixed': far_px, share"),
        ("fixed:share", "as setting=value"),
        ("fixed:share=wide", "share must be a number, got 'wide'"),
        ("fixed:share=inf", "finite"),
        ("fixed:share=0", "share must be positive"),
        ("adaptive:radius=0.3", "radius, floor between 0 and center"),
        ("adaptive:official=perhaps", "official must be true or false"),
        ("adaptive:far_px=-1", "far_px must not be negative"),
        ("uniform:low_px=9,high_px=3", "0 < low_px <= high_px"),
        ("rig:focal_px=700", "needs baseline_m"),
        ("rig:focal_px=700,baseline_m=0.1,width_px=1.5", "width_px must be a whole number"),
        ("rig:focal_px=0,baseline_m=0.1", "must be positive"),
        ("rig:focal_px=700,baseline_m=0.1,near_m=5,far_m=2", "near_m < far_m"),
    ],
)
def test_wrong_rules_are_refused_with_the_remedy(text, message):
    with pytest.raises(InputError) as caught:
        parse_rule(text)
    assert message in str(caught.value)


def test_unknown_settings_in_a_config_are_refused():
    with pytest.raises(InputError, match="no setting 'widht'"):
        rule_from_config({"rule": "fixed", "widht": 3})
