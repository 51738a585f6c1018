"""The objectives of the embedded networks: perfect predictions cost nothing, splits change nothing, blur costs grain."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from wheatstone.objectives.hole_fill import HoleFill, grain_terms
from wheatstone.objectives.relative_depth import RelativeDepth, normalise_inverse_depth


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class FixedDepth(nn.Module):
    """Answers with what it was given, whatever the image."""

    def __init__(self, fine):
        super().__init__()
        self.fine = fine

    def forward(self, image):
        return self.fine, functional.avg_pool2d(self.fine, 16)


def depth_batch(count=3):
    inverse, valid = rand(count, 1, 32, 48), rand(count, 1, 32, 48, seed=1) > 0.3
    valid[0] = False
    return {"image": rand(count, 3, 32, 48, seed=2), "inverse_depth": inverse, "valid": valid}


def test_normalised_inverse_depth_has_median_0_and_mean_deviation_1_whatever_its_scale():
    inverse, valid = rand(2, 1, 8, 9), torch.ones(2, 1, 8, 9, dtype=torch.bool)
    normalised = normalise_inverse_depth(inverse, valid)
    assert torch.allclose(normalised, normalise_inverse_depth(5 * inverse + 2, valid), atol=1e-4)
    for row in normalised:
        assert row.median().item() == 0
        assert row.abs().mean().item() == pytest.approx(1, abs=1e-5)


def test_normalising_flat_or_unknown_depth_gives_zeros_and_near_things_are_limited():
    flat = torch.full((1, 1, 4, 4), 3.0)
    everywhere = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert normalise_inverse_depth(flat, everywhere).abs().max() == 0
    assert normalise_inverse_depth(flat * float("nan"), ~everywhere).abs().max() == 0
    near = torch.rand(1, 1, 8, 8)
    near[0, 0, 0, 0] = 1e4
    assert normalise_inverse_depth(near, torch.ones(1, 1, 8, 8, dtype=torch.bool)).max() <= 6


def test_true_depth_costs_nothing_and_an_unknown_image_counts_nothing():
    batch = depth_batch()
    target = normalise_inverse_depth(batch["inverse_depth"], batch["valid"])
    terms = RelativeDepth(coarse=0.0)({"depth": FixedDepth(target)}, batch, 0, [])
    for name in ("fine", "far", "gradient"):
        total, count, weight = terms[name]
        assert total.item() == 0, name
        assert count > 0
        assert weight > 0
    assert terms["fine"][1] == batch["valid"].sum()
    batch["valid"][:] = False
    empty = RelativeDepth()({"depth": FixedDepth(target)}, batch, 0, [])
    assert all(count == 0 and total == 0 for total, count, _ in empty.values())


def test_depth_terms_add_up_over_a_split():
    batch = depth_batch()
    fine = rand(3, 1, 32, 48, seed=4)
    whole = RelativeDepth()({"depth": FixedDepth(fine)}, batch, 0, [])
    parts = [
        RelativeDepth()({"depth": FixedDepth(fine[i : i + 1])}, {k: v[i : i + 1] for k, v in batch.items()}, 0, [])
        for i in range(3)
    ]
    for name, (total, count, _) in whole.items():
        assert sum(float(p[name][0]) for p in parts) == pytest.approx(float(total), rel=1e-5), name
        assert sum(float(p[name][1]) for p in parts) == pytest.approx(float(count), rel=1e-6), name


class FixedFill(nn.Module):
    """Always the first copy, plus a correction."""

    def __init__(self, correction=0.0):
        super().__init__()
        self.correction = correction

    def forward(self, features):
        B, _, H, W = features.shape
        shares = torch.zeros(B, 2, H, W)
        shares[:, 0] = 1
        return shares, torch.full((B, 3, H, W), self.correction)


def fill_batch():
    target, hole = rand(2, 3, 24, 24), torch.zeros(2, 1, 24, 24, dtype=torch.bool)
    hole[0, :, 4:20, 6:16] = True
    copies = torch.stack([target, 1 - target], 1)
    return {"features": rand(2, 5, 24, 24), "copies": copies, "hole": hole, "target": target}


def test_the_true_fill_costs_nothing_and_only_holes_count():
    batch = fill_batch()
    terms = HoleFill()({"filler": FixedFill()}, batch, 0, [])
    assert all(total.item() == pytest.approx(0, abs=1e-6) for total, _, _ in terms.values())
    wrong = HoleFill()({"filler": FixedFill(0.5)}, batch, 0, [])
    assert wrong["colour"][1] == 3 * batch["hole"].sum()
    assert float(wrong["colour"][0] / wrong["colour"][1]) == pytest.approx(0.45, rel=1e-3)  # Huber: 0.5 - knee / 2
    batch["hole"][:] = False
    assert HoleFill()({"filler": FixedFill(0.5)}, batch, 0, [])["colour"][:2] == (0.0, 0.0)


def test_grain_counts_blur_and_noise_but_not_where_the_grain_lies():
    target = rand(1, 3, 64, 64)
    hole = torch.ones(1, 1, 64, 64)
    moved = target.roll((3, 5), (-2, -1))
    blurred = functional.avg_pool2d(target, 5, 1, 2)
    costs = [float(torch.stack(grain_terms(view, target, hole)).tolist()[0]) for view in (target, moved, blurred)]
    assert costs[0] == 0
    assert costs[1] < 0.2 * costs[2]
    total, count = grain_terms(blurred, target, 0 * hole)
    assert (float(total), float(count)) == (0.0, 0.0)
