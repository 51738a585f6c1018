"""The supervised sequence loss: the published number, exact splits, what counts and what does not."""

import numpy as np
import pytest
import torch
from tests.objectives.fixed import FixedMatcher, rand

from wheatstone.errors import InputError
from wheatstone.geometry import near_steps
from wheatstone.objectives.sequence import SequenceLoss, step_weights


def make_batch(count=3):
    valid = rand(count, 1, 12, 16, seed=1) > 0.3
    valid[0] = False
    image = rand(count, 3, 12, 16)
    return {"left": image, "right": image, "disparity": 30 * rand(count, 1, 12, 16, seed=2), "valid": valid}


def mean_of(terms):
    return sum(weight * float(total / count) for total, count, weight in terms.values() if weight)


def test_it_is_the_published_loss(goldens):
    with np.load(goldens / "zerostereo_losses.npz") as golden:
        stored = {name: torch.from_numpy(golden[name]) for name in ("disp_gt", "valid", "disp_preds")}
        expected, figures = float(golden["raft_loss_f64"]), golden["zero_raft_metrics_f64"]
    batch = {"left": None, "right": None, "disparity": stored["disp_gt"], "valid": stored["valid"]}
    terms = SequenceLoss()({"matcher": FixedMatcher(stored["disp_preds"])}, batch, 0, [])
    assert mean_of(terms) == pytest.approx(expected, rel=1e-6)
    assert float(terms["epe"][0] / terms["epe"][1]) == pytest.approx(float(figures[0]), rel=1e-5)
    assert float(terms["bad-3"][0] / terms["bad-3"][1]) == pytest.approx(1 - float(figures[2]), abs=1e-6)


def test_weights_end_at_1_and_begin_at_the_same_share_for_any_number():
    assert step_weights(1, 0.9) == (1.0,)
    for count in (2, 4, 22):
        weights = step_weights(count, 0.9)
        assert weights[-1] == 1
        assert weights[0] == pytest.approx(0.9**15)
        assert list(weights) == sorted(weights)


def test_the_truth_costs_nothing_and_what_is_not_known_or_too_far_does_not_count():
    batch = make_batch()
    truth = {"matcher": FixedMatcher([batch["disparity"]] * 3)}
    terms = SequenceLoss(max_disparity=20.0)(truth, batch, 0, [])
    assert mean_of(terms) == 0
    counted = batch["valid"] & (batch["disparity"] < 20)
    assert terms["sequence"][1] == counted.sum()
    wrong = torch.where(counted, batch["disparity"], float("nan")).requires_grad_()
    total = SequenceLoss(max_disparity=20.0)({"matcher": FixedMatcher([wrong])}, batch, 0, [])["sequence"][0]
    assert total == 0
    total.backward()
    assert (wrong.grad[counted] == 0).all()
    batch["valid"][:] = False
    assert SequenceLoss()(truth, batch, 0, [])["sequence"][:2] == (0.0, 0.0)


def test_a_split_changes_nothing():
    batch, predictions = make_batch(), [30 * rand(3, 1, 12, 16, seed=s) for s in (5, 6)]
    loss = SequenceLoss(initial=1.0, edge_weight=2.0)
    whole = loss({"matcher": FixedMatcher(predictions, predictions[0])}, batch, 0, [])
    parts = [
        loss(
            {"matcher": FixedMatcher([p[i : i + 1] for p in predictions], predictions[0][i : i + 1])},
            {name: values[i : i + 1] for name, values in batch.items()},
            0,
            [],
        )
        for i in range(3)
    ]
    assert set(whole) == {"sequence", "initial", "epe", "bad-3"}
    for name, (total, count, _) in whole.items():
        assert sum(float(p[name][0]) for p in parts) == pytest.approx(float(total), rel=1e-5), name
        assert sum(float(p[name][1]) for p in parts) == pytest.approx(float(count), rel=1e-6), name


