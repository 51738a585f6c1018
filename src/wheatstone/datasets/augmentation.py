"""Augmentation of stereo pairs for training: what two real cameras do differently, another scale, a crop.

The order is that of ZeroStereo's training code: the right view gets noise and blur, both get other colours, parts of the right
view are covered, then both are scaled and cropped, and the right view slips by a row or two. Every step has its own switch,
and every draw comes from the generator of the item.

Only the window that ends up in the crop is ever touched: its sides are whole pixels of the source, so one resize of the
window is the whole spatial transform.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from scipy import special

from wheatstone.errors import InputError
from wheatstone.samples import StereoSample

__all__ = ["TEACHERS", "StereoAugmentation"]

TEACHERS = ("teacher", "teacher_right")
"""Extras of a sample that training items carry along: inverse depth `[1,H,W]` of a monocular network, larger is nearer, any
scale and offset, in the frame of the left and of the right view; `NAME_valid` `[1,H,W]` bool says where to believe it
(default: wherever it is finite)."""

_WHOLE = 1 - 1e-4
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


class _Window(NamedTuple):
    """The part of the source that becomes the crop: rows, columns, and how much it is enlarged."""

    rows: slice
    columns: slice
    scale_x: float


@dataclass(frozen=True)
class StereoAugmentation:
    """Draw a training crop from a stereo sample; the defaults are ZeroStereo's published values.

    Attributes:
        crop: height and width of the result, px.
        noise: standard deviation of the noise on the right view, of 0..1; 0 is off.
        blur: probability of a Gaussian blur of the right view.
        blur_px: largest standard deviation of that blur, px.
        brightness: largest change of the brightness factor around 1; 0 is off.
        contrast: the same for contrast.
        saturation: range of the saturation factor; (1, 1) is off.
        hue: largest rotation of the hue, in turns; 0 is off.
        asymmetric: probability that the two views get different colours instead of the same.
        erase: probability that one or two rectangles of the right view are covered by its mean colour.
        erase_px: range of the sides of these rectangles, px of the source.
        scale: range of the common scale, as a power of 2; (0, 0) is off.
        stretch: largest further power of 2, drawn for width and height on their own; 0 is off.
        stretch_share: probability of that stretch.
        vertical_jitter: largest shift of the augmented right view, rows.
        resize: how disparity is resized: `"edge-aware"` interpolates inside surfaces and takes the nearest pixel at depth
            edges and at the rim of what is known, `"nearest"` does so everywhere, `"bilinear"` mixes both sides of an edge.
        edge_px: range of disparity in a 3x3 neighbourhood from which on it is a depth edge, px of the source.
        official: as published where we differ: disparity resized bilinearly.

    Source:
        ZeroStereo (ICCV 2025), `util/augmentor.py` and `config/train_stereo.yaml` of the released code. Where we differ: colours
        are one linear map (nothing is clipped between brightness, contrast, saturation and hue, whose order is random as
        in the original; hue turns in YIQ, not in HSV) with the contrast about the mean of the window; scales are rounded
        so that the window has whole pixels; an image smaller than the crop is enlarged to fill it.
    """

    crop: tuple[int, int] = (384, 512)
    noise: float = 0.02
    blur: float = 0.5
    blur_px: float = 1.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: tuple[float, float] = (0.0, 1.4)
    hue: float = 0.159
    asymmetric: float = 0.2
    erase: float = 0.5
    erase_px: tuple[int, int] = (50, 99)
    scale: tuple[float, float] = (-0.2, 0.4)
    stretch: float = 0.2
    stretch_share: float = 0.8
    vertical_jitter: int = 2
    resize: Literal["edge-aware", "nearest", "bilinear"] = "edge-aware"
    edge_px: float = 2.0
    official: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting, what it is and what it may be.
        """
        for name in ("crop", "erase_px"):
            pair = getattr(self, name)
            if len(pair) != 2 or min(pair) < 1 or (name == "erase_px" and pair[0] > pair[1]):
                raise InputError(f"augmentation: {name} must be two positive numbers, got {pair}")
        for name in ("blur", "asymmetric", "erase", "stretch_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation: {name} is a probability, 0..1, got {getattr(self, name)}")
        for name in ("noise", "blur_px", "brightness", "contrast", "hue", "stretch", "vertical_jitter", "edge_px"):
            if not getattr(self, name) >= 0:
                raise InputError(f"augmentation: {name} must not be negative, got {getattr(self, name)}")
        for name in ("saturation", "scale"):
            low, high = getattr(self, name)
            if not low <= high:
                raise InputError(f"augmentation: {name} must be a range (low, high), got {(low, high)}")
        if self.resize not in ("edge-aware", "nearest", "bilinear"):
            raise InputError(f"augmentation: resize must be edge-aware, nearest or bilinear, got {self.resize!r}")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "StereoAugmentation":
        """Make one from plain values, where JSON has lists for tuples.

        Raises:
            InputError: no such setting, or one that makes no sense.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise InputError(f"augmentation has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
        }
        return cls(**values)

    def only(self, **kept: Any) -> "StereoAugmentation":
        """Switch off everything but the crop and the settings given.

        Raises:
            InputError: no such setting.
        """
        if unknown := sorted(set(kept) - {entry.name for entry in fields(self)}):
            raise InputError(f"augmentation has no setting {', '.join(unknown)}")
        off: dict[str, Any] = dict.fromkeys(("noise", "blur", "brightness", "contrast", "hue", "erase", "stretch"), 0.0)
        off.update(saturation=(1.0, 1.0), asymmetric=0.0, scale=(0.0, 0.0), vertical_jitter=0)
        return replace(self, **{**off, **kept})

    def __call__(self, sample: StereoSample, generator: np.random.Generator) -> dict[str, Any]:
        """Make the training item of a sample.

        Args:
            sample: views `left` and `right` and the disparity of the left one; masks and confidence may be missing.
            generator: source of every draw.

        Returns:
            `left`, `right` (augmented) and `left_clean`, `right_clean` (scaled and cropped only) `[3,h,w]` in 0..1;
            `disparity` `[1,h,w]`, px of the crop, 0 where not valid; `valid`, `visible` (frame of the left view), `hole`
            (frame of the right view) `[1,h,w]` bool; `confidence` `[1,h,w]` in 0..1; `key`. What the sample lacks is
            visible everywhere, without holes, of confidence 1. With `teacher` among the extras of the sample also
            `teacher` and `teacher_valid`, the same for `teacher_right` (`TEACHERS`): values as they were, for a monocular
            map has no unit; a pixel is valid where all it was made of was; the right one slips with `right`.

        Raises:
            InputError: no right view or no disparity, or maps of different sizes.
        """
        maps = _maps(sample)
        height, width = maps["left"].shape[-2:]
        window = self._window((height, width), generator)
        cut = {name: values[:, window.rows, window.columns] for name, values in maps.items()}
        left, right = self._views(cut["left"], cut["right"], window, (height, width), generator)
        slip = self._slip(generator)
        item = {
            "left": self._resized(left),
            "right": _slipped(self._resized(right), slip),
            "left_clean": self._resized(cut["left"]),
            "right_clean": self._resized(cut["right"]),
            **self._labels(cut, window.scale_x),
        }
        for name, rows in zip(TEACHERS, (0, slip), strict=True):
            if name in cut:
                item |= {key: _slipped(map_, rows) for key, map_ in self._teacher(cut, name).items()}
        return {"key": sample.key, **{name: torch.from_numpy(values) for name, values in item.items()}}

    def _window(self, size: tuple[int, int], generator: np.random.Generator) -> _Window:
        """Draw scale, stretch and place; a window never leaves the image."""
        common = generator.uniform(*self.scale)
        stretched = generator.random() < self.stretch_share
        further = generator.uniform(-self.stretch, self.stretch, 2) * stretched
        place = generator.random(2)
        sides, starts = [], []
        for have, want, power, where in zip(size, self.crop, common + further, place, strict=True):
            side = min(have, max(1, round(want * 2.0**-power)))
            sides.append(side)
            starts.append(int(where * (have - side + 1)))
        spans = [slice(start, start + side) for start, side in zip(starts, sides, strict=True)]
        return _Window(spans[0], spans[1], self.crop[1] / sides[1])

    def _views(
        self,
        left: np.ndarray,
        right: np.ndarray,
        window: _Window,
        size: tuple[int, int],
        generator: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Noise and blur on the right view, colours of both, rectangles over the right view."""
        left, right = np.array(left), np.array(right)
        if self.noise > 0:
            right += np.float32(self.noise) * _normal(right.shape, generator)
            np.clip(right, 0, 1, out=right)
        if generator.random() < self.blur:
            sigma = max(generator.uniform(0, self.blur_px), 1e-3)
            right = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in right])
        if self.brightness > 0 or self.contrast > 0 or self.hue > 0 or self.saturation != (1.0, 1.0):
            left, right = self._coloured(left, right, generator)
        if generator.random() < self.erase:
            self._cover(right, window, size, generator)
        return left, right

    def _coloured(
        self, left: np.ndarray, right: np.ndarray, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same colour change for both views, or one each."""
        own = generator.random() < self.asymmetric
        means = [view.reshape(3, -1).mean(1) for view in (left, right)]
        first = self._colour_map(means[0] if own else (means[0] + means[1]) / 2, generator)
        second = self._colour_map(means[1], generator) if own else first
        return _recolour(left, *first), _recolour(right, *second)

    def _colour_map(self, mean: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and offset of a random colour change; `mean` is the mean colour of what it acts on."""
        brightness = generator.uniform(1 - self.brightness, 1 + self.brightness)
        contrast = generator.uniform(1 - self.contrast, 1 + self.contrast)
        saturation = generator.uniform(*self.saturation)
        angle = 2 * np.pi * generator.uniform(-self.hue, self.hue)
        matrix, offset = np.eye(3), np.zeros(3)
        for step in generator.permutation(4):
            if step == 0:
                change, shift = max(brightness, 0.0) * np.eye(3), 0.0
            elif step == 1:
                change = max(contrast, 0.0) * np.eye(3)
                shift = (1 - max(contrast, 0.0)) * float(_GREY @ (matrix @ mean + offset))
            elif step == 2:
                change, shift = saturation * np.eye(3) + (1 - saturation) * np.tile(_GREY, (3, 1)), 0.0
            else:
                change, shift = _hue_turn(angle), 0.0
            matrix, offset = change @ matrix, change @ offset + shift
        return matrix.astype(np.float32), offset.astype(np.float32)

    def _cover(self, right: np.ndarray, window: _Window, size: tuple[int, int], generator: np.random.Generator) -> None:
        """Cover one or two rectangles, placed anywhere in the whole image, by the mean colour."""
        colour = right.reshape(3, -1).mean(1)[:, None, None]
        low, high = self.erase_px
        for _ in range(int(generator.integers(1, 3))):
            top = int(generator.integers(0, size[0])) - window.rows.start
            left = int(generator.integers(0, size[1])) - window.columns.start
            high_px, wide_px = (int(side) for side in generator.integers(low, high + 1, 2))
            right[:, max(0, top) : max(0, top + high_px), max(0, left) : max(0, left + wide_px)] = colour

    def _slip(self, generator: np.random.Generator) -> int:
        """Rows by which the right view slips."""
        if self.vertical_jitter == 0:
            return 0
        return int(generator.integers(-self.vertical_jitter, self.vertical_jitter + 1))

    def _teacher(self, cut: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
        """A monocular map at the size of the crop, and where nothing unknown went into it."""
        known = cut[f"{name}_valid"] & np.isfinite(cut[name])
        map_ = self._resized(np.where(known, cut[name], np.float32(0)))
        valid = self._resized(known.astype(np.float32)) > _WHOLE
        return {name: np.where(valid, map_, np.float32(0)), f"{name}_valid": valid}

    def _labels(self, cut: Mapping[str, np.ndarray], scale_x: float) -> dict[str, np.ndarray]:
        """Disparity in pixels of the crop, and the masks."""
        source = cut["disparity"][0]
        known = cut["valid"][0] & np.isfinite(source)
        cut = {**cut, "valid": known[None]}
        masks = {name: self._resized_mask(cut[name]) for name in ("valid", "visible", "hole")}
        disparity = self._resized_disparity(source, known) * np.float32(scale_x)
        disparity[~masks["valid"][0]] = 0
        confidence = np.clip(self._resized(cut["confidence"]), 0, 1)
        return {"disparity": disparity[None], "confidence": confidence, **masks}

    def _resized_disparity(self, source: np.ndarray, known: np.ndarray) -> np.ndarray:
        size = (self.crop[1], self.crop[0])
        source = np.where(known, source, np.float32(0))
        if self.official or self.resize == "bilinear":
            return np.array(cv2.resize(source, size, interpolation=cv2.INTER_LINEAR))
        nearest = cv2.resize(source, size, interpolation=cv2.INTER_NEAREST_EXACT)
        if self.resize == "nearest" or source.shape == self.crop:
            return np.array(nearest)
        box = np.ones((3, 3), np.uint8)
        rough = cv2.dilate(source, box) - cv2.erode(source, box) >= self.edge_px
        rough |= cv2.erode(known.astype(np.uint8), box) == 0
        edge = cv2.resize(rough.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
        return np.where(edge, nearest, cv2.resize(source, size, interpolation=cv2.INTER_LINEAR))

    def _resized(self, planes: np.ndarray) -> np.ndarray:
        size = (self.crop[1], self.crop[0])
        return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in planes])

    def _resized_mask(self, mask: np.ndarray) -> np.ndarray:
        plane = np.ascontiguousarray(mask[0]).view(np.uint8)
        size = (self.crop[1], self.crop[0])
        return cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST_EXACT).view(bool)[None]


