"""The objective of GenStereo: predict v of the right view's latents, and let the fused picture be the right view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from wheatstone.diffusion import build_scheduler, latent_factor
from wheatstone.diffusion.schedulers import ZERO_SNR_V
from wheatstone.errors import InputError
from wheatstone.objectives.latent_codec import codec_stage
from wheatstone.objectives.terms import Terms
from wheatstone.synthesis.genstereo.conditions import Conditions, make_conditions

__all__ = ["GenStereoLoss", "Noised", "drop_pixels", "min_snr_weight"]

_GREY = 0.5  # what the published trainer shows in the holes of items that lose pixels, 0..1


def min_snr_weight(alpha_bar: Float[Tensor, " B"], gamma: float | None) -> Float[Tensor, " B"]:
    """Weight of the error of v at a noise level: `min(SNR + 1, gamma) / (SNR + 1)`, 1 without `gamma`.

    With SNR = abar / (1 - abar) that is `min(1, gamma (1 - abar))`, finite at both ends: 1 at pure noise.

    Source: Min-SNR (Hang et al. 2023) with the SNR raised by 1 for v, as the trainer of GenStereo (ICCV 2025) has it.
    """
    return torch.ones_like(alpha_bar) if gamma is None else (gamma * (1 - alpha_bar)).clamp(max=1)


@dataclass(frozen=True)
class Noised:
    """Latents at a noise level, and how v, noise and latents hang together there.

    Attributes:
        noisy: sqrt(abar) latents + sqrt(1 - abar) noise.
        velocity: v = sqrt(abar) noise - sqrt(1 - abar) latents, what the network is to predict.
        alpha_bar: abar of each item, shaped to multiply latents.

    Source: Salimans and Ho 2022, appendix D.
    """

    noisy: Float[Tensor, "B c h w"]
    velocity: Float[Tensor, "B c h w"]
    alpha_bar: Float[Tensor, "B 1 1 1"]

    @classmethod
    def of(
        cls, latents: Float[Tensor, "B c h w"], noise: Float[Tensor, "B c h w"], alpha_bar: Float[Tensor, " B"]
    ) -> "Noised":
        """Add noise to latents."""
        level = alpha_bar.view(-1, 1, 1, 1)
        signal, spread = level.sqrt(), (1 - level).sqrt()
        return cls(signal * latents + spread * noise, signal * noise - spread * latents, level)

    def latents_of(self, velocity: Float[Tensor, "B c h w"]) -> Float[Tensor, "B c h w"]:
        """The clean latents that a velocity says: x0 = sqrt(abar) noisy - sqrt(1 - abar) v."""
        return self.alpha_bar.sqrt() * self.noisy - (1 - self.alpha_bar).sqrt() * velocity


def drop_pixels(
    conditions: Conditions, dropped: Bool[Tensor, "B 1 H W"], *, official: bool = False
) -> tuple[Conditions, Float[Tensor, "B 3 H W"]]:
    """Take pixels away from the moved view: they become holes.

    Args:
        conditions: of the whole disparity.
        dropped: frame of the right view, True where the moved pixel is lost.
        official: in items that lose anything, every hole is mid-grey instead of black, as the published trainer has it and
            its inference never has.

    Returns:
        The conditions, and the moved view as the fusion is shown it (black holes; grey ones in such `official` items).
    """
    hole = conditions.hole | dropped
    embedding = conditions.target[:, :-4].masked_fill(dropped, 0.0)
    rgb = conditions.target[:, -3:].masked_fill(dropped, -1.0)
    warped = conditions.warped.masked_fill(dropped, 0.0)
    shown = warped
    if official:
        grey = hole & dropped.flatten(1).any(1).view(-1, 1, 1, 1)
        rgb, shown = rgb.masked_fill(grey, 2 * _GREY - 1), warped.masked_fill(grey, _GREY)
    target = torch.cat([embedding, hole.to(rgb.dtype), rgb], 1)
    return Conditions(conditions.source, target, warped, hole), shown


@dataclass(frozen=True)
class GenStereoLoss:
    """Latent error of v, weighed by noise level, plus the error of the fused picture.

        L = mean_i w(t_i) mean |v_i - v(noisy_i, t_i, left view)|^2  +  alpha mean_i mean |fuse(D(x0_i), warped_i) - right_i|^2

    Every noise level is equally likely. The image token and the reference features of an item are left out with probability
    `drop`, so that the denoiser learns its unconditional answer; the moved view stays.

    Attributes:
        role: name of the networks (`GenStereoNetworks`) among the modules.
        alpha: weight of the pixel term; 0 leaves it out, with the decoder's time and memory.
        gamma: of `min_snr_weight`; None weighs all levels alike.
        noise_offset: spread of a further draw of noise that is the same for a whole channel.
        drop: probability of leaving the conditions out.
        draw_latents: draw latents from the VAE's posterior, as published; off, take its mean, as inference does.
        pixel_window: side in latent cells of a window, placed anew for every item, that the pixel term decodes; None decodes
            everything. The decoder is what a training runs out of memory by.
        codec_steps: the first steps train the VAE alone (`codec_terms`), from where on it stays as it is; 0 for a VAE that was
            trained before.
        kl: weight of the prior in these steps.
        official: as published where we differ: the pixel term decodes v and its target instead of the clean latents and the
            real picture, clamped so that saturated pixels have no gradient; the fusion sees the mask of the holes, not of the
            known pixels; conditions are left out for a whole micro-batch or not at all; holes of items that lose pixels are
            grey; unknown disparity counts as 0.

    Source:
        GenStereo (ICCV 2025), section on training, and its released `train.py`, whose behaviour `official` keeps.
    """

    role: str = "generator"
    alpha: float = 1.0
    gamma: float | None = 5.0
    noise_offset: float = 0.05
    drop: float = 0.1
    draw_latents: bool = True
    pixel_window: int | None = None
    codec_steps: int = 0
    kl: float = 0.004
    official: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if not 0 <= self.drop <= 1:
            raise InputError(f"GenStereo loss: drop is a probability, 0..1, got {self.drop}")
        if min(self.alpha, self.noise_offset, self.codec_steps, self.kl) < 0 or (
            self.gamma is not None and self.gamma <= 0
        ):
            raise InputError(
                "GenStereo loss: alpha, noise_offset, codec_steps and kl must not be negative, gamma must be above 0 (or none)"
            )
        if self.pixel_window is not None and self.pixel_window < 1:
            raise InputError(f"GenStereo loss: pixel_window must be at least 1 cell, got {self.pixel_window}")

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,
        generators: Sequence[torch.Generator],
    ) -> Terms:
        """Terms of a batch with `left`, `right` `[B,3,H,W]` in 0..1, `disparity`, `valid` and `dropped` `[B,1,H,W]`.

        Returns:
            `latent` and `pixel`, both means over items, and for the log alone (weight 0) `generated`, the pixel error before
            the fusion; or the terms of `codec_terms` in the first `codec_steps` steps.

        Raises:
            InputError: sides that the networks cannot halve often enough.
        """
        networks: Any = modules[self.role]
        height, width = batch["left"].shape[-2:]
        if height % networks.multiple or width % networks.multiple:
            raise InputError(f"crops of {width}x{height} are no multiple of {networks.multiple}: change data.size")
        codec = codec_stage(networks.vae, batch["right"], generators, step=step, steps=self.codec_steps, kl=self.kl)
        if codec is not None:
            return codec
        conditions = make_conditions(batch["left"], batch["disparity"], batch["valid"], official=self.official)
        conditions, shown = drop_pixels(conditions, batch["dropped"], official=self.official)
        noised, times, kept = self._noised(networks, batch["right"], generators)
        predicted = self._predict(networks, batch["left"], conditions, noised.noisy, times, kept, generators)
        with torch.autocast(predicted.device.type, enabled=False):
            errors = (predicted.float() - noised.velocity).square().flatten(1).mean(1)
            weights = min_snr_weight(noised.alpha_bar.flatten(), self.gamma)
            terms: Terms = {"latent": ((weights * errors).sum(), _count(errors), 1.0)}
        if self.alpha > 0:
            windows = self._windows(noised.noisy, generators)
            terms |= self._pixel_terms(networks, noised, predicted.float(), batch["right"], conditions, shown, windows)
        return terms

    def counts(self, batch: Mapping[str, Any]) -> dict[str, int]:
        """Counts of a batch, without the networks."""
        items = len(batch["left"])
        return {"latent": items, "pixel": items, "generated": items, "reconstruction": items, "prior": items}

    def _noised(
        self, networks: Any, right: Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[Noised, Int64[Tensor, " B"], Bool[Tensor, " B"]]:
        """The right view's latents with noise, their times, and on the CPU which items keep their conditions."""
        with torch.no_grad():
            clean = self._latents(networks, right, generators)
        table = _alpha_bars().to(clean.device)
        times = torch.stack([torch.randint(len(table), (), generator=one) for one in generators])
        noise = torch.stack([torch.randn(clean.shape[1:], generator=one) for one in generators])
        offset = torch.stack([torch.randn(len(clean[0]), 1, 1, generator=one) for one in generators])
        noise = (noise + self.noise_offset * offset).to(clean.device)
        kept = torch.stack([torch.rand((), generator=one) >= self.drop for one in generators])
        if self.official:
            kept = kept[:1].expand_as(kept)
        times = times.to(clean.device)
        return Noised.of(clean, noise, table[times]), times, kept

    def _latents(self, networks: Any, image: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return networks.encode(image, list(generators) if self.draw_latents else None)

    def _predict(
        self,
        networks: Any,
        left: Tensor,
        conditions: Conditions,
        noisy: Tensor,
        times: Tensor,
        kept: Tensor,
        generators: Sequence[torch.Generator],
    ) -> Float[Tensor, "B c h w"]:
        """Predict v; items without conditions go through a denoiser whose self-attentions see themselves only."""
        with torch.no_grad():
            seen = self._latents(networks, left, generators)
            tokens = networks.image_tokens(left)
        pose = networks.pose(conditions.target)
        answers, order = [], []
        for conditional in (True, False):
            chosen = (kept == conditional).nonzero()[:, 0]
            if not len(chosen):
                continue
            order.append(chosen)
            items = chosen.to(noisy.device)
            token, bank = torch.zeros_like(tokens[items]), None
            if conditional:
                token = tokens[items]
                bank = networks.reference(seen[items], token, networks.pose(conditions.source[items]))
            answers.append(networks.predict(noisy[items], times[items], token, pose[items], bank))
        return torch.cat(answers)[torch.cat(order).argsort().to(noisy.device)]

    def _windows(self, latents: Tensor, generators: Sequence[torch.Generator]) -> list[tuple[slice, slice]]:
        """The part of each item's latents that is decoded."""
        height, width = latents.shape[-2:]
        side = self.pixel_window or max(height, width)
        windows = []
        for one in generators:
            sides = [min(side, have) for have in (height, width)]
            starts = [
                int(torch.randint(have - own + 1, (), generator=one))
                for have, own in zip((height, width), sides, strict=True)
            ]
            rows, columns = (slice(start, start + own) for start, own in zip(starts, sides, strict=True))
            windows.append((rows, columns))
        return windows

    def _pixel_terms(
        self,
        networks: Any,
        noised: Noised,
        predicted: Tensor,
        right: Tensor,
        conditions: Conditions,
        shown: Tensor,
        windows: Sequence[tuple[slice, slice]],
    ) -> Terms:
        """Errors of the fused and of the generated picture, one mean an item."""
        factor = latent_factor(networks.vae)
        if self.official:
            decoded = networks.decode(_cut(predicted, windows)).clamp(0, 1)
            with torch.no_grad():
                target = networks.decode(_cut(noised.velocity, windows)).clamp(0, 1)
        else:
            plain = networks.decode(_cut(noised.latents_of(predicted), windows))
            decoded = plain + (plain.clamp(0, 1) - plain).detach()  # the value is clamped, the gradient is not
            target = _cut(right, windows, factor)
        with torch.autocast(decoded.device.type, enabled=False):
            decoded, target = decoded.float(), target.float()
            hole = _cut(conditions.hole, windows, factor)
            # the fusion makes its mask of what it is told is known; the published trainer's mask is that of the holes
            swapped = self.official and networks.fusion.polarity == "known"
            fused, _ = networks.fusion(decoded, _cut(shown, windows, factor), hole if swapped else ~hole)
            errors = {
                name: (picture - target).square().flatten(1).mean(1)
                for name, picture in (("pixel", fused), ("generated", decoded.detach()))
            }
        weights = {"pixel": self.alpha, "generated": 0.0}
        return {name: (values.sum(), _count(values), weights[name]) for name, values in errors.items()}


def _count(values: Tensor) -> Tensor:
    return values.new_full((), len(values))


def _cut(values: Tensor, windows: Sequence[tuple[slice, slice]], factor: int = 1) -> Tensor:
    """A window of each item; `factor` pixels a cell."""
    parts = []
    for item, window in zip(values, windows, strict=True):
        rows, columns = (slice(side.start * factor, side.stop * factor) for side in window)
        parts.append(item[:, rows, columns])
    return torch.stack(parts)


@lru_cache(maxsize=1)
def _alpha_bars() -> Tensor:
    """The abar of every time; the last is 0."""
    alphas: Tensor = build_scheduler(ZERO_SNR_V).alphas_cumprod
    return alphas
