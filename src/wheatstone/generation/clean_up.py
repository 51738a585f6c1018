"""How soft depth edges become steps, where labels are made: before the disparity is rounded and anything is warped by it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import clean_disparity, sharpen_disparity
from wheatstone.synthesis.base import ViewSynthesizer

__all__ = ["THRESHOLDS", "CleanUp"]

THRESHOLDS: Mapping[str, float] = {"slope": 3.0, "edge-aware": 1.0}
"""Ways to make steps of depth edges, and the threshold that each is used with unless another is named, px a pixel."""


@dataclass(frozen=True)
class CleanUp:
    """How soft depth edges become steps before the warp."""

    dilate: int = 1
    """Pixels by which the foreground grows; 0 leaves it."""
    threshold: float = THRESHOLDS["slope"]
    """Slope in pixels of disparity a pixel above which there is an edge; 0 switches it off."""
    method: str = "slope"
    """`slope`: a pixel on any slope takes the value of the nearest calmer one (`geometry.clean_disparity`). `edge-aware`: a pixel
    within an edge takes the side it is closer to, and a steep surface is no edge (`geometry.sharpen_disparity`)."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense, before a photo is read.

        Raises:
            InputError: an unknown method, a negative number, or one that is not finite.
        """
        if self.method not in THRESHOLDS:
            raise InputError(f"depth edges are cleaned by one of {', '.join(THRESHOLDS)}, not {self.method!r}")
        if self.dilate < 0:
            raise InputError(f"edge dilation must be at least 0 pixels, got {self.dilate}")
        if not (self.threshold >= 0 and math.isfinite(self.threshold)):
            raise InputError(f"the edge threshold must be a number from 0 on, got {self.threshold}")

    @classmethod
    def fitting(
        cls,
        synthesizer: ViewSynthesizer | None,
        *,
        given: bool = False,
        method: str | None = None,
        dilate: int | None = None,
        threshold: float | int | None = None,
    ) -> "CleanUp":
        """What was asked for, and the rest as fits the case.

        Args:
            synthesizer: decides the method (`ViewSynthesizer.sharpens`) unless one is named; without one it is `slope`.
            given: disparity from outside, whose edges are left alone unless something is named.
            method: see `CleanUp`.
            dilate: see `CleanUp`.
            threshold: see `CleanUp`.
        """
        if given and method is None and dilate is None and threshold is None:
            return cls(0, 0.0)
        chosen = method or ("edge-aware" if synthesizer is not None and synthesizer.sharpens else "slope")
        leave = given and method is None
        wanted = 0.0 if leave else THRESHOLDS.get(chosen, 0.0)
        return cls(
            (0 if given else 1) if dilate is None else dilate, wanted if threshold is None else float(threshold), chosen
        )

    @property
    def config(self) -> dict[str, Any]:
        """Plain JSON values; `method` is said where it differs: data sets from before this choice stay what they are."""
        named = {} if self.method == "slope" else {"method": self.method}
        return {"dilate": self.dilate, "threshold": self.threshold, **named}

    def __call__(
        self, disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"] | None = None
    ) -> Float[Tensor, "B 1 H W"]:
        """Disparity with steps for edges; unknown pixels stay as they are."""
        if not (self.threshold > 0 or self.dilate > 0):
            return disparity
        clean = clean_disparity if self.method == "slope" else sharpen_disparity
        return clean(disparity, valid, dilate=self.dilate, threshold=self.threshold or math.inf)
