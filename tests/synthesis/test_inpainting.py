import json

import numpy as np
import pytest
import torch
from tests.diffusion.tiny import write_pipeline
from torch.nn import functional

from wheatstone import load_synthesizer
from wheatstone.diffusion import encode_mean, mask_to_latent
from wheatstone.errors import CheckpointError, InputError, ShapeError
from wheatstone.geometry import forward_warp, pad_to_multiple
from wheatstone.samples import Origin, image_batch
from wheatstone.synthesis.colour import match_fill
from wheatstone.synthesis.inpainting import StereoInpainting
from wheatstone.synthesis.official_inpainting import enlarge, reduction_of

# bounds of the golden files: ten times the deviation of the stored float32 results from a float64 run of the original
LATENTS, PICTURES = 1e-4, 2e-5
CASES = ("64x96", "70x101")


@pytest.fixture(scope="module")
def golden(goldens):
    return np.load(goldens / "zerostereo_stereogen.npz")


@pytest.fixture(scope="module")
def released(goldens):
    return goldens / "zerostereo_stereogen_model"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_pipeline(tmp_path_factory.mktemp("tiny"))


def scene(height=40, width=56, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    left = functional.interpolate(torch.rand(batch, 3, 6, 8, generator=generator), (height, width), mode="bicubic")
    disparity = torch.full((batch, 1, height, width), 3.0)
    disparity[..., 10:30, 20:35] = 9.0
    return left.clamp(0, 1), disparity


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("sampler", "name"), [("checkpoint", "pndm"), ("ddim", "ddim")])
def test_original_is_reproduced_through_the_public_call(golden, released, case, sampler, name):
    synthesizer = load_synthesizer(str(released), official=True, scheduler=sampler, steps=5)
    steps = []
    view = synthesizer(
        golden[f"{case}/left_image"],
        torch.from_numpy(golden[f"{case}/disparity"])[None, None],
        latents=torch.from_numpy(golden[f"{case}/{name}/noise"]),
        on_step=steps.append,
    )
    assert [step.timestep for step in steps] == golden[f"{case}/{name}/timesteps"].tolist()
    for index, step in enumerate(steps):
        np.testing.assert_allclose(step.prediction, golden[f"{case}/{name}/eps"][index], atol=LATENTS, rtol=0)
        np.testing.assert_allclose(step.latents, golden[f"{case}/{name}/latents"][index], atol=LATENTS, rtol=0)
    np.testing.assert_array_equal(view.hole[0, 0], golden[f"{case}/mask_inpaint"].astype(bool))
    np.testing.assert_array_equal(view.visible[0, 0], golden[f"{case}/mask_nocc"].astype(bool))
    np.testing.assert_allclose(view.image * 2 - 1, golden[f"{case}/{name}/composite"], atol=PICTURES, rtol=0)
    eight_bit = (view.image[0].permute(1, 2, 0) * 255).round().int().numpy()
    assert np.abs(eight_bit - golden[f"{case}/{name}/right_uint8"]).max() <= 1


@pytest.mark.parametrize("case", CASES)
def test_original_condition_and_painting(golden, released, case):
    """The stages between the warp and the composite, from the original's own warped view."""
    synthesizer = load_synthesizer(str(released), official=True, steps=5)
    np.testing.assert_array_equal(synthesizer.network.prompt, golden["empty_text_embed"])
    image = torch.from_numpy(golden[f"{case}/warped_image"]).permute(2, 0, 1)[None] / 255
    hole = torch.from_numpy(golden[f"{case}/mask_inpaint"].astype(bool))[None, None]
    masked, padding = pad_to_multiple((image * 2 - 1) * ~hole, 8)
    sides = [padding.left, padding.right, padding.top, padding.bottom]
    assert sides == golden[f"{case}/pad"].tolist()
    with torch.no_grad():
        latent = encode_mean(synthesizer.network.vae, masked)
    np.testing.assert_allclose(latent, golden[f"{case}/masked_image_latent"], atol=2e-5, rtol=0)
    np.testing.assert_array_equal(mask_to_latent(padding.pad(hole), 8, "nearest"), golden[f"{case}/mask_latent"])
    noise = torch.from_numpy(golden[f"{case}/pndm/noise"])
    painted = synthesizer.inpaint(image, hole, latents=noise)
    expected = padding.crop(torch.from_numpy(golden[f"{case}/pndm/pred_before_composite_padded"]))
    np.testing.assert_allclose(painted * 2 - 1, expected, atol=PICTURES, rtol=0)


