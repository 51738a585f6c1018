"""Warp-back: pictures that travel to another view and return, with a hole wherever they were hidden there.

A picture with disparity is moved to a second view, and what landed there is moved back. What the second view could not see is
missing afterwards: bands beside nearer things, and a band at one side of the image. These are the holes of a warp *to* this
picture from that view, on the right side, of the right width, and the picture itself is the truth in them. So any photo
trains a hole filler, without a second camera.

Outside the holes the returned view is the picture itself, not its double resampling: known pixels are exact. What is
known has the disparity of the picture, so background and foreground of a hole are told apart as in any warp.

One difference to a real pair remains. In a real one the hole opens *beside* the soft rim of the nearer thing, whose mixed colours
stay with the background at the far end of the hole; a returned picture has this rim inside the hole, at its near end,
and a clean far end. So rim pixels do not count (`fringe`), and the far end can get the mixture that a camera
would have left there (`mixed`), or be taken into the hole as edge-aware filling does (`rim`).
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from wheatstone.disparity import DisparityRule
from wheatstone.errors import InputError
from wheatstone.generation.clean_up import CleanUp
from wheatstone.geometry import ForwardWarper, background_fill, hole_ends, hole_origin, torn_apart
from wheatstone.geometry.forward import check_sizes
from wheatstone.samples import Origin
from wheatstone.synthesis.composition import WarpedView
from wheatstone.synthesis.rows import fill_rows
from wheatstone.training.pictures import Picture
from wheatstone.training.stereo_data import window_of

__all__ = ["DrawnPicture", "WarpBack", "WarpedBack", "draw_picture"]

_SURFACE_PX = 1.0  # neighbours on one surface differ by at most this shift


@dataclass(frozen=True)
class WarpedBack:
    """A picture that came back.

    Attributes:
        view: what a filler gets: the picture with its holes; `left` is the other view, its own holes 0.
        counted: hole pixels that may be asked for: background, or beyond the image side of the other view. A thing that stands in
            the hole but nearer than its far end, and the rim of the nearer thing, do not count.
    """

    view: WarpedView
    counted: Bool[Tensor, "B 1 H W"]

    def mirror(self) -> "WarpedBack":
        """The same, seen in a mirror."""
        return WarpedBack(self.view.mirror(), self.counted.flip(-1))


@dataclass(frozen=True)
class WarpBack:
    """How a picture goes and comes back.

    Attributes:
        fringe: hole pixels beside the nearer thing that do not count, px: its soft rim lies in the hole.
        mixed: probability that the far ends of the holes get colours of the nearer thing mixed in, as a camera leaves them in a
            real pair; the only known pixels that are not those of the picture.
        softness: range of the standard deviation of the blur that mixes them, px.
        rim: known pixels at the far end that become hole as well, px, as edge-aware filling masks them.
        warper: how to warp.

    Source:
        The warp-back trick as AdaMPI (SIGGRAPH 2022) describes it for its inpainting; Mono2Stereo's siblings name their data
        after it. Which pixels count and both treatments of rims are ours.
    """

    fringe: int = 2
    mixed: float = 0.0
    softness: tuple[float, float] = (0.3, 1.2)
    rim: int = 0
    warper: ForwardWarper = field(default_factory=ForwardWarper)

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        low, high = self.softness
        if self.fringe < 0 or self.rim < 0 or not 0 <= self.mixed <= 1 or not 0 < low <= high:
            raise InputError(
                "warp-back needs fringe >= 0, rim >= 0, mixed in 0..1 and a range of softness above 0, got "
                f"{self.fringe}, {self.rim}, {self.mixed} and {low:g}..{high:g}"
            )

    @torch.no_grad()
    def __call__(
        self,
        image: Float[Tensor, "B 3 H W"],
        disparity: Float[Tensor, "B 1 H W"],
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        baseline: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> WarpedBack:
        """Send pictures to the view they would be warped from, and back.

        Args:
            image: 0..1.
            disparity: frame of `image`, px of this width at baseline 1, larger = nearer.
            valid: where it is usable (default everywhere); the rest becomes a hole that does not count.
            baseline: place of the picture seen from the other view: a positive one makes it a right view, with holes on the right
                of nearer things and at the right side of the image; a negative one is the mirror.
            generator: draws the rims; may be left out with `mixed` 0.

        Raises:
            InputError: a baseline that is not finite, or rims to draw and no generator.
            ShapeError: picture and disparity differ in size.
        """
        check_sizes(image, disparity, valid)
        if not math.isfinite(baseline):
            raise InputError(f"the baseline must be a finite number, got {baseline}")
        if self.mixed > 0 and generator is None:
            raise InputError("warp-back with mixed rims draws random numbers and needs a generator")
        if baseline < 0:
            flipped = None if valid is None else valid.flip(-1)
            return self(image.flip(-1), disparity.flip(-1), flipped, -baseline, generator).mirror()
        known = disparity.isfinite() if valid is None else valid & disparity.isfinite()
        back = self._returned(image, disparity.masked_fill(~known, 0), known, float(baseline))
        counted = self._counted(back, disparity, known)
        if self.mixed > 0 and generator is not None:
            back = self._with_mixed_rims(back, generator)
        if self.rim > 0:
            far = self._far_end(back, self.rim)[0]
            counted = counted | far
            back = back.opened(far, Origin.CONTAMINATED_RIM)
        return WarpedBack(back, counted)

    def _returned(self, image: Tensor, disparity: Tensor, known: Tensor, baseline: float) -> WarpedView:
        """The picture with a hole where it did not come back (baseline >= 0)."""
        there = self.warper.landing_at(disparity, known, -baseline)
        elsewhere = there.pick(disparity)
        back = self.warper.landing(elsewhere * baseline, ~there.hole)
        # A nearer thing comes back up to a pixel wider, on fractions of pixels: what was hidden stays hidden under that.
        covered = ~there.visible & ((back.pick(elsewhere) - disparity) * baseline > _SURFACE_PX)
        hole = back.hole | covered | ~known
        ends = hole_ends(hole)
        moved = disparity.masked_fill(hole, 0)
        side: Literal["right", "both"] = "both" if bool((disparity < 0).any()) else "right"
        column = torch.arange(hole.shape[-1], device=hole.device).expand(hole.shape)
        torn = torn_apart(background_fill(elsewhere, ~there.hole) * baseline, back.pick(column), ends)
        origin = hole_origin(hole, moved * baseline, side=side, ends=ends, torn=torn)
        return WarpedView(
            left=there.splat(image),
            image=image.masked_fill(hole, 0),
            hole=hole,
            visible=back.visible,
            disparity=moved,
            origin=origin.masked_fill(~known, int(Origin.GENERATED)),
            ends=ends,
            baseline=baseline,
        )

    def _counted(self, back: WarpedView, disparity: Tensor, known: Tensor) -> Tensor:
        """Hole pixels whose own disparity says that they are what a filler should paint there."""
        rows = fill_rows(back)
        nearer = (disparity - rows.disparity) * back.baseline > _SURFACE_PX + 0.1 * (
            rows.disparity * back.baseline
        ).abs()
        to_near_end = back.ends.right - back.ends.left - rows.distance
        rim = nearer | (to_near_end <= self.fringe)
        return back.hole & known & ~(rim & (back.origin == int(Origin.DISOCCLUSION)))

    def _far_end(self, back: WarpedView, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Known pixels up to `width` behind the far end of a disocclusion, how far behind, and the column of the near end."""
        column = torch.arange(back.hole.shape[-1], device=back.hole.device).expand(back.hole.shape)
        gap = column.masked_fill(~back.hole, -1).cummax(-1).values  # the last hole pixel on the left
        before = gap.clamp(min=0)
        near = back.ends.left.gather(-1, before)
        disoccluded = (gap >= 0) & (near >= 0) & (back.origin.gather(-1, before) == int(Origin.DISOCCLUSION))
        end = back.ends.right.gather(-1, before).clamp(max=back.hole.shape[-1] - 1)
        here, behind, beside = (back.disparity.gather(-1, c) * back.baseline for c in (column, end, near.clamp(min=0)))
        surface = (here - behind).abs() <= _SURFACE_PX + 0.1 * behind.abs()
        chosen = ~back.hole & disoccluded & (column - gap <= width) & surface & (beside - here > _SURFACE_PX)
        return chosen, column - gap, near.clamp(min=0)

    def _with_mixed_rims(self, back: WarpedView, generator: torch.Generator) -> WarpedView:
        """Blend the colour of the near end into the far end, with the profile of a blurred edge."""
        mixes, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if mixes >= self.mixed:
            return back
        low, high = self.softness
        sigma = low + place * (high - low)
        chosen, distance, near = self._far_end(back, max(1, math.ceil(2.5 * sigma)))
        share = 0.5 * torch.erfc((distance.to(back.image.dtype) - 0.5) / (sigma * math.sqrt(2)))
        colour = back.image.gather(-1, near.expand(-1, 3, -1, -1))
        return replace(back, image=torch.where(chosen, torch.lerp(back.image, colour, share), back.image))


