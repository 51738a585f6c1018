"""Names of view synthesizers: a preset, else an existing folder, else a Hub id."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wheatstone.checkpoints import is_hub_id
from wheatstone.errors import InputError

if TYPE_CHECKING:
    from wheatstone.synthesis.base import ViewSynthesizer

__all__ = ["PRESETS", "load_synthesizer"]

# preset -> module with `load(name, weights, official, **options) -> ViewSynthesizer`; imported only when asked for
PRESETS = {
    "rows": "wheatstone.synthesis.rows",
    "classical": "wheatstone.synthesis.classical",
    "background": "wheatstone.synthesis.background",
    "embedded": "wheatstone.synthesis.embedded",
    "edge-aware": "wheatstone.synthesis.edge_aware",
    "inpainting": "wheatstone.synthesis.inpainting",
    "stereogen": "wheatstone.synthesis.inpainting",
    "genstereo": "wheatstone.synthesis.genstereo",
    "genstereo-v1.5": "wheatstone.synthesis.genstereo",
    "sd2-inpainting": "wheatstone.synthesis.inpainting",
    "warp": "wheatstone.synthesis.rows",
}


def load_synthesizer(
    name: str,
    *,
    weights: str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    official: bool = False,
    **options: object,
) -> "ViewSynthesizer":
    """Load a view synthesizer by name.

    Args:
        name: a preset (`rows`, `classical`, `background`, `embedded`, `edge-aware`, `inpainting`, `genstereo`), else an existing
            folder that holds one, or a Hub id of a diffusion inpainting pipeline in diffusers layout.
        weights: where the preset's weights lie; by default those that ship.
        device: where to run; stays on the CPU by default.
        dtype: number format of the networks; float32 by default.
        official: reproduce the published behaviour where it differs from ours.
        options: settings of that synthesizer, for example `steps=20`.

    Raises:
        InputError: no such preset, folder or Hub id.
        CheckpointError: weights that are missing or do not fit.
    """
    if name in PRESETS:
        module = import_module(PRESETS[name])
    elif Path(name).is_dir() or is_hub_id(name):
        module = import_module("wheatstone.synthesis.folders")
    else:
        raise InputError(
            f"unknown synthesizer {name!r}: use one of {', '.join(PRESETS)}, a folder, or a Hub id like owner/model"
        )
    synthesizer = module.load(name, weights=weights, official=official, **options)
    return synthesizer.to(device=device, dtype=dtype)