def test_original_enlarges_whole_views(golden):
    size = tuple(golden["70x101/scale2/size"].tolist())
    view = enlarge(torch.from_numpy(golden["70x101/pndm/composite"]) / 2 + 0.5, size)
    np.testing.assert_allclose(view[..., ::3, ::3] * 2 - 1, golden["70x101/scale2/composite_s3"], atol=PICTURES, rtol=0)
    eight_bit = (view[0].permute(1, 2, 0) * 255).round().int().numpy()
    assert np.abs(eight_bit - golden["70x101/scale2/composite_uint8"]).max() <= 1
    hole = torch.from_numpy(golden["70x101/mask_inpaint"]).float()[None, None]
    enlarged = functional.interpolate(hole, size, mode="nearest")[0, 0].numpy().astype(bool)
    packed = golden["70x101/scale2/mask_inpaint"]
    np.testing.assert_array_equal(enlarged, np.unpackbits(packed, axis=-1)[:, : size[1]].astype(bool))


@pytest.mark.parametrize("settings", [{}, {"paint_side": 64}, {"scheduler": "dpm++"}, {"scheduler": "trailing"}])
def test_known_pixels_are_the_warp_bit_by_bit(tiny, settings):
    left, disparity = scene(90, 120)
    view = load_synthesizer(str(tiny), steps=settings.pop("steps", 2), **settings)(left, disparity)
    warp = forward_warp(left, disparity)
    known = ~warp.hole.expand_as(left)
    assert torch.equal(view.image[known], warp.image[known])
    assert torch.equal(view.hole, warp.hole)
    assert view.image.isfinite().all()
    assert view.image.min() >= 0
    assert view.image.max() <= 1


def test_same_generator_same_view_and_items_are_independent(tiny):
    synthesizer = load_synthesizer(str(tiny), steps=2)
    left, disparity = scene(batch=2)

    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    pair = synthesizer(left, disparity, generators=generators(1, 2))
    alone = synthesizer(left[1:], disparity[1:], generators=generators(2))
    assert torch.equal(pair.image[1:], alone.image)
    other = synthesizer(left[1:], disparity[1:], generators=generators(3))
    assert not torch.equal(other.image, alone.image)


def test_start_noise_can_be_given(tiny):
    synthesizer = load_synthesizer(str(tiny), steps=2)
    left, disparity = scene()
    noise = torch.randn(1, 4, 5, 7, generator=torch.Generator().manual_seed(4))
    given = synthesizer(left, disparity, latents=noise)
    drawn = synthesizer(left, disparity, generators=[torch.Generator().manual_seed(4)])
    assert torch.equal(given.image, drawn.image)
    with pytest.raises(ShapeError, match=r"\[1, 4, 5, 7\]"):
        synthesizer(left, disparity, latents=noise[..., :-1])


def test_view_without_holes_needs_no_painting(tiny):
    left, disparity = scene()
    steps = []
    view = load_synthesizer(str(tiny), steps=2)(left, 0 * disparity, on_step=steps.append)
    assert torch.equal(view.image, left)
    assert steps == []


@pytest.mark.parametrize("baseline", [-1.0, 0.5, 2.0])
def test_any_baseline(tiny, baseline):
    left, disparity = scene()
    view = load_synthesizer(str(tiny), steps=1)(left, disparity, baseline=baseline)
    assert view.image.shape == left.shape
    assert view.hole.any()


def test_save_and_load_keeps_conventions_and_result(tiny, tmp_path):
    synthesizer = load_synthesizer(str(tiny), steps=3, scheduler="ddim", mask_pooling="max", paint_side=128)
    synthesizer.save_pretrained(tmp_path)
    left, disparity = scene()
    expected = synthesizer(left, disparity).image
    for again in (StereoInpainting.from_pretrained(tmp_path), load_synthesizer(str(tmp_path))):
        assert again.config == synthesizer.config
        assert torch.equal(again(left, disparity).image, expected)
    assert load_synthesizer(str(tmp_path), scheduler="dpm++").config["steps"] == 20
    assert load_synthesizer(str(tmp_path), steps=7).config["steps"] == 7


def test_saved_folder_is_a_stock_pipeline(tiny, tmp_path):
    from diffusers import StableDiffusionInpaintPipeline

    load_synthesizer(str(tiny)).save_pretrained(tmp_path)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(tmp_path, local_files_only=True)
    assert pipeline.unet.config.in_channels == 9


def test_released_folders_are_painted_as_they_were_trained(tiny):
    synthesizer = load_synthesizer("inpainting", weights=tiny)
    assert synthesizer.config["mask_pooling"] == "nearest"
    assert synthesizer.config["steps"] == 50
    assert synthesizer.fingerprint()["weights_sha256"] == load_synthesizer(str(tiny)).fingerprint()["weights_sha256"]


