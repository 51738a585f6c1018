import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.diffusion.tiny import write_pipeline

from wheatstone.diffusion import embed_prompt, load_components, save_components
from wheatstone.errors import CheckpointError


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return write_pipeline(tmp_path_factory.mktemp("stereogen"))


@pytest.fixture
def folder(released, tmp_path):
    return shutil.copytree(released, tmp_path / "model")


def test_mixed_storage_becomes_float32_with_the_stored_values(released):
    parts = load_components(released)
    stored = load_file(released / "vae" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert {p.dtype for part in (parts.unet, parts.vae, parts.text_encoder) for p in part.parameters()} == {
        torch.float32
    }
    assert all(torch.equal(parts.vae.state_dict()[key], value.float()) for key, value in stored.items())
    assert not any(p.is_meta or p.requires_grad for p in parts.unet.parameters())


def test_empty_prompt_is_two_tokens(released):
    parts = load_components(released)
    assert parts.tokenizer("")["input_ids"] == [4, 5]
    assert embed_prompt(parts.tokenizer, parts.text_encoder).shape == (1, 2, 16)


@pytest.mark.parametrize("as_convolution", [False, True])
def test_old_vae_attention_names(folder, as_convolution):
    expected = load_components(folder).vae.state_dict()
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    names = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    old = {}
    for key, value in load_file(file).items():
        for new, was in names.items():
            if new in key:
                key = key.replace(new, was)
                value = value[:, :, None, None] if as_convolution and value.ndim == 2 else value
        old[key] = value.contiguous()
    save_file(old, file)
    found = load_components(folder).vae.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_pickled_weights_of_old_folders(folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    expected = load_components(folder).unet.state_dict()
    torch.save(load_file(file), folder / "unet" / "diffusion_pytorch_model.bin")
    file.unlink()
    found = load_components(folder).unet.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_base_lends_and_replacements_win(released, folder, tmp_path):
    other = write_pipeline(tmp_path / "other", vae_dtype=torch.float32)
    shutil.rmtree(folder / "text_encoder")
    with pytest.raises(CheckpointError, match="no 'text_encoder' folder; a base model can lend it"):
        load_components(folder)
    parts = load_components(folder, base=released, replace={"vae": other / "vae", "unet": other})
    assert parts.text_encoder is not None
    kept = load_file(other / "vae" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(parts.vae.state_dict()["quant_conv.bias"], kept["quant_conv.bias"])
    with pytest.raises(CheckpointError, match="no such component: encoder"):
        load_components(folder, replace={"encoder": other})


def test_save_and_load(released, tmp_path):
    parts = load_components(released)
    save_components(parts, tmp_path, "StableDiffusionInpaintPipeline")
    again = load_components(tmp_path)
    for name in ("unet", "vae", "text_encoder"):
        first, second = getattr(parts, name).state_dict(), getattr(again, name).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert again.scheduler == parts.scheduler


def test_errors_name_the_component(folder):
    state = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    state.pop("conv_in.bias")
    save_file(state, folder / "unet" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CheckpointError, match=r"unet does not fit the network: 1 missing: conv_in\.bias"):
        load_components(folder)
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps({**config, "_class_name": "UNetSpatioTemporal"}))
    with pytest.raises(CheckpointError, match="holds a UNetSpatioTemporal"):
        load_components(folder)
