"""Weight files to state dicts: nothing in a file is ever executed, and every key and shape is accounted for."""

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wheatstone.errors import CheckpointError

__all__ = ["find_weights", "fit_state", "load_json", "load_state"]

# Names under which a folder of the Hub keeps its weights, best first.
WEIGHT_NAMES = (
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin",
)
# Keys under which training scripts wrap the state dict they save.
WRAPPERS = ("state_dict", "model_state_dict", "model")
# What torch's reader of a broken pickle lets through, found by damaging files byte by byte.
_BROKEN = (
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    LookupError,
    AssertionError,
    TypeError,
    AttributeError,
    struct.error,
)
SHOWN = 5


def load_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        CheckpointError: no such file, broken JSON, or something other than an object in it.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: must hold a JSON object, not a {type(content).__name__}")
    return content


def find_weights(folder: str | Path) -> tuple[Path, ...]:
    """Find the weight files of a folder in Hub layout: one file, or the shards an index file lists.

    Raises:
        CheckpointError: the folder holds no weights, or a shard is missing.
    """
    folder = Path(folder)
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = tuple(folder / shard for shard in sorted(set(load_json(index).get("weight_map", {}).values())))
            if missing := [shard.name for shard in shards if not shard.is_file()]:
                raise CheckpointError(f"{folder}: shards named by {index.name} are missing: {_some(missing)}")
            return shards
    raise CheckpointError(f"{folder}: no weights here; looked for {', '.join(WEIGHT_NAMES)}")


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict, on the CPU and in the number format of the file.

    safetensors files cannot hold code. Older files (`.pth`, `.pt`, `.bin`, `.ckpt`) are pickles: they are read in torch's
    restricted mode, which knows tensors and plain containers only; one that wants more is refused, never executed.
    Wrappers of training scripts (`{"state_dict": ...}`) are taken off and plain numbers and texts beside the tensors dropped.

    Args:
        path: a weight file, or a folder in Hub layout.

    Raises:
        CheckpointError: missing, broken, unsafe, or not a state dict.
    """
    path = Path(path)
    if path.is_dir():
        state: dict[str, Tensor] = {}
        for file in find_weights(path):
            state |= load_state(file)
        return state
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weight file")
    begins = _beginning(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path}: broken or truncated safetensors file ({error})") from error
    if begins and not begins.startswith((b"PK", b"\x80")):  # zip archives and pickles
        raise CheckpointError(f"{path}: is not a weight file torch can read, it begins with {begins[:20]!r}")
    return _tensors_of(_restricted_load(path), path)


def _beginning(path: Path) -> bytes:
    """The first bytes of a file; what stands in for weights that were never fetched is refused by name.

    Raises:
        CheckpointError: unreadable, or a pointer of Git LFS.
    """
    try:
        with path.open("rb") as stream:
            begins = stream.read(64)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    if begins.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path}: is a pointer of Git LFS, not the weights: fetch them with `git lfs pull`")
    return begins


def _restricted_load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "Unsupported" in str(error) or "weights_only" in str(error) or "GLOBAL" in str(error):
            raise CheckpointError(
                f"{path}: is a pickle that wants to run code when it is loaded, which this library never does. "
                "Ask its author for a safetensors file or a plain state dict"
            ) from error
        raise CheckpointError(f"{path}: is not a weight file torch can read ({error})") from error
    except _BROKEN as error:
        raise CheckpointError(f"{path}: broken or truncated weight file ({type(error).__name__}: {error})") from error


def _tensors_of(content: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: holds no state dict (a mapping from names to tensors)")
    strange = [k for k, v in content.items() if not isinstance(v, Tensor | int | float | str | bool | type(None))]
    if strange:
        raise CheckpointError(f"{path}: entries that are neither tensors nor plain values: {_some(strange)}")
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def fit_state(
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    *,
    aliases: Iterable[tuple[str, str]] = (),
    rename: Callable[[str], str] | None = None,
    drop_prefixes: Sequence[str] = ("module.",),
    ignorable: Sequence[str] = (),
    source: str | Path = "the checkpoint",
) -> dict[str, Tensor]:
    """Make a state dict fit a network exactly, or say what is missing, left over or of another shape.

    Args:
        state: names to tensors as read from a file.
        expected: the network's own `state_dict()` (only names and shapes are used).
        aliases: pairs of names that denote one tensor; a file that keeps either name fills both (savers that drop shared
            tensors keep only the first of them). Where a file holds two different tensors, the second name's counts: a
            strict load of the original copies it last.
        rename: maps a name in the file to the network's name, after the prefixes are gone.
        drop_prefixes: prefixes that wrappers add, such as `module.` of data-parallel training.
        ignorable: patterns (`fnmatch`) of names in the file that the network may do without.
        source: how to call the file in an error.

    Returns:
        A state dict with exactly the keys of `expected`, in their order.

    Raises:
        CheckpointError: keys missing, left over, or tensors of another shape; the message names them.
    """
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        for prefix in drop_prefixes:
            key = key.removeprefix(prefix)
        found[rename(key) if rename else key] = value
    for first, second in aliases:
        if second in found:
            found[first] = found[second]
        elif first in found:
            found[second] = found[first]
    missing = [key for key in expected if key not in found]
    surplus = [key for key in found if key not in expected and not any(fnmatch(key, p) for p in ignorable)]
    shapes = [
        f"{key} is {list(found[key].shape)}, wanted {list(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    problems = [("missing", missing), ("left over", surplus), ("of another shape", shapes)]
    if any(names for _, names in problems):
        told = "; ".join(f"{len(names)} {what}: {_some(names)}" for what, names in problems if names)
        raise CheckpointError(f"{source} does not fit the network: {told}")
    return {key: found[key] for key in expected}


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(str(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
