"""Sums and counts: hand-made values, empty masks, splits."""

import pytest
import torch
from tests.objectives.fixed import rand

from wheatstone.objectives.terms import gradient_terms, masked_l1, pool_valid


def test_masked_l1_counts_only_what_the_mask_says():
    prediction, target = torch.tensor([[[[1.0, 2.0, 5.0]]]]), torch.tensor([[[[0.0, 4.0, float("nan")]]]])
    total, count = masked_l1(prediction, target, torch.tensor([[[[1.0, 0.5, 0.0]]]]))
    assert (total.item(), count.item()) == (2.0, 1.5)


def test_gradient_terms_of_a_known_step():
    error = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])[None, None]
    total, count = gradient_terms(error, torch.zeros_like(error), torch.ones(1, 1, 2, 3), scales=1)
    assert (total.item(), count.item()) == (2.0, 7.0)  # two steps of 1; four horizontal and three vertical neighbours


def test_a_shift_costs_no_gradient_and_a_masked_pixel_costs_nothing():
    target = rand(2, 1, 16, 16)
    mask = (rand(2, 1, 16, 16, seed=1) > 0.2).float()
    shifted = torch.where(mask > 0, target + 3, -100.0)
    total, count = gradient_terms(shifted, target, mask, scales=1)
    assert total.item() == pytest.approx(0, abs=1e-3)
    assert count > 0


@pytest.mark.parametrize("terms", [masked_l1, lambda p, t, m: gradient_terms(p, t, m, 3)])
def test_sums_and_counts_add_up_over_any_split_and_vanish_on_an_empty_mask(terms):
    prediction, target = rand(4, 1, 12, 20), rand(4, 1, 12, 20, seed=1)
    mask = (rand(4, 1, 12, 20, seed=2) > 0.5).float() * torch.tensor([1.0, 0, 1, 1])[:, None, None, None]
    whole = torch.stack(terms(prediction, target, mask))
    parts = sum(torch.stack(terms(prediction[i : i + 1], target[i : i + 1], mask[i : i + 1])) for i in range(4))
    assert torch.allclose(whole, parts, rtol=1e-5)
    assert torch.stack(terms(prediction, target, torch.zeros_like(mask))).tolist() == [0.0, 0.0]


def test_pooling_averages_valid_pixels_only():
    values = torch.tensor([[1.0, 3.0, 7.0, 0.0], [2.0, 99.0, 0.0, 0.0]])[None, None]
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])[None, None]
    pooled, kept = pool_valid(values, mask)
    assert pooled[0, 0].tolist() == [[2.0, 0.0]]
    assert kept[0, 0].tolist() == [[1.0, 0.0]]
