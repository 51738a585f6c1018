"""Folders of GenStereo: the released file set, stock parts around it, our own layout, and what is said of broken ones."""

import json
import shutil

import pytest
import torch
from accelerate import init_empty_weights
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tests.diffusion.tiny import write_pipeline

from wheatstone import load_synthesizer
from wheatstone.checkpoints import MODELS
from wheatstone.diffusion.reference_attention import drop_output, prepare_reference
from wheatstone.errors import CheckpointError, InputError
from wheatstone.synthesis.genstereo import (
    AdaptiveFusion,
    GenStereo,
    PoseGuider,
    load_networks,
    save_networks,
    small_networks,
    start_networks,
)
from wheatstone.synthesis.genstereo.weights import RELEASED_FILES

STOCK = {
    "sd15": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "sd21": {
        "sample_size": 96,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
        "upcast_attention": True,
    },
}


@pytest.fixture(scope="module")
def networks():
    return small_networks(0)


@pytest.fixture
def released(networks, tmp_path):
    """The small networks in the released layout: `checkpoints/genstereo` with the stock parts beside it."""
    folder = tmp_path / "checkpoints" / "genstereo"
    folder.mkdir(parents=True)
    config = {"_class_name": "UNet2DConditionModel", **networks.denoising_unet.config}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "_name_or_path"}))
    for name in ("denoising_unet", "reference_unet", "pose_guider"):
        torch.save(getattr(networks, name).state_dict(), folder / f"{name}.pth")
    torch.save(networks.fusion.state_dict(), folder / "fusion_layer.pth")
    networks.vae.save_pretrained(folder.parent / "sd-vae-ft-mse")
    networks.image_encoder.save_pretrained(folder.parent / "image_encoder")
    return folder


def assert_same(found, wanted):
    found, wanted = found.state_dict(), wanted.state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("kind", STOCK)
def test_every_published_key_is_accounted_for_at_full_size(goldens, kind):
    """Names and shapes of the released files against our networks of that size, which take no memory here."""
    with init_empty_weights():
        unets = [UNet2DConditionModel(**STOCK[kind]) for _ in range(2)]
        made = {
            "denoising_unet.pth": prepare_reference(unets[0]),
            "reference_unet.pth": prepare_reference(drop_output(unets[1])),
            "pose_guider.pth": PoseGuider(out_channels=320),
            "fusion_layer.pth": AdaptiveFusion(),
        }
    ours = {f"{file}|{k}": list(v.shape) for file, part in made.items() for k, v in part.state_dict().items()}
    published = dict(json.loads((goldens / f"genstereo_full_{kind}.keys.json").read_text()))
    assert ours == published
    name = "genstereo" if kind == "sd21" else "genstereo-v1.5"
    assert sum(torch.Size(shape).numel() for shape in ours.values()) == MODELS[name].parameters


def test_released_layout_with_stock_parts_beside_it(released, networks):
    assert_same(load_networks(released), networks)


def test_stock_parts_in_the_folder_or_named(released, networks, tmp_path):
    for name in ("sd-vae-ft-mse", "image_encoder"):
        shutil.move(released.parent / name, released / name)
    assert_same(load_networks(released), networks)
    (tmp_path / "parts").mkdir()
    vae, encoder = (shutil.move(released / name, tmp_path / "parts") for name in ("sd-vae-ft-mse", "image_encoder"))
    assert_same(load_networks(released, vae=vae, image_encoder=encoder), networks)
    assert_same(load_networks(released, vae=vae, image_encoder=tmp_path / "parts"), networks)


def test_image_encoder_under_its_published_file_name(released, networks):
    folder = released.parent / "image_encoder"
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert_same(load_networks(released), networks)


def test_vae_with_the_old_names_of_attention(released, networks):
    file = released.parent / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, value in load_file(file).items():
        for new, before in old.items():
            name = name.replace(f".{new}.", f".{before}.")
        state[name] = value
    assert set(state) != set(load_file(file))
    save_file(state, file)
    assert_same(load_networks(released), networks)


def test_own_folder_round_trip(networks, tmp_path):
    made = GenStereo(networks, steps=3, guidance=1.0, composite="fusion")
    made.save_pretrained(tmp_path / "own")
    assert not list((tmp_path / "own").rglob("*.pth"))
    loaded = load_synthesizer("genstereo", weights=tmp_path / "own", steps=2)
    assert loaded.config == {**made.config, "steps": 2}
    assert_same(loaded.network, networks)
    found = load_synthesizer(str(tmp_path / "own"))
    assert found.fingerprint() == made.fingerprint()
    official = load_synthesizer("genstereo", weights=tmp_path / "own", official=True)
    assert (official.config["mask_opening"], official.config["steps"]) == (7, 3)


