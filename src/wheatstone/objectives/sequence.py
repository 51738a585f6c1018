"""Supervised losses of stereo matchers: every prediction of a refinement counts, later ones more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import near_steps
from wheatstone.objectives.terms import Terms, masked_sum

__all__ = ["SequenceLoss", "end_point_terms", "run_matcher", "step_weights"]


@dataclass(frozen=True)
class SequenceLoss:
    """Weighted mean absolute error over all predictions of a matcher.

    `sum_i w_i mean_V |d_i - d|` with `w_i = gamma' ^ (n - 1 - i)` and `gamma' = gamma ^ (15 / (n - 1))`, so that the weight of
    the first prediction does not depend on their number n. All predictions share the mask V, so the weighted sum of
    their errors is one sum over one count, and stays exact however the batch is split.

    Attributes:
        role: name of the network among the modules.
        iterations: refinement steps a forward pass makes; networks without any ignore it.
        gamma: weight of a prediction relative to the next, for n = 16.
        weights: weights of the predictions instead (PSMNet: 0.5, 0.7, 1.0).
        max_disparity: truth from here on does not count, px.
        saturate: such truth counts as `max_disparity` instead, so that a network with a bounded range learns to answer with
            its end.
        error: `"l1"`, or `"smooth-l1"` with its knee at 1 px.
        initial: weight of a smooth-L1 term on the network's own start value; 0 is off.
        edge_weight: extra weight of pixels near steps of the true disparity; 0 is off.
        edge_px: how near, px (`wheatstone.geometry.near_steps`).
        step_px: difference of neighbouring pixels from which on it is a step, px.
        per_item: a mean over each image first, then over the images with truth: a densely labelled one counts no more than
            one with a few scan lines.
        official: divide by the number of all pixels, not of those that count (MfS).

    Source:
        RAFT-Stereo (3DV 2021), eq. 2 and `sequence_loss`; IGEV-Stereo (CVPR 2023), eq. 8, for `initial`; PSMNet (CVPR 2018),
        eq. 3, for `weights` with `smooth-l1`; stereo from mono (ECCV 2020) for `saturate`.
    """

    role: str = "matcher"
    iterations: int = 22
    gamma: float = 0.9
    weights: tuple[float, ...] | None = None
    max_disparity: float = 700.0
    saturate: bool = False
    error: Literal["l1", "smooth-l1"] = "l1"
    initial: float = 0.0
    edge_weight: float = 0.0
    edge_px: int = 5
    step_px: float = 2.0
    per_item: bool = False
    official: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if self.error not in ("l1", "smooth-l1"):
            raise InputError(f"sequence loss: error must be 'l1' or 'smooth-l1', got {self.error!r}")
        if not (0 < self.gamma <= 1 and self.max_disparity > 0 and self.initial >= 0 and self.edge_weight >= 0):
            raise InputError("sequence loss: needs 0 < gamma <= 1, max_disparity > 0, initial >= 0, edge_weight >= 0")
        if self.per_item and self.official:
            raise InputError("sequence loss: per_item divides by other numbers than official; choose one")

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,  # noqa: ARG002 (the contract)
        generators: Sequence[torch.Generator],  # noqa: ARG002 (nothing random)
    ) -> Terms:
        """Terms of a batch with `left`, `right`, `disparity` and `valid`.

        Returns:
            `sequence`, with `initial` `initial`, and for the log alone (weight 0) `epe` and `bad-3` of the last prediction.

        Raises:
            InputError: another number of predictions than of `weights`, or no start value to put a loss on.
        """
        return self.terms(*run_matcher(modules[self.role], batch, self.iterations), batch)

    def terms(self, predictions: Sequence[Tensor], start: Tensor | None, batch: Mapping[str, Any]) -> Terms:
        """Terms of predictions that are there already, and of the network's start value."""
        with torch.autocast(batch["disparity"].device.type, enabled=False):
            target, valid, share, count = self._truth(batch)
            total = target.new_zeros(())
            for weight, prediction in zip(self.prediction_weights(len(predictions)), predictions, strict=True):
                total = total + weight * self._error_sum(prediction.float(), target, share)
            terms: Terms = {"sequence": (total, count, 1.0)}
            if self.initial > 0:
                if start is None:
                    raise InputError(f"sequence loss: the network {self.role!r} makes no start value; set initial to 0")
                error = functional.smooth_l1_loss(start.float(), target, reduction="none")
                terms["initial"] = (masked_sum(error, share), count, self.initial)
            return {**terms, **end_point_terms(predictions[-1], target, valid)}

    def counts(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Counts of a batch, without the network."""
        _, valid, _, count = self._truth(batch)
        own = {"sequence": count, **({"initial": count} if self.initial > 0 else {})}
        return {**own, **dict.fromkeys(("epe", "bad-3"), valid.sum())}

    def gradient_norms(self, predictions: Sequence[Tensor], batch: Mapping[str, Any]) -> list[Tensor]:
        """How hard the term `sequence` pulls at each prediction.

        Returns:
            For every prediction `[B]`: the L1 norm of the gradient of the term's sum (before it is divided by its count)
            with respect to that image's prediction.
        """
        target, _, share, _ = self._truth(batch)
        norms = []
        for weight, prediction in zip(self.prediction_weights(len(predictions)), predictions, strict=True):
            error = (prediction.detach().float() - target).abs()
            pull = (error > 0).float() if self.error == "l1" else error.clamp(max=1)
            norms.append(weight * torch.where(share > 0, pull * share, torch.zeros_like(share)).flatten(1).sum(1))
        return norms

    def _truth(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """True disparity, where it counts, how much each pixel counts, and what the sum of errors is divided by."""
        target, valid = batch["disparity"].float(), batch["valid"]
        if self.saturate:
            target = target.clamp(max=self.max_disparity)
        else:
            valid = valid & (target < self.max_disparity)
        share = self._pixel_weights(target, valid)
        if self.per_item:
            weights = share.flatten(1).sum(1)
            share = share / weights.clamp(min=1e-12).view(-1, 1, 1, 1)
            return target, valid, share, (weights > 0).sum()
        count = torch.tensor(float(share.numel()), device=share.device) if self.official else share.sum()
        return target, valid, share, count

    def prediction_weights(self, count: int) -> tuple[float, ...]:
        """Weights of `count` predictions.

        Raises:
            InputError: another number than of `weights`.
        """
        if self.weights is None:
            return step_weights(count, self.gamma)
        if len(self.weights) != count:
            raise InputError(f"sequence loss: {len(self.weights)} weights for {count} predictions")
        return self.weights

    def _pixel_weights(self, target: Tensor, valid: Tensor) -> Tensor:
        share = valid.float()
        if self.edge_weight > 0:
            share = share * (1 + self.edge_weight * near_steps(target, valid, self.step_px, self.edge_px))
        return share

    def _error_sum(self, prediction: Tensor, target: Tensor, share: Tensor) -> Tensor:
        if self.error == "l1":
            return masked_sum((prediction - target).abs(), share)
        return masked_sum(functional.smooth_l1_loss(prediction, target, reduction="none"), share)


def run_matcher(
    network: nn.Module, batch: Mapping[str, Any], iterations: int
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Call a matching network on a training batch: all predictions `[B,1,H,W]`, px, and its start value if it makes one.

    A batch may bring a disparity to start from: `initial` `[B,1,H,W]`, px, NaN where there is none, and where it is `known`.
    """
    start = {name: batch[name] for name in ("initial", "known") if name in batch}
    output = network(batch["left"], batch["right"], iterations, **start)
    return tuple(output.predictions), output.initial


def step_weights(count: int, gamma: float) -> tuple[float, ...]:
    """Weights of `count` predictions: the last is 1, the first `gamma ** 15` whatever the count.

    Source: RAFT-Stereo, `sequence_loss`; a single prediction, where the original divides by zero, has weight 1.
    """
    adjusted = gamma ** (15 / (count - 1)) if count > 1 else gamma
    return tuple(adjusted ** (count - 1 - index) for index in range(count))


def end_point_terms(
    prediction: Float[Tensor, "B 1 H W"], target: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]
) -> Terms:
    """Mean absolute error, px, and share of pixels off by more than 3 px, as terms of weight 0: for the log alone."""
    error = (prediction.detach().float() - target).abs()
    count = valid.sum()
    return {"epe": (masked_sum(error, valid), count, 0.0), "bad-3": ((valid & (error > 3)).float().sum(), count, 0.0)}
