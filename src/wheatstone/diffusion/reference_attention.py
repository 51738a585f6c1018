"""Two stock U-Nets that look at each other: the self-attentions of one see the tokens of the other.

A U-Net is prepared once (`prepare_reference`): its attention layers learn their names, its first layer takes features that
are added behind it. What a call needs then travels with the call, as keyword argument of the attention layers and as further
input channels. Nothing is kept in the networks between two calls, so they may be shared by any number of threads, and the
weights keep their published names. The two predictions of guidance are one run (`predict_both`).

Shape letters: B batch, h w latent, N tokens of a layer, C channels.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.errors import ShapeError

__all__ = [
    "Bank",
    "KeysValues",
    "collect_tokens",
    "drop_output",
    "predict_both",
    "predict_with_bank",
    "prepare_reference",
    "project_bank",
    "reference_layers",
]


class KeysValues(NamedTuple):
    """Tokens as a denoiser's self-attention sees them: keys and values `[B,heads,N,C/heads]`."""

    keys: Tensor
    values: Tensor


Bank = Mapping[str, Tensor | KeysValues]
"""Name of a self-attention to what it sees beside its own tokens: normalised tokens `[B,N,C]`, or `project_bank` of them."""


def reference_layers(unet: nn.Module) -> dict[str, Any]:
    """The self-attentions of a U-Net by name (`down_blocks.0.attentions.0.transformer_blocks.0.attn1`, ...)."""
    return {name: module for name, module in unet.named_modules() if name.endswith(".attn1")}


def prepare_reference(unet: Any) -> Any:
    """Make a diffusers `UNet2DConditionModel` ready for `collect_tokens`, `predict_with_bank` and `predict_both`, in place.

    Source: reference-only attention as in Animate Anyone (Hu et al. 2023) and GenStereo (ICCV 2025).
    """
    for name, module in unet.named_modules():
        if name.endswith((".attn1", ".attn2")):
            module.set_processor(_Attention(name))
        if name.endswith(".ff"):
            unet.set_submodule(name, _FeedForward(module))
    unet.conv_in = _AddingConvolution(unet.conv_in)
    return unet


def drop_output(unet: Any) -> Any:
    """Take the last layers off a U-Net that is only looked into, in place."""
    unet.conv_norm_out = None
    unet.conv_out = nn.Identity()
    return unet


def collect_tokens(
    unet: Any,
    latents: Float[Tensor, "B c h w"],
    timestep: Tensor | int,
    context: Float[Tensor, "B n d"],
    added: Float[Tensor, "B C h w"],
) -> dict[str, Tensor]:
    """Run a prepared U-Net as far as its last self-attention and return what enters each of them, `[B,N,C]` by name.

    Args:
        unet: prepared.
        latents: its input.
        timestep: its time.
        context: what its cross-attentions see.
        added: features to add behind its first layer.
    """
    collector = _Collector(len(reference_layers(unet)))
    with contextlib.suppress(_Collected):
        _run(unet, latents, timestep, context, added, collector)
    return collector.tokens


def predict_with_bank(
    unet: Any,
    noisy: Float[Tensor, "B c h w"],
    timestep: Tensor | int,
    context: Float[Tensor, "B n d"],
    added: Float[Tensor, "B C h w"],
    bank: Bank | None = None,
) -> Float[Tensor, "B c h w"]:
    """Run a prepared U-Net whose self-attentions see the tokens of `bank` beside their own; without one, plain.

    Raises:
        ShapeError: a bank of other layers, or of another batch size.
    """
    if bank is not None:
        _check_layers(unet, bank)
    return _run(unet, noisy, timestep, context, added, bank)


