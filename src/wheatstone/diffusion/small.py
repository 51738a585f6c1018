"""Small latent diffusion networks with random weights: stock classes at a size that trains from nothing on a CPU."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from wheatstone.diffusion.components import Components, load_tokenizer
from wheatstone.diffusion.schedulers import ZERO_SNR_V

__all__ = ["small_components", "small_unet", "small_vae"]

_BEGIN, _END, _PAD = "<|startoftext|>", "<|endoftext|>", "!"
_LENGTH = 77  # of a text in every Stable Diffusion


def small_unet(
    widths: Sequence[int],
    *,
    in_channels: int,
    out_channels: int,
    heads: int,
    layers: int,
    context_width: int,
    cells: int,
) -> Any:
    """Diffusers' `UNet2DConditionModel`; weights come from torch's global state.

    Args:
        widths: of its levels, multiples of 8; all but the last have attention.
        in_channels: what enters.
        out_channels: channels of the latents.
        heads: of every attention layer.
        layers: residual blocks a level.
        context_width: of the tokens it attends to.
        cells: side in latent cells of the square pictures it is made for.
    """
    from diffusers import UNet2DConditionModel

    deeper = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=cells,
        in_channels=in_channels,
        out_channels=out_channels,
        block_out_channels=tuple(widths),
        layers_per_block=layers,
        down_block_types=("CrossAttnDownBlock2D",) * deeper + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * deeper,
        attention_head_dim=heads,
        cross_attention_dim=context_width,
        norm_num_groups=8,
        use_linear_projection=True,
    )


def small_vae(widths: Sequence[int], latent_channels: int) -> Any:
    """Diffusers' `AutoencoderKL`; weights come from torch's global state.

    Args:
        widths: of its levels, multiples of 4; a latent cell is `2 ** (len(widths) - 1)` pixels wide.
        latent_channels: of the latents.
    """
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=tuple(widths),
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        norm_num_groups=4,
        layers_per_block=1,
        latent_channels=latent_channels,
    )


def small_components(
    seed: int,
    *,
    widths: Sequence[int] = (16, 32),
    heads: int = 2,
    layers: int = 1,
    vae_widths: Sequence[int] = (8, 8, 16),
    side: int = 64,
) -> Components:
    """A whole inpainting pipeline: a U-Net of nine channels, a VAE, and a text encoder that knows the empty text alone.

    It predicts v on a schedule that ends in pure noise (`ZERO_SNR_V`), which a network that starts from nothing
    samples from in few steps.

    Args:
        seed: of the weights; the global random state stays as it is.
        widths: of the U-Net's levels, multiples of 8.
        heads: of its attentions.
        layers: its residual blocks a level.
        vae_widths: of the VAE's levels, multiples of 4.
        side: pixels of the square pictures it is made for.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = _tokenizer()
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = small_vae(vae_widths, latent_channels=4)
        unet = small_unet(
            widths,
            in_channels=9,
            out_channels=4,
            heads=heads,
            layers=layers,
            context_width=text.hidden_size,
            cells=side // 2 ** (len(vae_widths) - 1),
        )
        networks = (unet, vae, CLIPTextModel(text))
    unet, vae, encoder = (network.requires_grad_(False).eval() for network in networks)
    return Components(unet, vae, encoder, tokenizer, dict(ZERO_SNR_V))


def _tokenizer() -> Any:
    """A CLIP tokenizer whose every word is unknown; the empty text needs its begin and end only."""
    words = {"bos_token": _BEGIN, "eos_token": _END, "unk_token": _END, "pad_token": _PAD}
    vocabulary = {word: index for index, word in enumerate((_PAD, _BEGIN, _END))}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
        settings = {**words, "tokenizer_class": "CLIPTokenizer", "model_max_length": _LENGTH}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return load_tokenizer(folder)
