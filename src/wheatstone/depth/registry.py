"""Names of depth estimators: a preset, else an existing folder or file, else a Hub id."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wheatstone.checkpoints import is_hub_id
from wheatstone.errors import InputError

if TYPE_CHECKING:
    from wheatstone.depth.base import DepthEstimator

__all__ = ["PRESETS", "load_depth"]

# preset -> module with `load(name, weights, official, **options) -> DepthEstimator`; imported only when asked for
PRESETS = {
    "embedded": "wheatstone.depth.embedded",
    "row-prior": "wheatstone.depth.row_prior",
    "depth-anything-v2-small": "wheatstone.depth.depth_anything",
    "depth-anything-v2-base": "wheatstone.depth.depth_anything",
    "depth-anything-v2-large": "wheatstone.depth.depth_anything",
    "depth-anything-v1-small": "wheatstone.depth.hub",
    "depth-anything-v1-base": "wheatstone.depth.hub",
    "depth-anything-v1-large": "wheatstone.depth.hub",
    "dpt-large": "wheatstone.depth.hub",
}


def load_depth(
    name: str,
    *,
    weights: str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    official: bool = False,
    **options: object,
) -> "DepthEstimator":
    """Load a depth estimator by name.

    Args:
        name: a preset (`embedded`, `depth-anything-v2-small`, ...), else an existing folder or weight file, else a Hub id
            (`owner/model`) of a depth-estimation model of transformers.
        weights: where the preset's weights lie; by default those that ship or the preset's own address.
        device: where to run; stays on the CPU by default.
        dtype: number format of the network; float32 by default.
        official: reproduce the published behaviour where it differs from ours.
        options: settings of that estimator, for example `input_rule="native"`.

    Raises:
        InputError: no such preset, folder or Hub id.
        CheckpointError: weights that are missing or do not fit.
    """
    if name in PRESETS:
        module = import_module(PRESETS[name])
    elif Path(name).suffix == ".pth" and Path(name).is_file():
        module = import_module("wheatstone.depth.depth_anything")
    elif Path(name).is_dir() or is_hub_id(name):
        module = import_module("wheatstone.depth.hub")
    else:
        raise InputError(
            f"unknown depth estimator {name!r}: use one of {', '.join(PRESETS)}, a folder, or a Hub id like owner/model"
        )
    estimator = module.load(name, weights=weights, official=official, **options)
    return estimator.to(device=device, dtype=dtype)
