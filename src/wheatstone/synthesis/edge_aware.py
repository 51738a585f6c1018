"""Preset `edge-aware`: another synthesizer's fill, but the mixed rim belongs to the hole and only the background is continued.

Mono2Stereo (Wang, Liang, Li, Fu; arXiv 2411.09151), stage one. What is published, quoted second-hand and ours stands in
`docs/mono2stereo.md`; known pixels outside the rim stay the warp, bit by bit.
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.checkpoints import load_json
from wheatstone.errors import CheckpointError, InputError
from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.composition import HoleFiller, WarpedView
from wheatstone.synthesis.edge_view import RimRule, close_foreground, open_rim
from wheatstone.synthesis.registry import PRESETS, load_synthesizer, split_place
from wheatstone.synthesis.rows import RowSynthesizer, SmoothRows, WarpSynthesizer

__all__ = ["EdgeAware", "load"]

_BACKEND_FOLDER = "backend"
_NO_FILLER = "edge-aware fills by a part that paints the holes of a warp, which {!r} is not"


class EdgeAware(HoleFiller):
    """Warp, take the contaminated rim into the holes (`Origin.CONTAMINATED_RIM`), let a back-end fill both from the background.

    Args:
        backend: what paints; None takes `SmoothRows`.
        rule: what the rim is, and what is closed to the back-end.

    Raises:
        InputError: a back-end that does not fill holes of a warp, or leaves them black.
    """

    name = "edge-aware"
    sharpens: ClassVar[bool] = True

    def __init__(self, backend: ViewSynthesizer | None = None, rule: RimRule | None = None) -> None:
        backend = SmoothRows() if backend is None else backend
        if not isinstance(backend, HoleFiller) or isinstance(backend, (WarpSynthesizer, EdgeAware)):
            raise InputError(_NO_FILLER.format(backend.name))
        rule = RimRule() if rule is None else rule
        if rule.closed is None and backend.tells_sides:  # it was made with the foreground in sight
            rule = dataclasses.replace(rule, closed=0)
        self.backend, self.rule = backend, rule
        self.warper = backend.warper
        self.network = backend.network
        self.config = {"backend": backend.name, **dataclasses.asdict(self.rule)}

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "EdgeAware":
        """Move the back-end, in place."""
        self.backend.to(device, dtype)
        return self

    def fingerprint(self) -> dict[str, Any]:
        """Name and settings, and the same of the back-end with the digest of its weights."""
        own = {"part": self.name, "config": dict(self.config)}
        return {**own, "weights_sha256": None, "backend": self.backend.fingerprint()}

    def prepare(
        self, warped: WarpedView, disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"] | None
    ) -> WarpedView:
        """Take the contaminated rim into what is painted."""
        return open_rim(warped, disparity, valid, self.rule, self.warper)

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:
        """Fill the holes of a view from the background; its rim is taken in by calling the part."""
        return self.backend.fill(close_foreground(warped, self.rule), generators).to(warped.image.device)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json`, and the back-end into a folder below."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        header = {"wheatstone": self.name, **self.config}
        (folder / "config.json").write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")
        self.backend.save_pretrained(folder / _BACKEND_FOLDER)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes: Any) -> "EdgeAware":
        """Rebuild the part from a folder that `save_pretrained` wrote.

        Args:
            folder: where it was written.
            changes: fields of `RimRule` that replace those saved; others, and `official`, go to the back-end.

        Raises:
            CheckpointError: no such folder, or another part's.
            InputError: a setting that neither has.
        """
        folder = Path(folder)
        saved = load_json(folder / "config.json")
        if (found := saved.pop("wheatstone", None)) != cls.name:
            raise CheckpointError(f"{folder}/config.json: holds a {found!r}, not a {cls.name!r}")
        saved.pop("backend", None)  # for the reader of the file: what lies in the folder below says it too
        rule, others = _split(changes)
        if unknown := set(saved) - {field.name for field in dataclasses.fields(RimRule)}:
            raise CheckpointError(
                f"{folder}/config.json: {min(unknown)!r} is no setting of {cls.name!r} of this version"
            )
        backend = load_synthesizer(str(folder / _BACKEND_FOLDER), **others)
        return cls(backend, RimRule(**{**saved, **rule}))


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> EdgeAware:
    """Make the preset `edge-aware`.

    Args:
        name: the preset.
        weights: the back-end as on the command line, `smooth-rows` (default, `rows` means it too), `classical`, `embedded`,
            `inpainting=PATH`, any other preset that fills holes, or a folder: of a back-end, or one that
            `EdgeAware.save_pretrained` wrote.
        official: handed to the back-end; of the rim nothing was published that could be reproduced.
        options: fields of `RimRule`, and settings of the back-end.

    Raises:
        InputError: an unknown back-end, one that does not fill holes, or a setting that neither has.
        CheckpointError: weights that are missing or do not fit.
    """
    text = str(weights or SmoothRows.name)
    header = Path(text) / "config.json"
    if text not in PRESETS and header.is_file() and load_json(header).get("wheatstone") == name:
        return EdgeAware.from_pretrained(text, **options, **({"official": True} if official else {}))
    rule, others = _split(options)
    backend, place = split_place(text)
    if backend not in PRESETS:
        return EdgeAware(load_synthesizer(text, official=official, **others), RimRule(**rule))
    # plain copies streak behind an edge: whoever wants them hands `EdgeAware` the part itself
    backend = SmoothRows.name if backend == RowSynthesizer.name else backend
    if backend == name or not _fills_holes(backend):
        raise InputError(_NO_FILLER.format(backend))
    try:
        part: Any = load_synthesizer(backend, weights=place, official=official, **others)
    except (InputError, CheckpointError) as error:
        raise type(error)(_as_typed(str(error), backend)) from error
    return EdgeAware(part, RimRule(**rule))


def _fills_holes(preset: str) -> bool:
    """Whether a preset's `load` says that it returns a filler of holes, which is known before its weights are looked for."""
    made = inspect.signature(import_module(PRESETS[preset]).load).return_annotation
    return issubclass(made, HoleFiller)


def _as_typed(message: str, backend: str) -> str:
    """A back-end's message in which the advice to write NAME=PATH is what must be written here."""
    message = re.sub(r"(?<![\w.-])(?!weights=)[\w.-]+=(?=PATH|FOLDER)", f"edge-aware={backend}=", message)
    return message.replace("weights=PATH", f"weights='{backend}=PATH'")


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the rim, and the rest."""
    own = {field.name for field in dataclasses.fields(RimRule)}
    return (
        {key: value for key, value in options.items() if key in own},
        {key: value for key, value in options.items() if key not in own},
    )
