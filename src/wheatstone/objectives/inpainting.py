"""The objective of diffusion inpainting: predict the noise in the latent of the real second view."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from wheatstone.diffusion import encode_mean, latent_factor, mask_to_latent
from wheatstone.errors import CheckpointError, InputError
from wheatstone.objectives.latent_codec import codec_stage
from wheatstone.objectives.terms import Terms

__all__ = ["InpaintingNoise"]


@dataclass(frozen=True)
class InpaintingNoise:
    """Mean squared error of the predicted noise over the whole latent, every noise level equally likely.

    The U-Net sees the noisy latent of the real view, the mask, and the latent of the warped view whose holes are mid-grey,
    as `StereoInpainting` shows them to it; the text is empty. VAE and text embedding stay as they are.

    Attributes:
        role: name of the networks among the modules (`unet`, `vae`, `prompt`, `noise_schedule`, `mask_pooling`).
        codec_steps: the first steps train the VAE alone (`codec_terms`), from where on it stays as it is; 0 for a VAE that was
            trained before.
        kl: weight of the prior in these steps.

    Source:
        ZeroStereo (ICCV 2025), fine-tuning of its inpainting model: `train_stereogen.py` of the released code. The noise
        is the item's own instead of the process's.
    """

    role: str = "inpainter"
    codec_steps: int = 0
    kl: float = 0.004

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: a negative number.
        """
        if min(self.codec_steps, self.kl) < 0:
            raise InputError(
                f"inpainting: codec_steps and kl must not be negative, got {self.codec_steps}, {self.kl:g}"
            )

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,
        generators: Sequence[torch.Generator],
    ) -> Terms:
        """Terms of a batch with `warped` and `target` `[B,3,H,W]` in 0..1 and `hole` `[B,1,H,W]`.

        Every item counts once, with the mean over its latent.

        Returns:
            `noise`; or the terms of `codec_terms` in the first `codec_steps` steps.

        Raises:
            InputError: sides that the VAE cannot halve often enough.
        """
        networks: Any = modules[self.role]
        factor, hole = latent_factor(networks.vae), batch["hole"]
        if hole.shape[-1] % factor or hole.shape[-2] % factor:
            raise InputError(
                f"crops of {hole.shape[-1]}x{hole.shape[-2]} are no multiple of {factor}: change data.crop"
            )
        codec = codec_stage(networks.vae, batch["target"], generators, step=step, steps=self.codec_steps, kl=self.kl)
        if codec is not None:
            return codec
        with torch.no_grad():
            clean = encode_mean(networks.vae, batch["target"] * 2 - 1)
            masked = encode_mean(networks.vae, (batch["warped"] * 2 - 1) * ~hole)
            mask = mask_to_latent(hole, factor, networks.mask_pooling)
        schedule = _schedule(json.dumps(dict(networks.noise_schedule), sort_keys=True))
        levels = schedule.config.num_train_timesteps
        times = torch.stack([torch.randint(levels, (), generator=generator) for generator in generators])
        noise = torch.stack([torch.randn(clean.shape[1:], generator=generator) for generator in generators])
        times, noise = times.to(clean.device), noise.to(clean.device)
        seen = torch.cat([schedule.add_noise(clean, noise, times), mask, masked], dim=1)
        context = networks.prompt.to(seen.dtype).expand(len(seen), -1, -1)
        predicted = networks.unet(seen, times, encoder_hidden_states=context).sample
        wanted = noise if schedule.config.prediction_type == "epsilon" else schedule.get_velocity(clean, noise, times)
        with torch.autocast(clean.device.type, enabled=False):
            errors = functional.mse_loss(predicted.float(), wanted.float(), reduction="none").flatten(1).mean(1)
        return {"noise": (errors.sum(), torch.full_like(errors[0], len(errors)).detach(), 1.0)}

    def counts(self, batch: Mapping[str, Any]) -> dict[str, int]:
        """Counts of a batch, without the networks."""
        return dict.fromkeys(("noise", "reconstruction", "prior"), len(batch["hole"]))


@lru_cache(maxsize=4)
def _schedule(config: str) -> Any:
    """The noise schedule of a checkpoint as plain DDPM, whatever samples from it later."""
    import diffusers

    settings = {key: value for key, value in json.loads(config).items() if not key.startswith("_")}
    schedule = diffusers.DDPMScheduler.from_config(settings)
    if schedule.config.prediction_type not in ("epsilon", "v_prediction"):
        raise CheckpointError(f"a model that predicts {schedule.config.prediction_type!r} cannot be trained by this")
    return schedule
