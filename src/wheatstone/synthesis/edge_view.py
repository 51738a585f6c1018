"""What an edge-aware filler gets to see: the rim of a hole belongs to the hole, and the foreground beside it is closed.

Beside a depth edge the pixels of a photo mix foreground and background. In the moved view those that moved with the background
lie on the far side of the hole, just where a filler looks for what to continue.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import ForwardWarper, disparity_edges, hole_ends, nearest_refill
from wheatstone.samples import Origin
from wheatstone.synthesis.composition import WarpedView

__all__ = ["RimRule", "close_foreground", "contaminated", "open_rim"]

_INSIDE = 1  # a camera's blur reaches this much further: pure colours are taken from behind it
_CONTRAST = 0.05  # sides that differ by less have nothing to mix


_CLOSED = 16


@dataclass(frozen=True)
class RimRule:
    """Which pixels beside a hole are not trusted, and which are not to inform its fill.

    The defaults were chosen on rendered scenes (`benchmarks/edge_aware.py`).

    Attributes:
        threshold: px a pixel, what counts as an edge (`geometry.disparity_edges`).
        reach: px, widest soft edge.
        background: pixels beyond the edge, on its far side, that may be repainted.
        foreground: pixels before the edge, on its near side, that may be repainted.
        mixture: share of the other side's colour from which on such a pixel is repainted; 0 or less repaints all of them.
        step: px of disparity by which a pixel must at least be nearer than the background beside a hole to be foreground.
        closed: px around a hole, beyond the width of the widest, within which the foreground is closed to the filler; 0 leaves it
            open. None is 16, but for a filler that tells background from foreground by itself (`HoleFiller.tells_sides`) 0.
    """

    threshold: float = 1.0
    reach: int = 12
    background: int = 2
    foreground: int = 0
    mixture: float = 0.25
    step: float = 1.0
    closed: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            InputError: see the message.
        """
        if not (self.threshold > 0 and self.step > 0 and self.mixture < 1) or self.reach < 1:
            raise InputError(
                "edges need threshold > 0, step > 0, mixture < 1 and reach >= 1: "
                f"{self.threshold}, {self.step}, {self.mixture}, {self.reach}"
            )
        if min(self.background, self.foreground, self.closed or 0) < 0:
            raise InputError(
                f"a rim has 0 pixels or more: background {self.background}, foreground {self.foreground}, "
                f"closed {self.closed}"
            )


def contaminated(
    left: Float[Tensor, "B 3 H W"],
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None,
    baseline: float | int,
    rule: RimRule,
) -> Bool[Tensor, "B 1 H W"]:
    """Pixels of the left view that mix two surfaces, beside edges that open a hole in the view at `baseline`.

    On each side up to `rule.background` or `rule.foreground` pixels are looked at, and the first ones beyond stand for the pure
    colours F and B. A pixel of colour c mixes if c - B holds at least the share `rule.mixture` of F - B (or the other way round
    on the near side).

    Edges should be steps (`geometry.sharpen_disparity`). Pixels within the slope of an edge that was left soft are never marked,
    however mixed: exact disparity has surfaces as steep and as narrow, and repainting those costs more than it mends.
    """
    if baseline < 0:
        flipped = None if valid is None else valid.flip(-1)
        return contaminated(left.flip(-1), disparity.flip(-1), flipped, -baseline, rule).flip(-1)
    edges = disparity_edges(disparity, valid, threshold=rule.threshold, reach=rule.reach)
    falls = edges.step < 0  # between x and x + 1: the right side is farther, so a gap opens there
    fallen = _moved(falls, 1)
    free = edges.step == 0  # a rim ends where the next edge begins
    rim = torch.zeros_like(falls)
    far, near = fallen & ~falls, falls & ~fallen  # the last pixels of the two sides
    for at in range(rule.background):
        rim = rim | (far & _mixes(left, -(at + 1 + rule.foreground + _INSIDE), rule.background - at, rule.mixture))
        far = _moved(far & free, 1)
    for at in range(rule.foreground):
        rim = rim | (near & _mixes(left, at + 1 + rule.background + _INSIDE, at - rule.foreground, rule.mixture))
        near = _moved(near & _moved(free, 1), -1)
    return rim


