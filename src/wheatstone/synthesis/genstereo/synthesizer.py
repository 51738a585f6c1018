"""Preset `genstereo`: the whole second view by diffusion, its known pixels from the moved left view at full resolution.

Shape letters: B batch, H W view, h w latent.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.diffusion import Step
from wheatstone.samples import View
from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks

__all__ = ["GenStereo"]

Composite = Literal["known", "fusion", "generated"]


class GenStereo(ViewSynthesizer):
    """Two U-Nets that denoise the second view at a working size, composed with what is known at full size."""

    name = "genstereo"

    def __init__(
        self,
        networks: GenStereoNetworks,
        *,
        steps: int = 50,
        guidance: float = 1.5,
        working_side: int | None = None,
        composite: Composite = "known",
        colour_match: bool = True,
        official: bool = False,
        max_batch: int = 4,
    ) -> None:
        """Put networks and settings together.

        Args:
            networks: from `load_networks` or `small_networks`.
            steps: denoising steps, trailing; 50 as published, few work too.
            guidance: 1 is off and halves the work.
            working_side: pictures are brought to about this side squared in pixels, in their own aspect; by default what the
                U-Nets were made for.
            composite: what known pixels of the result are: `known` the moved left view, bit by bit; `fusion` weighed by the
                fusion layer against the generated ones; `generated` these alone.
            colour_match: match the colours of the generated view to the known pixels around the holes.
            official: reproduce the published call.
            max_batch: views in one call on a GPU (on a CPU always one).

        Raises:
            InputError: numbers that make no sense.
        """
        raise NotImplementedError

    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        baseline: float = 1.0,
        generators: Sequence[torch.Generator] | None = None,
        latents: Float[Tensor, "B 4 h w"] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> View:
        """Make the view at `baseline`; arguments as in `ViewSynthesizer`, and two that diffusion parts have.

        Args:
            left: left view.
            disparity: pixels, left is the reference.
            valid: where the disparity is known; the rest is generated, not moved by 0.
            baseline: position of the new view; negative ones are made in the mirror.
            generators: one CPU generator an item for the start noise; by default item i draws from the seed i.
            latents: the start noise itself, at 1/8 of the working size.
            on_step: called after every step of the sampler.
        """
        raise NotImplementedError
