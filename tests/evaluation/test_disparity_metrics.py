import jaxtyping
import kornia.metrics
import pytest
import torch

from wheatstone.errors import ShapeError
from wheatstone.evaluation import disparity_metrics

REFUSED = (ShapeError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first


def _pair(seed=0, shape=(3, 1, 12, 17)):
    generator = torch.Generator().manual_seed(seed)
    truth = 60 * torch.rand(shape, generator=generator)
    prediction = truth + 4 * torch.randn(shape, generator=generator)
    valid = torch.rand(shape, generator=generator) > 0.3
    return prediction, truth, valid


def test_agrees_with_kornia_image_by_image():
    prediction, truth, valid = _pair()
    figures = disparity_metrics(prediction, truth, valid)
    for i in range(3):
        image = (prediction[i], truth[i])
        mask = {"valid_mask": valid[i]}
        expected = {
            "epe": kornia.metrics.mean_absolute_disparity_error(*image, **mask),
            "rmse": kornia.metrics.root_mean_squared_disparity_error(*image, **mask),
            "d1": kornia.metrics.kitti_d1_error(*image, **mask),
            **{f"bad_{k}": kornia.metrics.mean_bad_pixel_error(*image, threshold=k, **mask) for k in (1, 2, 3)},
        }
        for name, value in expected.items():
            assert float(figures[name][i]) == pytest.approx(float(value), rel=1e-5), name
        assert float(figures["density"][i]) == 1
        assert float(figures["pixels"][i]) == int(valid[i].sum())


def test_hand_made_numbers_and_strict_thresholds():
    truth = torch.tensor([10.0, 10.0, 100.0, 100.0])[None, None, None]
    prediction = truth + torch.tensor([1.0, 3.5, 4.0, 8.0])
    figures = disparity_metrics(prediction, truth)
    assert float(figures["epe"]) == pytest.approx(16.5 / 4)
    assert float(figures["bad_1"]) == 0.75  # exactly 1 px is not bad-1
    assert float(figures["bad_3"]) == 0.75
    assert float(figures["d1"]) == 0.5  # 4 px of 100 is below 5 %


def test_half_precision_input_does_not_lose_the_sum():
    truth = torch.zeros(1, 1, 300, 300, dtype=torch.float16)
    figures = disparity_metrics(truth + 0.5, truth)
    assert float(figures["epe"]) == 0.5


def test_no_answer_is_left_out_or_counted_as_bad():
    truth = torch.full((1, 1, 1, 4), 20.0)
    prediction = torch.tensor([20.0, torch.nan, torch.inf, 30.0])[None, None, None]
    answered = torch.tensor([True, True, True, True])[None, None, None]
    skip = disparity_metrics(prediction, truth, answered=answered)
    bad = disparity_metrics(prediction, truth, missing="bad")
    assert float(skip["density"]) == float(bad["density"]) == 0.5
    assert (float(skip["bad_2"]), float(bad["bad_2"])) == (0.5, 0.75)
    assert float(skip["epe"]) == float(bad["epe"]) == 5


def test_regions_and_maximum_disparity():
    prediction, truth, valid = _pair(1)
    noc = torch.zeros_like(valid)
    noc[..., :8] = True
    figures = disparity_metrics(prediction, truth, valid, regions={"noc": noc}, max_disparity=40)
    alone = disparity_metrics(prediction[..., :8], truth[..., :8], valid[..., :8], max_disparity=40)
    assert torch.equal(figures["noc/epe"], alone["epe"])
    assert float(figures["pixels"].sum()) == int((valid & (truth < 40)).sum())


def test_nothing_to_score_is_nan_not_zero():
    prediction, truth, valid = _pair(2)
    figures = disparity_metrics(prediction, truth, torch.zeros_like(valid))
    assert figures["epe"].isnan().all()
    assert figures["bad_2"].isnan().all()
    assert not figures["pixels"].any()


def test_other_sizes_are_refused():
    prediction, truth, _ = _pair()
    with pytest.raises(REFUSED):
        disparity_metrics(prediction[..., :-1], truth)
    with pytest.raises(ShapeError, match="missing"):
        disparity_metrics(prediction, truth, missing="zero")


def test_inclusive_comparisons_count_errors_on_the_border():
    truth = torch.tensor([10.0, 10.0, 60.0, 60.0])[None, None, None]
    prediction = truth + torch.tensor([1.0, 0.5, 3.0, 2.5])
    strict, inclusive = (disparity_metrics(prediction, truth, inclusive=rule) for rule in (False, True))
    assert (float(strict["bad_1"]), float(inclusive["bad_1"])) == (0.5, 0.75)
    assert (float(strict["d1"]), float(inclusive["d1"])) == (0, 0.25)  # 3 px of 60 is exactly 3 px and 5 %


def test_end_point_error_is_kornias_of_a_flow_along_the_row():
    prediction, truth, valid = _pair(3)
    for i in range(3):
        # kornia's AEPE takes flow fields; a disparity is a flow of (-d, 0)
        flows = [
            torch.stack([-values[i, 0], torch.zeros_like(values[i, 0])], -1)[None] for values in (prediction, truth)
        ]
        kept = [flow[:, valid[i, 0]][:, None] for flow in flows]
        expected = kornia.metrics.aepe(*kept)
        assert float(disparity_metrics(prediction, truth, valid)["epe"][i]) == pytest.approx(float(expected), rel=1e-5)
