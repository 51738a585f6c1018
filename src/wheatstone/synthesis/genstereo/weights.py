"""Folders to GenStereo's networks and back: the released file set, our own folders, and a Stable Diffusion to start from.

The released set is `config.json`, `denoising_unet.pth`, `reference_unet.pth`, `pose_guider.pth`, `fusion_layer.pth`; the VAE and
the image encoder are stock and lie elsewhere. Our own folders hold all six as safetensors, one sub-folder a network.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from wheatstone.checkpoints import load_json, load_state, mirror_variable, resolve_weights
from wheatstone.diffusion import load_unet, load_vae
from wheatstone.diffusion.components import build_network, fill_network
from wheatstone.diffusion.reference_attention import drop_output
from wheatstone.errors import CheckpointError
from wheatstone.synthesis.genstereo.fusion import AdaptiveFusion, Polarity
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks
from wheatstone.synthesis.genstereo.pose_guider import PoseGuider

__all__ = ["AUXILIARY", "RELEASED_FILES", "load_networks", "save_networks", "start_networks"]

RELEASED_FILES = ("config.json", "denoising_unet.pth", "reference_unet.pth", "pose_guider.pth", "fusion_layer.pth")
# stock parts: folder names under which they lie beside the others or one level up, and their name in the model table
AUXILIARY: Mapping[str, tuple[tuple[str, ...], str]] = {
    "vae": (("vae", "sd-vae-ft-mse"), "sd-vae-ft-mse"),
    "image_encoder": (("image_encoder",), "sd-image-variations"),
}
_UNET = "UNet2DConditionModel"


def load_networks(
    folder: str | Path,
    *,
    vae: str | Path | None = None,
    image_encoder: str | Path | None = None,
    polarity: Polarity = "known",
    online: bool = False,
) -> GenStereoNetworks:
    """Load the six networks, float32, on the CPU, every key of every file accounted for.

    Args:
        folder: the released file set, or a folder of `save_networks`.
        vae: folder or Hub id of the VAE; by default `vae` or `sd-vae-ft-mse` in `folder` or beside it.
        image_encoder: of the image encoder; by default `image_encoder` in `folder` or beside it.
        polarity: of the fusion mask (`AdaptiveFusion`).
        online: fetch stock parts that are nowhere from their addresses in the model table.

    Raises:
        CheckpointError: files that are missing or do not fit; the message names them.
    """
    folder = Path(folder)
    own = (folder / "denoising_unet").is_dir()
    if not own:
        _check_released(folder)
    auxiliary = {
        "vae": load_vae(_find_auxiliary("vae", folder, vae, online)),
        "image_encoder": load_image_encoder(_find_auxiliary("image_encoder", folder, image_encoder, online)),
    }
    if own:
        denoising, reference = load_unet(folder / "denoising_unet"), _reference_from(folder / "reference_unet")
        states = [load_state(folder / name / "model.safetensors") for name in ("pose_guider", "fusion_layer")]
    else:
        config = load_json(folder / "config.json")
        denoising = _released_unet(config, folder / "denoising_unet.pth")
        reference = _released_unet(config, folder / "reference_unet.pth", drop=True)
        states = [load_state(folder / f"{name}.pth") for name in ("pose_guider", "fusion_layer")]
    with torch.device("meta"):
        pose_guider, fusion = PoseGuider(out_channels=denoising.config.block_out_channels[0]), AdaptiveFusion(polarity)
    fill_network(pose_guider, states[0], f"{folder}: pose guider")
    fill_network(fusion, states[1], f"{folder}: fusion layer")
    return GenStereoNetworks(denoising, reference, pose_guider, fusion, **auxiliary).eval()


def save_networks(networks: GenStereoNetworks, folder: str | Path) -> None:
    """Write all six networks, one sub-folder each, as `load_networks` reads them."""
    folder = Path(folder)
    for name in ("denoising_unet", "reference_unet", "vae"):
        getattr(networks, name).save_pretrained(folder / name)
    networks.image_encoder.config.save_pretrained(folder / "image_encoder")  # the model's own way draws a bar each time
    others = {
        "image_encoder": networks.image_encoder,
        "pose_guider": networks.pose_guider,
        "fusion_layer": networks.fusion,
    }
    for name, module in others.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        state = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
        save_file(state, folder / name / "model.safetensors")


def start_networks(
    base: str | Path, *, image_encoder: str | Path | None = None, vae: str | Path | None = None, seed: int = 0
) -> GenStereoNetworks:
    """Make untrained networks from a Stable Diffusion folder: both U-Nets are its own, pose guider and fusion are fresh.

    Args:
        base: folder or Hub id in diffusers layout.
        image_encoder: folder or Hub id of a CLIP image encoder with projection; by default `image_encoder` in or beside `base`.
        vae: of a VAE; by default that of `base`.
        seed: of the fresh weights; the global random state stays as it is.

    Raises:
        CheckpointError: parts that are missing or do not fit.
    """
    folder = resolve_weights("the base model", base)
    denoising, reference = (load_unet(folder / "unet") for _ in range(2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = PoseGuider(out_channels=denoising.config.block_out_channels[0]), AdaptiveFusion()
    return GenStereoNetworks(
        denoising,
        reference,
        *fresh,
        vae=load_vae(_find_auxiliary("vae", folder, vae, online=False)),
        image_encoder=load_image_encoder(_find_auxiliary("image_encoder", folder, image_encoder, online=False)),
    ).eval()


def load_image_encoder(folder: str | Path) -> Any:
    """Load transformers' `CLIPVisionModelWithProjection` from a folder: float32, frozen, evaluation mode.

    Raises:
        CheckpointError: missing or broken files, or weights that do not fit.
    """
    from accelerate import init_empty_weights
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = Path(folder)
    with init_empty_weights():
        network = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(load_json(folder / "config.json")))
    return fill_network(network, load_state(folder), folder)


def _released_unet(config: Mapping[str, Any], file: Path, *, drop: bool = False) -> Any:
    unet = build_network(_UNET, config, file.parent)
    return fill_network(drop_output(unet) if drop else unet, load_state(file), file)


def _reference_from(folder: Path) -> Any:
    unet = drop_output(build_network(_UNET, load_json(folder / "config.json"), folder))
    return fill_network(unet, load_state(folder), folder)


def _check_released(folder: Path) -> None:
    missing = [name for name in RELEASED_FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder}: no GenStereo weights: {', '.join(missing)} missing "
            f"(the released set is {', '.join(RELEASED_FILES)})"
        )


def _find_auxiliary(part: str, folder: Path, given: str | Path | None, online: bool) -> Path:
    names, address = AUXILIARY[part]
    if given is not None:
        found = resolve_weights(f"the {part} of genstereo", given)
        return found / part if (found / part).is_dir() else found
    for place in (folder, folder.resolve().parent):
        for name in names:
            if (place / name / "config.json").is_file():
                return place / name
    if online or mirror_variable(address) in os.environ:
        return resolve_weights(address)
    raise CheckpointError(
        f"{folder}: needs {'a VAE' if part == 'vae' else 'an image encoder'}: no folder {' or '.join(names)} in it or "
        f"beside it; give its place or Hub id ({part}=, or in {mirror_variable(address)})"
    )
