"""Clean-up and resizing of disparity: published outputs, validity, no mixing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from wheatstone.errors import InputError
from wheatstone.geometry import clean_disparity, nearest_refill, relative_edges, resize_disparity, sobel_magnitude


def unpack(bits, width):
    return torch.from_numpy(np.unpackbits(bits, axis=-1)[:, :width].astype(bool))


@pytest.fixture(scope="module")
def postproc(committed_goldens):
    with np.load(committed_goldens / "zerostereo_tcg_postproc.npz") as golden:
        return {name: torch.from_numpy(golden[name])[None, None] for name in golden.files if golden[name].ndim == 2}


def test_sobel_equals_the_published_one(postproc):
    magnitude = sobel_magnitude(postproc["disp_dilated"])
    torch.testing.assert_close(magnitude, postproc["sobel"], atol=1e-5, rtol=0)
    assert torch.equal(magnitude > 3, postproc["edge"])


def test_clean_up_equals_the_published_one_outside_ties(postproc):
    cleaned = clean_disparity(postproc["disp_raw"])
    ties = postproc["tie_mask"]
    assert torch.equal(cleaned[~ties], postproc["disp_post"][~ties])
    assert ((cleaned >= postproc["nearest_min"]) & (cleaned <= postproc["nearest_max"]))[ties].all()


@pytest.mark.parametrize("which", ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2"])
def test_refill_equals_stereo_from_mono_outside_ties(goldens, which):
    with np.load(goldens / "mfs_process_disparity.npz") as golden:
        values = {name: golden[f"{which}/{name}"] for name in ("no_sharpen", "out", "nearest_min", "nearest_max")}
        values = {name: torch.from_numpy(value)[None, None] for name, value in values.items()}
        width = values["out"].shape[-1]
        edges, ties = (unpack(golden[f"{which}/{name}"], width)[None, None] for name in ("edges", "tie_mask"))
    disparity = values["no_sharpen"]
    steep = sobel_magnitude(disparity) > 3
    assert torch.equal(steep, edges)
    filled = nearest_refill(disparity, steep | (disparity <= 0))  # the original refills zeros as well
    assert torch.equal(filled[~ties], values["out"][~ties])
    assert ((filled >= values["nearest_min"]) & (filled <= values["nearest_max"])).all()


@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_refill_takes_a_nearest_pixel(seed, share):
    generator = np.random.default_rng(seed)
    mask = generator.random((9, 14)) < share
    values = torch.arange(9.0 * 14).reshape(1, 1, 9, 14)
    filled = nearest_refill(values, torch.from_numpy(mask)[None, None])[0, 0].numpy()
    if mask.all():
        assert np.array_equal(filled, values[0, 0].numpy())
        return
    source = np.stack(np.divmod(filled, 14), -1)
    assert not mask[tuple(source.reshape(-1, 2).astype(int).T)].any()
    best, _ = cKDTree(np.argwhere(~mask)).query(np.argwhere(np.ones_like(mask)))
    distance = np.linalg.norm(source.reshape(-1, 2) - np.argwhere(np.ones_like(mask)), axis=1)
    np.testing.assert_allclose(distance, best, atol=1e-6)


def test_a_soft_edge_becomes_a_step_one_pixel_into_the_background():
    soft = torch.tensor([2.0, 2, 2, 2, 8, 14, 20, 20, 20, 20]).expand(1, 1, 6, 10).contiguous()
    for dilate, jump in ((0, 5), (1, 4)):
        cleaned = clean_disparity(soft, dilate=dilate)
        assert set(cleaned.unique().tolist()) <= {2.0, 20.0}
        assert (cleaned[0, 0, 0] == 20).nonzero()[0].item() == jump


def test_size_scale_sharpens_alike_at_twice_the_size():
    soft = torch.nn.functional.avg_pool2d(
        torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0)) * 60, 3, 1, 1
    )
    edges = sobel_magnitude(soft) > 3
    assert edges.any()
    untouched = clean_disparity(soft, dilate=0, size_scale=1e6)
    assert torch.equal(untouched, soft)
    assert not torch.equal(clean_disparity(soft, dilate=0), soft)


def test_invalid_values_never_leak():
    disparity = torch.full((1, 1, 8, 12), 5.0)
    disparity[..., 6:] = 1.0
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 2:4, 3:9] = False
    poisoned = disparity.masked_fill(~valid, 1e6)
    cleaned = clean_disparity(poisoned, valid)
    assert set(cleaned[valid].unique().tolist()) <= {1.0, 5.0}
    assert torch.equal(cleaned[~valid], poisoned[~valid])
    unknown = clean_disparity(disparity.masked_fill(~valid, float("nan")))
    assert torch.equal(unknown[valid], cleaned[valid])
    assert unknown[~valid].isnan().all()
    nothing = clean_disparity(disparity, torch.zeros_like(valid))
    assert torch.equal(nothing, disparity)


def test_resize_uses_the_true_width_ratio_and_mixes_nothing():
    disparity = torch.tensor([1.0, 1, 9, 9, 1]).expand(1, 1, 4, 5).contiguous()
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 0] = False
    resized, kept = resize_disparity(disparity, (8, 12), valid)
    assert resized.shape == kept.shape == (1, 1, 8, 12)
    assert set((resized / (12 / 5)).unique().tolist()) == {1.0, 9.0}
    assert not kept[..., :2].any()
    assert kept[..., 3:].all()
    same, _ = resize_disparity(disparity, (4, 5))
    assert torch.equal(same, disparity)


def test_bilinear_resize_is_valid_only_where_all_it_read_is():
    disparity = torch.ones(1, 1, 4, 8)
    disparity[..., 3] = float("nan")
    valid = disparity.isfinite()
    resized, kept = resize_disparity(disparity, (8, 16), valid, mode="bilinear")
    assert torch.equal(resized[kept], torch.full_like(resized[kept], 2.0))
    assert 0 < int((~kept).sum()) < kept.numel()


def test_relative_edges_do_not_depend_on_scale():
    disparity = torch.rand(2, 1, 10, 12, generator=torch.Generator().manual_seed(0))
    edges = relative_edges(disparity)
    assert edges.any()
    assert torch.equal(edges, relative_edges(disparity * 64))
    assert not relative_edges(torch.full((1, 1, 5, 5), 7.0)).any()


def test_errors():
    disparity = torch.zeros(1, 1, 4, 4)
    for wrong in ({"dilate": -1}, {"threshold": 0.0}, {"size_scale": 0.0}):
        with pytest.raises(InputError, match="clean-up needs"):
            clean_disparity(disparity, **wrong)


@pytest.mark.parametrize(("size", "mode"), [((0, 4), "nearest"), ((4, -1), "bilinear")])
def test_resize_needs_a_size(size, mode):
    with pytest.raises(InputError, match="cannot resize"):
        resize_disparity(torch.ones(1, 1, 4, 5), size, mode=mode)


def test_a_transposed_map_is_refilled_like_its_copy():
    values = torch.rand(1, 1, 12, 9, generator=torch.Generator().manual_seed(3)).transpose(-1, -2)
    replace = values > 0.7
    assert torch.equal(nearest_refill(values, replace), nearest_refill(values.contiguous(), replace.contiguous()))
