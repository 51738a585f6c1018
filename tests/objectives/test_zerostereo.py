"""ZeroStereo's loss: published values and gradients in both forms and on both scales, empty masks, switches, splits."""

import numpy as np
import pytest
import torch
from tests.objectives.fixed import FixedMatcher, rand

from wheatstone.errors import InputError
from wheatstone.objectives.sequence import SequenceLoss
from wheatstone.objectives.zerostereo import ZeroStereoLoss, photometric_mask


def make_batch(count=3):
    images = {name: rand(count, 3, 16, 24, seed=i) for i, name in enumerate(("left_clean", "right_clean"))}
    valid = rand(count, 1, 16, 24, seed=3) > 0.3
    valid[0] = False
    return {
        **images,
        "left": images["left_clean"],
        "right": images["right_clean"],
        "disparity": 8 * rand(count, 1, 16, 24, seed=2),
        "valid": valid,
        "visible": rand(count, 1, 16, 24, seed=4) > 0.2,
        "hole": rand(count, 1, 16, 24, seed=5) > 0.8,
        "confidence": rand(count, 1, 16, 24, seed=6),
    }


def sum_of(terms):
    return sum(weight * total / count for total, count, weight in terms.values() if weight)


@pytest.fixture(scope="module")
def golden(goldens):
    with np.load(goldens / "zerostereo_losses.npz") as stored:
        return {name: torch.from_numpy(stored[name]) for name in stored.files}


def published(golden, loss, dtype=torch.float32):
    """The loss on the stored batch, its terms, and the predictions that gradients flow to."""
    images = {name: golden[name].permute(0, 3, 1, 2).to(dtype) / 255 for name in ("left_clean", "right_clean")}
    batch = {
        **images,
        "left": None,
        "right": None,
        "disparity": golden["disp_gt"].to(dtype),
        "valid": golden["valid"],
        "visible": golden["mask_nocc"],
        "hole": golden["mask_inpaint"],
        "confidence": golden["conf"].to(dtype),
    }
    predictions = [p.clone().requires_grad_() for p in golden["disp_preds"]]
    start = golden["disp_init"].clone().requires_grad_()
    terms = loss({"matcher": FixedMatcher(predictions, start)}, batch, 0, [])
    return sum_of(terms), predictions, start


@pytest.mark.parametrize("official", [False, True])
def test_values_are_the_published_ones(golden, official):
    raft, igev = (ZeroStereoLoss(form, official=official, max_disparity=700.0) for form in ("raft", "igev"))
    harder = ZeroStereoLoss("raft", gamma=0.8, mu=0.5, max_disparity=20.0, official=official)
    for loss, name in (
        (raft, "zero_raft_loss_f64"),
        (igev, "zero_igev_loss_f64"),
        (harder, "zero_raft_loss_gamma08_mu05_max20_f64"),
    ):
        assert float(published(golden, loss)[0].detach()) == pytest.approx(float(golden[name]), rel=2e-6), name


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("form", ["raft", "igev"])
def test_gradients_are_the_published_ones(golden, form, official):
    total, predictions, start = published(golden, ZeroStereoLoss(form, official=official, max_disparity=700.0))
    total.backward()
    sign = -1 if form == "raft" else 1  # the original differentiates by a flow, which is the negative disparity
    expected = sign * golden[f"zero_{form}_grads"]
    made = torch.stack([p.grad for p in predictions])
    assert (made - expected).abs().max() < 2e-4 * expected.abs().max()
    if form == "igev":
        assert (start.grad - golden["zero_igev_init_grad"]).abs().max() < 2e-4 * golden[
            "zero_igev_init_grad"
        ].abs().max()
    else:
        assert start.grad is None


def test_both_scales_are_one_loss():
    batch = make_batch()
    network = {"matcher": FixedMatcher([8 * rand(3, 1, 16, 24, seed=s) for s in (7, 8)])}
    ours, theirs = (ZeroStereoLoss(official=flag)(network, batch, 0, []) for flag in (False, True))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert float(ours[name][0]) == pytest.approx(float(theirs[name][0]), rel=1e-4), name


