"""The denoising loop, once, for every part that samples."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import InputError

__all__ = ["Step", "denoise", "run_sampler", "start_noise"]


@dataclass(frozen=True)
class Step:
    """One evaluation of the U-Net, for whoever watches.

    Attributes:
        index: 0 for the first evaluation (a sampler may evaluate a time twice).
        timestep: time of the noise schedule, large = noisy.
        prediction: output of the U-Net, float32.
        latents: sample after the step, float32.
    """

    index: int
    timestep: int
    prediction: Float[Tensor, "B c h w"]
    latents: Float[Tensor, "B c h w"]


def start_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator] | None, device: torch.device
) -> Float[Tensor, "B c h w"]:
    """Draw the start noise of a batch, each item from its own CPU generator, so that no item depends on its neighbours.

    Without generators item i draws from the seed i.
    """
    count, *rest = shape
    if generators is None:
        generators = [torch.Generator().manual_seed(index) for index in range(count)]
    if len(generators) != count:
        raise InputError(f"`generators` must hold one generator an item: got {len(generators)} for {count} items")
    return torch.stack([torch.randn(rest, generator=generator) for generator in generators]).to(device)


def denoise(
    unet: Any,
    scheduler: Any,
    noise: Float[Tensor, "B c h w"],
    prompt: Float[Tensor, "1 n C"],
    *,
    steps: int,
    condition: Float[Tensor, "B d h w"] | None = None,
    generators: Sequence[torch.Generator] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Float[Tensor, "B c h w"]:
    """Sample latents: the U-Net in its own number format, everything between two steps in float32.

    Args:
        unet: diffusers' conditional U-Net.
        scheduler: fresh from `build_scheduler`.
        noise: start noise of unit variance.
        prompt: embedding of one text, used for the whole batch; there is no guidance, so one evaluation a step.
        steps: denoising steps; a sampler may need one evaluation more.
        condition: channels that are appended to the noisy latents at every step.
        generators: for samplers that draw noise while they run.
        on_step: called after every evaluation.
    """
    context = prompt.to(noise.device, unet.dtype).expand(len(noise), -1, -1)

    def predict(latents: Tensor, time: Tensor) -> Tensor:
        seen = latents if condition is None else torch.cat([latents, condition], dim=1)
        return unet(seen.to(unet.dtype), time, encoder_hidden_states=context).sample

    return run_sampler(predict, scheduler, noise, steps=steps, generators=generators, on_step=on_step)


def run_sampler(
    predict: Callable[[Tensor, Tensor], Tensor],
    scheduler: Any,
    noise: Float[Tensor, "B c h w"],
    *,
    steps: int,
    generators: Sequence[torch.Generator] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Float[Tensor, "B c h w"]:
    """Sample latents with any prediction; everything between two steps is float32.

    Args:
        predict: `(latents [B,c,h,w], time)` to what the scheduler's `prediction_type` says, of the same shape.
        scheduler: fresh from `build_scheduler`.
        noise: start noise of unit variance.
        steps: denoising steps; a sampler may need one evaluation more.
        generators: for samplers that draw noise while they run.
        on_step: called after every evaluation.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise.float() * scheduler.init_noise_sigma
    draws = "generator" in inspect.signature(scheduler.step).parameters and generators is not None
    extra = {"generator": list(generators)} if draws and generators is not None else {}
    for index, time in enumerate(scheduler.timesteps):
        prediction = predict(scheduler.scale_model_input(latents, time), time).float()
        latents = scheduler.step(prediction, time, latents, **extra).prev_sample
        if on_step is not None:
            on_step(Step(index, int(time), prediction, latents))
    return latents
