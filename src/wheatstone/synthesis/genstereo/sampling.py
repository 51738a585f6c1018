"""What one picture's denoising needs, made once, and the prediction with guidance that a sampler asks for at every step."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from wheatstone.diffusion import Bank
from wheatstone.diffusion.reference_attention import project_bank
from wheatstone.synthesis.genstereo.conditions import Conditions
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks

__all__ = ["Prediction", "look_at", "prepare"]


@dataclass(frozen=True)
class Prediction:
    """Latents and time to v, with guidance; call it as a sampler does.

    Attributes:
        networks: whose U-Net predicts.
        tokens: of the left view.
        pose: features of the target condition, the same in both halves of guidance.
        bank: what the conditional half sees of the left view.
        guidance: 1 is none, and half the work.
    """

    networks: GenStereoNetworks
    tokens: Float[Tensor, "B 1 C"]
    pose: Float[Tensor, "B c h w"]
    bank: Bank
    guidance: float

    def __call__(self, latents: Float[Tensor, "B l h w"], time: Tensor) -> Float[Tensor, "B l h w"]:
        """Predict v; the unconditional half has a token of zeros and no bank, so it is a plain U-Net's."""
        if self.guidance == 1:
            return self.networks.predict(latents, time, self.tokens, self.pose, self.bank)
        return self.networks.guide(latents, time, self.tokens, self.pose, self.bank, self.guidance)


def prepare(
    networks: GenStereoNetworks,
    left01: Float[Tensor, "B 3 H W"],
    conditions: Conditions,
    *,
    guidance: float,
    tokens: Float[Tensor, "B 1 C"] | None = None,
    official: bool = False,
) -> Prediction:
    """Look at the left view once and for all steps.

    Args:
        networks: to predict with.
        left01: left view at working size, 0..1.
        conditions: of that size.
        guidance: see `Prediction`.
        tokens: of the left view, for callers that show the encoder another picture (the full-size photo); by default those
            of `left01`.
        official: round the bank to float16 whatever the networks compute in, as published.
    """
    tokens = networks.image_tokens(left01) if tokens is None else tokens
    maps = (conditions.source, conditions.target)
    return look_at(networks, left01, *maps, guidance=guidance, tokens=tokens, official=official)


def look_at(
    networks: GenStereoNetworks,
    left01: Float[Tensor, "B 3 H S"],
    source: Float[Tensor, "B 14 H S"],
    target: Float[Tensor, "B 14 H W"],
    *,
    guidance: float,
    tokens: Float[Tensor, "B 1 C"],
    official: bool = False,
) -> Prediction:
    """`prepare` from its parts; the left view may be wider than what is generated, as it is beside a window of a picture."""
    bank = networks.reference(networks.encode(left01), tokens, networks.pose(source))
    if official:
        bank = {name: values.half().to(values.dtype) for name, values in bank.items()}
    return Prediction(
        networks=networks,
        tokens=tokens,
        pose=networks.pose(target),
        bank=project_bank(networks.denoising_unet, bank),
        guidance=guidance,
    )
