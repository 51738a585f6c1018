"""The contract of a view synthesizer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.checkpoints import Part
from wheatstone.errors import InputError
from wheatstone.samples import View

__all__ = ["ViewSynthesizer", "check_generators"]


class ViewSynthesizer(Part):
    """A part that makes the view at baseline k from the left view and its disparity.

    Attributes:
        takes_sparse: whether the part is at home in views of which little is known. To others `generation` shows sparse
            disparity completed (`generation.eyes.paint_eye`).
        sharpens: whether `generation` makes steps of soft depth edges by `geometry.sharpen_disparity` for this part, unless told
            otherwise; by `geometry.clean_disparity` for others.
    """

    takes_sparse: ClassVar[bool] = False
    sharpens: ClassVar[bool] = False

    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        baseline: float = 1.0,
        generators: Sequence[torch.Generator] | None = None,
    ) -> View:
        """Make the view at `baseline` (1 = right, -1 = left-left, 0.5 = centre).

        Args:
            left: `[B,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
            disparity: pixels of this width, left is the reference, any sign; the view is the warp by `baseline * disparity`.
            valid: where the disparity is usable (default everywhere); the rest lands nowhere.
            baseline: position of the new view along the baseline.
            generators: one CPU generator an item, for parts that draw random numbers.
        """
        raise NotImplementedError


def check_generators(generators: Sequence[torch.Generator] | None, count: int) -> None:
    """Refuse generators that are not one an item; None draws nothing or has defaults.

    Raises:
        InputError: another number of generators than of images.
    """
    if generators is not None and len(generators) != count:
        raise InputError(f"{len(generators)} generators for {count} images: one an item is needed")
