"""The promise about synthetic views: outside their painted pixels they are exactly the warp of the real one."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wheatstone.datasets import layout
from wheatstone.datasets.frames import left_frame
from wheatstone.geometry import ForwardWarper
from wheatstone.samples import to_uint8

__all__ = ["broken_views"]

Found = tuple[str, str]


def broken_views(
    line: Mapping[str, Any], arrays: Mapping[str, np.ndarray], warper: ForwardWarper, tolerance: int
) -> Iterator[Found]:
    """Compare the synthetic left and right view of a sample with the warps of its real one.

    Args:
        line: manifest line.
        arrays: decoded files by folder.
        warper: the warp that the data set was made with.
        tolerance: steps (8-bit colours, codes of disparity) by which known pixels may differ.

    Yields:
        Broken promise and what was found.
    """
    synthetic = [name for name in ("left", "right") if line["baselines"].get(name, {}).get("synthetic")]
    if not synthetic:
        return
    source = layout.source_view(line)
    if source is None or (source != "left" and "left" not in synthetic):
        yield "source", "no real view that the synthetic ones could be warps of"
        return
    due = [layout.view_folder(source), layout.disparity_folder(source), "disparity", "mask_nocc"]
    due += [folder for name in synthetic for folder in (name, _painted_in(name))]
    if missing := [folder for folder in dict.fromkeys(due) if folder not in arrays]:
        yield "file", f"a synthetic {' and '.join(synthetic)} view needs {', '.join(missing)}"
        return
    disparity, valid = _decode(arrays[layout.disparity_folder(source)], line["disparity_scale"])
    image = torch.from_numpy(np.ascontiguousarray(arrays[layout.view_folder(source)])).permute(2, 0, 1)[None] / 255
    for name in synthetic:
        k = line["baselines"][name]["nominal"] - line["baselines"][source]["nominal"]
        landing = warper.landing_at(disparity, valid, k)
        yield from _check_pixels(name, source, to_uint8(landing.splat(image)[0]), landing.hole, arrays, tolerance)
        if source == "left" and (hidden := _count(landing.visible, arrays["mask_nocc"])):
            yield "visible", f"{_pixels(hidden)} of mask_nocc are not the visibility of the warp"
    if source != "left":
        yield from _check_left_frame(line, source, disparity, valid, arrays, warper, tolerance)


def _painted_in(view: str) -> str:
    """Folder that says which pixels of a synthetic view were painted."""
    return "mask_inpaint" if view == "right" else layout.origin_folder(view)


def _check_pixels(
    name: str, source: str, warped: np.ndarray, hole: Tensor, arrays: Mapping[str, np.ndarray], tolerance: int
) -> Iterator[Found]:
    painted = arrays[_painted_in(name)] > 0
    difference = np.abs(warped.astype(np.int16) - arrays[name]).max(axis=-1)
    wrong = (difference > tolerance) & ~painted
    if wrong.any():
        worst = int(difference[wrong].max())
        yield "warp", f"{_pixels(int(wrong.sum()))} of {name} are not the warp of {source} (by up to {worst})"
    if open_holes := int((hole[0, 0].numpy() & ~painted).sum()):
        yield "hole", f"{_pixels(open_holes)} where nothing lands are not in {_painted_in(name)}"


def _check_left_frame(
    line: Mapping[str, Any],
    source: str,
    disparity: Tensor,
    valid: Tensor,
    arrays: Mapping[str, np.ndarray],
    warper: ForwardWarper,
    tolerance: int,
) -> Iterator[Found]:
    """Disparity and visibility of a synthetic left view are those of what landed there."""
    painted = torch.from_numpy(arrays[layout.origin_folder("left")] > 0)[None, None]
    frame = left_frame(disparity, valid, line["baselines"][source]["nominal"], painted, warper)
    scale = line["disparity_scale"]
    codes = layout.quantise_disparity(frame.disparity[0, 0].numpy(), frame.known[0, 0].numpy(), scale)
    stored = arrays["disparity"]
    off = np.abs(codes.astype(np.int64) - stored) > tolerance
    if wrong := int((off | ((codes == 0) != (stored == 0))).sum()):
        yield "disparity", f"{_pixels(wrong)} of disparity are not what landed on left from {source}"
    if hidden := _count(frame.visible, arrays["mask_nocc"]):
        yield "visible", f"{_pixels(hidden)} of mask_nocc are not what right shares with left"


def _decode(codes: np.ndarray, scale: int) -> tuple[Tensor, Tensor]:
    whole = torch.from_numpy(codes.astype(np.int32))[None, None]
    return (whole.double() / scale).float(), whole > 0


def _count(mask: Tensor, stored: np.ndarray) -> int:
    """Pixels where a mask is not the stored one."""
    return int((mask[0, 0].numpy() != (stored > 127)).sum())


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"
