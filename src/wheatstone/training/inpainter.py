"""Fine-tuning of diffusion inpainting on stereo pairs with truth, as ZeroStereo made its StereoGen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets import StereoDataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.diffusion import load_components, resolve_pipeline
from wheatstone.diffusion.small import small_components
from wheatstone.diffusion.surgery import widen_input
from wheatstone.errors import CheckpointError, InputError
from wheatstone.geometry import ForwardWarper
from wheatstone.synthesis.inpainting import Pooling, StereoInpainting, saved_settings
from wheatstone.training.ea_filler import ReturnedInpaints, inpaints_without_truth
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.start import drawn_seed
from wheatstone.training.true_pairs import ScenePairSamples, draw_pair, true_pairs

__all__ = ["INPAINTER_RECIPES", "InpaintPairs", "inpaint_pairs", "small_inpainter", "trainable_inpainter"]

_CELL = 8  # pixels a side of a latent cell in every Stable Diffusion


def trainable_inpainter(
    start: str = "sd2-inpainting",
    base: str | None = None,
    mask_pooling: Pooling | None = None,
    checkpointing: bool = True,
) -> StereoInpainting:
    """Load an inpainting pipeline and let its U-Net learn; everything else stays as it is.

    Args:
        start: folder in diffusers layout, a name of the model table or an address of the Hub. A text-to-image U-Net (four
            input channels) gets the five it lacks, at weight 0.
        base: lends the components that the folder has not.
        mask_pooling: how masks are reduced to latent size, `nearest` or `max`; saved with the result. By default what
            the folder says it was trained with, else `nearest` as published.
        checkpointing: compute activations again in the backward pass instead of keeping them: a third slower, a fraction
            of the memory.

    Raises:
        CheckpointError: components that are missing, or a U-Net of another kind.
    """
    folder = resolve_pipeline(start)
    components = load_components(folder, base=base)
    if components.unet.config.in_channels not in (4, 9):
        raise CheckpointError(f"{start}: a U-Net of {components.unet.config.in_channels} channels is no start for this")
    widen_input(components.unet, 9)
    components.unet.requires_grad_(True)
    if checkpointing:
        components.unet.enable_gradient_checkpointing()
    given = {} if mask_pooling is None else {"mask_pooling": mask_pooling}
    return StereoInpainting(components, **{**saved_settings(folder), **given})


def small_inpainter(
    start: str | None = None,
    widths: Sequence[int] = (32, 64, 96),
    heads: int = 4,
    vae_widths: Sequence[int] = (16, 32, 64),
    side: int = 96,
    steps: int = 12,
    mask_pooling: Pooling = "max",
) -> StereoInpainting:
    """Build a small random inpainting pipeline whose VAE learns, too.

    Args:
        start: OUT/inpainter of an earlier run, to go on from; its own sizes and settings hold.
        widths: of the U-Net's levels.
        heads: of its attentions.
        vae_widths: of the VAE's levels; three make latent cells of 4 x 4 px.
        side: longer side in px of the pictures it learns from, at which it then paints.
        steps: denoising steps when it is used.
        mask_pooling: how masks are reduced to latent size.

    Raises:
        CheckpointError: `start` is no such folder.
    """
    if start is not None:
        part = trainable_inpainter(start, checkpointing=False)
    else:
        components = small_components(drawn_seed(), widths=widths, heads=heads, vae_widths=vae_widths, side=side)
        components.vae.register_to_config(scaling_factor=1.0)  # its training gives latents of unit spread
        part = StereoInpainting(components, steps=steps, paint_side=side, mask_pooling=mask_pooling)
        components.unet.requires_grad_(True)
    part.network.vae.requires_grad_(True)
    return part


@dataclass(frozen=True)
class InpaintPairs:
    """Real pairs with truth: the left view moved by the true disparity, its holes, and the real right view.

    The crop comes first and the warp after it, so what enters at the crop's right border is part of the mask, as at the
    border of a whole picture.

    Attributes:
        samples: pairs with the disparity of the left view.
        augmentation: crop and colours, the same for both views.
        official: as published: pixels of unknown truth stay where they are (disparity 0) instead of leaving holes,
            disparity is resized bilinearly, and the warp has the published column 0.
    """

    samples: StereoDataset | ScenePairSamples
    augmentation: StereoAugmentation
    official: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """`warped` and `target` `[3,h,w]` in 0..1 and `hole` `[1,h,w]`, True where nothing lands."""
        sample = draw_pair(self.samples, index, generator)
        height, width = sample.views["left"].shape[-2:]
        # a picture smaller than the crop is enlarged by one factor for both sides
        enlarge = max(0.0, math.log2(self.augmentation.crop[0] / height), math.log2(self.augmentation.crop[1] / width))
        drawn = replace(self.augmentation, scale=(enlarge, enlarge))(sample, generator)
        disparity, valid = drawn["disparity"][None], drawn["valid"][None]
        warper = ForwardWarper(official=self.official)
        if self.official:  # the published code counts in 0..255
            moved = warper(drawn["left"][None] * 255, disparity, None)
            warped = moved.image / 255
        else:
            moved = warper(drawn["left"][None], disparity, valid)
            warped = moved.image
        return {"key": drawn["key"], "warped": warped[0], "hole": moved.hole[0], "target": drawn["right"]}


def inpaint_pairs(
    folder: Path,
    seed: int,
    *,
    crop: tuple[int, int] = (512, 512),
    augmentation: Mapping[str, Any] | None = None,
    cache: str | Path | None = None,
    scenes: int | None = None,
    scene_size: Sequence[int] = (240, 320),
    pairs: str = "stereo",
    warp_back: Mapping[str, Any] | None = None,
    official: bool = False,
) -> InpaintPairs | ReturnedInpaints:
    """Build the data of `zerostereo-inpainter` and its small form.

    Args:
        folder: a data set as `load_dataset` takes it: a folder, NAME=PATH, `zerostereo-mix=ROOT` for the published mixture. If
            it is `cache`, nothing was given.
        seed: not used: every draw comes from the item's generator.
        crop: height and width, multiples of 8.
        augmentation: further settings of `StereoAugmentation`; by default the published colours, the same for both views.
        cache: keeps rendered scenes.
        scenes: number of scenes to render when nothing was given; None refuses.
        scene_size: their height and width.
        pairs: `stereo`, or `warp-back`: then `folder` holds photos, which travel to another view and back; without photos,
            rendered left views do.
        warp_back: settings of these, see `inpaints_without_truth`.
        official: see `InpaintPairs`; nothing was published for `warp-back`.

    Raises:
        InputError: no data set, or a crop that has no latent.
    """
    del seed
    if pairs not in ("stereo", "warp-back") or (pairs == "stereo" and warp_back):
        raise InputError(f"data.pairs is stereo or warp-back, and only the latter has data.warp_back; got {pairs!r}")
    if len(crop) != 2 or any(side % _CELL or side < _CELL for side in crop):
        raise InputError(f"data.crop must be two multiples of {_CELL}, got {','.join(str(side) for side in crop)}")
    colours = {"brightness": 0.4, "contrast": 0.4, "saturation": (0.0, 1.4), "hue": 0.159}
    chosen = {**colours, "resize": "bilinear" if official else "edge-aware", **(augmentation or {})}
    drawn = StereoAugmentation(official=official).only(crop=(int(crop[0]), int(crop[1])), **chosen)
    if pairs == "warp-back":
        places: dict[str, Any] = {"cache": cache or folder, "scenes": scenes, "scene_size": scene_size}
        return inpaints_without_truth(folder, drawn, **places, **(warp_back or {}))
    samples = true_pairs(folder, cache, scenes=scenes, scene_size=scene_size, mixture="zerostereo-mix")
    return InpaintPairs(samples, drawn, official)


_OBJECTIVE = "wheatstone.objectives.inpainting:InpaintingNoise"
_DATA = "wheatstone.training.inpainter:inpaint_pairs"

_FULL = Recipe(
    name="zerostereo-inpainter",
    about="ZeroStereo's inpainting model: the U-Net of Stable Diffusion 2 inpainting, fine-tuned on pairs with truth",
    parts={"inpainter": Build("wheatstone.training.inpainter:trainable_inpainter")},
    objective=Build(_OBJECTIVE),
    data=Build(_DATA, {"crop": (512, 512)}),
    steps=50000,
    batch=32,
    accumulate=4,
    optimiser=Optimiser(lr=2e-5, weight_decay=0.01, betas=(0.9, 0.999), decay_all=True),
    schedule=Schedule("one-cycle", warmup=0.01, initial=0.04, final=4e-6),
    precision="fp16",
    clip_norm=None,
    ema_decay=None,
    save_every=5000,
)
"""Published numbers (ZeroStereo, `config/train_stereogen.yaml`); needs about 10 GB beside the activations."""

_SMALL = Recipe(
    name="zerostereo-inpainter-small",
    about="zerostereo-inpainter from nothing at a size for a CPU: first its VAE, then the U-Net, on rendered pairs unless --data "
    "names some",
    parts={"inpainter": Build("wheatstone.training.inpainter:small_inpainter")},
    objective=Build(_OBJECTIVE, {"codec_steps": 300, "kl": 0.006}),
    data=Build(_DATA, {"crop": (64, 96), "scenes": 480, "scene_size": (80, 120)}),
    steps=1200,
    batch=4,
    optimiser=Optimiser(lr=1e-3, weight_decay=0.01, betas=(0.9, 0.99), rates={"inpainter.vae": 2.0}),
    schedule=Schedule("cosine", warmup=0.02, final=0.02),
    precision="bf16",
    clip_norm=1.0,
    ema_decay=0.995,
    save_every=50,
    log_every=10,
)

INPAINTER_RECIPES: tuple[Recipe, ...] = (_FULL, _SMALL)
"""The recipes of this module, in the order of `wheatstone train list`."""
