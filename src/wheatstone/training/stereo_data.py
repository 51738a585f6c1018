"""Data of stereo recipes: pairs from any data set, and pairs made of single pictures anew for every epoch.

A pair made on the fly has another disparity scale every time its picture comes round; what is expensive, the depth of the
picture, is estimated once and kept. Items have the form of `wheatstone.datasets.augmentation.StereoAugmentation`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from wheatstone.datasets import READERS, StereoDataset, load_dataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.datasets.registry import COLLECTIONS
from wheatstone.disparity import DisparityRule, parse_rule
from wheatstone.errors import InputError
from wheatstone.generation.clean_up import CleanUp
from wheatstone.samples import StereoSample, image_batch
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.background import cut_window, transfer_colour
from wheatstone.synthesis.composition import HoleFiller, WarpedView, warp_left
from wheatstone.synthesis.registry import split_place
from wheatstone.training.order import DataSource
from wheatstone.training.pictures import Picture, Pictures, photo_pictures, scene_pictures, without_confidence
from wheatstone.training.scene_pairs import scene_pairs

__all__ = ["DatasetPairs", "MadePairs", "check_making", "made_pairs", "stereo_pairs", "window_of"]

BACKGROUND = "background"
_FILLS = "background, rows, smooth-rows, embedded, classical, edge-aware, edge-aware=NAME or warp"

_WHAT_TO_GIVE = (
    "name with --data a folder that `wheatstone generate` wrote, MfS35K, NAME=PATH of a public data set, scenes=SEED:COUNT to "
    "render pairs, or photos to make pairs of while it trains"
)


@dataclass(frozen=True)
class DatasetPairs:
    """Crops of a data set's pairs.

    Attributes:
        dataset: samples with both views and the disparity of the left one; masks and confidence may be missing.
        augmentation: scale, crop and what two cameras do differently.
    """

    dataset: StereoDataset
    augmentation: StereoAugmentation

    def __len__(self) -> int:
        return len(self.dataset)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """A crop of sample `index`.

        Raises:
            DatasetError: a file of the sample cannot be read.
            InputError: the sample has no right view or no disparity.
        """
        return self.augmentation(self.dataset[index], generator)


@dataclass(frozen=True)
class MadePairs:
    """Pairs made of single pictures: another scale of disparity, another crop every time.

    Attributes:
        pictures: pictures with their inverse depth.
        rule: from inverse depth to disparity, at a scale drawn for every item.
        augmentation: scale, crop and what two cameras do differently.
        filler: paints the holes of the right view; None shows another picture through them, recoloured to match (MfS).
        clean_up: treatment of depth edges before the warp.
        window: height and width that a picture is enlarged to, where it is smaller, and cut to before anything else, so
            that a rule in pixels means the same for every picture; None keeps pictures whole.
        trim: columns cut off on the right of the finished pair; MfS makes pairs wider by its largest disparity and keeps
            the columns that both cameras see.
        mirror: probability of mirroring the picture first.
        official: the background as published: its spread measured by another formula (`transfer_colour`).

    Source:
        ZeroStereo (ICCV 2025) with its steps in the loader instead of ahead of the training; stereo from mono (ECCV 2020), for
        the background, `window`, `trim` and `mirror`.
    """

    pictures: Pictures
    rule: DisparityRule
    augmentation: StereoAugmentation
    filler: HoleFiller | None = None
    clean_up: CleanUp = field(default_factory=CleanUp)
    window: tuple[int, int] | None = None
    trim: int = 0
    mirror: float = 0.0
    official: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if self.trim < 0 or not 0 <= self.mirror <= 1 or (self.window is not None and min(self.window) < 2):
            raise InputError("pairs on the fly: needs trim >= 0, mirror in 0..1 and a window of at least 2x2 pixels")
        if self.window is not None and self.trim >= self.window[1]:
            raise InputError(f"pairs on the fly: trim {self.trim} leaves nothing of a window {self.window[1]} px wide")
        if self.filler is None and len(self.pictures) < 2:
            raise InputError("the fill 'background' shows other pictures through the holes: it needs at least two")

    def __len__(self) -> int:
        return len(self.pictures)

    def item(self, index: int, step: int, generator: np.random.Generator) -> dict[str, Any]:  # noqa: ARG002 (the contract)
        """Make a pair of picture `index` and draw a crop of it."""
        return self.augmentation(self.sample(index, generator), generator)

    @torch.no_grad()
    def sample(self, index: int, generator: np.random.Generator) -> StereoSample:
        """Make a pair of picture `index`: left, right, disparity, confidence and masks.

        Raises:
            InputError: a picture too narrow to trim.
        """
        draws = torch.Generator().manual_seed(int(generator.integers(1 << 62)))
        picture = self._framed(self.pictures[index], generator)
        left = image_batch(picture.image)
        made = self.rule(torch.from_numpy(picture.inverse_depth)[None, None], draws)
        disparity, valid = made.disparity, None if bool(made.valid.all()) else made.valid
        disparity = self.clean_up(disparity, valid)
        if self.filler is not None:
            view = self.filler(left, disparity, valid, generators=[draws])
        else:
            warped = warp_left(left, disparity, valid)
            view = warped.finish(self._background(warped, index, draws))
        confidence = torch.ones_like(disparity)
        if picture.confidence is not None:
            confidence = torch.from_numpy(picture.confidence)[None, None]
        columns = left.shape[-1] - self.trim
        if columns < 2:
            raise InputError(f"{picture.key}: {left.shape[-1]} px wide, too narrow to cut {self.trim} columns off")

        def kept(values: Tensor) -> Tensor:
            return values[0, :, :, :columns]

        return StereoSample(
            picture.key,
            {"left": kept(left), "right": kept((255 * view.image).round() / 255)},  # what a file would hold
            {"left": 0.0, "right": 1.0},
            disparity=kept(disparity),
            valid=kept(made.valid),
            visible=kept(view.visible),
            hole=kept(view.hole | (view.origin != 0)),
            confidence=kept(confidence),
            provenance={"scale_px": float(made.scale_px[0]), "synthetic_views": ["right"]},
        )

    def _framed(self, picture: Picture, generator: np.random.Generator) -> Picture:
        """Mirror, enlarge and cut the picture with its maps."""
        mirrored = generator.random() < self.mirror
        place = generator.random(2)
        arrays = [picture.image, picture.inverse_depth, picture.confidence]
        if mirrored:
            arrays = [None if a is None else a[:, ::-1] for a in arrays]
        if self.window is not None:
            arrays = [None if a is None else window_of(a, self.window, place) for a in arrays]
        image, inverse, confidence = (None if a is None else np.ascontiguousarray(a) for a in arrays)
        if image is None or inverse is None:
            raise InputError(f"{picture.key}: a picture needs an image and its inverse depth")
        return Picture(picture.key, image, inverse, confidence)

    def _background(self, warped: WarpedView, index: int, draws: torch.Generator) -> Tensor:
        which, down, across = torch.rand(3, generator=draws, dtype=torch.float64).tolist()
        other = int(which * (len(self.pictures) - 1))
        photo = self.pictures.image(other + (other >= index))  # any but this one
        size = (warped.image.shape[-2], warped.image.shape[-1])
        shown = cut_window(image_batch(photo), size, down, across)
        return transfer_colour(shown, warped.left[0], official=self.official)[None]


def stereo_pairs(
    folder: str | Path,
    seed: int,
    *,
    augmentation: Mapping[str, Any],
    cache: str | Path,
    without: Literal["pairs", "pictures"] | None = None,
    scenes: int = 1000,
    size: Sequence[int] = (240, 320),
    depth: str = "embedded",
    degrade: float | None = None,
    max_side: int = 1280,
    device: str | None = None,
    **making: Any,
) -> DataSource:
    """Build the data of a stereo recipe from what the user has: pairs with disparity, photos, or nothing at all.

    Args:
        folder: what `load_dataset` opens (a folder that `generate` wrote, MfS35K, `NAME=PATH` of a public data set), or photos
            (a folder, a glob or a list): then pairs are made on the fly. If it is `cache`, nothing was given.
        seed: of the run; what is drawn comes from the generators of the items.
        augmentation: settings of `StereoAugmentation`.
        cache: folder that keeps what is made once: depth of photos, rendered scenes.
        without: what to train on when nothing was given: rendered `pairs` with exact disparity, or rendered left views as
            `pictures` to make pairs of; None refuses.
        scenes: number of rendered scenes.
        size: their height and width, px.
        depth: name of the depth estimator of photos and pictures.
        degrade: take the true depth of rendered pictures instead, spoilt that far (`degraded_depth`); 0 is exact.
        max_side: larger photos are reduced to this, px.
        device: where to estimate the depth of photos, all before the training starts; by default on the CPU, when asked for.
        making: how pairs are made: `rule`, `fill`, `dilate`, `threshold`, `window`, `trim`, `mirror`, `confident`, `official`;
            see `made_pairs`.

    Raises:
        InputError: nothing there (the message says what to give), or settings that make no sense.
        DatasetError: a data set that is broken.
    """
    check_making(making)
    shape, place = (int(size[0]), int(size[1])), Path(cache)
    if Path(folder) == place:
        if without is None:
            raise InputError(f"this recipe needs data: {_WHAT_TO_GIVE}")
        if without == "pairs":
            return scene_pairs(place, seed, pairs=scenes, size=shape, augmentation=augmentation)
        estimator = None if degrade is not None else depth
        pictures = scene_pictures(place, scenes, shape, degrade=degrade or 0.0, depth=estimator)
        return made_pairs(pictures, augmentation, **making)
    if _is_dataset(str(folder)):
        return DatasetPairs(load_dataset(str(folder)), StereoAugmentation.from_settings(augmentation))
    try:
        photos = photo_pictures(folder, depth, place, max_side=max_side, device=device)
    except InputError as error:
        raise InputError(f"{error}; this recipe needs data: {_WHAT_TO_GIVE}") from error
    return made_pairs(photos, augmentation, **making)


def _is_dataset(text: str) -> bool:
    """Whether `load_dataset` knows this as stereo data; anything else is taken for photos."""
    path = Path(text).expanduser()
    if path.exists():
        return any(import_module(module).detect(path) for module in READERS.values())
    return "=" in text or text in COLLECTIONS


def check_making(making: Mapping[str, Any]) -> None:
    """Refuse unknown settings before anything is rendered or estimated.

    Raises:
        InputError: the setting, and what there is.
    """
    known = [name for name in inspect.signature(made_pairs).parameters if name not in ("pictures", "augmentation")]
    if unknown := sorted(set(making) - set(known)):
        raise InputError(f"pairs on the fly have no setting {', '.join(unknown)}; they have {', '.join(known)}")


def made_pairs(
    pictures: Pictures,
    augmentation: Mapping[str, Any],
    *,
    rule: str | Sequence[str] = "adaptive",
    fill: str = "rows",
    dilate: int = 1,
    threshold: float | int | None = None,
    method: str | None = None,
    window: Sequence[int] | None = None,
    trim: int = 0,
    mirror: float = 0.0,
    confident: bool = True,
    official: bool = False,
) -> MadePairs:
    """Put a `MadePairs` together from plain values.

    Args:
        pictures: the pictures.
        augmentation: settings of `StereoAugmentation`.
        rule: as typed for `generate`: `adaptive`, `uniform:low_px=50,high_px=192`, ...; or its parts
            between the commas.
        fill: `background` for another picture, else the name of a synthesizer that warps and fills (`rows`, `embedded`,
            `classical`, `edge-aware`, `warp`, ...), or NAME=PATH as typed for `generate` (`edge-aware=embedded`).
        dilate: see `CleanUp`.
        threshold: see `CleanUp`; None is the method's own.
        method: see `CleanUp`; None fits the filler: `edge-aware` for the filler of that name, else `slope`.
        window: see `MadePairs`.
        trim: see `MadePairs`.
        mirror: see `MadePairs`.
        confident: use the confidence of the depth; off, every pixel has 1.
        official: see `MadePairs`.

    Raises:
        InputError: unknown names, or settings that make no sense.
    """
    filler: HoleFiller | None = None
    if fill != BACKGROUND:
        name, place = split_place(fill)
        synthesizer = load_synthesizer(name, weights=place)
        if not isinstance(synthesizer, HoleFiller):
            raise InputError(f"{fill!r} does not warp and fill; choose {_FILLS}")
        filler = synthesizer
    if not confident:
        pictures = without_confidence(pictures)
    return MadePairs(
        pictures,
        parse_rule(rule if isinstance(rule, str) else ",".join(rule)),
        StereoAugmentation.from_settings(augmentation),
        filler,
        CleanUp.fitting(filler, method=method, dilate=dilate, threshold=threshold),
        None if window is None else (int(window[0]), int(window[1])),
        trim,
        mirror,
        official,
    )


def window_of(values: np.ndarray, size: tuple[int, int], place: np.ndarray) -> np.ndarray:
    """Enlarge an array `[H,W,...]` to cover `size` where it is smaller, and cut out a window at `place` (0..1 of the room)."""
    have = values.shape[:2]
    factor = max(want / side for want, side in zip(size, have, strict=True))
    if factor > 1:
        wide = tuple(max(want, round(side * factor)) for want, side in zip(size, have, strict=True))
        values = cv2.resize(np.ascontiguousarray(values), wide[::-1], interpolation=cv2.INTER_LINEAR)
    room = [side - want + 1 for want, side in zip(size, values.shape[:2], strict=True)]
    top, left = (int(share * span) for share, span in zip(place, room, strict=True))
    return values[top : top + size[0], left : left + size[1]]
