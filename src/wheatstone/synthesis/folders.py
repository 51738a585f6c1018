"""Folders and Hub ids to the synthesizer that reads them."""

from importlib import import_module
from pathlib import Path
from typing import Any

from wheatstone.checkpoints import load_json
from wheatstone.diffusion import resolve_pipeline
from wheatstone.errors import CheckpointError
from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.registry import PRESETS

__all__ = ["load"]

_GENSTEREO_FILE = "denoising_unet.pth"
# parts that are settings alone
_WEIGHTLESS = {
    "rows": "RowSynthesizer",
    "smooth-rows": "SmoothRows",
    "warp": "WarpSynthesizer",
    "classical": "ClassicalSynthesizer",
}
# pipeline classes in `model_index.json` whose components the inpainting synthesizer takes
_INPAINTING = ("StereoGen", "StableDiffusionInpaintPipeline")


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> ViewSynthesizer:
    """Load a synthesizer from a folder or Hub id by what the folder says it is.

    Args:
        name: folder or Hub id.
        weights: another place for the weights.
        official: reproduce the published behaviour.
        options: settings of the synthesizer found.

    Raises:
        CheckpointError: no weights there, or of a kind that is not known.
    """
    folder = resolve_pipeline(name, weights)
    part = _part_of(folder)
    module = import_module(PRESETS[part])
    kind = _WEIGHTLESS.get(part)
    if part == "background":
        kind, options = "BackgroundSynthesizer", options | ({"official": True} if official else {})
    synthesizer: ViewSynthesizer
    if kind is not None:  # settings only, no weights: what was saved holds unless `options` differ
        synthesizer = getattr(module, kind).from_pretrained(folder, **options)
    else:
        synthesizer = module.load(part, weights=folder, official=official, **options)
    synthesizer.source = str(weights or name)
    return synthesizer


def _part_of(folder: Path) -> str:
    if (folder / "config.json").is_file():
        part = load_json(folder / "config.json").get("wheatstone")
        if part in PRESETS:
            return str(part)
        if part is not None:
            raise CheckpointError(f"{folder}: holds weights of {part!r}, which is no synthesizer")
    if (folder / _GENSTEREO_FILE).is_file():
        return "genstereo"
    for index in (folder / "model_index.json", folder / "StereoGen" / "model_index.json"):
        if index.is_file():
            found = load_json(index).get("_class_name")
            if found in _INPAINTING:
                return "inpainting"
            raise CheckpointError(f"{index}: names a {found}; known here are {', '.join(_INPAINTING)}")
    if (folder / "unet").is_dir():
        return "inpainting"
    raise CheckpointError(f"{folder}: neither model_index.json nor a config.json of this library, so not a synthesizer")
