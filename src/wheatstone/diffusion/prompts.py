"""Texts to what a U-Net is conditioned on."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["embed_prompt"]


@torch.no_grad()
def embed_prompt(tokenizer: Any, text_encoder: Any, text: str = "") -> Float[Tensor, "1 n C"]:
    """Embed one text, not padded: the empty text is two tokens (begin, end), not the usual 77.

    The last hidden state after the final norm, as Stable Diffusion 2 and the systems built on it use it.
    """
    tokens = tokenizer(text, padding=False, truncation=True, max_length=tokenizer.model_max_length)["input_ids"]
    ids = torch.tensor([tokens], device=text_encoder.device)
    return text_encoder(input_ids=ids).last_hidden_state.float()
