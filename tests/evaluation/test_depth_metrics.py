import jaxtyping
import numpy as np
import pytest
import torch

from wheatstone.errors import ShapeError
from wheatstone.evaluation import (
    align_affine,
    depth_edge_metrics,
    depth_metrics,
    fit_affine,
    inverse_depth_metrics,
)

REFUSED = (ShapeError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first


def _truth(seed=0, shape=(2, 1, 24, 32)):
    return 0.1 + torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_alignment_undoes_any_scale_and_shift():
    truth = _truth()
    fit = fit_affine((truth - 0.3) / 40, truth)
    torch.testing.assert_close(fit.scale, torch.full((2,), 40.0, dtype=torch.float64), rtol=1e-4, atol=0)
    torch.testing.assert_close(align_affine((truth - 0.3) / 40, truth), truth.double(), rtol=1e-4, atol=1e-5)


def test_alignment_is_the_least_squares_solution_on_valid_pixels():
    truth = _truth(1)
    prediction = truth + 0.3 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(2))
    valid = truth > 0.4
    fit = fit_affine(prediction, torch.where(valid, truth, torch.nan), valid)
    for i in range(2):
        x, y = prediction[i][valid[i]].double().numpy(), truth[i][valid[i]].double().numpy()
        scale, shift = np.polyfit(x, y, 1)
        assert float(fit.scale[i]) == pytest.approx(scale, rel=1e-9)
        assert float(fit.shift[i]) == pytest.approx(shift, rel=1e-9)


def test_robust_alignment_ignores_outliers_of_the_truth():
    truth = _truth(3)
    spoiled = truth.clone()
    spoiled[..., :3, :] = 50
    robust = align_affine(truth * 2 + 1, spoiled, robust=True)
    plain = align_affine(truth * 2 + 1, spoiled)
    clean = (slice(None), slice(None), slice(3, None))
    assert float((robust[clean] - truth[clean]).abs().max()) < 1e-2
    assert float((plain[clean] - truth[clean]).abs().mean()) > 1


def test_constant_prediction_gets_the_mean_and_no_truth_gets_nan():
    truth = _truth(4)
    aligned = align_affine(torch.full_like(truth, 7.3), truth)
    torch.testing.assert_close(aligned[0].mean(), truth[0].double().mean())
    assert float(aligned[0].std()) == 0
    assert align_affine(truth, truth, torch.zeros_like(truth, dtype=torch.bool)).isnan().all()


def test_formulas_of_eigen_agree_with_the_reference(goldens):
    stored = np.load(goldens / "monodepth2_metrics.npz")
    shape = (1, 1, 1, -1)
    prediction, truth = (torch.from_numpy(stored[name]).reshape(shape) for name in ("pred", "gt"))
    figures = depth_metrics(prediction, truth)
    names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta_1", "delta_2", "delta_3")
    found = [float(figures[name]) for name in names]
    assert found == pytest.approx(stored["errors_numpy_f64"].tolist(), rel=1e-6)
    assert found == pytest.approx(stored["errors_torch_f64"].tolist(), rel=1e-5)


def test_inverse_depth_is_scored_as_depth_after_the_fit():
    truth = _truth(5)
    perfect = inverse_depth_metrics(truth * 0.01 + 3, truth)
    assert float(perfect["abs_rel"].max()) < 1e-4
    assert perfect["delta_1"].tolist() == [1, 1]
    # a constant: AbsRel is mean |truth / mean(truth) - 1|
    constant = inverse_depth_metrics(torch.ones_like(truth), truth)
    expected = (truth / truth.mean((1, 2, 3), keepdim=True) - 1).abs().mean((1, 2, 3))
    torch.testing.assert_close(constant["abs_rel"].float(), expected)


def test_depth_stays_finite_where_the_aligned_prediction_is_not_positive():
    truth = torch.tensor([0.01, 0.01, 1.0, 1.0])[None, None, None]
    prediction = torch.tensor([-1.0, 0.0, 1.0, 0.8])[None, None, None]
    figures = inverse_depth_metrics(prediction, truth)
    assert all(bool(value.isfinite().all()) for value in figures.values())
    limited = align_affine(prediction, truth).clamp_min(0.02)
    expected = (truth / limited - 1).abs().mean()
    assert float(figures["abs_rel"]) == pytest.approx(float(expected), rel=1e-6)


def _step(width=64, sigma=0.0):
    x = torch.arange(width, dtype=torch.float32) - width / 2 + 0.5
    rise = (x > 0).float() if sigma == 0 else 0.5 * (1 + torch.erf(x / (sigma * 2**0.5)))
    return (1 + 5 * rise).expand(1, 1, 16, width).contiguous()


def test_edges_tell_sharp_from_soft_and_from_displaced():
    truth = _step()
    sharp = depth_edge_metrics(truth * 3 - 1, truth)
    soft = depth_edge_metrics(_step(sigma=8), truth)
    displaced = depth_edge_metrics(truth.roll(6, -1)[..., 8:-8], truth[..., 8:-8])
    flat = depth_edge_metrics(torch.ones_like(truth), truth)
    assert float(sharp["edge_f"]) == pytest.approx(1)
    assert float(sharp["edge_sharpness"]) == pytest.approx(1)
    assert float(soft["edge_f"]) < 0.5
    assert float(soft["edge_sharpness"]) < 0.4
    assert float(displaced["edge_f"]) < 0.1
    assert float(flat["edge_f"]) == 0
    assert depth_edge_metrics(truth, torch.ones_like(truth))["edge_f"].isnan().all()


def test_edges_beside_unknown_truth_do_not_count():
    truth = _step()
    valid = torch.ones_like(truth, dtype=torch.bool)
    valid[..., 31:33] = False
    assert depth_edge_metrics(truth, truth, valid)["edge_f"].isnan().all()


def test_sizes_must_agree():
    with pytest.raises(REFUSED):
        align_affine(_truth()[..., 1:], _truth())