def _maps(sample: StereoSample) -> dict[str, np.ndarray]:
    """Views and maps as arrays `[C,H,W]`; what is missing is filled in.

    Raises:
        InputError: see `StereoAugmentation.__call__`.
    """
    if not {"left", "right"} <= set(sample.views) or sample.disparity is None or sample.reference != "left":
        raise InputError(
            f"{sample.key}: training a matcher needs views left and right and the disparity of the left one"
        )
    shape = sample.disparity.shape
    given = {
        "left": sample.views["left"],
        "right": sample.views["right"],
        "disparity": sample.disparity,
        "valid": sample.valid,
        "visible": sample.visible,
        "hole": sample.hole,
        "confidence": sample.confidence,
    }
    for name in TEACHERS:
        if name in sample.extras:
            given |= {name: sample.extras[name], f"{name}_valid": sample.extras.get(f"{name}_valid")}
    missing: dict[str, Any] = dict.fromkeys((f"{name}_valid" for name in TEACHERS), True)
    missing |= {"valid": True, "visible": True, "hole": False, "confidence": np.float32(1)}
    arrays = {
        name: np.broadcast_to(missing[name], shape) if values is None else values.numpy()
        for name, values in given.items()
    }
    sizes = {name: values.shape[-2:] for name, values in arrays.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size[1]}x{size[0]}" for name, size in sizes.items())
        raise InputError(f"{sample.key}: views and maps must be of one size, got {listed}")
    return arrays


def _slipped(planes: np.ndarray, shift: int) -> np.ndarray:
    """Shift by some rows; what comes in repeats the border."""
    if shift == 0:
        return planes
    rows = np.clip(np.arange(planes.shape[1]) + shift, 0, planes.shape[1] - 1)
    return np.ascontiguousarray(planes[:, rows])


def _recolour(view: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    changed = matrix @ view.reshape(3, -1)
    changed += offset[:, None]
    return np.clip(changed, 0, 1, out=changed).reshape(view.shape)


def _hue_turn(angle: float) -> np.ndarray:
    """Rotation of the two colour axes of YIQ; brightness stays."""
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    return np.linalg.inv(_YIQ) @ turn @ _YIQ


def _normal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Standard normal noise out of 2^16 equally likely values: several times faster than exact draws."""
    return _quantile_table()[generator.integers(0, 1 << 16, shape, dtype=np.uint16)]


@lru_cache(maxsize=1)
def _quantile_table() -> np.ndarray:
    middles = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return special.ndtri(middles).astype(np.float32)