@dataclass(frozen=True)
class DrawnPicture:
    """A picture, or some of its rows, with a disparity drawn for it.

    Attributes:
        key: its name.
        image: RGB.
        disparity: px of this width.
        valid: where it is known.
    """

    key: str
    image: UInt8[np.ndarray, "H W 3"]
    disparity: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]


@torch.no_grad()
def draw_picture(
    picture: Picture,
    rule: DisparityRule,
    clean_up: CleanUp,
    generator: np.random.Generator,
    *,
    least: tuple[int, int],
    band: int | None = None,
    turned: float = 0.0,
) -> DrawnPicture:
    """Draw the scale of a picture's disparity, and its orientation.

    Args:
        picture: picture and inverse depth.
        rule: from inverse depth to disparity; the whole picture sets its range.
        clean_up: treatment of depth edges, as before every warp.
        generator: source of every draw. One picture in two is mirrored.
        least: height and width that smaller pictures are enlarged to.
        band: keep this many rows at a random place; None keeps all. Rows know nothing of each other in a warp.
        turned: probability of turning the picture upside down.
    """
    draws = torch.Generator().manual_seed(int(generator.integers(1 << 62)))
    mirrored, upside_down, *place = (float(value) for value in generator.random(4))
    across = -1 if mirrored < 0.5 else 1
    down = -1 if upside_down < turned else 1
    size = (max(least[0], picture.image.shape[0]), max(least[1], picture.image.shape[1]))
    image, inverse = (
        window_of(values[::down, ::across], size, np.array(place)) for values in (picture.image, picture.inverse_depth)
    )
    made = rule(torch.from_numpy(np.ascontiguousarray(inverse))[None, None], draws)
    rows = slice(None)
    if band is not None:
        top = int(generator.integers(max(0, size[0] - band) + 1))
        rows = slice(top, top + band)
    disparity, valid = made.disparity[:, :, rows], made.valid[:, :, rows]
    return DrawnPicture(picture.key, np.ascontiguousarray(image[rows]), clean_up(disparity, valid), valid)
