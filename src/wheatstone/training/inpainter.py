"""Fine-tuning of diffusion inpainting on stereo pairs with truth, as ZeroStereo made its StereoGen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wheatstone.datasets import StereoDataset, load_dataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.diffusion import load_components, resolve_pipeline
from wheatstone.diffusion.surgery import widen_input
from wheatstone.errors import CheckpointError, DatasetError, InputError
from wheatstone.geometry import ForwardWarper
from wheatstone.synthesis.inpainting import StereoInpainting
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule

__all__ = ["ZEROSTEREO_INPAINTER", "InpaintPairs", "inpaint_pairs", "trainable_inpainter"]

_CELL = 8  # pixels a side of a latent cell in every Stable Diffusion


def trainable_inpainter(
    start: str = "sd2-inpainting",
    base: str | None = None,
    mask_pooling: Literal["nearest", "max"] = "nearest",
    checkpointing: bool = True,
) -> StereoInpainting:
    """Load an inpainting pipeline and let its U-Net learn; everything else stays as it is.

    Args:
        start: folder in diffusers layout, a name of the model table or an address of the Hub. A text-to-image U-Net (four
            input channels) gets the five it lacks, at weight 0.
        base: lends the components that the folder has not.
        mask_pooling: how masks are reduced to latent size; saved with the result.
        checkpointing: compute activations again in the backward pass instead of keeping them: a third slower, a fraction
            of the memory.

    Raises:
        CheckpointError: components that are missing, or a U-Net of another kind.
    """
    components = load_components(resolve_pipeline(start), base=base)
    if components.unet.config.in_channels not in (4, 9):
        raise CheckpointError(f"{start}: a U-Net of {components.unet.config.in_channels} channels is no start for this")
    widen_input(components.unet, 9)
    components.unet.requires_grad_(True)
    if checkpointing:
        components.unet.enable_gradient_checkpointing()
    return StereoInpainting(components, mask_pooling=mask_pooling)


@dataclass(frozen=True)
class InpaintPairs:
    """Real pairs with truth: the left view moved by the true disparity, its holes, and the real right view.

    The crop comes first and the warp after it, so what enters at the crop's right border is part of the mask, as at the
    border of a whole picture.

    Attributes:
        dataset: pairs with the disparity of the left view.
        augmentation: crop and colours, the same for both views.
        official: as published: pixels of unknown truth stay where they are (disparity 0) instead of leaving holes,
            disparity is resized bilinearly, and the warp has the published column 0.
    """

    dataset: StereoDataset
    augmentation: StereoAugmentation
    official: bool = False

    def __len__(self) -> int:
        return len(self.dataset)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """`warped` and `target` `[3,h,w]` in 0..1 and `hole` `[1,h,w]`, True where nothing lands."""
        sample = self.dataset[index]
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
    official: bool = False,
) -> InpaintPairs:
    """Build the data of `zerostereo-inpainter`.

    Args:
        folder: a data set as `load_dataset` takes it: a folder, NAME=PATH, `zerostereo-mix=ROOT` for the published mixture.
        seed: not used: every draw comes from the item's generator.
        crop: height and width, multiples of 8.
        augmentation: further settings of `StereoAugmentation`; by default the published colours, the same for both views.
        official: see `InpaintPairs`.

    Raises:
        InputError: no data set, or a crop that has no latent.
    """
    del seed
    if len(crop) != 2 or any(side % _CELL or side < _CELL for side in crop):
        raise InputError(f"data.crop must be two multiples of {_CELL}, got {','.join(str(side) for side in crop)}")
    try:
        dataset = load_dataset(folder)
    except (InputError, DatasetError) as error:
        raise InputError(
            f"{error}. Name with --data stereo pairs with true disparity: a folder, NAME=PATH of a public data set, or "
            "zerostereo-mix=ROOT for the published mixture"
        ) from error
    colours = {"brightness": 0.4, "contrast": 0.4, "saturation": (0.0, 1.4), "hue": 0.159}
    chosen = {**colours, "resize": "bilinear" if official else "edge-aware", **(augmentation or {})}
    pair = (int(crop[0]), int(crop[1]))
    return InpaintPairs(dataset, StereoAugmentation(official=official).only(crop=pair, **chosen), official)


ZEROSTEREO_INPAINTER = Recipe(
    name="zerostereo-inpainter",
    about="ZeroStereo's inpainting model: the U-Net of Stable Diffusion 2 inpainting, fine-tuned on pairs with truth",
    parts={"inpainter": Build("wheatstone.training.inpainter:trainable_inpainter")},
    objective=Build("wheatstone.objectives.inpainting:InpaintingNoise"),
    data=Build("wheatstone.training.inpainter:inpaint_pairs", {"crop": (512, 512)}),
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
