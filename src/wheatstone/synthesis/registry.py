"""Names of view synthesizers: a preset, else an existing folder, else a Hub id."""

import re
from collections.abc import Container
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wheatstone.checkpoints import is_hub_id
from wheatstone.errors import InputError

if TYPE_CHECKING:
    from wheatstone.synthesis.base import ViewSynthesizer

__all__ = ["PRESETS", "load_synthesizer", "split_place", "unknown_setting"]

# preset -> module with `load(name, weights, official, **options) -> ViewSynthesizer`; imported only when asked for
PRESETS = {
    "rows": "wheatstone.synthesis.rows",
    "smooth-rows": "wheatstone.synthesis.rows",
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
        name: a preset (`rows`, `smooth-rows`, `classical`, `background`, `embedded`, `edge-aware`, `inpainting`, `genstereo`),
            else an existing folder that holds one, or a Hub id of a diffusion inpainting pipeline in diffusers layout.
        weights: where the preset's weights lie; by default those that ship.
        device: where to run; stays on the CPU by default.
        dtype: number format of the networks; float32 by default.
        official: reproduce the published behaviour where it differs from ours.
        options: settings of that synthesizer, for example `steps=20`.

    Raises:
        InputError: no such preset, folder or Hub id, or a setting that this synthesizer does not have.
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
    try:
        synthesizer = module.load(name, weights=weights, official=official, **options)
    except TypeError as error:
        if (unknown := unknown_setting(error, options)) is None:
            raise
        typed = unknown.replace("_", "-")
        raise InputError(f"{name!r} has no setting {unknown!r} (on the command line --{typed})") from error
    return synthesizer.to(device=device, dtype=dtype)


def split_place(text: str) -> tuple[str, str | None]:
    """Take NAME=PATH apart; of a NAME alone the second is None.

    Example:
        >>> split_place("edge-aware=inpainting=PATH")
        ('edge-aware', 'inpainting=PATH')
    """
    name, _, place = text.partition("=")
    return name, place or None


def unknown_setting(error: TypeError, settings: Container[str]) -> str | None:
    """Which of these keyword arguments a call did not take; None if the error says something else."""
    found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    return found[1] if found is not None and found[1] in settings else None