def _mixes(left: Tensor, other: int, own: int, share: float) -> Tensor:
    """Whether a pixel holds this share of the colour `other` columns away, the rest being that `own` columns away."""
    if share <= 0:
        return torch.ones_like(left[:, :1], dtype=torch.bool)
    pure, foreign = _beside(left, own), _beside(left, other)
    axis = foreign - pure
    length = axis.square().sum(1, keepdim=True)
    along = ((left - pure) * axis).sum(1, keepdim=True)
    return (along >= share * length) & (length > _CONTRAST**2)


def _beside(image: Tensor, columns: int) -> Tensor:
    """The picture as seen this many columns further right (left, if negative); the sides are repeated."""
    width = image.shape[-1]
    return image[..., (torch.arange(width, device=image.device) + columns).clamp(0, width - 1)]


def open_rim(
    warped: WarpedView,
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"] | None,
    rule: RimRule,
    warper: ForwardWarper,
) -> WarpedView:
    """Take the contaminated pixels that touch a hole of their row into it.

    Args:
        warped: the moved view.
        disparity: by which it was moved, frame of the left view, px at baseline 1.
        valid: where that is usable.
        rule: which pixels are contaminated.
        warper: how the view was moved.

    Returns:
        The view with a larger `hole`; what was known there before has `Origin.CONTAMINATED_RIM`.
    """
    marks = contaminated(warped.left, disparity, valid, warped.baseline, rule)
    if not bool(marks.any()):
        return warped
    landing = warper.landing_at(disparity, valid, warped.baseline)
    # a blend with any contaminated pixel is contaminated
    suspect = (landing.splat(marks.to(torch.float32)) > 1e-3) & ~warped.hole
    ends = hole_ends(suspect | warped.hole)
    holes = functional.pad(warped.hole.long().cumsum(-1), (1, 0))
    rim = suspect & (holes.gather(-1, ends.right) > holes.gather(-1, ends.left + 1))
    return warped.opened(rim, Origin.CONTAMINATED_RIM)


def close_foreground(view: WarpedView, rule: RimRule) -> WarpedView:
    """Make holes of the foreground beside disocclusions, so that a filler sees the background alone.

    A known pixel is foreground if its disparity is nearer to that of the near end of the closest disocclusion than to that of its
    far end, and larger than the latter by `rule.step`. It is closed as far from the disocclusion as the widest of the image is
    wide, and `rule.closed` px farther: no pixel of a hole is then closer to open foreground than to its background.
    """
    closed = _CLOSED if rule.closed is None else rule.closed
    if closed < 1:
        return view
    width = view.hole.shape[-1]
    inside = (view.ends.left >= 0) & (view.ends.right < width)
    opened = inside & ((view.origin == Origin.DISOCCLUSION) | (view.origin == Origin.CONTAMINATED_RIM))
    if not bool(opened.any()):
        return view
    left = view.disparity.gather(-1, view.ends.left.clamp(min=0))
    right = view.disparity.gather(-1, view.ends.right.clamp(max=width - 1))
    far, near = left.minimum(right), left.maximum(right)
    limit = nearest_refill(far + ((near - far) / 2).clamp(min=rule.step), ~opened)
    widths = (view.ends.right - view.ends.left - 1).masked_fill(~opened, 0).flatten(1).amax(1)
    around = torch.cat([_grown(opened[i : i + 1], closed + int(widths[i])) for i in range(len(widths))])
    return view.opened(around & (view.disparity > limit))


def _grown(mask: Tensor, radius: int) -> Tensor:
    """Dilate by a square of side 2 * radius + 1, at a cost that does not depend on it."""
    for dim in (-1, -2):
        at = torch.arange(mask.shape[dim], device=mask.device)
        sums = mask.long().cumsum(dim)
        before = sums.index_select(dim, (at - radius - 1).clamp(min=0)).mul((at > radius).view(-1, *[1] * (-1 - dim)))
        mask = sums.index_select(dim, (at + radius).clamp(max=len(at) - 1)) > before
    return mask


def _moved(mask: Tensor, columns: int) -> Tensor:
    """Shift to the right by one column (or to the left, -1); nothing comes in."""
    return functional.pad(mask, (1, 0))[..., :-1] if columns > 0 else functional.pad(mask, (0, 1))[..., 1:]
