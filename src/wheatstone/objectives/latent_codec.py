"""The objective of a small latent codec: pictures come back, and latents are standard normal as far as possible."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.objectives.terms import Terms

__all__ = ["codec_stage", "codec_terms"]


def codec_terms(vae: Any, images: Float[Tensor, "B 3 H W"], generators: Sequence[torch.Generator], kl: float) -> Terms:
    """Terms that train a variational autoencoder.

        mean |decoded - image|  +  kl mean_cells mean_channels (mean^2 + var - 1 - log var) / 2

    With a `kl` of about (share of latent among picture values) times the expected error the two are the bound of variational
    inference. Latents then have about unit spread by themselves, which a denoiser needs, and the decoder has seen noise as
    large as what a denoiser leaves.

    Args:
        vae: diffusers' `AutoencoderKL`; pictures enter it as -1..1.
        images: 0..1.
        generators: draw the latents, one a picture.
        kl: weight of the prior.

    Returns:
        `reconstruction` and `prior`: sums over pictures of means, and the number of pictures.

    Source: Kingma and Welling 2014; latent codecs as in Rombach et al. 2022, with a larger weight and no adversary.
    """
    wanted = images * 2 - 1
    posterior = vae.encode(wanted.to(vae.dtype)).latent_dist
    decoded = vae.decode(posterior.sample(list(generators))).sample
    with torch.autocast(images.device.type, enabled=False):
        errors = (decoded.float() - wanted).abs().flatten(1).mean(1)
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        prior = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).mean(1)
    count = errors.new_full((), len(errors))
    return {"reconstruction": (errors.sum(), count, 1.0), "prior": (prior.sum(), count, kl)}


def codec_stage(
    vae: Any,
    images: Float[Tensor, "B 3 H W"],
    generators: Sequence[torch.Generator],
    *,
    step: int,
    steps: int,
    kl: float,
) -> Terms | None:
    """Train the autoencoder alone in the first steps of a recipe, and let it stay as it is from then on.

    Args:
        vae: learns while `step` is below `steps`; which it is, is a function of the step, so a resumed run agrees.
        images: 0..1.
        generators: one a picture.
        step: of the training, from 0.
        steps: how many the stage has; with 0 the autoencoder is left alone altogether.
        kl: as in `codec_terms`.

    Returns:
        The terms of `codec_terms`, or None once the stage is over.
    """
    if steps:
        vae.requires_grad_(step < steps)
    return codec_terms(vae, images, generators, kl) if step < steps else None
