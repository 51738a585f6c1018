"""Alignment of a monocular map with sparse truth: exact, robust, and what happens without enough truth."""

import pytest
import torch
from tests.objectives.fixed import rand

from wheatstone.errors import InputError
from wheatstone.objectives.alignment import align_to_disparity, trusted
from wheatstone.objectives.masked import masked_mean, masked_median, median_and_deviation

SIZE = (2, 1, 40, 60)


def sparse(share=0.1, seed=3):
    return rand(*SIZE, seed=seed) < share


@pytest.mark.parametrize("wrong", ["near", "one value", "reversed"])
def test_scale_and_offset_stand_up_to_30_percent_of_outliers(wrong):
    teacher = rand(*SIZE)
    truth = 30 * teacher + 7
    outliers = {
        "near": truth + 5 + 40 * rand(*SIZE, seed=1),
        "one value": torch.full(SIZE, 60.0),
        "reversed": 60 - truth,
    }
    seen = torch.where(rand(*SIZE, seed=2) < 0.3, outliers[wrong], truth)
    found = align_to_disparity(teacher, seen, sparse())
    assert found.ok.all()
    torch.testing.assert_close(found.scale, torch.full((2,), 30.0), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.offset, torch.full((2,), 7.0), rtol=1e-5, atol=0)
    torch.testing.assert_close(found.aligned, truth, rtol=1e-5, atol=1e-5)
    assert found.residual.max() < 1e-4
    noisy = align_to_disparity(
        teacher, seen + 0.5 * torch.randn(SIZE, generator=torch.Generator().manual_seed(6)), sparse()
    )
    assert (noisy.scale - 30).abs().max() < 0.5


def test_any_scale_and_offset_of_the_teacher_give_the_same_map():
    teacher = rand(*SIZE)
    truth = 20 * teacher**2 + 3 + rand(*SIZE, seed=5)
    first = align_to_disparity(teacher, truth, sparse())
    for a, b in ((1e-3, 0.0), (250.0, -40.0), (1e6, 3e5)):
        other = align_to_disparity(a * teacher + b, truth, sparse())
        torch.testing.assert_close(other.aligned, first.aligned, rtol=1e-4, atol=1e-4)


def test_without_enough_truth_the_prediction_is_matched():
    teacher, prediction = rand(*SIZE), 50 * rand(*SIZE) + 2
    valid = torch.zeros(SIZE, dtype=torch.bool)
    valid[1, 0, 4, :40] = True
    truth = torch.where(valid, 9 * teacher, float("nan"))
    found = align_to_disparity(teacher, truth, valid, prediction=prediction, minimum=32)
    assert found.ok.tolist() == [False, True]
    torch.testing.assert_close(found.scale, torch.tensor([50.0, 9.0]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.offset, torch.tensor([2.0, 0.0]), rtol=1e-3, atol=1e-3)
    assert not align_to_disparity(teacher, truth, valid, prediction=prediction, minimum=41).ok.any()
    alone = align_to_disparity(teacher, truth, valid, minimum=41)
    assert not alone.ok.any()
    assert alone.scale.tolist() == [0, 0]
    assert not alone.aligned.any()


def test_a_teacher_that_says_nothing_or_the_opposite_is_not_aligned_with_the_truth():
    teacher, everywhere = rand(*SIZE), torch.ones(SIZE, dtype=torch.bool)
    for useless, truth in (
        (torch.ones(SIZE), teacher),
        (-teacher, teacher),
        (teacher, torch.full(SIZE, 5.0)),
        (teacher, rand(*SIZE, seed=9)),
    ):
        found = align_to_disparity(useless, truth, everywhere, prediction=truth)
        assert not found.ok.any()
        assert found.aligned.isfinite().all()
        assert (found.scale >= 0).all()


def test_nothing_comes_from_pixels_that_do_not_count_and_nothing_is_behind_infinity():
    teacher, valid = rand(*SIZE), sparse()
    truth = 30 * teacher - 6
    clean = align_to_disparity(teacher, truth, valid)
    assert (clean.aligned >= 0).all()
    assert (clean.aligned == 0).any()
    known = rand(*SIZE, seed=8) < 0.7
    dirty = align_to_disparity(
        torch.where(known, teacher, torch.nan), torch.where(valid & known, truth, torch.inf), valid & known, known
    )
    torch.testing.assert_close(dirty.aligned, torch.where(known, clean.aligned, 0.0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        align_to_disparity(teacher[:1], truth[:1], valid[:1]).aligned, clean.aligned[:1], rtol=0, atol=0
    )
    huge = align_to_disparity(1e30 * teacher, 1e6 * truth, valid)
    assert huge.ok.all()
    assert huge.aligned.isfinite().all()
    with pytest.raises(InputError, match="minimum"):
        align_to_disparity(teacher, truth, valid, minimum=1)


def test_cells_where_the_teacher_disagrees_with_the_truth_are_not_trusted():
    teacher, valid = rand(1, 1, 40, 60), rand(1, 1, 40, 60, seed=3) < 0.2
    truth = 30 * teacher + 7
    truth[..., :16, :16] += 9  # a poster
    found = align_to_disparity(teacher, truth, valid)
    believed = trusted(found, truth, valid, 2.0, cell=16)
    assert not believed[..., :16, :16].any()
    assert believed.sum() == 40 * 60 - 16 * 16
    valid[..., :16, :16] = False
    assert trusted(found, truth, valid, 2.0, cell=16).all()


def test_a_slow_error_of_the_teacher_is_corrected_where_there_is_truth():
    truth = 20 * rand(1, 1, 80, 120) + 5
    x = torch.linspace(-1, 1, 120)
    teacher = (truth + 3 * x**2) / 7
    valid = rand(1, 1, 80, 120, seed=4) < 0.15
    valid[:, :, :40] = False
    plain = align_to_disparity(teacher, truth, valid)
    bent = align_to_disparity(teacher, truth, valid, local=0.1)
    wrong, left = ((found.aligned - truth).abs() for found in (plain, bent))
    assert left[:, :, 44:].mean() < 0.4 * wrong[:, :, 44:].mean()
    torch.testing.assert_close(left[:, :, :4], wrong[:, :, :4], rtol=0.1, atol=0.05)  # no truth for 3 deviations around
    exact = align_to_disparity(truth / 7, truth, valid, local=0.1)
    torch.testing.assert_close(exact.aligned, truth, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="local"):
        align_to_disparity(teacher, truth, valid, local=-0.1)


def test_statistics_count_what_is_marked():
    values = torch.tensor([[1.0, 9.0, 5.0, torch.nan], [4.0, 2.0, 0.0, 8.0], [1.0, 1.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, True, False], [True] * 4, [False] * 4])
    assert masked_median(values, mask).tolist() == [5, 3, 0]
    assert masked_mean(values, mask).tolist() == [5, 3.5, 0]
    median, deviation = median_and_deviation(values, mask)
    assert median.tolist() == [5, 3, 0]
    # median absolute deviations 4 and 2 (of 1, 1, 3, 5)
    torch.testing.assert_close(deviation, torch.tensor([1.4826 * 4, 1.4826 * 2, 0.0]))
    flat = torch.zeros(1, 10)
    flat[0, 0] = 8
    assert float(median_and_deviation(flat, flat >= 0)[1]) == pytest.approx(1.2533 / 2 * 0.8)
