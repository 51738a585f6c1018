"""Preset `row-prior`: what is lower in the picture is nearer; the baseline that every depth estimator must beat."""

from pathlib import Path
from typing import Any

import torch

from wheatstone.depth.base import DepthEstimator
from wheatstone.errors import InputError
from wheatstone.samples import Depth, image_batch

__all__ = ["RowPrior", "load"]


class RowPrior(DepthEstimator):
    """Inverse depth that grows linearly from 0 at the top edge to 1 at the bottom edge, whatever the photo shows."""

    name = "row-prior"

    def __init__(self) -> None:
        self.config = {}

    def __call__(self, image: Any, *, confidence: bool = False) -> Depth:
        """See `DepthEstimator`; the confidence is 1, for a mirror changes nothing."""
        batch = image_batch(image)
        height = batch.shape[-2]
        rows = (torch.arange(height, device=batch.device, dtype=torch.float32) + 0.5) / height
        inverse_depth = rows[:, None].expand(batch.shape[0], 1, height, batch.shape[-1]).contiguous()
        return Depth(inverse_depth, torch.ones_like(inverse_depth) if confidence else None)


def load(name: str, weights: str | Path | None = None, official: bool = False) -> RowPrior:  # noqa: ARG001 (no original)
    """Make the row prior; it has no weights and no options."""
    if weights is not None:
        raise InputError(f"the depth estimator {name!r} has no weights to load from {weights}")
    return RowPrior()
