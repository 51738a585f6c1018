import jaxtyping
import pytest
import torch

from wheatstone.errors import ShapeError
from wheatstone.evaluation import (
    border_holes,
    gradient_energy,
    hole_rim,
    masked_psnr,
    mixed_colours,
    synthesis_metrics,
)

REFUSED = (ShapeError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first


def _views(seed=0, shape=(2, 3, 24, 40)):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(shape, generator=generator)
    hole = torch.zeros((shape[0], 1, *shape[2:]), dtype=torch.bool)
    hole[:, :, 5:15, 10:18] = True
    hole[:, :, :, 36:] = True
    return truth, hole


def test_border_holes_are_runs_that_reach_the_left_or_right_side():
    hole = torch.tensor([[1, 1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]], dtype=torch.bool)
    expected = torch.tensor([[1, 1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]], dtype=torch.bool)
    assert torch.equal(border_holes(hole[None, None]), expected[None, None])


def test_a_known_error_gives_a_known_psnr_in_its_own_area_only():
    truth, hole = _views()
    truth = 0.2 + 0.5 * truth
    inside = hole & ~border_holes(hole)
    view = truth + 0.1 * inside
    figures = synthesis_metrics(view, truth, hole)
    assert figures["psnr_inside"].tolist() == pytest.approx([20.0, 20.0], abs=1e-4)
    assert figures["psnr_outside"].isinf().all()
    share = float(inside[0].sum() / hole[0].sum())
    assert float(figures["psnr_holes"][0]) == pytest.approx(20 - 10 * torch.tensor(share).log10().item(), abs=1e-4)
    assert figures["gradient_inside"].tolist() == pytest.approx([1, 1], abs=1e-5)


def test_psnr_and_ssim_agree_with_torchmetrics_over_the_whole_image():
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    truth, hole = _views(1)
    view = (truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))).clamp(0, 1)
    figures = synthesis_metrics(view, truth, hole)
    for i in range(2):
        pair = view[i : i + 1], truth[i : i + 1]
        assert float(figures["psnr"][i]) == pytest.approx(
            float(peak_signal_noise_ratio(*pair, data_range=1.0)), rel=1e-5
        )
    expected = structural_similarity_index_measure(view, truth, data_range=1.0, reduction="none")
    # torchmetrics leaves out a border of half a window, the map of the figure covers the image
    torch.testing.assert_close(figures["ssim"].float(), expected, rtol=0.05, atol=0)


def test_gradient_energy_tells_blur_and_ignores_the_rim():
    truth, hole = _views(2)
    blurred = torch.where(hole, truth.mean(dim=(2, 3), keepdim=True), truth)
    figures = synthesis_metrics(blurred, truth, hole)
    assert float(figures["gradient_inside"].max()) < 1e-6
    assert float(gradient_energy(blurred, hole).max()) < 1e-6


def test_pixels_that_do_not_count_change_nothing():
    truth, hole = _views(4)
    view = truth * 0.9
    scored = torch.ones_like(hole)
    scored[..., :12, :] = False
    spoiled = torch.where(scored, view, torch.rand_like(view))
    names = ("psnr", "psnr_inside", "psnr_holes", "psnr_outside", "gradient_inside", "hole_share")
    first, second = (synthesis_metrics(v, truth, hole, scored=scored) for v in (view, spoiled))
    for name in names:
        torch.testing.assert_close(first[name], second[name])


def test_empty_areas_are_nan_and_sizes_must_agree():
    truth, hole = _views(5)
    assert masked_psnr(truth * 0.5, truth, torch.zeros_like(hole)).isnan().all()
    with pytest.raises(REFUSED):
        synthesis_metrics(truth[..., 1:], truth, hole)


def _bordered(mixed: int):
    """A red thing left of a hole of 8 px, blue behind it; so many pixels at the far end are half red."""
    truth = torch.zeros(1, 3, 4, 40)
    truth[:, 0, :, :12], truth[:, 2, :, 12:] = 1.0, 1.0
    hole = torch.zeros(1, 1, 4, 40, dtype=torch.bool)
    hole[..., 12:20] = True
    disparity = torch.where(torch.arange(40) < 12, 12.0, 4.0).expand(1, 1, 4, 40)
    view = truth.clone()
    view[..., 20 : 20 + mixed] = torch.tensor([0.5, 0.0, 0.5])[:, None, None]
    return view, truth, hole, disparity


@pytest.mark.parametrize("mirrored", [False, True])
def test_mixed_colours_are_counted_at_the_far_side(mirrored):
    for mixed in (0, 2, 5):
        maps = _bordered(mixed)
        found, judged = mixed_colours(*((m.flip(-1) for m in maps) if mirrored else maps))
        assert judged.tolist() == [4 * 10]  # five hole pixels and five known ones in each of four rows
        assert found.tolist() == [4 * mixed]
    view, truth, hole, disparity = _bordered(3)
    assert mixed_colours(view, truth, hole, torch.full_like(disparity, 4.0))[1].tolist() == [0]  # no step
    grey = torch.full_like(truth, 0.5)
    assert mixed_colours(view, grey, hole, disparity)[1].tolist() == [0]  # no contrast
    assert mixed_colours(view, truth, torch.zeros_like(hole), disparity)[1].tolist() == [0]


def test_a_rim_lies_on_both_sides_of_the_outline_of_a_hole_inside():
    hole = torch.zeros(1, 1, 30, 60, dtype=torch.bool)
    hole[..., 10:20, 10:40] = True
    hole[..., 55:] = True  # beyond the image: not judged
    rim = hole_rim(hole, 3)
    expected = torch.zeros_like(rim)
    expected[..., 7:23, 7:43] = True
    expected[..., 13:17, 13:37] = False
    assert torch.equal(rim, expected)
    assert not hole_rim(torch.zeros_like(hole)).any()
