"""Names of matchers: a preset, else an existing folder, else a Hub id."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from wheatstone.checkpoints import is_hub_id, load_json, resolve_weights
from wheatstone.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from wheatstone.matching.base import StereoMatcher

__all__ = ["DEFAULT", "PRESETS", "load_matcher"]

# preset -> module with `load(name, weights, official, **options) -> StereoMatcher`; imported only when asked for
PRESETS = {
    "raft-stereo": "wheatstone.matching.raft_stereo",
    "raft-stereo-realtime": "wheatstone.matching.raft_stereo",
    "raft-stereo-instance": "wheatstone.matching.raft_stereo",
    "igev-stereo": "wheatstone.matching.igev_stereo",
    "psmnet": "wheatstone.matching.psmnet",
    "sgbm": "wheatstone.matching.sgbm",
    "embedded": "wheatstone.matching.embedded",
}

DEFAULT = "embedded"
"""What `load_matcher()` loads; fixed for a release, and why this one stands in docs/embedded.md."""


def load_matcher(
    name: str = DEFAULT,
    *,
    weights: str | Path | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    official: bool = False,
    **options: object,
) -> "StereoMatcher":
    """Load a stereo matcher by name.

    Args:
        name: a preset (`raft-stereo`, `igev-stereo`, `psmnet`, `sgbm`, `embedded`, ...), else a folder that
            `save_pretrained` or a training wrote, else a Hub id of such a folder.
        weights: where the preset's weights lie (a folder, or a file in a published layout); by default those that ship or
            the preset's own address.
        device: where to run; stays on the CPU by default.
        dtype: number format of the network; float32 by default.
        official: reproduce the published behaviour where it differs from ours.
        options: settings of that matcher, for example `iterations=12`.

    Raises:
        InputError: no such preset, folder or Hub id, or no such setting.
        CheckpointError: weights that are missing or do not fit.
    """
    if name in PRESETS:
        matcher = import_module(PRESETS[name]).load(name, weights=weights, official=official, **options)
    elif Path(name).is_dir() or is_hub_id(name):
        folder = resolve_weights(name, weights)
        kind = load_json(folder / "config.json").get("wheatstone")
        module = next((PRESETS[preset] for preset in PRESETS if preset == kind), None)
        if module is None:
            raise CheckpointError(f"{folder / 'config.json'}: holds a {kind!r}, which is no matcher")
        matcher = import_module(module).load(kind, weights=folder, official=official, **options)
    else:
        raise InputError(
            f"unknown matcher {name!r}: use one of {', '.join(PRESETS)}, a folder, or a Hub id like owner/model"
        )
    return matcher.to(device=device, dtype=dtype)
