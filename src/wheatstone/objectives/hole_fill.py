"""The objective of the embedded hole filler: right on average, and as grainy as the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.objectives.terms import Terms, gradient_terms

__all__ = ["HoleFill", "grain_terms"]


@dataclass(frozen=True)
class HoleFill:
    """Robust colour error in the holes, gradients across and along their rims, and local gradient energy.

    A colour loss alone is met best by blur. The grain term compares how strong gradients are in small patches, wherever
    exactly they lie, and so pays for texture of the right strength.

    Attributes:
        gradient: weight of the gradient terms.
        grain: weight of the local gradient energy.
        knee: colour error (0..1) where the loss turns from quadratic to linear.
    """

    gradient: float = 0.5
    grain: float = 0.01
    knee: float = 0.1

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,  # noqa: ARG002 (the contract)
        generators: Sequence[torch.Generator],  # noqa: ARG002 (nothing random)
    ) -> Terms:
        """Terms of a batch with `features`, `copies`, `hole` and `target`; the network is `modules["filler"]`."""
        shares, correction = modules["filler"](batch["features"])
        target, hole = batch["target"], batch["hole"].float()
        with torch.autocast(target.device.type, enabled=False):
            fill = (batch["copies"] * shares.float()[:, :, None]).sum(1) + correction.float()
            view = torch.where(batch["hole"], fill, target)  # gradients across the rim are those of the true view
            error = functional.huber_loss(view, target, reduction="none", delta=self.knee) / self.knee
            return {
                "colour": (error.sum(), 3 * hole.sum(), 1.0),
                "gradient": (*gradient_terms(view, target, _grown(hole), 1), self.gradient),
                "grain": (*grain_terms(view, target, hole), self.grain),
            }


def _grown(hole: Tensor) -> Tensor:
    return functional.max_pool2d(hole, 3, 1, 1)


def grain_terms(
    view: Float[Tensor, "B 3 H W"], target: Float[Tensor, "B 3 H W"], hole: Float[Tensor, "B 1 H W"], side: int = 8
) -> tuple[Tensor, Tensor]:
    """Sum and count over patches of |log energy of the view - log energy of the truth|.

    The energy is the mean squared difference of neighbouring grey values that both lie in holes; patches that hold fewer
    than `side` such pairs are left out. A floor of (1/255)^2 keeps flat patches from dividing by nothing.
    """
    weights = torch.tensor((0.299, 0.587, 0.114), device=view.device)[:, None, None]
    energies = []
    pairs = None
    for image in (view, target):
        grey = (image * weights).sum(1, keepdim=True)
        across, both_across = _squared_steps(grey, hole, -1)
        down, both_down = _squared_steps(grey, hole, -2)
        pairs = side**2 * functional.avg_pool2d(both_across + both_down, side)
        energies.append(side**2 * functional.avg_pool2d(across + down, side) / pairs.clamp(min=1) + 255.0**-2)
    used = (pairs >= side).float() if pairs is not None else hole
    difference = (energies[0].log() - energies[1].log()).abs()
    return (difference * used).sum(), used.sum()


def _squared_steps(grey: Tensor, hole: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Squared differences to the next pixel along `dim` where both lie in holes, padded back to full size; and where."""
    size = grey.shape[dim] - 1
    both = hole.narrow(dim, 0, size) * hole.narrow(dim, 1, size)
    step = (grey.narrow(dim, 1, size) - grey.narrow(dim, 0, size)).square() * both
    pad = (0, 1) if dim == -1 else (0, 0, 0, 1)
    return functional.pad(step, pad), functional.pad(both, pad)
