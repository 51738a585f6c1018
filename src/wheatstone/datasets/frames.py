"""What the left view knows when it was made: the disparity of the photo, carried into the frame of the left view."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.geometry import ForwardWarper, Landing

__all__ = ["LeftFrame", "left_frame"]


@dataclass(frozen=True)
class LeftFrame:
    """Maps in the frame of a synthetic left view.

    Attributes:
        landing: of the move from the photo to the left view.
        disparity: pixels, what landed on each pixel; 0 where nothing known did.
        known: where a pixel of the photo landed and was kept.
        visible: where such a pixel is seen in the right view too.
    """

    landing: Landing
    disparity: Float[Tensor, "B 1 H W"]
    known: Bool[Tensor, "B 1 H W"]
    visible: Bool[Tensor, "B 1 H W"]


def left_frame(
    disparity: Float[Tensor, "B 1 H W"],
    valid: Bool[Tensor, "B 1 H W"],
    baseline: float | int,
    painted: Bool[Tensor, "B 1 H W"],
    warper: ForwardWarper,
) -> LeftFrame:
    """Carry the disparity of a photo at `baseline` into the frame of the left view (baseline 0).

    Args:
        disparity: frame of the photo, pixels between the left and the right view.
        valid: where it is usable.
        baseline: of the photo: 1 when it is the right view, 0.5 between both.
        painted: frame of the left view, pixels that are not the warp of the photo.
        warper: how the left view was warped.
    """
    landing = warper.landing_at(disparity, valid, -baseline)
    known = ~painted & ~landing.hole
    visible = known
    if baseline != 1:
        seen = warper.landing_at(disparity, valid, 1 - baseline).visible
        visible = known & (landing.pick(seen.float()) > 0.5)
    return LeftFrame(landing, landing.pick_disparity(disparity).masked_fill(~known, 0), known, visible)
