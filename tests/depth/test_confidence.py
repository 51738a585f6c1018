"""Flip confidence: the published rule, and ours where that one fails."""

import jaxtyping
import numpy as np
import pytest
import torch

from wheatstone.depth.confidence import flip_confidence
from wheatstone.errors import InputError


@pytest.fixture(scope="module")
def maps(committed_goldens):
    with np.load(committed_goldens / "zerostereo_tcg_postproc.npz") as golden:
        return {n: torch.from_numpy(golden[n])[None, None] for n in ("inv_depth", "inv_depth_flip", "confidence")}


def test_minmax_equals_the_published_confidence(maps):
    ours = flip_confidence(maps["inv_depth"], maps["inv_depth_flip"], method="minmax")
    torch.testing.assert_close(ours, maps["confidence"], atol=1e-6, rtol=0)


def test_aligned_does_not_care_about_scale_and_shift(maps):
    first, second = maps["inv_depth"], maps["inv_depth_flip"]
    ours = flip_confidence(first, second)
    torch.testing.assert_close(flip_confidence(first, 3 * second - 7), ours, atol=1e-4, rtol=0)
    torch.testing.assert_close(flip_confidence(10 * first + 2, second), ours, atol=1e-4, rtol=0)
    torch.testing.assert_close(flip_confidence(first, 5 * first + 1), torch.ones_like(first), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["aligned", "minmax"])
def test_disagreement_costs_confidence_where_it_is(method):
    first = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0))
    second = first.clone()
    second[..., 5:8, 10:14] = 1 - second[..., 5:8, 10:14]
    confidence = flip_confidence(first, second, method=method)
    doubtful = torch.zeros_like(first, dtype=torch.bool)
    doubtful[..., 5:8, 10:14] = True
    assert confidence[~doubtful].min() > 0.999
    torch.testing.assert_close(confidence[doubtful].argmin(), (first - second).abs()[doubtful].argmax())


def test_one_outlier_moves_only_itself_when_aligned():
    first = torch.rand(1, 1, 30, 40, generator=torch.Generator().manual_seed(0))
    second = first + 0.05 * torch.rand(1, 1, 30, 40, generator=torch.Generator().manual_seed(1))
    spoilt = second.clone()
    spoilt[0, 0, 3, 3] = 50.0
    aligned = flip_confidence(first, spoilt)
    assert aligned[0, 0, 3, 3] == 0
    rest = torch.ones_like(first, dtype=torch.bool)
    rest[0, 0, 3, 3] = False
    torch.testing.assert_close(aligned[rest], flip_confidence(first, second)[rest], atol=2e-3, rtol=0)
    published = flip_confidence(first, spoilt, method="minmax")
    assert (published[rest] - flip_confidence(first, second, method="minmax")[rest]).abs().max() > 0.1


@pytest.mark.parametrize("method", ["aligned", "minmax"])
def test_constant_depth_is_trusted(method):
    constant = torch.full((1, 1, 5, 6), 2.0)
    assert torch.equal(flip_confidence(constant, constant + 1, method=method), torch.ones_like(constant))


@pytest.mark.parametrize("method", ["aligned", "minmax"])
def test_unknown_depth_has_no_confidence(method):
    first = torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0))
    second = first.clone()
    second[0, 0, 0, 0] = torch.nan
    second[1] = torch.inf
    confidence = flip_confidence(first, second, method=method)
    assert confidence[0, 0, 0, 0] == 0
    assert confidence[0, 0, 1:].min() == 1
    assert (confidence[1] == 0).all()


def test_items_are_independent():
    first, second = (torch.rand(3, 1, 8, 9, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    together = flip_confidence(first, second)
    for item in range(3):
        assert torch.equal(together[item], flip_confidence(first[item : item + 1], second[item : item + 1])[0])


def test_unknown_method():
    with pytest.raises((InputError, jaxtyping.TypeCheckError)):
        flip_confidence(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 2), method="variance")
