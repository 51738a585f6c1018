"""What several diffusion parts share: components from folders, latents, prompts, schedulers, the denoising loop."""

from wheatstone.diffusion.components import Components, load_components, resolve_pipeline, save_components
from wheatstone.diffusion.latents import decode_latents, encode_mean, latent_factor, mask_to_latent
from wheatstone.diffusion.prompts import embed_prompt
from wheatstone.diffusion.sampling import Step, denoise, start_noise
from wheatstone.diffusion.schedulers import DEFAULT_STEPS, SCHEDULERS, build_scheduler

__all__ = [
    "DEFAULT_STEPS",
    "SCHEDULERS",
    "Components",
    "Step",
    "build_scheduler",
    "decode_latents",
    "denoise",
    "embed_prompt",
    "encode_mean",
    "latent_factor",
    "load_components",
    "mask_to_latent",
    "resolve_pipeline",
    "save_components",
    "start_noise",
]