def predict_both(
    unet: Any,
    noisy: Float[Tensor, "B c h w"],
    timestep: Tensor | int,
    context: Float[Tensor, "B n d"],
    added: Float[Tensor, "B C h w"],
    bank: Bank,
) -> tuple[Float[Tensor, "B c h w"], Float[Tensor, "B c h w"]]:
    """Both predictions that guidance takes, in one run: with a context of zeros and no bank, and with both; no gradients.

    What `predict_with_bank` answers to each, up to rounding. Until the first self-attention looks at the bank the two do
    not differ, so what its own tokens say to each other is computed once.

    Raises:
        ShapeError: a bank of other layers, or of another batch size.
    """
    _check_layers(unet, bank)
    noisy, added = torch.cat([noisy, noisy]), torch.cat([added, added])
    context = torch.cat([torch.zeros_like(context), context])
    with torch.no_grad():
        plain, guided = _run(unet, noisy, timestep, context, added, _Halves(bank)).chunk(2)
    return plain, guided


def project_bank(unet: Any, bank: Mapping[str, Tensor]) -> dict[str, KeysValues]:
    """Tokens to the keys and values that `unet` makes of them: the same at every time, so made once for all steps.

    Takes twice the memory of the tokens, which may be dropped.
    """
    layers = reference_layers(unet)
    return {name: _keys_values(layers[name], tokens) for name, tokens in bank.items()}


def _check_layers(unet: Any, bank: Bank) -> None:
    if strange := set(reference_layers(unet)) ^ set(bank):
        raise ShapeError(f"the bank is not that of a U-Net like this: {sorted(strange)[0]} is only on one side")


def _run(unet: Any, latents: Tensor, timestep: Any, context: Tensor, added: Tensor, reference: Any) -> Tensor:
    seen = torch.cat([latents.to(added.dtype), added], 1)
    time = torch.as_tensor(timestep, device=latents.device)
    return unet(
        seen, time, encoder_hidden_states=context.to(added.dtype), cross_attention_kwargs={"reference": reference}
    ).sample


class _AddingConvolution(nn.Conv2d):
    """A first layer that takes further channels behind its own and adds them to its output; its weights keep their names."""

    def __init__(self, old: nn.Conv2d) -> None:
        shape: dict[str, Any] = {"kernel_size": old.kernel_size, "stride": old.stride, "padding": old.padding}
        with torch.device("meta"):
            super().__init__(old.in_channels, old.out_channels, **shape)
        self.weight, self.bias = old.weight, old.bias
        self.train(old.training)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, : self.in_channels]) + x[:, self.in_channels :]


class _FeedForward(nn.Module):
    """A feed-forward layer that takes the tokens piece by piece where no gradients are wanted; its weights keep their names.

    It is as wide as ten copies of them, which would be most of the memory of a prediction.
    """

    _ROWS = 1024

    def __init__(self, old: Any) -> None:
        super().__init__()
        self.net = old.net
        self.train(old.training)

    def forward(self, tokens: Tensor) -> Tensor:
        if torch.is_grad_enabled() or tokens[..., 0].numel() <= self._ROWS:
            return self._whole(tokens)
        answer = torch.empty_like(tokens)
        for piece, place in zip(
            tokens.flatten(0, 1).split(self._ROWS), answer.flatten(0, 1).split(self._ROWS), strict=True
        ):
            place.copy_(self._whole(piece))
        return answer

    def _whole(self, tokens: Tensor) -> Tensor:
        for layer in self.net:
            tokens = layer(tokens)
        return tokens


class _Collected(Exception):  # noqa: N818 (the end of a run that has served its purpose, not an error)
    """Every self-attention has been reached; what a U-Net would still compute is not wanted."""


class _Collector:
    """Keeps what enters each self-attention, and ends the run with the last."""

    def __init__(self, wanted: int) -> None:
        self.tokens: dict[str, Tensor] = {}
        self._wanted = wanted

    def put(self, name: str, tokens: Tensor) -> None:
        if name in self.tokens:  # gradient checkpointing comes by again
            return
        self.tokens[name] = tokens
        if len(self.tokens) == self._wanted:
            raise _Collected