def test_a_folder_remembers_the_polarity_its_fusion_was_trained_with(networks, tmp_path):
    trained = small_networks(0)
    trained.fusion.polarity = "hole"
    GenStereo(trained).save_pretrained(tmp_path / "own")
    assert load_synthesizer("genstereo", weights=tmp_path / "own").network.fusion.polarity == "hole"
    changed = load_synthesizer("genstereo", weights=tmp_path / "own", fusion_polarity="known")
    assert changed.network.fusion.polarity == "known"
    assert changed.config["fusion_polarity"] == "known"


def test_released_folder_is_known_without_a_preset(released):
    assert isinstance(load_synthesizer(str(released)), GenStereo)


@pytest.mark.parametrize("name", RELEASED_FILES)
def test_missing_file_is_named(released, name):
    (released / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_synthesizer("genstereo", weights=released)


@pytest.mark.parametrize(("folder", "option"), [("sd-vae-ft-mse", "vae="), ("image_encoder", "image_encoder=")])
def test_missing_stock_part_is_named_and_not_fetched(released, folder, option):
    shutil.rmtree(released.parent / folder)
    with pytest.raises(CheckpointError, match=f"{folder}.*{option}"):
        load_synthesizer("genstereo", weights=released)


def test_stock_parts_have_mirrors(released, networks, tmp_path, monkeypatch):
    place = shutil.move(released.parent / "sd-vae-ft-mse", tmp_path)
    monkeypatch.setenv("WHEATSTONE_MIRROR_SD_VAE_FT_MSE", str(place))
    assert_same(load_networks(released), networks)


def test_denoiser_is_loaded_strictly(released):
    """The original loads it non-strictly: missing and surplus keys pass unnoticed."""
    state = torch.load(released / "denoising_unet.pth")
    state["mid_block.surplus.weight"] = state.pop("mid_block.resnets.0.conv1.weight")
    torch.save(state, released / "denoising_unet.pth")
    with pytest.raises(CheckpointError, match=r"1 missing: mid_block\.resnets.*1 left over: mid_block\.surplus"):
        load_networks(released)


def test_reference_with_the_layers_it_must_not_have_is_refused(released):
    shutil.copy(released / "denoising_unet.pth", released / "reference_unet.pth")
    with pytest.raises(CheckpointError, match=r"4 left over: conv_norm_out\.weight"):
        load_networks(released)


def test_image_encoder_that_is_too_wide_is_refused(released):
    small_networks(0, token_width=48).image_encoder.save_pretrained(released.parent / "image_encoder")
    with pytest.raises(CheckpointError, match="48 numbers, the U-Nets take 24"):
        load_networks(released)


def test_folder_of_another_part_is_refused(tmp_path):
    load_synthesizer("rows").save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="rows"):
        load_synthesizer("genstereo", weights=tmp_path)


def test_unknown_setting_is_refused(released):
    with pytest.raises(InputError, match="paint_side"):
        load_synthesizer("genstereo", weights=released, paint_side=3)


def test_half_precision_files_become_float32(released, networks):
    for name in RELEASED_FILES[1:]:
        state = torch.load(released / name)
        torch.save({key: value.half() for key, value in state.items()}, released / name)
    loaded = load_networks(released)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_start_from_stable_diffusion(networks, tmp_path):
    base = write_pipeline(tmp_path / "base", class_name="StableDiffusionPipeline", in_channels=4)
    made = start_networks(base, image_encoder=_encoder(tmp_path, width=16))
    stock = UNet2DConditionModel.from_pretrained(base / "unet")
    assert_same(made.denoising_unet, stock)
    for name, value in made.reference_unet.state_dict().items():
        assert torch.equal(value, stock.state_dict()[name])
    assert not made.pose_guider.conv_out.weight.any()
    save_networks(made, tmp_path / "started")
    assert_same(load_networks(tmp_path / "started"), made)


def _encoder(folder, width):
    small_networks(0, token_width=width).image_encoder.save_pretrained(folder / "image_encoder")
    return folder / "image_encoder"