def test_empty_masks_give_nothing_instead_of_nan():
    batch = make_batch()
    prediction, start = batch["disparity"].clone().requires_grad_(), (batch["disparity"] + 1).requires_grad_()
    network = {"matcher": FixedMatcher([prediction, prediction], start)}
    batch["valid"][:] = False
    batch["visible"][:] = False
    terms = ZeroStereoLoss("igev")(network, batch, 0, [])
    assert all((total.item(), count.item()) == (0, 0) for total, count, _ in terms.values())
    sum(total for total, _, _ in terms.values()).backward()
    assert (prediction.grad == 0).all()
    assert (start.grad == 0).all()


def test_a_split_changes_nothing():
    batch, predictions = make_batch(), [8 * rand(3, 1, 16, 24, seed=s) for s in (7, 8)]
    loss = ZeroStereoLoss("igev")
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
    assert set(whole) == {"disparity", "photometric", "initial", "initial-photometric", "epe", "bad-3"}
    for name, (total, count, _) in whole.items():
        assert sum(float(p[name][0]) for p in parts) == pytest.approx(float(total), rel=1e-5), name
        assert sum(float(p[name][1]) for p in parts) == pytest.approx(float(count), rel=1e-6), name


@pytest.mark.parametrize("form", ["raft", "igev"])
@pytest.mark.parametrize("settings", [{}, {"photometric": False}, {"confident": False, "max_disparity": 5.0}])
def test_counts_need_no_network(form, settings):
    batch, loss = make_batch(), ZeroStereoLoss(form, **settings)
    terms = loss({"matcher": FixedMatcher([batch["disparity"]] * 2, batch["disparity"])}, batch, 0, [])
    assert {name: float(count) for name, count in loss.counts(batch).items()} == {
        name: float(count) for name, (_, count, _) in terms.items()
    }


def test_the_switches_are_the_rows_of_the_ablation():
    batch = make_batch()
    network = {"matcher": FixedMatcher([8 * rand(3, 1, 16, 24, seed=s) for s in (7, 8)])}
    plain = ZeroStereoLoss(confident=False)(network, batch, 0, [])
    supervised = SequenceLoss()(network, batch, 0, [])
    assert set(plain) == {"disparity", "epe", "bad-3"}
    assert plain["disparity"][:2] == supervised["sequence"][:2]
    weighed = ZeroStereoLoss(photometric=False)(network, batch, 0, [])
    full = ZeroStereoLoss()(network, batch, 0, [])
    assert set(weighed) == set(plain)
    assert weighed["disparity"][0] == full["disparity"][0] < plain["disparity"][0]
    assert full["photometric"][0] > 0
    sure = {**batch, "confidence": torch.ones_like(batch["confidence"])}
    assert ZeroStereoLoss()(network, sure, 0, [])["photometric"][0] == 0


def test_a_pixel_counts_photometrically_only_where_the_right_view_shows_it_unpainted():
    visible = torch.ones(1, 1, 1, 6, dtype=torch.bool)
    hole = torch.tensor([False, False, True, False, False, False]).view(1, 1, 1, 6)
    disparity = torch.full((1, 1, 1, 6), 2.0)
    assert photometric_mask(visible, hole, disparity).flatten().tolist() == [False, False, True, True, False, True]
    visible[..., 5] = False
    assert photometric_mask(visible, hole, disparity).flatten().tolist() == [False, False, True, True, False, False]


def test_reduced_precision_predictions_are_compared_in_full():
    batch = make_batch()
    prediction = (300 + 8 * rand(3, 1, 16, 24)).half()
    batch["disparity"] = prediction.float()
    terms = ZeroStereoLoss()({"matcher": FixedMatcher([prediction])}, batch, 0, [])
    assert terms["disparity"][0] == 0
    assert all(total.dtype == torch.float32 and total.isfinite() for total, _, _ in terms.values())


def test_senseless_settings_and_networks_are_refused():
    with pytest.raises(InputError, match="mu"):
        ZeroStereoLoss(mu=-1.0)
    batch = make_batch()
    with pytest.raises(InputError, match="no start value"):
        ZeroStereoLoss("igev")({"matcher": FixedMatcher([batch["disparity"]])}, batch, 0, [])
