"""ZeroStereo's loss: confident pixels follow the pseudo disparity, the others the pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import backward_warp
from wheatstone.objectives.photometric import SSIM_CONSTANTS, photometric_error
from wheatstone.objectives.sequence import end_point_terms, run_matcher, step_weights
from wheatstone.objectives.terms import Terms, masked_sum

__all__ = ["ZeroStereoLoss", "photometric_mask"]

_GREY_LEVELS = 255.0
_MAX_DISPARITY = {"raft": 700.0, "igev": 192.0}


@dataclass(frozen=True)
class ZeroStereoLoss:
    """Disparity where its confidence is high, photometric error where it is low.

    Over predictions d_i with weights w_i of `step_weights`, pseudo disparity d and its confidence C:

        sum_i w_i ( mean_V C |d_i - d|  +  mu * mean_Q (1 - C) PE(left, right fetched at x - d_i) )

    V: valid and d < `max_disparity`. Q: seen in the right view, and what it is matched with there was not painted. The form
    `igev` adds both terms for the network's start value with weight 1, smooth-L1 in the place of L1. A mean over nothing
    is 0 (published: NaN).

    Attributes:
        form: `"raft"`, or `"igev"` with the start value.
        role: name of the network among the modules.
        iterations: refinement steps of a forward pass.
        gamma: see `SequenceLoss`.
        mu: weight of the photometric term.
        max_disparity: px; 700 for `raft` and 192 for `igev` by default.
        ssim: weight of the structural distance in PE.
        l1: weight of the absolute difference of pixels in 0..1 in PE.
        window: side of the window of SSIM, px.
        confident: weigh by C; off, every valid pixel counts fully and there is no photometric term.
        photometric: with the photometric term; off, what is not confident is only weighed down.
        official: compute PE as published, on pixels of 0..255 with the SSIM constants for 0..1.

    The published weights 0.85 and 0.15 act on pixels of 0..255, where the absolute difference is in grey levels and the
    constants of SSIM vanish. The defaults are the same function of pixels in 0..1: `l1` = 0.15 * 255 (mu * l1 = 3.825, mu *
    ssim = 0.085) and constants divided by 255^2. So `official` changes rounding, not the loss.

    Source:
        ZeroStereo (ICCV 2025), `util/loss.py` of the released code: `zero_raft_loss`, `zero_igev_loss`. The rows of its
        ablation are `confident` and `photometric`.
    """

    form: Literal["raft", "igev"] = "raft"
    role: str = "matcher"
    iterations: int = 22
    gamma: float = 0.9
    mu: float = 0.1
    max_disparity: float | None = None
    ssim: float = 0.85
    l1: float = 0.15 * _GREY_LEVELS
    window: int = 7
    confident: bool = True
    photometric: bool = True
    official: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if self.form not in _MAX_DISPARITY:
            raise InputError(f"ZeroStereo loss: form must be 'raft' or 'igev', got {self.form!r}")
        if not (0 < self.gamma <= 1 and self.mu >= 0 and (self.max_disparity is None or self.max_disparity > 0)):
            raise InputError("ZeroStereo loss: needs 0 < gamma <= 1, mu >= 0 and max_disparity > 0")

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,  # noqa: ARG002 (the contract)
        generators: Sequence[torch.Generator],  # noqa: ARG002 (nothing random)
    ) -> Terms:
        """Terms of a batch in the form of `wheatstone.datasets.augmentation`.

        Returns:
            `disparity`, `photometric`, of the form `igev` also `initial` and `initial-photometric`; for the log alone
            (weight 0) `epe` and `bad-3`.

        Raises:
            InputError: the form `igev` with a network that makes no start value.
        """
        predictions, start = run_matcher(modules[self.role], batch, self.iterations)
        target = batch["disparity"].float()
        with torch.autocast(target.device.type, enabled=False):
            valid = self._valid(batch)
            confidence = batch["confidence"].float() if self.confident else torch.ones_like(target)
            trust, count = valid * confidence, valid.sum()
            weights = step_weights(len(predictions), self.gamma)
            errors = [masked_sum((p.float() - target).abs(), trust) for p in predictions]
            terms: Terms = {"disparity": (_weighted(errors, weights), count, 1.0)}
            doubt = photometric_mask(batch["visible"], batch["hole"], target)
            seen, share = doubt.sum(), doubt * (1 - confidence)
            if self._looks:
                errors = [masked_sum(self._error(batch, p.float()), share) for p in predictions]
                terms["photometric"] = (_weighted(errors, weights), seen, self.mu)
            if self.form == "igev":
                if start is None:
                    raise InputError(
                        f"ZeroStereo loss: the network {self.role!r} makes no start value; use form='raft'"
                    )
                start = start.float()
                smooth = functional.smooth_l1_loss(start, target, reduction="none")
                terms["initial"] = (masked_sum(smooth, trust), count, 1.0)
                if self._looks:
                    terms["initial-photometric"] = (masked_sum(self._error(batch, start), share), seen, self.mu)
            return {**terms, **end_point_terms(predictions[-1], target, valid)}

    def counts(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Counts of a batch, without the network."""
        count = self._valid(batch).sum()
        found = dict.fromkeys(("disparity", "epe", "bad-3", *(("initial",) if self.form == "igev" else ())), count)
        if self._looks:
            seen = photometric_mask(batch["visible"], batch["hole"], batch["disparity"].float()).sum()
            found["photometric"] = seen
            if self.form == "igev":
                found["initial-photometric"] = seen
        return found

    @property
    def _looks(self) -> bool:
        """Whether there is a photometric term."""
        return self.confident and self.photometric and self.mu > 0

    def _valid(self, batch: Mapping[str, Any]) -> Tensor:
        limit = self.max_disparity or _MAX_DISPARITY[self.form]
        valid: Tensor = batch["valid"] & (batch["disparity"].float() < limit)
        return valid

    def _error(self, batch: Mapping[str, Any], disparity: Tensor) -> Tensor:
        """PE of the left view and the right view, fetched where the prediction says."""
        left, right = batch["left_clean"].float(), batch["right_clean"].float()
        l1, constants = self.l1, (SSIM_CONSTANTS[0] / _GREY_LEVELS**2, SSIM_CONSTANTS[1] / _GREY_LEVELS**2)
        if self.official:
            left, right, l1, constants = left * _GREY_LEVELS, right * _GREY_LEVELS, l1 / _GREY_LEVELS, SSIM_CONSTANTS
        fetched = backward_warp(right, disparity)
        return photometric_error(left, fetched, ssim=self.ssim, l1=l1, window=self.window, constants=constants)


def photometric_mask(
    visible: Bool[Tensor, "B 1 H W"], hole: Bool[Tensor, "B 1 H W"], disparity: Float[Tensor, "B 1 H W"]
) -> Bool[Tensor, "B 1 H W"]:
    """Q: left pixels that the right view shows, at a place that was warped there and not painted.

    Args:
        visible: frame of the left view.
        hole: frame of the right view.
        disparity: px, of the left view; it pulls the holes to the frame of the left view (nearest pixel, outside is a hole).
    """
    known = backward_warp((~hole).float(), disparity, padding="zeros", mode="nearest") > 0.5
    return visible & known


def _weighted(sums: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([weight * value for weight, value in zip(weights, sums, strict=True)]).sum()
