"""Photo to network input and network output back to the photo, following a model's `preprocessor_config.json`.

The image processors of transformers exist in two builds (Pillow, torchvision) that differ in resampling, and some need
torchvision. This file reads the same JSON and does the same steps itself, with Pillow where they use it, so that numbers
depend on neither build.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import Padding, pad_to_multiple
from wheatstone.samples import to_uint8

__all__ = ["Frame", "InputRule", "Preprocessor", "parse_rule"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)

Steps = Literal["dpt", "zoedepth", "glpn", "depth_pro"]
NO_PADDING = Padding(0, 0, 0, 0)


@dataclass(frozen=True)
class InputRule:
    """How large the network sees a photo: `model` (as it was trained), `native` (every pixel), or `cap` (long side)."""

    name: Literal["model", "native", "cap"] = "model"
    long_side: int = 0

    def __str__(self) -> str:
        return f"cap:{self.long_side}" if self.name == "cap" else self.name


def parse_rule(text: str) -> InputRule:
    """Read `model`, `native` or `cap:N`.

    Raises:
        InputError: anything else.
    """
    if text in ("model", "native"):
        return InputRule("model" if text == "model" else "native")
    name, _, number = text.partition(":")
    if name == "cap" and number.isdecimal() and int(number) > 0:
        return InputRule("cap", int(number))
    raise InputError(f"`input_rule` must be model, native or cap:N (N = long side in pixels), got {text!r}")


@dataclass(frozen=True)
class Frame:
    """How the network's frame lies in the photo's: what brings a map back.

    Attributes:
        size: height and width of the photo.
        pad_before: replicated or reflected border added to the photo before it was resized, in photo pixels.
        pad_after: border added after, in network pixels.
        align_corners: how the network's map is enlarged: corner to corner, bilinear; otherwise half-pixel centres, bicubic.
    """

    size: tuple[int, int]
    pad_before: Padding = NO_PADDING
    pad_after: Padding = NO_PADDING
    align_corners: bool = False

    def restore(self, maps: Float[Tensor, "B 1 h w"], network_size: tuple[int, int]) -> Float[Tensor, "B 1 H W"]:
        """Bring maps predicted for an input of `network_size` back to the photo: crop, resize, crop.

        Bicubic resizing overshoots at edges; the result is held within each map's own range, so depth never turns negative.
        """
        if maps.shape[-2:] != network_size and self.pad_after != NO_PADDING:
            maps = functional.interpolate(maps, network_size, mode="bilinear", align_corners=False)
        maps, border = self.pad_after.crop(maps), self.pad_before
        wanted = (self.size[0] + border.top + border.bottom, self.size[1] + border.left + border.right)
        if maps.shape[-2:] != wanted:
            low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
            mode = "bilinear" if self.align_corners else "bicubic"
            maps = functional.interpolate(maps, wanted, mode=mode, align_corners=self.align_corners)
            maps = maps.maximum(low).minimum(high)
        return border.crop(maps)


@dataclass(frozen=True)
class Preprocessor:
    """The steps from a photo to a network's input.

    Attributes:
        steps: family of processors, which fixes the order of the steps.
        resize: whether the `model` rule resizes at all.
        height, width: wanted size (`dpt`, `zoedepth`, `depth_pro`).
        keep_aspect: scale both sides alike, as little as possible.
        lower_bound: with `keep_aspect`, scale so that neither side falls below the wanted size (Depth Anything's own rule).
        multiple: sides are rounded to this multiple.
        resample: Pillow's code of the filter (2 bilinear, 3 bicubic).
        rescale: factor from 8-bit values to the network's range.
        mean, std: per channel, after `rescale`; None for no normalisation.
        pad: `zoedepth` pads before resizing; `dpt` pads to this divisor after everything (0: no).
        native_multiple: sides of a `native` or `cap` input are padded to this multiple.
        align_corners: how predictions are enlarged again (see `Frame`).
    """

    steps: Steps = "dpt"
    resize: bool = True
    height: int = 384
    width: int = 384
    keep_aspect: bool = False
    lower_bound: bool = False
    multiple: int = 1
    resample: int = 3
    rescale: float = 1 / 255
    mean: tuple[float, float, float] | None = HALF
    std: tuple[float, float, float] | None = HALF
    pad: int = 0
    native_multiple: int = 32
    align_corners: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any], native_multiple: int = 32) -> "Preprocessor":
        """Read the content of a `preprocessor_config.json` of transformers.

        Raises:
            InputError: a processor whose steps are not known here.
        """
        kind = str(content.get("image_processor_type") or content.get("feature_extractor_type") or "")
        for ending in ("Fast", "Pil"):
            kind = kind.removesuffix(ending)
        family = kind.removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
        if family not in _DEFAULTS:
            raise InputError(
                f"image processor {kind!r} is not known here (known: {', '.join(_DEFAULTS)}); "
                "use the input rule native or cap:N, which needs none"
            )
        return _from_fields(_DEFAULTS[family], content, native_multiple)

    def prepare(self, image: Float[Tensor, "B 3 H W"], rule: InputRule) -> tuple[Float[Tensor, "B 3 h w"], Frame]:
        """Make the network's input from photos in 0..1, and say how to bring its maps back.

        `model` quantises to 8 bits where transformers does (their processors resize 8-bit images). `native` is ZeroStereo's
        rule: every pixel, normalised, and only then padded by replication to a multiple, evenly (smaller half left and top).
        `cap` does the same after an antialiased reduction to the long side.
        """
        size = (image.shape[-2], image.shape[-1])
        if rule.name == "model":
            return _BY_MODEL[self.steps](self, image, Frame(size, align_corners=self.align_corners))
        if rule.name == "cap" and max(size) > rule.long_side:
            ratio = rule.long_side / max(size)
            smaller = (max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio)))
            image = functional.interpolate(image, smaller, mode="bicubic", antialias=True).clamp(0, 1)
        pixels, padding = pad_to_multiple(self.normalise(image * 255), self.native_multiple)
        return pixels, Frame(size, pad_after=padding, align_corners=self.align_corners)

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width the `model` rule resizes a photo of this height and width to."""
        scale_y, scale_x = self.height / size[0], self.width / size[1]
        if self.keep_aspect and self.lower_bound:
            scale_y = scale_x = max(scale_y, scale_x)
        elif self.keep_aspect:
            scale_y = scale_x = scale_x if abs(1 - scale_x) < abs(1 - scale_y) else scale_y
        rows, columns = round(scale_y * size[0] / self.multiple), round(scale_x * size[1] / self.multiple)
        return max(1, rows) * self.multiple, max(1, columns) * self.multiple

    def normalise(self, values: Tensor) -> Tensor:
        """Bring 8-bit values `[B,3,H,W]` (0..255) to the network's range."""
        values = values * self.rescale
        if self.mean is None or self.std is None:
            return values
        mean, std = (values.new_tensor(numbers)[:, None, None] for numbers in (self.mean, self.std))
        return (values - mean) / std


def _from_fields(base: Preprocessor, content: Mapping[str, Any], native_multiple: int) -> Preprocessor:
    size = content.get("size", {"height": base.height, "width": base.width})
    if not isinstance(size, Mapping):
        size = {"height": size, "width": size}
    side = size.get("shortest_edge", size.get("height", base.height))
    normalise = content.get("do_normalize", base.mean is not None)
    mean, std = content.get("image_mean") or base.mean or HALF, content.get("image_std") or base.std or HALF
    pad = int(content.get("size_divisor") or 0) if base.steps == "dpt" else 1
    return replace(
        base,
        resize=bool(content.get("do_resize", True)),
        height=int(size.get("height", side)),
        width=int(size.get("width", side)),
        keep_aspect=bool(content.get("keep_aspect_ratio", base.keep_aspect)),
        multiple=int(content.get("size_divisor" if base.steps == "glpn" else "ensure_multiple_of", base.multiple)),
        resample=int(content.get("resample", base.resample)),
        rescale=float(content.get("rescale_factor", 1 / 255)) if content.get("do_rescale", True) else 1.0,
        mean=tuple(mean) if normalise else None,
        std=tuple(std) if normalise else None,
        pad=pad if content.get("do_pad", base.pad > 0) else 0,
        native_multiple=native_multiple,
    )


# Class defaults of transformers' processors: what a field means when the JSON leaves it out.
_DEFAULTS = {
    "DPT": Preprocessor(),
    "ZoeDepth": Preprocessor("zoedepth", width=512, keep_aspect=True, multiple=32, resample=2, pad=1),
    "GLPN": Preprocessor("glpn", multiple=32, resample=2, mean=None, std=None),
    "DepthPro": Preprocessor("depth_pro", height=1536, width=1536, resample=2),
}


def _dpt(rule: Preprocessor, image: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    values = _eight_bit(image, rule.fitted(frame.size) if rule.resize else frame.size, rule.resample)
    pixels = rule.normalise(values)
    if not rule.pad:
        return pixels, frame
    border = pad_to_multiple(pixels, rule.pad)[1]
    zeros = (border.left, border.right, border.top, border.bottom)  # zeros, not replication, as transformers does
    return functional.pad(pixels, zeros), replace(frame, pad_after=border)


def _glpn(rule: Preprocessor, image: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    down = (frame.size[0] // rule.multiple * rule.multiple, frame.size[1] // rule.multiple * rule.multiple)
    size = (max(down[0], rule.multiple), max(down[1], rule.multiple))
    return rule.normalise(_eight_bit(image, size, rule.resample)), frame


def _zoedepth(rule: Preprocessor, image: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    values = image * 255 * rule.rescale
    if rule.pad:
        rows, columns = (int(math.sqrt(side / 2) * 3) for side in frame.size)
        frame = replace(frame, pad_before=Padding(columns, columns, rows, rows))
        fits = rows < frame.size[0] and columns < frame.size[1]  # reflection needs more pixels than it adds
        values = functional.pad(values, (columns, columns, rows, rows), mode="reflect" if fits else "replicate")
    if rule.resize:
        size = rule.fitted((values.shape[-2], values.shape[-1]))
        mode = "bilinear" if rule.resample == 2 else "bicubic"
        values = functional.interpolate(values, size, mode=mode, align_corners=True)
    return replace(rule, rescale=1.0).normalise(values), frame


def _depth_pro(rule: Preprocessor, image: Tensor, frame: Frame) -> tuple[Tensor, Frame]:
    pixels = rule.normalise(image * 255)
    if rule.resize:
        pixels = functional.interpolate(pixels, (rule.height, rule.width), mode="bilinear", align_corners=False)
    return pixels, frame


_BY_MODEL = {"dpt": _dpt, "glpn": _glpn, "zoedepth": _zoedepth, "depth_pro": _depth_pro}


def _eight_bit(image: Tensor, size: tuple[int, int], resample: int) -> Tensor:
    arrays = [Image.fromarray(to_uint8(item)).resize((size[1], size[0]), resample) for item in image]
    stacked = torch.from_numpy(np.stack([np.asarray(array) for array in arrays]))
    return stacked.permute(0, 3, 1, 2).to(image.device, torch.float32)
