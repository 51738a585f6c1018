"""Where weights lie: a path, a mirror, or an address of the Hub; nothing is downloaded unless a Hub name is asked for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from wheatstone.checkpoints.table import MODELS
from wheatstone.errors import CheckpointError

__all__ = ["SHIPPED", "is_hub_id", "mirror_variable", "resolve_shipped", "resolve_weights"]

SHIPPED = Path(__file__).parent.parent / "weights"
"""Folder of the weights that are package data: one folder a name of the model table."""

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(/[\w.-]+)*")


def is_hub_id(name: str) -> bool:
    """Whether a name looks like `owner/model`, or `owner/model/folder` for a folder inside a model repository."""
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith((".", "/"))


def mirror_variable(name: str) -> str:
    """Environment variable that replaces the address of a model: `WHEATSTONE_MIRROR_` and its name in capitals."""
    return "WHEATSTONE_MIRROR_" + re.sub(r"\W", "_", name).upper()


def resolve_weights(
    name: str, weights: str | Path | None = None, *, allow_patterns: Sequence[str] | None = None
) -> Path:
    """Find the file or folder that holds the weights of `name`, downloading it only if that means a Hub address.

    In this order: the `weights` argument; the mirror named by the environment (`mirror_variable`); `name` itself if it is an
    existing path; the addresses of the model table; `name` as a Hub id. Each may be a path or `owner/model[/folder]`.

    Args:
        name: a name of the model table, a path or a Hub id.
        weights: a path or Hub id that replaces the default address.
        allow_patterns: which files of a Hub repository are wanted.

    Raises:
        CheckpointError: no weights at any of the places; the message lists them and what to do.
    """
    if weights is not None:
        places = [str(weights)]
    elif mirror := os.environ.get(mirror_variable(name)):
        places = [mirror]
    elif Path(name).exists():
        return Path(name)
    elif name in MODELS:
        places = list(MODELS[name].addresses)
    else:
        places = [name]
    failures = []
    for place in places:
        if Path(place).exists():
            return Path(place)
        try:
            return _download(place, allow_patterns)
        except CheckpointError as error:
            failures.append(str(error))
    if not places:
        failures = ["it has no public address"]
    how = (
        f"{name}=PATH on the command line, weights=PATH in Python" if name in MODELS else "its path instead of the name"
    )
    # a mirror stands for the address of a name; places that were given are not looked for there
    mirrored = f", or name a mirror in {mirror_variable(name)}" if weights is None else ""
    raise CheckpointError(
        f"no weights for {name!r}: {'; '.join(failures)}. Give a local folder or file ({how}){mirrored}"
    )


def resolve_shipped(name: str, weights: str | Path | None = None) -> Path:
    """Find the folder with the weights of one of the library's own small networks.

    Args:
        name: name of the model table, which is also the name of the recipe that trains it.
        weights: another folder instead of the one that ships.

    Raises:
        CheckpointError: no weights there.
    """
    folder = SHIPPED / name if weights is None else Path(weights)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no weights of {name!r} here; `wheatstone train {name}` makes them")
    return folder


def _download(place: str, allow_patterns: Sequence[str] | None) -> Path:
    if not is_hub_id(place):
        raise CheckpointError(f"{place}: no such file or folder")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    owner, model, *folder = place.split("/")
    inside = "/".join(folder)
    patterns = (
        [f"{inside}/{pattern}" for pattern in allow_patterns or ["*"]] if inside else list(allow_patterns or ["*"])
    )
    try:
        root = Path(snapshot_download(f"{owner}/{model}", allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if constants.HF_HUB_OFFLINE:
            reason = "HF_HUB_OFFLINE forbids downloads"
        raise CheckpointError(f"{place}: not in the local cache and not to be had from the Hub ({reason})") from error
    found = root / inside if inside else root
    if not found.exists():
        raise CheckpointError(f"{place}: the repository has no {inside!r}")
    return found
