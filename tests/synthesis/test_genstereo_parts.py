"""GenStereo's small pieces against the original, and where ours differ from it on purpose."""

import numpy as np
import pytest
import torch
from tests.matching.weights import deterministic_state

from wheatstone.errors import InputError
from wheatstone.synthesis.genstereo import (
    AdaptiveFusion,
    PoseGuider,
    coordinate_embedding,
    make_conditions,
    small_networks,
)
from wheatstone.synthesis.genstereo.working import open_mask, resize_picture, to_working, working_size

SIZES = ("32x48", "40x40")


@pytest.fixture(scope="module")
def warps(goldens):
    return {k: torch.from_numpy(v) for k, v in np.load(goldens / "genstereo_embed_warp.npz").items()}


@pytest.fixture(scope="module")
def fusions(goldens):
    return {k: torch.from_numpy(v) for k, v in np.load(goldens / "genstereo_adaptive_fusion.npz").items()}


@pytest.mark.parametrize("frequencies", [2, 4])
@pytest.mark.parametrize("size", SIZES)
def test_original_embedding_and_where_ours_differs(warps, size, frequencies):
    golden = warps[f"{size}/embed{frequencies}"]
    height, width = golden.shape[-2:]
    official = coordinate_embedding(height, width, frequencies=frequencies, official=True)
    torch.testing.assert_close(official[0], golden, atol=1e-6, rtol=0)
    ours = coordinate_embedding(height, width, frequencies=frequencies)
    assert torch.equal(ours, official) == (height == width)
    for channel, length, axis in ((0, width, 1), (1, height, 0)):
        steps = ours[0, channel].diff(dim=axis)
        torch.testing.assert_close(steps, torch.full_like(steps, 1 / length))
        assert ours[0, channel].max() == (length - 1) / length


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", ["layers", "half"])
def test_original_conditions(warps, size, case):
    image = warps[f"{size}/image"].permute(2, 0, 1)[None] / 255
    disparity = warps[f"{size}/{case}/disp"][None, None]
    made = make_conditions(image, disparity, official=True)
    torch.testing.assert_close(made.target[0, :10], warps[f"{size}/{case}/warped_embed"], atol=1e-6, rtol=0)
    torch.testing.assert_close(made.target[0, 11:], warps[f"{size}/{case}/warped_image"], atol=1e-6, rtol=0)
    hole = warps[f"{size}/{case}/source_col_plus1"] == 0
    assert torch.equal(made.hole[0, 0], hole)
    assert torch.equal(made.target[0, 10], hole.float())
    assert torch.equal(made.source[0, :10], coordinate_embedding(*hole.shape, official=True)[0])
    assert not made.source[0, 10].any()
    torch.testing.assert_close(made.source[0, 11:], image[0] * 2 - 1)
    assert torch.equal(made.warped * 2 - 1, made.target[:, 11:])


def test_unknown_disparity_is_a_hole_and_officially_a_shift_by_zero():
    image = torch.rand(1, 3, 4, 12, generator=torch.Generator().manual_seed(0))
    disparity, valid = torch.zeros(1, 1, 4, 12), torch.zeros(1, 1, 4, 12, dtype=torch.bool)
    disparity[..., 5], valid[..., 5] = 3.0, True
    ours = make_conditions(image, disparity, valid)
    assert (~ours.hole).sum() == 4
    assert torch.equal(ours.warped[..., 2], image[..., 5])
    official = make_conditions(image, disparity, valid, official=True)
    assert torch.equal(official.warped[..., 2], image[..., 5])
    assert torch.equal(official.warped[..., 7], image[..., 7])  # left pixels at their old place
    assert official.hole.sum() == 4  # only where column 5 came from
    known_zero = make_conditions(image, disparity, torch.ones_like(valid))
    assert torch.equal(known_zero.warped, official.warped)
    for strange in (torch.inf, torch.nan):
        assert make_conditions(image, torch.full_like(disparity, strange), official=True).hole.all()


@pytest.mark.parametrize(("case", "width"), [("out_full", 320), ("out_small", 32)])
def test_original_pose_guider(goldens, case, width):
    golden = np.load(goldens / "genstereo_pose_guider.npz")
    guider = PoseGuider(out_channels=width)
    guider.load_state_dict(deterministic_state({k: v.shape for k, v in guider.state_dict().items()}))
    with torch.no_grad():
        features = guider(torch.from_numpy(golden["cond"])[:, :, 0])
    np.testing.assert_allclose(features, golden[case][:, :, 0], atol=1e-6)
    if width == 320:
        state = deterministic_state(goldens / "genstereo_pose_guider.keys.json")
        assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in guider.state_dict().items()}
        assert sum(value.numel() for value in state.values()) == 516_480


def test_pose_guider_starts_without_effect():
    features = PoseGuider(out_channels=16)(torch.rand(2, 14, 24, 32))
    assert features.shape == (2, 16, 3, 4)
    assert not features.any()


def test_original_fusion(goldens, fusions):
    fusion = AdaptiveFusion()
    fusion.load_state_dict(deterministic_state(goldens / "genstereo_adaptive_fusion.keys.json"))
    generated, known = fusions["generated"], fusions["mask"] > 0.5
    with torch.no_grad():
        fused, weights = fusion(generated, fusions["warped"], known)
        torch.testing.assert_close(weights, fusions["weights"], atol=1e-6, rtol=0)
        torch.testing.assert_close(fused, fusions["fused"], atol=1e-6, rtol=0)
        as_called, _ = fusion(generated, fusions["warped"] / 2 + 0.5, known)
        torch.testing.assert_close(as_called, fusions["fused_warped01"], atol=1e-6, rtol=0)


