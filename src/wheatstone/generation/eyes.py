"""Which eye the photo is, and how the other one, or both, are made of it and become a sample.

Every synthesizer makes a right view of a left one. The photo as right eye is generated in the mirror: seen there, it is a left
view, and what lies to its right is the left eye. With both eyes synthetic the photo stands in the middle and each eye is moved
by half of the disparity. (`right`, `left`, `both` as in 2D-to-3D converters: the side that is synthetic.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.datasets import layout
from wheatstone.datasets.frames import left_frame
from wheatstone.geometry import ForwardWarper, background_fill
from wheatstone.samples import Origin, StereoSample, View

__all__ = ["EYES", "PLACES", "Eye", "PhotoMaps", "compose", "mirror_view", "on_grid", "paint_eye"]


Synthesize = Callable[[Tensor, Tensor, Tensor], View]


@dataclass(frozen=True)
class Eye:
    """A view to be made of the photo.

    Attributes:
        name: of the view.
        shift: distance from the photo as a share of the disparity, > 0.
        mirrored: whether it lies to the left of the photo, so that it is made in the mirror.
        stream: name of its random numbers.
    """

    name: str
    shift: float
    mirrored: bool
    stream: str


EYES: Mapping[str, tuple[Eye, ...]] = {
    "right": (Eye("right", 1.0, False, "synthesis"),),
    "left": (Eye("left", 1.0, True, "synthesis-left"),),
    "both": (Eye("left", 0.5, True, "synthesis-left"), Eye("right", 0.5, False, "synthesis")),
}
"""What is made, by which side is synthetic."""

PLACES: Mapping[str, tuple[str, float]] = {"right": ("left", 0.0), "left": ("right", 1.0), "both": ("center", 0.5)}
"""Name and baseline of the photo, by which side is synthetic."""


@dataclass(frozen=True)
class PhotoMaps:
    """The photo and what is known about it.

    Attributes:
        image: 0..1.
        disparity: pixels between left and right view, on the grid of its file, frame of the photo.
        valid: where it is known.
        confidence: 0..1, on the grid of its file.
        scale: codes a pixel of disparity.
    """

    image: Float[Tensor, "1 3 H W"]
    disparity: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]
    confidence: Float[Tensor, "1 1 H W"]
    scale: int


def paint_eye(eye: Eye, photo: PhotoMaps, synthesize: Synthesize, warper: ForwardWarper, *, complete: bool) -> View:
    """Make one view; its known pixels are the warp of the photo on the CPU, bit by bit.

    Args:
        eye: which.
        photo: of which.
        synthesize: image, disparity and validity to the view at `eye.shift` to the right.
        warper: how the synthesizer warps.
        complete: where disparity is unknown, paint by what lands with the unknown taken as far as its farther neighbour in
            the row. Such pixels count as painted (`Origin.GENERATED`), since nothing known says that they are right.
    """
    maps: Sequence[Tensor] = (photo.image, photo.disparity, photo.valid)
    image, disparity, valid = (m.flip(-1) for m in maps) if eye.mirrored else maps
    sparse = not bool(valid.all())
    complete = complete and sparse
    if complete:
        view = synthesize(image, background_fill(disparity, valid), torch.ones_like(valid))
    else:
        view = synthesize(image, disparity, valid)
    if sparse or view.image.device.type != "cpu" or view.image.dtype != torch.float32:
        # another device may round another way, and a part may have made up what is unknown
        warp = warper(image, disparity * eye.shift, valid)
        hole, origin = (warp.hole if complete else view.hole.cpu()), view.origin.cpu()
        if complete:
            origin = torch.where(hole & (origin == Origin.WARPED), torch.full_like(origin, Origin.GENERATED), origin)
        known = (origin == Origin.WARPED) & ~warp.hole
        view = View(torch.where(known, warp.image, view.image.float().cpu()), hole, warp.visible, origin)
    return mirror_view(view) if eye.mirrored else view


def mirror_view(view: View) -> View:
    """Swap left and right in every map."""
    return View(view.image.flip(-1), view.hole.flip(-1), view.visible.flip(-1), view.origin.flip(-1))


def compose(
    key: str,
    synthetic: str,
    photo: PhotoMaps,
    views: Mapping[str, View],
    warper: ForwardWarper,
    provenance: Mapping[str, Any],
) -> StereoSample:
    """Put photo and views together to a sample whose maps live in the frame of its left view.

    With a synthetic left view, `disparity` is what landed there, unknown where it was painted; the disparity in the
    photo's own frame, by which the views were warped, is the further map `disparity_right` or `disparity_center`.
    """
    place, baseline = PLACES[synthetic]
    images = {name: (view.image[0].clamp(0, 1) * 255).round() / 255 for name, view in views.items()}
    images[place] = photo.image[0]
    baselines = {"left": 0.0, "right": 1.0} | {place: baseline}
    order = sorted(images, key=baselines.__getitem__)
    right = views.get("right")
    painted = torch.zeros_like(photo.valid) if right is None else right.hole | (right.origin != Origin.WARPED)
    sample: dict[str, Any] = {
        "key": key,
        "views": {name: images[name] for name in order},
        "baselines": {name: baselines[name] for name in order},
        "hole": painted[0],
        "origin": None if right is None else right.origin[0],
        "provenance": {**provenance, "synthetic_views": list(views)},
    }
    if place == "left" and right is not None:
        sample |= {"disparity": photo.disparity[0], "valid": photo.valid[0], "visible": right.visible[0]}
        return StereoSample(**sample, confidence=photo.confidence[0])
    left = views["left"]
    frame = left_frame(photo.disparity, photo.valid, baseline, left.origin != Origin.WARPED, warper)
    extras = {
        layout.disparity_folder(place): photo.disparity[0],
        f"valid_{place}": photo.valid[0],
        layout.origin_folder("left"): left.origin[0],
    }
    return StereoSample(
        **sample,
        disparity=on_grid(frame.disparity, frame.known, photo.scale)[0],
        valid=frame.known[0],
        visible=frame.visible[0],
        confidence=frame.landing.pick(photo.confidence).masked_fill(~frame.known, 0)[0],
        extras=extras,
    )


def on_grid(
    disparity: Float[Tensor, "1 1 H W"], valid: Bool[Tensor, "1 1 H W"], scale: int
) -> Float[Tensor, "1 1 H W"]:
    """Round to the steps of the file (1 / scale px, at least one step where known), so that a sample is what is stored."""
    codes = layout.quantise_disparity(disparity[0, 0].numpy(), valid[0, 0].numpy(), scale)
    return torch.from_numpy((codes / np.float64(scale)).astype(np.float32))[None, None]
