"""What several diffusion parts share: components from folders, latents, prompts, schedulers, the denoising loop, references."""

from wheatstone.diffusion.components import (
    Components,
    load_components,
    load_unet,
    load_vae,
    resolve_pipeline,
    save_components,
)
from wheatstone.diffusion.image_prompt import clip_pixels, embed_image
from wheatstone.diffusion.latents import decode_latents, encode_mean, encode_sample, latent_factor, mask_to_latent
from wheatstone.diffusion.prompts import embed_prompt
from wheatstone.diffusion.reference_attention import Bank
from wheatstone.diffusion.sampling import Step, denoise, run_sampler, start_noise
from wheatstone.diffusion.schedulers import DEFAULT_STEPS, SCHEDULERS, ZERO_SNR_V, build_scheduler

__all__ = [
    "DEFAULT_STEPS",
    "SCHEDULERS",
    "ZERO_SNR_V",
    "Bank",
    "Components",
    "Step",
    "build_scheduler",
    "clip_pixels",
    "decode_latents",
    "denoise",
    "embed_image",
    "embed_prompt",
    "encode_mean",
    "encode_sample",
    "latent_factor",
    "load_components",
    "load_unet",
    "load_vae",
    "mask_to_latent",
    "resolve_pipeline",
    "run_sampler",
    "save_components",
    "start_noise",
]