def test_repository_with_the_pipeline_in_a_sub_folder(tmp_path):
    write_pipeline(tmp_path / "StereoGen")
    assert load_synthesizer(str(tmp_path)).name == "inpainting"


def test_components_can_be_replaced(tiny, tmp_path):
    other = write_pipeline(tmp_path / "other", vae_dtype=torch.float32)
    plain = load_synthesizer(str(tiny), vae=other / "vae")
    assert plain.fingerprint()["weights_sha256"] != load_synthesizer(str(tiny)).fingerprint()["weights_sha256"]


@pytest.mark.parametrize("size", [(1999, 3000), (2000, 3000), (3000, 2000), (3500, 4000)])
def test_published_reduction_of_large_photos(size):
    assert reduction_of(size) == {1999: 1, 2000: 2, 3000: 2, 3500: 3}[min(size)]


def test_official_marks_enlarged_views_as_generated(tiny, monkeypatch):
    monkeypatch.setattr("wheatstone.synthesis.official_inpainting.STEP_PX", 40)
    left, disparity = scene(81, 100)
    view = load_synthesizer(str(tiny), official=True, steps=1)(left, disparity)
    assert view.image.shape == left.shape
    assert (view.origin[~view.hole] == Origin.GENERATED).all()


def test_colours_are_matched_except_where_the_original_does_not(tiny):
    left, disparity = scene(90, 120)
    warp = forward_warp(left, disparity)
    painted = load_synthesizer(str(tiny), steps=1, colour_match=False).inpaint(warp.image, warp.hole)
    matched = load_synthesizer(str(tiny), steps=1).inpaint(warp.image, warp.hole)
    torch.testing.assert_close(matched, match_fill(painted, warp.image, warp.hole))
    assert not torch.allclose(matched, painted)
    official = load_synthesizer(str(tiny), steps=1, official=True).inpaint(warp.image, warp.hole)
    assert torch.equal(official, painted)


def test_working_size_does_not_change_what_is_asked_of_the_noise(tiny):
    left, disparity = scene(90, 160)
    shapes = []
    synthesizer = load_synthesizer(str(tiny), steps=1, paint_side=64)
    synthesizer(left, disparity, on_step=lambda step: shapes.append(tuple(step.latents.shape)))
    assert shapes == [(1, 4, 5, 8)]  # 36 x 64, padded to 40 x 64


def test_memory_error_halves_the_batch_and_then_says_what_to_do(tiny, monkeypatch):
    synthesizer = load_synthesizer(str(tiny), steps=1)
    left, disparity = scene()

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(synthesizer, "_paint", full)
    with pytest.raises(InputError, match="paint_side"):
        synthesizer(left, disparity)


def test_overflow_is_not_written_into_the_view(tiny):
    synthesizer = load_synthesizer(str(tiny), steps=1)
    with torch.no_grad():
        synthesizer.network.vae.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(InputError, match=r"not finite in torch\.float32"):
        synthesizer(*scene())


def test_errors(tiny, tmp_path):
    for settings in ({"steps": 0}, {"scheduler": "euler"}, {"paint_side": 8}, {"max_batch": 0}):
        with pytest.raises(InputError):
            load_synthesizer(str(tiny), **settings)
    plain = write_pipeline(tmp_path / "plain", class_name="StableDiffusionInpaintPipeline", in_channels=4)
    with pytest.raises(CheckpointError, match="takes 9 channels"):
        load_synthesizer(str(plain))
    write_pipeline(tmp_path / "other", class_name="FluxPipeline")
    with pytest.raises(CheckpointError, match="names a FluxPipeline"):
        load_synthesizer(str(tmp_path / "other"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="not a synthesizer"):
        load_synthesizer(str(tmp_path / "empty"))
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"wheatstone": "hub"}))
    with pytest.raises(CheckpointError, match="'hub', which is no synthesizer"):
        load_synthesizer(str(tmp_path / "empty"))
    with pytest.raises(CheckpointError, match="Windsrain/ZeroStereo"):
        load_synthesizer("inpainting")
    with pytest.raises(InputError, match="needs their disparity"):
        load_synthesizer(str(tiny), steps=1)(image_batch(np.zeros((16, 16, 3), np.uint8)))


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(tiny):
    left, disparity = scene(batch=3)
    noise = torch.randn(3, 4, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = load_synthesizer(str(tiny), steps=3)(left, disparity, latents=noise).image
    found = load_synthesizer(str(tiny), steps=3, device="cuda")(left, disparity, latents=noise).image
    torch.testing.assert_close(found.cpu(), expected, atol=2e-2, rtol=0)