def test_an_image_can_count_the_same_however_much_of_it_is_labelled():
    batch = make_batch()
    batch["valid"][1] = False
    batch["valid"][1, 0, 3, 5:8] = True
    off = batch["disparity"] + torch.tensor([9.0, 2.0, 1.0]).view(3, 1, 1, 1)
    total, count, _ = SequenceLoss(per_item=True)({"matcher": FixedMatcher([off])}, batch, 0, [])["sequence"]
    assert (float(total), float(count)) == (pytest.approx(3.0, rel=1e-5), 2)  # image 0 has no truth
    with pytest.raises(InputError, match="per_item"):
        SequenceLoss(per_item=True, official=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"initial": 1.0, "edge_weight": 2.0},
        {"per_item": True},
        {"saturate": True, "max_disparity": 9.0, "official": True},
    ],
)
def test_counts_need_no_network(settings):
    batch, loss = make_batch(), SequenceLoss(**settings)
    terms = loss({"matcher": FixedMatcher([batch["disparity"]] * 2, batch["disparity"])}, batch, 0, [])
    assert {name: float(count) for name, count in loss.counts(batch).items()} == {
        name: float(count) for name, (_, count, _) in terms.items()
    }


def test_the_initial_term_is_a_smooth_l1_and_needs_a_start_value():
    batch = make_batch()
    start = batch["disparity"] + 3.0
    terms = SequenceLoss(initial=1.0)({"matcher": FixedMatcher([batch["disparity"]], start)}, batch, 0, [])
    assert mean_of(terms) == pytest.approx(2.5, rel=1e-5)  # 3 - 1/2
    with pytest.raises(InputError, match="no start value"):
        SequenceLoss(initial=1.0)({"matcher": FixedMatcher([start])}, batch, 0, [])


def test_the_form_of_psmnet_has_fixed_weights_and_the_published_one_of_mfs_saturates():
    batch = make_batch()
    off = [batch["disparity"] + shift for shift in (0.5, 2.0, 4.0)]
    weighted = SequenceLoss(weights=(0.5, 0.7, 1.0), error="smooth-l1")
    assert mean_of(weighted({"matcher": FixedMatcher(off)}, batch, 0, [])) == pytest.approx(
        0.5 * 0.125 + 0.7 * 1.5 + 3.5, rel=1e-5
    )
    with pytest.raises(InputError, match="3 weights for 2"):
        weighted({"matcher": FixedMatcher(off[:2])}, batch, 0, [])
    mfs = SequenceLoss(weights=(1.0,), max_disparity=10.0, saturate=True, official=True)
    end = torch.full_like(batch["disparity"], 10.0)
    terms = mfs({"matcher": FixedMatcher([end])}, batch, 0, [])
    assert terms["sequence"][1] == end.numel()
    expected = ((10 - batch["disparity"].clamp(max=10)) * batch["valid"]).sum()
    assert terms["sequence"][0] == pytest.approx(float(expected), rel=1e-5)


def test_pixels_near_depth_edges_can_count_more():
    disparity = torch.zeros(1, 1, 9, 20)
    disparity[..., 10:] = 8
    batch = {"left": None, "right": None, "disparity": disparity, "valid": torch.ones_like(disparity, dtype=torch.bool)}
    near = near_steps(disparity, None, 2.0, 3)
    assert near[0, 0, 0].nonzero()[:, 0].tolist() == [7, 8, 9, 10, 11, 12]
    wrong = {"matcher": FixedMatcher([disparity + near.float()])}
    total, count, _ = SequenceLoss(edge_weight=4.0, edge_px=3)(wrong, batch, 0, [])["sequence"]
    assert (float(total), float(count)) == (9 * 6 * 5.0, 9 * (14 + 6 * 5.0))
    batch["valid"][..., 10] = False  # no usable pixel on the other side: no step
    assert not near_steps(disparity, batch["valid"], 2.0, 3).any()


def test_senseless_settings_are_refused():
    with pytest.raises(InputError, match="gamma"):
        SequenceLoss(gamma=0.0)
    with pytest.raises(InputError, match="radius"):
        near_steps(torch.zeros(1, 1, 3, 3), None, 1.0, 0)
