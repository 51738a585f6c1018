"""Training of hole fillers without stereo truth: pictures warped to another view and back, alone or among true pairs.

One mechanism (`wheatstone.training.warp_back`) for two kinds of filler: the small network that ships, and diffusion inpainting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.disparity import AdaptiveDisparity, DisparityRule, parse_rule
from wheatstone.errors import InputError
from wheatstone.generation.clean_up import CleanUp
from wheatstone.samples import StereoSample
from wheatstone.synthesis.edge_view import RimRule, close_foreground
from wheatstone.training.embedded_data import FillPairs, fill_item, fill_pairs
from wheatstone.training.photometric import camera_like
from wheatstone.training.pictures import Pictures, Renderings, photo_pictures, scene_pictures
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.settings import from_settings
from wheatstone.training.warp_back import WarpBack, draw_picture

__all__ = ["EA_FILLER", "ReturnedFills", "ReturnedInpaints", "fills_without_truth", "inpaints_without_truth"]


@dataclass(frozen=True)
class ReturnedFills:
    """Crops around the holes of pictures that went to another view and came back, with the pictures themselves.

    Attributes:
        pictures: pictures with their inverse depth.
        size: height and width of a crop, px.
        rule: from inverse depth to disparity, at a scale drawn for every item.
        clean_up: treatment of depth edges before the warp.
        back: how pictures go and come back.
        cameras: strength of the camera effects (exposure, colours, noise, compression).
        pairs: pairs with true disparity that take the place of some items; None for none.
        share: probability that an item is one of these pairs.
        closed: px around a hole within which the nearer side is hidden from the filler, as `edge-aware` hides it from its
            back-end; 0 shows it.
    """

    pictures: Pictures
    size: tuple[int, int]
    rule: DisparityRule = field(default_factory=AdaptiveDisparity)
    clean_up: CleanUp = field(default_factory=CleanUp)
    back: WarpBack = field(default_factory=WarpBack)
    cameras: float = 0.7
    pairs: FillPairs | None = None
    share: float = 0.0
    closed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if min(self.size) < 16 or any(side % 16 for side in self.size):
            raise InputError(f"data.crop must be two multiples of 16, got {self.size[0]},{self.size[1]}")
        if not 0 <= self.share <= 1 or (self.share > 0 and self.pairs is None):
            raise InputError(f"the share of true pairs is a probability and needs such pairs, got {self.share}")

    def __len__(self) -> int:
        return len(self.pictures)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:
        """One crop in the form of `FillPairs`: `copies`, `features`, `hole` (what counts), `target`; and `key`.

        Raises:
            FileFormatError: a photo that cannot be read.
        """
        if self.pairs is not None and generator.random() < self.share:
            return self.pairs.item(index % len(self.pairs), step, generator)
        drawn = draw_picture(
            self.pictures[index],
            self.rule,
            self.clean_up,
            generator,
            least=self.size,
            band=self.size[0],
            turned=0.2,
        )
        picture = camera_like(drawn.image, generator, self.cameras)
        target = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        back = self.back(target[None], drawn.disparity, drawn.valid, 1.0, _torch_draws(generator))
        seen = close_foreground(back.view, RimRule(closed=self.closed))
        return {"key": drawn.key, **fill_item(seen, back.counted, target, self.size[1], generator)}


@dataclass(frozen=True)
class ReturnedInpaints:
    """The same for diffusion inpainting: crops of pictures that came back, as items of `InpaintPairs`.

    A diffusion model learns whole pictures, so what does not count cannot be left out of its loss: these pixels stay known,
    and the hole begins behind them. The crop comes first and the warp after it, as in `InpaintPairs`.

    Attributes:
        pictures: pictures with their inverse depth.
        augmentation: crop and colours.
        rule: from inverse depth to disparity, at a scale drawn for every item.
        clean_up: treatment of depth edges before the warp.
        back: how pictures go and come back; half of the items as right views, half as left ones.
    """

    pictures: Pictures
    augmentation: StereoAugmentation
    rule: DisparityRule = field(default_factory=AdaptiveDisparity)
    clean_up: CleanUp = field(default_factory=CleanUp)
    back: WarpBack = field(default_factory=WarpBack)

    def __len__(self) -> int:
        return len(self.pictures)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """`warped` and `target` `[3,h,w]` in 0..1 and `hole` `[1,h,w]`; and `key`.

        Raises:
            FileFormatError: a photo that cannot be read.
        """
        least = self.augmentation.crop
        drawn = draw_picture(self.pictures[index], self.rule, self.clean_up, generator, least=least)
        image = torch.from_numpy(drawn.image).permute(2, 0, 1).contiguous().float() / 255
        sample = StereoSample(
            drawn.key,
            {"left": image, "right": image},
            {"left": 0.0, "right": 1.0},
            disparity=drawn.disparity[0],
            valid=drawn.valid[0],
        )
        crop = self.augmentation(sample, generator)
        side = 1.0 if generator.random() < 0.5 else -1.0
        target, disparity, valid = (crop[name][None] for name in ("left", "disparity", "valid"))
        back = self.back(target, disparity, valid, side, _torch_draws(generator))
        warped = torch.where(back.view.hole, target, back.view.image).masked_fill(back.counted, 0)
        return {"key": drawn.key, "warped": warped[0], "hole": back.counted[0], "target": target[0]}


def _torch_draws(generator: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator.integers(1 << 62)))


def fills_without_truth(
    folder: str | Path,
    seed: int,
    *,
    cache: str | Path,
    crop: Sequence[int],
    scenes: int = 800,
    size: Sequence[int] = (240, 320),
    share: float = 0.0,
    cameras: float = 0.7,
    closed: int = 0,
    depth: str = "embedded",
    degrade: float = 0.0,
    max_side: int = 800,
    device: str | None = None,
    **making: Any,
) -> ReturnedFills:
    """Build the data of `ea-filler`.

    Args:
        folder: photos, as `generate` takes them. If it is `cache`, nothing was given: then left views of rendered scenes.
        seed: not used: every draw comes from the items' generators.
        cache: keeps the depth of photos and rendered scenes.
        crop: height and width, multiples of 16.
        scenes: number of scenes to render.
        size: their height and width, px.
        share: probability that an item is a rendered pair with true disparity instead (the data of `embedded-filler`).
        cameras: see `ReturnedFills`.
        closed: see `ReturnedFills`.
        depth: name of the depth estimator of photos.
        degrade: how far the true depth of rendered views is spoilt (`degraded_depth`).
        max_side: larger photos are reduced to this, px: the width that the network looks at.
        device: where to estimate the depth of photos, all before the training starts; by default on the CPU, when asked for.
        making: `rule` as typed for `generate` (or its parts between the commas), `method`, `dilate` and `threshold` of
            `CleanUp`, and the settings of `WarpBack`: `fringe`, `mixed`, `softness`, `rim`.

    Raises:
        InputError: no photos there, or settings that make no sense.
    """
    del seed
    how = _how(making)
    place, shape, window = Path(cache), (int(size[0]), int(size[1])), (int(crop[0]), int(crop[1]))
    pairs = fill_pairs(place, 0, pairs=scenes, size=shape, crop=window, pools=((0, scenes),)) if share > 0 else None
    if Path(folder) != place:
        pictures: Pictures = photo_pictures(folder, depth, place, max_side=max_side, device=device)
    elif pairs is not None:  # their left views serve, too
        pictures = Renderings(pairs.scenes, degrade)
    else:
        pictures = scene_pictures(place, scenes, shape, degrade=degrade)
    return ReturnedFills(pictures, window, *how, cameras, pairs, share, closed)


def inpaints_without_truth(
    folder: str | Path,
    augmentation: StereoAugmentation,
    *,
    cache: str | Path,
    scenes: int | None,
    scene_size: Sequence[int],
    depth: str = "embedded",
    degrade: float = 0.0,
    max_side: int = 1280,
    device: str | None = None,
    **making: Any,
) -> ReturnedInpaints:
    """Build warp-back data of a diffusion inpainting recipe; arguments as in `fills_without_truth`.

    Args:
        folder: photos; if it is `cache`, nothing was given.
        augmentation: crop and colours.
        cache: keeps depth and scenes.
        scenes: number of scenes to render when nothing was given; None refuses.
        scene_size: their height and width.
        depth: name of the depth estimator of photos.
        degrade: see `fills_without_truth`.
        max_side: larger photos are reduced to this, px.
        device: see `fills_without_truth`.
        making: see `fills_without_truth`.

    Raises:
        InputError: no photos there, or settings that make no sense.
    """
    how, place = _how(making), Path(cache)
    if Path(folder) != place:
        pictures: Pictures = photo_pictures(folder, depth, place, max_side=max_side, device=device)
    elif scenes is not None:
        pictures = scene_pictures(place, scenes, (int(scene_size[0]), int(scene_size[1])), degrade=degrade)
    else:
        raise InputError("this recipe needs pictures to warp and bring back: name a folder of photos with --data")
    return ReturnedInpaints(pictures, augmentation, *how)


def _how(making: Mapping[str, Any]) -> tuple[DisparityRule, CleanUp, WarpBack]:
    """Rule, clean-up and warp-back from plain values; what is neither of the first two is a setting of the last."""
    rest = dict(making)
    rule = rest.pop("rule", "adaptive")
    edges = {name: rest.pop(name) for name in ("dilate", "threshold", "method") if name in rest}
    back = from_settings(WarpBack, rest, "warp-back", besides=("warper",))
    return parse_rule(rule if isinstance(rule, str) else ",".join(rule)), CleanUp.fitting(None, **edges), back


EA_FILLER = Recipe(
    name="ea-filler",
    about="the hole filler without stereo truth: photos (--data) or rendered left views, warped to another view and back",
    parts={"filler": Build("wheatstone.synthesis.embedded:EmbeddedFiller", {"decision": 3.0})},
    objective=Build("wheatstone.objectives.hole_fill:HoleFill", {"grain": 0.08}),
    data=Build("wheatstone.training.ea_filler:fills_without_truth", {"crop": (128, 192), "mixed": 0.5}),
    steps=1200,
    batch=8,
    optimiser=Optimiser(lr=1.0e-3, weight_decay=0.01),
    schedule=Schedule("cosine", warmup=0.02, final=0.005),
    precision="bf16",
    ema_decay=0.99,
    save_every=100,
    save_dtype="float16",
)
