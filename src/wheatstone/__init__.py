"""Wheatstone: single photographs become stereo, and stereo becomes depth networks that never saw a label."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it. Nothing is imported before it is used, so `wheatstone --help` need not wait for torch.
_PUBLIC = {
    "StereoGenerator": "wheatstone.generation",
    "StereoSample": "wheatstone.samples",
    "evaluate": "wheatstone.evaluation",
    "load_dataset": "wheatstone.datasets",
    "load_depth": "wheatstone.depth",
    "load_matcher": "wheatstone.matching",
    "load_synthesizer": "wheatstone.synthesis",
    "read_disparity": "wheatstone.files",
    "read_image": "wheatstone.files",
    "recipes": "wheatstone.training",
    "train": "wheatstone.training",
    "write_disparity": "wheatstone.files",
}
_ROOMS = (
    *("checkpoints", "datasets", "depth", "diffusion", "disparity", "errors", "evaluation", "files", "generation"),
    *("geometry", "matching", "objectives", "samples", "scenes", "synthesis", "training", "viewing"),
)

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from wheatstone.datasets import load_dataset
    from wheatstone.depth import load_depth
    from wheatstone.evaluation import evaluate
    from wheatstone.files import read_disparity, read_image, write_disparity
    from wheatstone.generation import StereoGenerator
    from wheatstone.matching import load_matcher
    from wheatstone.samples import StereoSample
    from wheatstone.synthesis import load_synthesizer
    from wheatstone.training import recipes, train


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'wheatstone' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
