"""The objective of the embedded depth: direct regression of normalised inverse depth.

The target, not the prediction, is normalised per image (median, mean absolute deviation). From scratch and tiny this is
the better conditioned choice: losses that normalise the prediction too stagnate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from wheatstone.objectives.terms import Terms, gradient_terms, masked_l1, pool_valid

__all__ = ["RelativeDepth", "normalise_inverse_depth"]


def normalise_inverse_depth(
    inverse_depth: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"], near_limit: float = 6.0
) -> Float[Tensor, "B 1 H W"]:
    """Subtract the median and divide by the mean absolute deviation of the valid pixels of each image.

    Values beyond `near_limit` deviations (something right in front of the camera) are limited, so that one close object
    does not own the loss of its image. An image without spread or without valid pixels becomes zero.
    """
    rows = []
    for values, mask in zip(inverse_depth, valid, strict=True):
        known = values[mask]
        if known.numel() == 0:
            rows.append(torch.zeros_like(values))
            continue
        median = known.median()
        spread = (known - median).abs().mean()
        normalised = (values - median) / spread.clamp(min=1e-6)
        rows.append(torch.where(mask & (spread > 1e-6), normalised, 0.0).clamp(max=near_limit))
    return torch.stack(rows)


@dataclass(frozen=True)
class RelativeDepth:
    """L1 on the map and on its coarse version, gradients on several scales, and a far-weighted L1.

    The far-weighted term divides the error by the target's inverse depth: what relative depth metrics look at.

    Attributes:
        gradient: weight of the gradient terms.
        coarse: weight of the coarse map.
        far: weight of the far-weighted L1.
        scales: halvings of the gradient terms.
    """

    gradient: float = 1.0
    coarse: float = 0.3
    far: float = 0.3
    scales: int = 4

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,  # noqa: ARG002 (the contract)
        generators: Sequence[torch.Generator],  # noqa: ARG002 (nothing random)
    ) -> Terms:
        """Terms of a batch with `image`, `inverse_depth` and `valid`; the network is `modules["depth"]`."""
        target = normalise_inverse_depth(batch["inverse_depth"], batch["valid"])
        mask = batch["valid"].float()
        fine, coarse = modules["depth"](batch["image"])
        with torch.autocast(fine.device.type, enabled=False):
            fine, coarse = fine.float(), coarse.float()
            far = mask / (1.0 + (target - _lowest(target, batch["valid"])))
            pooled, pooled_mask = target, mask
            while pooled.shape[-1] > coarse.shape[-1]:
                pooled, pooled_mask = pool_valid(pooled, pooled_mask)
            return {
                "fine": (*masked_l1(fine, target, mask), 1.0),
                "far": (*masked_l1(fine, target, far), self.far),
                "gradient": (*gradient_terms(fine, target, mask, self.scales), self.gradient),
                "coarse": (*masked_l1(coarse, pooled, pooled_mask), self.coarse),
            }


def _lowest(target: Tensor, valid: Tensor) -> Tensor:
    """Smallest valid value of each image: the farthest surface."""
    lowest = torch.where(valid, target, torch.inf).flatten(1).amin(1).view(-1, 1, 1, 1)
    return torch.where(lowest.isfinite(), lowest, torch.zeros_like(lowest))
