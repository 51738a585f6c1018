"""Training of GenStereo: pairs with true disparity, two U-Nets from Stable Diffusion or from nothing, and the recipes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from wheatstone.checkpoints import resolve_weights
from wheatstone.datasets import StereoDataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.diffusion import resolve_pipeline
from wheatstone.errors import InputError
from wheatstone.synthesis.genstereo import GenStereo, GenStereoNetworks, load_networks, small_networks, start_networks
from wheatstone.training.disparity_dropout import DisparityDropout
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.start import drawn_seed
from wheatstone.training.true_pairs import ScenePairSamples, draw_pair, true_pairs

__all__ = [
    "GENSTEREO_RECIPES",
    "GenStereoPairs",
    "crop_factor",
    "genstereo_pairs",
    "small_genstereo",
    "trainable_genstereo",
]

_FROZEN_BLOCK = "up_blocks.3"  # of the reference U-Net, as published: nothing looks at what it computes last


def crop_factor(have: tuple[int, int], size: tuple[int, int]) -> float:
    """How many pixels of the picture one pixel of the crop stands for.

    3 or 2 where the picture is larger than that many crops, else 1; less than 1, so that it is enlarged, where it is smaller
    than the crop.

    Source: GenStereo (ICCV 2025), data loader of the released code, there for squares.
    """
    room = min(side / wanted for side, wanted in zip(have, size, strict=True))
    return next((factor for factor in (3.0, 2.0) if room > factor), min(1.0, room))


@dataclass(frozen=True)
class GenStereoPairs:
    """Crops of pairs with true disparity, some of it taken away.

    Attributes:
        samples: pairs with the disparity of the left view.
        size: height and width of a crop, px.
        dropout: what disparity is lost.
        official: disparity resized bilinearly, across depth edges, as published; ours interpolates inside surfaces only.

    Source: GenStereo (ICCV 2025), data loader of the released code: no mirroring and no change of colours.
    """

    samples: StereoDataset | ScenePairSamples
    size: tuple[int, int]
    dropout: DisparityDropout = field(default_factory=DisparityDropout)
    official: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """A crop of pair `index`.

        Returns:
            `left`, `right` `[3,h,w]` in 0..1; `disparity` `[1,h,w]`, px of the crop; `valid` `[1,h,w]`, where it is known;
            `dropped` `[1,h,w]`, frame of the right view, what is to be lost after the warp; `key`.

        Raises:
            DatasetError: a file of the pair cannot be read.
            InputError: no right view or no disparity.
        """
        sample = draw_pair(self.samples, index, generator)
        height, width = sample.views["left"].shape[-2:]
        power = -math.log2(crop_factor((height, width), self.size))
        augmentation = StereoAugmentation(official=self.official).only(crop=self.size, scale=(power, power))
        crop = augmentation(sample, generator)
        valid, dropped = self.dropout(crop["valid"][0].numpy(), generator)
        return {
            "key": crop["key"],
            "left": crop["left"],
            "right": crop["right"],
            "disparity": crop["disparity"],
            "valid": torch.from_numpy(valid)[None],
            "dropped": torch.from_numpy(dropped)[None],
        }


def genstereo_pairs(
    folder: str | Path,
    seed: int,
    *,
    size: Sequence[int] | int,
    cache: str | Path,
    dropout: Mapping[str, Any] | None = None,
    scenes: int | None = None,
    scene_size: Sequence[int] = (240, 320),
    official: bool = False,
) -> GenStereoPairs:
    """Build the data of a GenStereo recipe.

    Args:
        folder: what `load_dataset` opens: a folder, `NAME=PATH`, `genstereo-mix=ROOT` for the published mixture. If it is
            `cache`, nothing was given.
        seed: not used: every draw comes from the items' generators.
        size: side of a square crop, or height and width.
        cache: keeps rendered scenes.
        dropout: settings of `DisparityDropout`.
        scenes: number of scenes to render when nothing was given; None refuses.
        scene_size: their height and width.
        official: see `GenStereoPairs`.

    Raises:
        InputError: no data, or settings that make no sense.
    """
    del seed
    crop = (size, size) if isinstance(size, int) else tuple(int(side) for side in size)
    if len(crop) != 2 or min(crop) < 8:
        raise InputError(f"data.size must be a side or height,width in px, got {','.join(str(side) for side in crop)}")
    try:
        lost = DisparityDropout(**(dropout or {}))
    except TypeError as error:
        raise InputError(f"data.dropout has pixels and lines, two probabilities: {error}") from error
    samples = true_pairs(folder, cache, scenes=scenes, scene_size=scene_size, mixture="genstereo-mix")
    return GenStereoPairs(samples, (crop[0], crop[1]), lost, official)


def trainable_genstereo(
    start: str = "stabilityai/stable-diffusion-2-1",
    image_encoder: str | None = None,
    vae: str | None = None,
    checkpointing: bool = False,
    frozen_dtype: Literal["float32", "float16", "bfloat16"] = "float16",
    official: bool = False,
) -> GenStereo:
    """Build GenStereo for training: from Stable Diffusion, or from GenStereo itself.

    Args:
        start: folder or Hub id of a Stable Diffusion in diffusers layout (1.5, 2.1, ...), whose U-Net becomes both; or a
            folder of GenStereo (released files, or OUT/generator of a run) to go on from.
        image_encoder: folder or Hub id of CLIP; by default a folder `image_encoder` in or beside `start`.
        vae: of the VAE; by default that of `start`. The published training takes `stabilityai/sd-vae-ft-mse`.
        checkpointing: compute activations again in the backward pass instead of keeping them.
        frozen_dtype: number format of VAE and CLIP, which do not learn.
        official: the fusion's mask as in the published training.

    Raises:
        CheckpointError: components that are missing or do not fit.
    """
    place = resolve_pipeline("the weights to start from", start)
    if (place / "denoising_unet").is_dir() or (place / "denoising_unet.pth").is_file():
        networks = load_networks(place, vae=vae, image_encoder=image_encoder)
    else:
        networks = start_networks(place, vae=vae, image_encoder=image_encoder, seed=drawn_seed())
    if official:
        networks.fusion.polarity = "hole"
    dtype = getattr(torch, frozen_dtype)
    for network in (networks.vae, networks.image_encoder):
        nn.Module.to(network, dtype=dtype)
    _let_learn(networks, checkpointing)
    return GenStereo(networks)


def small_genstereo(
    start: str | None = None,
    widths: Sequence[int] = (32, 64, 96),
    heads: int = 4,
    vae_widths: Sequence[int] = (16, 16, 32, 64),
    latent_channels: int = 8,
    side: int = 80,
    steps: int = 12,
) -> GenStereo:
    """Build a small random GenStereo whose VAE learns, too.

    Args:
        start: OUT/generator of an earlier run, to go on from.
        widths: of the U-Nets' levels.
        heads: of their attentions.
        vae_widths: of the VAE's four levels.
        latent_channels: of the latents.
        side: px of the square pictures it is made for.
        steps: denoising steps when it is used.
    """
    if start is not None:
        networks = load_networks(resolve_weights("the weights to start from", start))
    else:
        networks = small_networks(
            drawn_seed(),
            widths=widths,
            heads=heads,
            vae_widths=vae_widths,
            latent_channels=latent_channels,
            side=side,
        )
        networks.vae.register_to_config(scaling_factor=1.0)  # its training gives latents of unit spread
    _let_learn(networks, checkpointing=False)
    networks.vae.requires_grad_(True)
    return GenStereo(networks, steps=steps)


def _let_learn(networks: GenStereoNetworks, checkpointing: bool) -> None:
    """Let learn what the published training lets learn: both U-Nets but for a block, pose guider and fusion."""
    networks.requires_grad_(False)
    for network in (networks.denoising_unet, networks.reference_unet, networks.pose_guider, networks.fusion):
        network.requires_grad_(True)
    for name, parameter in networks.reference_unet.named_parameters():
        if name.startswith(f"{_FROZEN_BLOCK}."):
            parameter.requires_grad_(False)
    if checkpointing:
        networks.denoising_unet.enable_gradient_checkpointing()
        networks.reference_unet.enable_gradient_checkpointing()


_OBJECTIVE = "wheatstone.objectives.genstereo:GenStereoLoss"
_DATA = "wheatstone.training.genstereo:genstereo_pairs"

_GENSTEREO = Recipe(
    name="genstereo",
    about="GenStereo from Stable Diffusion (--start), on pairs with true disparity (--data), with the authors' numbers",
    parts={"generator": Build("wheatstone.training.genstereo:trainable_genstereo")},
    objective=Build(_OBJECTIVE),
    data=Build(_DATA, {"size": 768, "dropout": {"pixels": 0.1, "lines": 0.0}}),
    steps=1_000_000,
    batch=2,
    optimiser=Optimiser(lr=1e-5, weight_decay=0.01, betas=(0.9, 0.999), decay_all=True),
    schedule=Schedule("constant", warmup=0.0),
    precision="fp16",
    clip_norm=1.0,
    ema_decay=None,
    seed=12580,
    save_every=2000,
)
"""Published numbers (`configs/train.yaml`); 2 items are the batch of one GPU, how many there were is not known."""

_SMALL = Recipe(
    name="genstereo-small",
    about="GenStereo from nothing at a size for a CPU: first its VAE, then the rest, on rendered pairs unless --data names some",
    parts={"generator": Build("wheatstone.training.genstereo:small_genstereo")},
    objective=Build(
        _OBJECTIVE, {"codec_steps": 300, "draw_latents": False, "pixel_window": 6, "noise_offset": 0.0, "drop": 0.1}
    ),
    data=Build(
        _DATA,
        {"size": (64, 96), "dropout": {"pixels": 0.1, "lines": 0.1}, "scenes": 240, "scene_size": (80, 120)},
    ),
    steps=1800,
    batch=4,
    optimiser=Optimiser(lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99), rates={"generator.vae": 2.0}),
    schedule=Schedule("cosine", warmup=0.02, final=0.02),
    precision="bf16",
    clip_norm=1.0,
    ema_decay=0.995,
    save_every=50,
    log_every=10,
)

GENSTEREO_RECIPES: tuple[Recipe, ...] = (_GENSTEREO, _SMALL)
"""The recipes of this module, in the order of `wheatstone train list`."""
