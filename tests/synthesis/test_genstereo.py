"""The whole of GenStereo: the original through the public call, and what ours adds to it."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from wheatstone import load_synthesizer
from wheatstone.diffusion import ZERO_SNR_V, build_scheduler, run_sampler
from wheatstone.errors import InputError, ShapeError
from wheatstone.geometry import forward_warp
from wheatstone.samples import Origin, image_batch
from wheatstone.synthesis.genstereo import GenStereo, make_conditions, small_networks
from wheatstone.synthesis.genstereo.sampling import prepare
from wheatstone.synthesis.genstereo.working import to_working

# bounds of the golden files: ten times the deviation of the stored float32 results from a float64 run of the original
LATENTS, PICTURES = {"float32": 6e-5, "float16": 1e-3}, {"float32": 2e-5, "float16": 2e-4}
CASES = [("v2.1", "64x64"), ("v2.1", "60x80"), ("v1.5", "64x64")]
SIDE = 64


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def original(request, goldens):
    """Inputs and outputs of the original, and the synthesizer made of its weights."""
    version, case = request.param
    arrays = np.load(goldens / f"genstereo_{version}.npz")
    golden = {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{case}/")}
    weights = goldens / f"genstereo_{version}_model" / f"genstereo-{version}"
    return golden, load_synthesizer("genstereo", weights=weights, official=True, steps=4)


def disparity_of(golden):
    """In pixels of the photo, as our call has it; the original wants pixels of its working size."""
    disparity = torch.from_numpy(golden["src_disparity"])[None, None]
    return disparity * (disparity.shape[-1] / SIDE)


def close(ours, golden, bound):
    np.testing.assert_allclose(ours, golden, atol=bound, rtol=0)


def test_original_through_the_public_call(original):
    golden, synthesizer = original
    steps = []
    view = synthesizer(
        golden["src_image"],
        disparity_of(golden),
        latents=torch.from_numpy(golden["start_noise"]),
        on_step=steps.append,
    )
    assert [step.timestep for step in steps] == golden["timesteps"].tolist()
    for index, step in enumerate(steps):
        close(step.prediction, golden["v_cfg"][index][:, :, 0], LATENTS["float16"])
        close(step.latents, golden["latents"][index][:, :, 0], LATENTS["float16"])
    assert view.image.shape == (1, 3, *golden["src_image"].shape[:2])
    if view.image.shape[-1] != SIDE:  # stretched back to the photo's shape
        return
    close(view.image, golden["fused"], PICTURES["float16"])
    assert np.abs((view.image[0] * 255).int().permute(1, 2, 0).numpy() - golden["fused_uint8"].astype(int)).max() <= 1
    np.testing.assert_array_equal(~view.hole, golden["mask"] > 0)
    assert (view.origin[~view.hole] == Origin.GENERATED).all()


def test_original_pictures_at_working_size(original):
    golden, synthesizer = original
    made = synthesizer.generate(
        image_batch(golden["src_image"]), disparity_of(golden), latents=torch.from_numpy(golden["start_noise"])
    )
    close(made.image, golden["synthesized"], PICTURES["float16"])
    close(made.warped * 2 - 1, golden["warped"], 1e-6)
    np.testing.assert_array_equal(made.hole, golden["mask"] == 0)
    fusion, known = synthesizer.network.fusion, torch.from_numpy(golden["mask"]) > 0
    with torch.no_grad():
        close(fusion(made.image, made.warped, known)[0], golden["fused_rawmask"], PICTURES["float16"])
        opened = torch.from_numpy(golden["mask_opened7"]) > 0
        fused, weights = fusion(made.image, made.warped, opened)
    close(fused, golden["fused"], PICTURES["float16"])
    close(weights, golden["fusion_weights"], PICTURES["float16"])


def test_original_stages_and_our_bank_in_float32(original):
    golden, synthesizer = original
    networks, photo = synthesizer.network, image_batch(golden["src_image"])
    view = to_working(photo, disparity_of(golden), None, (SIDE, SIDE), official=True)
    conditions = make_conditions(view.left, view.disparity, official=True)
    close(conditions.target, golden["trg_cond"], 1e-6)
    shown = golden["src_cond_c0_9"]
    close(conditions.source[:, : shown.shape[1]], shown, 1e-6)
    noise = torch.from_numpy(golden["start_noise"])
    with torch.no_grad():
        tokens = networks.image_tokens(photo, eight_bit=True)
        close(networks.encode(view.left), golden["ref_latent"], 4e-5)
        close(networks.pose(conditions.source), golden["pose_fea_src"], 2e-6)
        close(networks.pose(conditions.target), golden["pose_fea_trg"][:, :, 0], 2e-6)
        close(tokens[0], golden["image_prompt_embeds"][1], 1e-5)
        predict = prepare(networks, view.left, conditions, guidance=1.5, tokens=tokens)
        steps = []
        latents = run_sampler(predict, build_scheduler(ZERO_SNR_V), noise, steps=4, on_step=steps.append)
        picture = networks.decode(latents).clamp(0, 1)
        plain = networks.predict(noise, 999, torch.zeros_like(tokens), predict.pose)
        guided = networks.predict(noise, 999, tokens, predict.pose, predict.bank)
    for half, found in enumerate((plain, guided)):  # the original's bank is in float16
        close(found[0], golden["v_both"][0, half, :, 0], LATENTS["float16"])
    for index, step in enumerate(steps):
        close(step.latents, golden["latents_fp32bank"][index][:, :, 0], LATENTS["float32"])
    assert np.abs(latents - torch.from_numpy(golden["latents"][-1][:, :, 0])).max() > LATENTS["float32"]
    close(picture, golden["synthesized_fp32bank"], PICTURES["float32"])


def scene(height=40, width=56, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    left = functional.interpolate(torch.rand(batch, 3, 6, 8, generator=generator), (height, width), mode="bicubic")
    disparity = torch.full((batch, 1, height, width), 3.0)
    disparity[..., 10:30, 20:35] = 9.0
    return left.clamp(0, 1), disparity


@pytest.fixture(scope="module")
def networks():
    return small_networks(0)


@pytest.fixture(scope="module")
def small(networks):
    return GenStereo(networks, steps=2)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(("height", "width"), [(40, 56), (90, 300), (301, 97)])
def test_any_size_and_known_pixels_are_the_warp_bit_by_bit(small, height, width):
    left, disparity = scene(height, width)
    view = small(left, disparity)
    warp = forward_warp(left, disparity)
    known = ~warp.hole.expand_as(left)
    assert torch.equal(view.image[known], warp.image[known])
    assert torch.equal(view.hole, warp.hole)
    assert not (view.origin == Origin.GENERATED).any()
    assert (view.origin[~view.hole] == Origin.WARPED).all()
    assert view.image.min() >= 0
    assert view.image.max() <= 1


def test_origin_says_what_was_fused(networks):
    left, disparity = scene()
    views = {name: GenStereo(networks, steps=1, composite=name)(left, disparity) for name in ("fusion", "generated")}
    warp = forward_warp(left, disparity)
    for view in views.values():
        same = (view.image - warp.image).abs().amax(1, keepdim=True) <= 0.5 / 255
        known = ~warp.hole
        assert torch.equal(view.origin[known] == Origin.WARPED, same[known])
        assert torch.equal(view.origin[known] == Origin.GENERATED, ~same[known])
        assert (view.origin[known] == Origin.GENERATED).any()
    assert not torch.equal(views["fusion"].image, views["generated"].image)


def test_unknown_disparity_is_generated(small):
    left, disparity = scene()
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 15:25, :] = False
    view = small(left, disparity * valid, valid)
    assert view.hole[..., 15:25, :].all()
    official = GenStereo(small.network, steps=1, official=True)(left, disparity * valid, valid)
    assert not official.hole[..., 16:24, 2:-2].any()  # files write 0, and the original moves by 0


@pytest.mark.parametrize("strange", [torch.nan, torch.inf])
def test_disparity_that_is_no_number_is_generated(networks, strange):
    left, disparity = scene(40, 120)
    disparity[..., 8:16, 30:60] = strange
    for settings in ({}, {"working_side": 128, "window_side": 64}):
        view = GenStereo(networks, steps=1, **settings)(left, disparity)
        assert view.image.isfinite().all()
        assert view.hole[..., 8:16, 36:48].all()


def test_seed_decides_and_items_are_independent(small):
    left, disparity = scene(batch=2)
    pair = small(left, disparity, generators=generators(1, 2))
    again = small(left, disparity, generators=generators(1, 2))
    alone = small(left[1:], disparity[1:], generators=generators(2))
    other = small(left, disparity, generators=generators(3, 2))
    assert torch.equal(pair.image, again.image)
    assert torch.equal(pair.image[1:], alone.image)
    assert not torch.equal(pair.image[0], other.image[0])
    assert torch.equal(small(left, disparity).image, small(left, disparity, generators=generators(0, 1)).image)


def test_negative_baseline_is_made_in_the_mirror(small):
    left, disparity = scene()
    one = small(left, disparity, baseline=-1.0, generators=generators(5))
    other = small(left.flip(-1), disparity.flip(-1), generators=generators(5))
    torch.testing.assert_close(one.image.flip(-1), other.image)  # enlarged before or behind the mirror
    assert torch.equal(one.hole.flip(-1), other.hole)
    half = small(left, 2 * disparity, baseline=0.5, generators=generators(5))
    torch.testing.assert_close(half.image, small(left, disparity, generators=generators(5)).image)


def test_nothing_to_paint_runs_nothing(small):
    left, disparity = scene()
    seen = []
    view = small(left, torch.zeros_like(disparity), on_step=seen.append)
    assert torch.equal(view.image, left)
    assert not seen


def calls_of(networks, **settings):
    """How many items each U-Net sees in a call."""
    counts = {"denoising_unet": 0, "reference_unet": 0}
    handles = []
    for name in counts:

        def count(_, inputs, name=name):
            counts[name] += len(inputs[0])

        handles.append(getattr(networks, name).register_forward_pre_hook(count))
    try:
        view = GenStereo(networks, steps=3, **settings)(*scene())
    finally:
        for handle in handles:
            handle.remove()
    return counts, view


def test_guidance_off_costs_one_item_a_step(networks):
    guided, with_guidance = calls_of(networks, guidance=1.5)
    plain, without = calls_of(networks, guidance=1.0)
    assert guided == {"denoising_unet": 6, "reference_unet": 1}
    assert plain == {"denoising_unet": 3, "reference_unet": 1}
    assert not torch.equal(with_guidance.image, without.image)
    barely = GenStereo(networks, steps=3, guidance=1.0 + 1e-7)(*scene())
    torch.testing.assert_close(barely.image, without.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    left, disparity = scene()
    half = GenStereo(small_networks(0), steps=2).to(dtype=dtype)
    full = GenStereo(small_networks(0), steps=2)
    view, exact = half(left, disparity), full(left, disparity)
    assert half.dtype == dtype
    assert torch.equal(half.network.fusion.fusion_layer[0].weight, full.network.fusion.fusion_layer[0].weight)
    assert view.image.dtype == torch.float32
    torch.testing.assert_close(view.image, exact.image, atol=0.1, rtol=0)
    assert torch.equal(view.hole, exact.hole)


def test_working_side_changes_the_work_and_not_the_size(networks):
    left, disparity = scene(80, 120)
    synthesizer = GenStereo(networks, steps=1, working_side=96)
    assert synthesizer.working_size((80, 120)) == (80, 112)
    assert synthesizer(left, disparity).image.shape == left.shape


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"steps": 0}, "steps"),
        ({"guidance": 0.5}, "guidance"),
        ({"mask_opening": 4}, "odd"),
        ({"mask_opening": (3, 2)}, "odd"),
        ({"mask_opening": ()}, "odd"),
        ({"composite": "both"}, "known, fusion, generated"),
    ],
)
def test_settings_without_sense_are_refused(networks, settings, told):
    with pytest.raises(InputError, match=told):
        GenStereo(networks, **settings)


def test_wrong_inputs_are_refused(small):
    left, disparity = scene()
    with pytest.raises(InputError, match="disparity"):
        small(left)
    with pytest.raises(InputError, match="2 generators for 1 images"):
        small(left, disparity, generators=generators(1, 2))
    with pytest.raises(ShapeError, match="latents"):
        small(left, disparity, latents=torch.zeros(1, 4, 5, 5))