def test_polarity_of_the_fusion_mask():
    """Inference mixes known pixels and keeps generated ones in holes; the published trainer does it the other way round."""
    generated, warped = torch.rand(1, 3, 6, 8), torch.rand(1, 3, 6, 8)
    known = torch.rand(1, 1, 6, 8) > 0.4
    everywhere = known.expand_as(warped)
    right, trainer = AdaptiveFusion("known"), AdaptiveFusion("hole")
    trainer.load_state_dict(right.state_dict())
    fused, weights = right(generated, warped, known)
    assert torch.equal(fused[~everywhere], generated[~everywhere])
    assert not torch.isclose(fused[everywhere], generated[everywhere]).all()
    published, published_weights = trainer(generated, warped, known)
    assert torch.equal(published[everywhere], generated[everywhere])
    assert not torch.isclose(published[~everywhere], generated[~everywhere]).all()
    assert not torch.allclose(weights, published_weights)
    with pytest.raises(InputError, match="known or hole"):
        AdaptiveFusion("warped")


def test_fusion_stays_in_float32_and_passes_gradients():
    fusion = AdaptiveFusion().to(torch.bfloat16)
    generated = torch.rand(1, 3, 6, 8, requires_grad=True)
    fused, weights = fusion(generated, torch.rand(1, 3, 6, 8), torch.ones(1, 1, 6, 8, dtype=torch.bool))
    assert fused.dtype == weights.dtype == torch.float32
    fused.sum().backward()
    assert generated.grad.abs().sum() > 0
    assert fusion.fusion_layer[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("size", "side", "multiple", "wanted"),
    [
        ((1000, 1000), 768, 64, (768, 768)),
        ((60, 80), 64, 64, (64, 64)),
        ((1080, 1920), 768, 64, (576, 1024)),
        ((375, 1242), 768, 64, (448, 1408)),
        ((3000, 10), 64, 16, (1104, 16)),
    ],
)
def test_working_size_keeps_aspect_and_number_of_pixels(size, side, multiple, wanted):
    assert working_size(size, side, multiple) == wanted


def test_working_view_scales_disparity_and_keeps_the_unknown():
    left, disparity = torch.rand(1, 3, 40, 60), torch.full((1, 1, 40, 60), 6.0)
    valid = torch.ones(1, 1, 40, 60, dtype=torch.bool)
    valid[..., 30:] = False
    view = to_working(left, disparity, valid, (64, 80))
    assert view.left.shape == (1, 3, 64, 80)
    assert torch.equal(view.disparity, torch.full((1, 1, 64, 80), 8.0))
    assert view.valid[..., :40].all()
    assert not view.valid[..., 40:].any()
    official = to_working(left, disparity, None, (64, 80), official=True)
    assert set(official.left.unique().tolist()) <= set(left.unique().tolist())
    assert resize_picture(left, (40, 60)) is left


def test_opening_removes_stripes_and_keeps_what_touches_the_border():
    known = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    known[..., :, 3] = True  # a stripe
    known[..., 8:, 10:] = True  # a corner of the image
    opened = open_mask(known, 7)
    assert not opened[..., :10].any()
    assert torch.equal(opened[..., 10:], known[..., 10:])
    assert torch.equal(open_mask(known, 0), known)
    assert torch.equal(open_mask(known, (7, 7)), opened)
    rows = torch.ones(1, 1, 3, 9, dtype=torch.bool)
    rows[0, 0, 1] = torch.tensor([1, 1, 0, 1, 1, 0, 1, 1, 1])
    assert open_mask(rows, (1, 3))[0, 0, 1].int().tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1]  # each row for itself
    assert open_mask(rows, (1, 3))[0, 0, [0, 2]].all()


def test_original_opening(goldens):
    for version, case in (("v2.1", "64x64"), ("v2.1", "60x80"), ("v1.5", "64x64")):
        golden = np.load(goldens / f"genstereo_{version}.npz")
        known, opened = (torch.from_numpy(golden[f"{case}/{name}"]) > 0 for name in ("mask", "mask_opened7"))
        assert torch.equal(open_mask(known, 7), opened)


def test_small_networks_leave_the_random_state_alone_and_follow_the_seed():
    before = torch.random.get_rng_state()
    first, again, other = small_networks(3), small_networks(3), small_networks(4)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert not torch.equal(first.vae.encoder.conv_in.weight, other.vae.encoder.conv_in.weight)


def test_networks_are_differentiable_from_picture_to_picture():
    networks = small_networks(0).train()
    left, disparity = torch.rand(2, 3, 32, 48), torch.full((2, 1, 32, 48), 4.0)
    conditions = make_conditions(left, disparity)
    tokens = networks.image_tokens(left)
    bank = networks.reference(networks.encode(left), tokens, networks.pose(conditions.source))
    drawn = networks.encode(left, torch.Generator().manual_seed(0))
    velocity = networks.predict(drawn, torch.tensor([10, 900]), tokens, networks.pose(conditions.target), bank)
    fused, _ = networks.fusion(networks.decode(velocity), conditions.warped, ~conditions.hole)
    fused.square().mean().backward()
    without = {name for name, value in networks.named_parameters() if value.grad is None or not value.grad.abs().sum()}
    # what lies behind the last self-attention of the reference; the first pose layers behind a last one of zeros; the
    # queries of attention to a single token; unused layers of the image encoder
    for name in ("denoising_unet.conv_in.weight", "reference_unet.conv_in.weight", "pose_guider.conv_out.weight"):
        assert name not in without
    for name in (
        "vae.encoder.conv_in.weight",
        "fusion.fusion_layer.0.weight",
        "image_encoder.visual_projection.weight",
    ):
        assert name not in without
    assert not torch.equal(drawn, networks.encode(left))
