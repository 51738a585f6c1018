"""Samplers by name, all built from the checkpoint's own scheduler configuration."""

from collections.abc import Mapping
from typing import Any

from wheatstone.errors import CheckpointError, InputError

__all__ = ["DEFAULT_STEPS", "SCHEDULERS", "ZERO_SNR_V", "build_scheduler"]

# name -> what it is; the noise schedule itself (betas, prediction type, offsets) always stays the checkpoint's
SCHEDULERS = {
    "checkpoint": "the sampler stored with the checkpoint",
    "ddim": "deterministic DDIM (Song et al. 2021)",
    "dpm++": "DPM-Solver++ of second order (Lu et al. 2022)",
    "trailing": "DDIM with trailing time steps, for few-step models",
}
# Stable Diffusion's betas rescaled so that the last time is pure noise, and v as what is predicted (Lin et al. 2024,
# "Common Diffusion Noise Schedules and Sample Steps are Flawed"); DDIM with trailing times, so that sampling starts there
ZERO_SNR_V: Mapping[str, Any] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": True,
}
DEFAULT_STEPS = {"checkpoint": 50, "ddim": 50, "dpm++": 20, "trailing": 4}


def build_scheduler(config: Mapping[str, Any], name: str = "checkpoint") -> Any:
    """Build a fresh diffusers scheduler (they keep state while they sample, so every call needs its own).

    Args:
        config: content of the checkpoint's `scheduler_config.json`.
        name: a key of `SCHEDULERS`.

    Raises:
        InputError: no such name.
        CheckpointError: the configuration names no scheduler of diffusers.
    """
    import diffusers

    if name not in SCHEDULERS:
        raise InputError(f"`scheduler` must be one of {', '.join(SCHEDULERS)}, got {name!r}")
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    # Samples here are latents: DDIM's own default would clip them to -1..1 where a configuration does not say otherwise.
    unclipped = {"clip_sample": False, **settings}
    if name == "ddim":
        return diffusers.DDIMScheduler.from_config(unclipped)
    if name == "dpm++":
        multistep = {"algorithm_type": "dpmsolver++", "solver_order": 2}
        return diffusers.DPMSolverMultistepScheduler.from_config({**settings, **multistep})
    if name == "trailing":
        return diffusers.DDIMScheduler.from_config({**unclipped, "timestep_spacing": "trailing"})
    own = getattr(diffusers, str(config.get("_class_name")), None)
    if not (isinstance(own, type) and issubclass(own, diffusers.SchedulerMixin)):
        raise CheckpointError(
            f"the scheduler configuration names {config.get('_class_name')!r}, no scheduler of diffusers"
        )
    return own.from_config(settings)