class _Halves:
    """The bank of a batch whose second half alone sees it."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._alike = True  # until the first attention has been

    def attend(self, attn: Any, hidden: Tensor, name: str) -> Tensor:
        """Self-attention of both halves, `[2B,N,C]`, before its output layer: `[2B,heads,N,C/heads]`."""
        half = len(hidden) // 2
        other = _fitting(attn, self._bank[name], half)
        alike, self._alike = self._alike, False
        tokens = hidden[half:] if alike else hidden
        query, own = _heads(attn, attn.to_q(tokens)), _keys_values(attn, tokens)
        if alike:
            return torch.cat(_attend_without_and_with(query, own, other))
        plain = functional.scaled_dot_product_attention(query[:half], own.keys[:half], own.values[:half])
        own = KeysValues(own.keys[half:], own.values[half:])
        return torch.cat([plain, _attend_to_both(query[half:], own, other)])


class _Attention:
    """Attention processor of diffusers that knows its layer's name."""

    def __init__(self, name: str) -> None:
        from diffusers.models.attention_processor import AttnProcessor2_0

        self._name = name
        self._is_self = name.endswith(".attn1")
        self._plain = AttnProcessor2_0()

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        reference: Any = None,
    ) -> Tensor:
        if self._is_self and isinstance(reference, _Collector):
            reference.put(self._name, hidden_states)
        elif self._is_self and isinstance(reference, _Halves):
            return _project_out(attn, reference.attend(attn, hidden_states, self._name))
        elif self._is_self and reference is not None:
            return _project_out(attn, _attend(attn, hidden_states, reference[self._name]))
        if not self._is_self and encoder_hidden_states is not None and encoder_hidden_states.shape[1] == 1:
            # Whoever looks at a single token takes all of it: queries and weights need not be computed. [B,1,C]
            return attn.to_out[0](attn.to_v(encoder_hidden_states))
        return self._plain(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def _heads(attn: Any, values: Tensor) -> Tensor:
    return values.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _keys_values(attn: Any, tokens: Tensor) -> KeysValues:
    tokens = tokens.to(attn.to_k.weight.dtype)
    return KeysValues(_heads(attn, attn.to_k(tokens)), _heads(attn, attn.to_v(tokens)))


def _fitting(attn: Any, entry: Tensor | KeysValues, items: int) -> KeysValues:
    """An entry of a bank as keys and values, if it is that of so many items."""
    other = entry if isinstance(entry, KeysValues) else _keys_values(attn, entry)
    if len(other.keys) != items:
        raise ShapeError(f"the bank holds {len(other.keys)} items, the batch {items}")
    return other


def _attend_to_both(query: Tensor, own: KeysValues, other: KeysValues) -> Tensor:
    keys, values = (torch.cat(pair, 2) for pair in zip(own, other, strict=True))
    return functional.scaled_dot_product_attention(query, keys, values)


def _project_out(attn: Any, seen: Tensor) -> Tensor:
    return attn.to_out[1](attn.to_out[0](seen.transpose(1, 2).flatten(2)))


def _attend(attn: Any, hidden: Tensor, entry: Tensor | KeysValues) -> Tensor:
    """Self-attention over the layer's own tokens and those of the reference, together in one softmax."""
    other = _fitting(attn, entry, len(hidden))
    return _attend_to_both(_heads(attn, attn.to_q(hidden)), _keys_values(attn, hidden), other)


def _attend_without_and_with(query: Tensor, own: KeysValues, other: KeysValues) -> tuple[Tensor, Tensor]:
    """Attention to the own tokens alone, and to those of the reference as well.

    Softmax over both sets is the mean of the softmax over each, weighed by the sums of their exponentials. torch hands out
    (the logarithms of) these sums by an operator without public name; elsewhere than on CPUs both are computed in full.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, *own), _attend_to_both(query, own, other)
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    (plain, sum_own), (elsewhere, sum_other) = attend(query, *own), attend(query, *other)
    share = torch.sigmoid(sum_own - sum_other).unsqueeze(-1)
    return plain, torch.lerp(elsewhere, plain, share.to(plain.dtype))
