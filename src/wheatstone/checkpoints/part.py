"""What every part shares about configuration, saving, loading and telling itself apart."""

import json
from collections.abc import Mapping
from hashlib import sha256
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from wheatstone.checkpoints.states import fit_state, load_json, load_state
from wheatstone.errors import CheckpointError, InputError

__all__ = ["Part", "sha256_of_file", "sha256_of_state"]

# not `typing.Self`: the run-time shape checker of the tests cannot see the class behind it
PartT = TypeVar("PartT", bound="Part")


class Part:
    """Base of everything with a place in the pipeline: depth estimators, synthesizers, matchers.

    A subclass keeps its constructor arguments (plain JSON values) in `config` and its network, if it has one, in
    `network`; saving, loading, moving and fingerprints then come for free.

    Attributes:
        name: preset name of the part.
        config: constructor arguments by keyword; `type(part)(**part.config)` rebuilds the part without its weights.
        network: the torch module that holds the weights, or None.
        source: the name under which the weights were asked for (preset, path or Hub id); not part of the fingerprint.
    """

    name: ClassVar[str] = ""
    config: Mapping[str, Any]
    network: nn.Module | None = None
    source: str = ""

    @property
    def device(self) -> torch.device:
        """Where the network lives; the CPU for a part without weights."""
        parameter = next(self.network.parameters(), None) if self.network is not None else None
        return parameter.device if parameter is not None else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the network; float32 for a part without weights."""
        parameter = next(self.network.parameters(), None) if self.network is not None else None
        return parameter.dtype if parameter is not None else torch.float32

    def to(self: PartT, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> PartT:
        """Move the network, in place, and return the part."""
        if self.network is not None:
            self.network.to(device=device, dtype=dtype)
        return self

    def fingerprint(self) -> dict[str, Any]:
        """What the result of this part depends on: name, configuration and the digest of its weights."""
        weights = None if self.network is None else sha256_of_state(self.network.state_dict())
        return {"part": self.name, "config": dict(self.config), "weights_sha256": weights}

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and, with a network, `model.safetensors` (Hub layout)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        header = {"wheatstone": self.name, **self.config}
        (folder / "config.json").write_text(json.dumps(header, indent=2) + "\n")
        if self.network is not None:
            # copies, because some networks keep one tensor under two published names, which the file format refuses
            state = {key: value.detach().cpu().contiguous().clone() for key, value in self.network.state_dict().items()}
            unfinished = folder / "model.safetensors.part"
            save_file(state, unfinished)
            unfinished.replace(folder / "model.safetensors")

    @classmethod
    def from_pretrained(cls: type[PartT], folder: str | Path, **changes: Any) -> PartT:
        """Rebuild the part from a folder that `save_pretrained` wrote.

        Args:
            folder: where it was written.
            changes: constructor arguments that replace those saved.

        Raises:
            CheckpointError: no `config.json`, another part's folder, or weights that do not fit.
            InputError: a setting that this part does not have.
        """
        folder = Path(folder)
        config_file = folder / "config.json"
        if not config_file.is_file():
            raise CheckpointError(f"{folder}: no config.json, so this is not a folder of {cls.name!r} weights")
        config = load_json(config_file)
        if (found := config.pop("wheatstone", None)) != cls.name:
            raise CheckpointError(f"{config_file}: holds a {found!r}, not a {cls.name!r}")
        settings = {**config, **signature(cls).parameters}  # a folder may be older than a setting
        if unknown := [key for key in changes if key not in settings]:
            raise InputError(f"{cls.name!r} has no setting {unknown[0]!r}: it has {', '.join(settings) or 'none'}")
        try:
            part = cls(**{**config, **changes})
        except TypeError as error:
            raise CheckpointError(
                f"{config_file}: not the settings of a {cls.name!r} of this version: {error}"
            ) from error
        if part.network is not None:
            weights = folder / "model.safetensors"
            part.network.load_state_dict(fit_state(load_state(weights), part.network.state_dict(), source=weights))
        return part


def sha256_of_file(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    digest = sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_state(state: Mapping[str, torch.Tensor]) -> str:
    """Hex digest of a state dict, independent of key order and of the device it lives on."""
    digest = sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
