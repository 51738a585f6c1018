"""A latent diffusion pipeline small enough to be made, saved and loaded in a test: random weights, a tokenizer of its own."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}


def write_pipeline(folder: Path, class_name="StereoGen", in_channels=9, vae_dtype=torch.float16) -> Path:
    """Write a pipeline folder in the released layout: text encoder with the published prefix, VAE in half precision."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=(2, 4),
        cross_attention_dim=16,
        norm_num_groups=8,
        use_linear_projection=True,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        layers_per_block=1,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=6,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
        )
    )
    unet.save_pretrained(folder / "unet")
    vae.to(vae_dtype).save_pretrained(folder / "vae")
    text.save_pretrained(folder / "text_encoder")
    with_prefix(folder / "text_encoder" / "model.safetensors")
    write_tokenizer(folder / "tokenizer")
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    names = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
    write_json(folder / "model_index.json", {"_class_name": class_name, **{name: ["x", "y"] for name in names}})
    return folder


def with_prefix(file: Path) -> None:
    """Give a text encoder's file the prefix of the published ones, which newer versions of transformers do not write."""
    state = {f"text_model.{key.removeprefix('text_model.')}": value for key, value in load_file(file).items()}
    save_file(state, file, metadata={"format": "pt"})


def write_tokenizer(folder: Path) -> None:
    write_json(
        folder / "vocab.json", {"!": 0, "a": 1, "a</w>": 2, "b</w>": 3, "<|startoftext|>": 4, "<|endoftext|>": 5}
    )
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "!",
    }
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json", {**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    )


def write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
