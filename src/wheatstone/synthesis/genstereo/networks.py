"""The six networks of GenStereo, and what they compute; everything is differentiable and keeps no state between calls."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wheatstone.diffusion import Bank, decode_latents, embed_image, encode_mean, encode_sample, latent_factor
from wheatstone.diffusion.reference_attention import (
    collect_tokens,
    drop_output,
    predict_both,
    predict_with_bank,
    prepare_reference,
)
from wheatstone.diffusion.small import small_unet, small_vae
from wheatstone.diffusion.upsampling import join_upsampling
from wheatstone.errors import CheckpointError
from wheatstone.synthesis.genstereo.fusion import AdaptiveFusion
from wheatstone.synthesis.genstereo.pose_guider import PoseGuider

__all__ = ["GenStereoNetworks", "small_networks"]

_REFERENCE_TIME = 0


class GenStereoNetworks(nn.Module):
    """The networks side by side; two of them may live in one process.

    Attributes:
        denoising_unet: diffusers' `UNet2DConditionModel`, predicts v of the right view's latents.
        reference_unet: another one, without its last layers; looks at the left view.
        pose_guider: condition maps to features for both U-Nets.
        fusion: weighs moved against generated pixels.
        vae: diffusers' `AutoencoderKL`.
        image_encoder: transformers' `CLIPVisionModelWithProjection`.
    """

    def __init__(
        self,
        denoising_unet: Any,
        reference_unet: Any,
        pose_guider: PoseGuider,
        fusion: AdaptiveFusion,
        vae: Any,
        image_encoder: Any,
    ) -> None:
        """Put networks together; both U-Nets are prepared in place (`prepare_reference`, `join_upsampling`).

        Raises:
            CheckpointError: parts that do not fit one another.
        """
        super().__init__()
        self.denoising_unet = join_upsampling(prepare_reference(denoising_unet))
        self.reference_unet = join_upsampling(prepare_reference(drop_output(reference_unet)))
        self.pose_guider = pose_guider
        self.fusion = fusion
        self.vae = vae
        self.image_encoder = image_encoder
        width, embedded = self.token_width, image_encoder.config.projection_dim
        if embedded > width:
            raise CheckpointError(
                f"the image encoder embeds pictures in {embedded} numbers, the U-Nets take {width}: wrong image encoder"
            )

    @property
    def token_width(self) -> int:
        """Width of the image token that the U-Nets take."""
        return int(self.denoising_unet.config.cross_attention_dim)

    @property
    def multiple(self) -> int:
        """Sides of a picture must be multiples of this many pixels, so that no level of the U-Nets has a broken cell."""
        return latent_factor(self.vae) * 2 ** (len(self.denoising_unet.config.block_out_channels) - 1)

    @property
    def side(self) -> int:
        """Side in pixels of the square pictures the U-Nets were made for."""
        return int(self.denoising_unet.config.sample_size) * latent_factor(self.vae)

    def encode(
        self, image01: Float[Tensor, "B 3 H W"], generator: torch.Generator | list[torch.Generator] | None = None
    ) -> Float[Tensor, "B c H/8 W/8"]:
        """Picture in 0..1 to latents: the mean of the posterior, or with a generator (or one an item) a draw from it."""
        image = image01 * 2 - 1
        return encode_mean(self.vae, image) if generator is None else encode_sample(self.vae, image, generator)

    def decode(self, latents: Float[Tensor, "B l h w"]) -> Float[Tensor, "B 3 H W"]:
        """Latents to a picture in about 0..1, not clamped."""
        return decode_latents(self.vae, latents, clamp=False) / 2 + 0.5

    def image_tokens(self, image01: Float[Tensor, "B 3 H W"], *, eight_bit: bool = False) -> Float[Tensor, "B 1 C"]:
        """One CLIP token a picture, `eight_bit` as in `clip_pixels`; all zeros are the unconditional token."""
        return embed_image(self.image_encoder, image01, self.token_width, eight_bit=eight_bit)

    def pose(self, condition: Float[Tensor, "B 14 H W"]) -> Float[Tensor, "B C h w"]:
        """Condition map (`Conditions.source` or `.target`) to the features that a U-Net adds behind its first layer."""
        return self.pose_guider(condition.to(self.pose_guider.conv_in.weight.dtype))

    def reference(
        self, latents: Float[Tensor, "B l h w"], tokens: Float[Tensor, "B 1 C"], pose_source: Float[Tensor, "B c h w"]
    ) -> dict[str, Tensor]:
        """Look at the left view once, at time 0, and keep what enters every self-attention.

        Args:
            latents: of the left view.
            tokens: `image_tokens` of the left view.
            pose_source: `pose` of the source condition.

        Returns:
            Name of each self-attention to its normalised tokens `[B,N,C]`.
        """
        return collect_tokens(self.reference_unet, latents, _REFERENCE_TIME, tokens, pose_source)

    def predict(
        self,
        noisy: Float[Tensor, "B l h w"],
        timestep: Tensor | int,
        tokens: Float[Tensor, "B 1 C"],
        pose_target: Float[Tensor, "B c h w"],
        bank: Bank | None = None,
    ) -> Float[Tensor, "B l h w"]:
        """Predict v = sqrt(abar) noise - sqrt(1 - abar) latents of the right view.

        Args:
            noisy: latents of the right view at `timestep`.
            timestep: one for all, or `[B]`.
            tokens: `image_tokens` of the left view; zeros in the unconditional pass.
            pose_target: `pose` of the target condition (the unconditional pass has it too).
            bank: what `reference` returned; None in the unconditional pass, whose self-attentions see themselves only.
        """
        return predict_with_bank(self.denoising_unet, noisy, timestep, tokens, pose_target, bank).to(noisy.dtype)

    def guide(
        self,
        noisy: Float[Tensor, "B l h w"],
        timestep: Tensor | int,
        tokens: Float[Tensor, "B 1 C"],
        pose_target: Float[Tensor, "B c h w"],
        bank: Bank,
        guidance: float,
    ) -> Float[Tensor, "B l h w"]:
        """Predict v with classifier-free guidance, v0 + guidance (v1 - v0), without gradients.

        v0 is `predict` with tokens of zeros and no bank, v1 with both; one run of the U-Net makes them.
        """
        answers = predict_both(self.denoising_unet, noisy, timestep, tokens, pose_target, bank)
        plain, seen = (each.to(noisy.dtype) for each in answers)
        return plain + guidance * (seen - plain)


def small_networks(
    seed: int,
    *,
    widths: Sequence[int] = (16, 32),
    heads: int = 2,
    layers: int = 1,
    token_width: int = 24,
    vae_widths: Sequence[int] = (8, 8, 16, 16),
    latent_channels: int = 4,
    side: int = 64,
) -> GenStereoNetworks:
    """Small networks with random weights, for tests and for training from nothing; latents are 1/8 of the picture.

    Args:
        seed: of the weights; the global random state stays as it is.
        widths: of the U-Nets' levels, multiples of 8; all but the last have attention.
        heads: of every attention layer.
        layers: residual blocks a level.
        token_width: of the image token.
        vae_widths: of the VAE's four levels, multiples of 4.
        latent_channels: of the latents; more keep more of a picture.
        side: pixels of the square pictures they are made for.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    def unet() -> Any:
        return small_unet(
            widths,
            in_channels=latent_channels,
            out_channels=latent_channels,
            heads=heads,
            layers=layers,
            context_width=token_width,
            cells=side // 8,
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = small_vae(vae_widths, latent_channels)
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                projection_dim=token_width,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=224,
                patch_size=32,
            )
        )
        return GenStereoNetworks(
            unet(), unet(), PoseGuider(out_channels=widths[0]), AdaptiveFusion(), vae, encoder
        ).eval()
