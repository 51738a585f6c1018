"""Preset `sgbm`: OpenCV's semi-global matching, the classical alternative that networks are measured against."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import background_fill
from wheatstone.matching.base import StereoMatcher, pair_batch
from wheatstone.samples import Match, to_uint8

__all__ = ["Sgbm", "auto_max_disparity", "load", "sgbm_disparity"]

_MODES = {
    "sgbm": cv2.STEREO_SGBM_MODE_SGBM,
    "hh": cv2.STEREO_SGBM_MODE_HH,
    "3way": cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    "hh4": cv2.STEREO_SGBM_MODE_HH4,
}
_STEP = 16  # OpenCV counts disparities in blocks of 16, and a pixel in sixteenths
_AUTO_SHARE, _AUTO_LEAST = 0.25, 64


def auto_max_disparity(width: int) -> int:
    """The search range of `max_disparity="auto"`: a quarter of the width, at least 64 px, in whole blocks of 16.

    A quarter covers what stereo data sets hold (Middlebury up to 0.17 of the width, KITTI 0.06, Scene Flow 0.2, data
    generated with `AdaptiveDisparity` 0.2). Who knows the range of a scene does better to say it: a narrow search is faster
    and has fewer ways to err.
    """
    return -(-max(_AUTO_LEAST, round(_AUTO_SHARE * width)) // _STEP) * _STEP


class Sgbm(StereoMatcher):
    """Semi-global matching on the CPU, with the pixels it does not answer filled from the background.

    Images are rounded to 8 bits inside. Unanswered pixels (occlusions, low texture, failed left-right check) take the
    smaller of the two nearest answers of their row, for what is hidden lies behind; rows without any answer take the
    nearest row that has some. `sgbm_disparity` also tells which pixels were answered.

    Args:
        max_disparity: end of the search range in px (not included; rounded up so that the range is a multiple of 16), or
            `"auto"`: `auto_max_disparity` of the width.
        min_disparity: start of the search range in px; may be negative.
        block_size: side of the matched window, odd.
        p1, p2: penalties for a change of disparity by 1 and by more between neighbours; None means 8 and 32 times
            3 channels times the window's pixels (OpenCV's advice).
        uniqueness: by how many percent the best cost must beat the second.
        speckle_size, speckle_range: connected regions of at most so many pixels (steps below so many px) are dropped.
        left_right: largest difference of the left-right check in px; negative switches it off.
        pre_filter: truncation of the horizontal gradient that is matched.
        mode: `"3way"` (three directions, the default), `"sgbm"` (five), `"hh"` (eight) or `"hh4"` (four). Memory of the
            last three grows with width x height x range.
        fill: fill unanswered pixels; otherwise they are NaN.

    Raises:
        InputError: a setting out of its range.

    Source: Hirschmueller, "Stereo processing by semiglobal matching and mutual information", TPAMI 2008, in OpenCV's
    variant (block cost of Birchfield and Tomasi instead of mutual information).
    """

    name = "sgbm"

    def __init__(
        self,
        max_disparity: int | str = "auto",
        min_disparity: int = 0,
        block_size: int = 5,
        p1: int | None = None,
        p2: int | None = None,
        uniqueness: int = 10,
        speckle_size: int = 100,
        speckle_range: int = 2,
        left_right: int = 1,
        pre_filter: int = 0,
        mode: str = "3way",
        fill: bool = True,
    ) -> None:
        window = 3 * block_size**2
        p1 = 8 * window if p1 is None else p1
        p2 = 32 * window if p2 is None else p2
        _check(max_disparity, min_disparity, block_size, p1, p2, mode)
        self.config = {
            "max_disparity": max_disparity,
            "min_disparity": min_disparity,
            "block_size": block_size,
            "p1": p1,
            "p2": p2,
            "uniqueness": uniqueness,
            "speckle_size": speckle_size,
            "speckle_range": speckle_range,
            "left_right": left_right,
            "pre_filter": pre_filter,
            "mode": mode,
            "fill": fill,
        }

    def __call__(
        self,
        left: Any,
        right: Any,
        iterations: int | None = None,
        *,
        initial: Float[Tensor, "B 1 h w"] | None = None,
        all_iterations: bool = False,
    ) -> Match:
        """Match two views; see `StereoMatcher`. There is nothing to iterate, so `iterations` changes nothing.

        Raises:
            InputError: an `initial` disparity, from which this matcher cannot start; or fewer than one iteration.
        """
        if initial is not None:
            raise InputError("the matcher 'sgbm' cannot start from an initial disparity: leave `initial` out")
        if iterations is not None and iterations < 1:
            raise InputError(f"a matcher needs at least one iteration, not {iterations}")
        disparity, valid = sgbm_disparity(left, right, self)
        fill = self.config["fill"]
        disparity = background_fill(disparity, valid) if fill else disparity.masked_fill(~valid, torch.nan)
        return Match(disparity, (disparity,) if all_iterations else None)


def sgbm_disparity(
    left: Any, right: Any, matcher: Sgbm | None = None
) -> tuple[Float[Tensor, "B 1 H W"], Bool[Tensor, "B 1 H W"]]:
    """Match two views and say which pixels were answered.

    The left border is padded with repeated pixels, because OpenCV does not answer there; answers that point outside the right
    image rest on the padding alone and do not count.

    Args:
        left: `[B,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
        right: the same for the other view.
        matcher: the settings; those of `Sgbm()` by default.

    Returns:
        Disparity in pixels (steps of 1/16; 0 where unanswered) and where it was answered, on the device of `left`.

    Raises:
        ShapeError: the views differ in size, or are no images.
        InputError: the search range ends before it begins.
    """
    left, right = pair_batch(left, right)
    config = (matcher or Sgbm()).config
    width = left.shape[-1]
    maps = [_one(to_uint8(a), to_uint8(b), config, width) for a, b in zip(left, right, strict=True)]
    disparity = torch.from_numpy(np.stack([values for values, _ in maps]))[:, None]
    valid = torch.from_numpy(np.stack([known for _, known in maps]))[:, None]
    return disparity.to(left.device), valid.to(left.device)


def _one(left: np.ndarray, right: np.ndarray, config: Any, width: int) -> tuple[np.ndarray, np.ndarray]:
    low = config["min_disparity"]
    high = auto_max_disparity(width) if config["max_disparity"] == "auto" else config["max_disparity"]
    if high <= low:
        raise InputError(f"the search range of sgbm ends at {high} px, before it begins at {low} px")
    steps = -(-(high - low) // _STEP) * _STEP
    # OpenCV answers only columns whose whole search range lies inside the right image
    before, after = max(low + steps, 0), max(-low, 0)
    if width <= config["block_size"]:  # OpenCV refuses images narrower than half a window
        after += config["block_size"]
    left, right = (np.pad(view, ((0, 0), (before, after), (0, 0)), mode="edge") for view in (left, right))
    engine = cv2.StereoSGBM_create(  # type: ignore[attr-defined]
        minDisparity=low,
        numDisparities=steps,
        blockSize=config["block_size"],
        P1=config["p1"],
        P2=config["p2"],
        disp12MaxDiff=config["left_right"],
        preFilterCap=config["pre_filter"],
        uniquenessRatio=config["uniqueness"],
        speckleWindowSize=config["speckle_size"],
        speckleRange=config["speckle_range"],
        mode=_MODES[config["mode"]],
    )
    codes = engine.compute(left, right)[:, before : before + width]
    disparity = codes.astype(np.float32) / _STEP
    landing = np.arange(width) - disparity
    valid = (codes >= low * _STEP) & (landing > -0.5) & (landing < width - 0.5)
    return np.where(valid, disparity, np.float32(0)), valid


def _check(high: int | str, low: int, block_size: int, p1: int, p2: int, mode: str) -> None:
    if mode not in _MODES:
        raise InputError(f"unknown mode of sgbm {mode!r}: use {', '.join(_MODES)}")
    if not (high == "auto" or isinstance(high, int)):
        raise InputError(f"max_disparity of sgbm is a number of pixels or 'auto', not {high!r}")
    if isinstance(high, int) and high <= low:
        raise InputError(f"the search range of sgbm ends at {high} px, before it begins at {low} px")
    if block_size < 1 or block_size % 2 == 0:
        raise InputError(f"block_size of sgbm is an odd number of pixels, not {block_size}")
    if not 0 < p1 < p2:
        raise InputError(f"sgbm needs 0 < p1 < p2, got {p1} and {p2}")


def load(
    name: str,
    weights: str | Path | None = None,
    official: bool = False,  # noqa: ARG001 (no original)
    **options: Any,
) -> Sgbm:
    """Make the preset `sgbm`, or read its settings from a folder that `save_pretrained` wrote; options as in `Sgbm`.

    Raises:
        InputError: a setting that it does not have.
        CheckpointError: a folder of another part.
    """
    if weights is not None:
        return Sgbm.from_pretrained(weights, **options)
    if unknown := [key for key in options if key not in Sgbm().config]:
        raise InputError(f"{name!r} has no setting {unknown[0]!r}: it has {', '.join(Sgbm().config)}")
    return Sgbm(**options)
