"""The first half of every synthesizer that warps: move the left view, know the holes, paint only them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import ForwardWarper, HoleEnds, Landing, background_fill, hole_ends, hole_origin, torn_apart
from wheatstone.geometry.forward import check_sizes
from wheatstone.samples import Origin, View, image_batch
from wheatstone.synthesis.base import ViewSynthesizer, check_generators

__all__ = ["HoleFiller", "WarpedView", "warp_left"]


@dataclass(frozen=True)
class WarpedView:
    """The left view moved to a baseline, with its holes still open.

    Attributes:
        left: the view that was moved, 0..1.
        image: 0..1, 0 in holes.
        hole: frame of the new view, True where nothing landed.
        visible: frame of the left view, True where a pixel is seen in the new view too.
        disparity: frame of the new view, disparity (baseline 1, px) of what landed, never a mixture; 0 in holes.
        origin: frame of the new view, the `Origin` of every pixel.
        ends: nearest known columns to the left and right of every pixel.
        baseline: where the view was moved to.
    """

    left: Float[Tensor, "B 3 H W"]
    image: Float[Tensor, "B 3 H W"]
    hole: Bool[Tensor, "B 1 H W"]
    visible: Bool[Tensor, "B 1 H W"]
    disparity: Float[Tensor, "B 1 H W"]
    origin: UInt8[Tensor, "B 1 H W"]
    ends: HoleEnds
    baseline: float

    def finish(self, fill: Float[Tensor, "B 3 H W"]) -> View:
        """Take `fill` inside the holes, clamped to 0..1; everything else stays the warp, bit by bit."""
        image = torch.where(self.hole, fill.to(self.image.dtype).clamp(0, 1), self.image)
        return View(image=image, hole=self.hole, visible=self.visible, origin=self.origin)

    def opened(self, more: Bool[Tensor, "B 1 H W"], origin: Origin | None = None) -> "WarpedView":
        """Take further pixels into the holes; they get that `origin`, or keep theirs."""
        hole = self.hole | more
        return replace(
            self,
            image=self.image.masked_fill(hole, 0),
            hole=hole,
            disparity=self.disparity.masked_fill(hole, 0),
            origin=self.origin if origin is None else self.origin.masked_fill(more, int(origin)),
            ends=hole_ends(hole),
        )

    def mirror(self) -> "WarpedView":
        """Swap left and right in every map; the same moved view, seen in a mirror."""
        last = self.hole.shape[-1] - 1
        return WarpedView(
            left=self.left.flip(-1),
            image=self.image.flip(-1),
            hole=self.hole.flip(-1),
            visible=self.visible.flip(-1),
            disparity=self.disparity.flip(-1),
            origin=self.origin.flip(-1),
            ends=HoleEnds(left=last - self.ends.right.flip(-1), right=last - self.ends.left.flip(-1)),
            baseline=-self.baseline,
        )


def warp_left(
    left: Any,
    disparity: Float[Tensor, "B 1 H W"] | None,
    valid: Bool[Tensor, "B 1 H W"] | None = None,
    baseline: float = 1.0,
    *,
    warper: ForwardWarper | None = None,
) -> WarpedView:
    """Warp the left view by `baseline * disparity`.

    Args:
        left: `[B,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
        disparity: pixels of this width, larger = nearer, any sign.
        valid: where it is usable (default everywhere); the rest lands nowhere and becomes a hole.
        baseline: 1 right, -1 left-left, 0.5 centre. Negative ones are warped in the mirror, where they are positive, so that
            nearer still hides farther.
        warper: how to warp, by default the two-tap splat.

    Returns:
        The moved view; its `disparity` is that of what landed, so hole fillers can tell background from foreground.

    Raises:
        InputError: no disparity, or a baseline that is not finite.
        ShapeError: left view and disparity differ in size.
    """
    image = image_batch(left, "left")
    if disparity is None:
        raise InputError("this synthesizer moves pixels and needs their disparity")
    check_sizes(image, disparity, valid)
    if not math.isfinite(baseline):
        raise InputError(f"the baseline must be a finite number, got {baseline}")
    warper = warper or ForwardWarper()
    if baseline >= 0:
        return _warp(image, disparity, valid, float(baseline), warper)
    flipped = _warp(
        image.flip(-1), disparity.flip(-1), None if valid is None else valid.flip(-1), -float(baseline), warper
    )
    return flipped.mirror()


def _warp(image: Tensor, disparity: Tensor, valid: Tensor | None, baseline: float, warper: ForwardWarper) -> WarpedView:
    """Warp to a baseline >= 0."""
    known = disparity.isfinite() if valid is None else valid & disparity.isfinite()
    landing = warper.landing(disparity * baseline, known)
    moved_disparity = landing.pick(disparity)
    ends = hole_ends(landing.hole)
    if bool(known.all()):
        origin = _hole_kinds(disparity * baseline, landing, moved_disparity * baseline, ends)
    else:
        origin = _holes_of_unknown(disparity, known, baseline, warper, landing.hole)
    return WarpedView(
        left=image,
        image=landing.splat(image),
        hole=landing.hole,
        visible=landing.visible,
        disparity=moved_disparity,
        origin=origin,
        ends=ends,
        baseline=baseline,
    )


def _hole_kinds(shift: Tensor, landing: Landing, moved: Tensor, ends: HoleEnds) -> Tensor:
    """Label the holes of a warp by `shift`; content moves left, so what lies past the photograph comes in from the right.

    Negative shifts move it right: an image that has some looks past both sides.
    """
    hole = landing.hole
    column = torch.arange(hole.shape[-1], device=hole.device).expand(hole.shape)
    torn = torn_apart(shift, landing.pick(column), ends)
    origin = hole_origin(hole, moved, side="right", ends=ends, torn=torn)
    negative = (shift < 0).flatten(1).any(1)
    if bool(negative.any()):
        either = hole_origin(hole, moved, side="both", ends=ends, torn=torn)
        origin = torch.where(negative[:, None, None, None], either, origin)
    return origin


def _holes_of_unknown(
    disparity: Tensor, valid: Tensor, baseline: float, warper: ForwardWarper, hole: Tensor
) -> UInt8[Tensor, "B 1 H W"]:
    """Label the holes of a warp whose disparity is unknown in places.

    The unknown is taken to lie as far as its farther neighbour in the row, for the labels alone: a hole that this would cover is
    there because the disparity is unknown (`Origin.GENERATED`); what would stay open is what it is with dense disparity.
    """
    complete = background_fill(disparity, valid)
    landing = warper.landing(complete * baseline)
    moved = landing.pick(complete) * baseline
    kinds = _hole_kinds(complete * baseline, landing, moved, hole_ends(landing.hole))
    kinds = torch.where(landing.hole, kinds, torch.full_like(kinds, Origin.GENERATED))
    return kinds.masked_fill(~hole, int(Origin.WARPED))


class HoleFiller(ViewSynthesizer):
    """A synthesizer that warps and then paints the holes; a subclass only says with what.

    Attributes:
        warper: how it warps.
        tells_sides: whether it tells background from foreground by itself, by the disparities at the ends of a hole.
    """

    tells_sides: ClassVar[bool] = False
    warper: ForwardWarper = ForwardWarper()

    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        baseline: float = 1.0,
        generators: Sequence[torch.Generator] | None = None,
    ) -> View:
        """Warp, fill the holes, leave every other pixel as it landed; arguments as in `ViewSynthesizer`."""
        warped = warp_left(left, disparity, valid, baseline, warper=self.warper)
        check_generators(generators, len(warped.image))
        shown = self.prepare(warped, cast(Tensor, disparity), valid)  # `warp_left` has refused None
        return replace(shown.finish(self.fill(shown, generators)), hole=warped.hole)

    def prepare(
        self,
        warped: WarpedView,
        disparity: Float[Tensor, "B 1 H W"],  # noqa: ARG002 (for those who look at more than what landed)
        valid: Bool[Tensor, "B 1 H W"] | None,  # noqa: ARG002
    ) -> WarpedView:
        """What is painted: the holes of the view that is returned; a subclass may open more."""
        return warped

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None) -> Float[Tensor, "B 3 H W"]:
        """Make an image whose holes are painted; its other pixels are not looked at.

        `generators` holds one CPU generator an item for fillers that draw random numbers, or is None.
        """
        raise NotImplementedError
