"""Preset `edge-aware`: another synthesizer's fill, but the mixed rim belongs to the hole and only the background is continued.

Mono2Stereo (Wang, Liang, Li, Fu; arXiv 2411.09151), stage one. What is published, quoted second-hand and ours stands in
`docs/mono2stereo.md`; known pixels outside the rim stay the warp, bit by bit.
"""

import dataclasses
import json
from collections.abc import Sequence
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
from wheatstone.synthesis.push_pull import push_pull
from wheatstone.synthesis.registry import PRESETS, load_synthesizer
from wheatstone.synthesis.rows import RowSynthesizer, WarpSynthesizer, fill_rows

__all__ = ["EdgeAware", "SmoothRows", "load"]

_BACKEND_FOLDER = "backend"


class SmoothRows(RowSynthesizer):
    """Continue the background along the rows, and smooth what was copied far by push-pull, which leaves no streaks.

    Only copies count, with a weight that falls with the distance they were copied over; so no colour of the foreground enters.

    Args:
        fade: distance in px at which the weight has fallen to 1 / e.
    """

    name = "rows"

    def __init__(self, fade: float = 4.0) -> None:
        if not fade > 0:
            raise InputError(f"rows fade over a positive distance, got {fade}")
        self.config = {"fade": float(fade)}

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:  # noqa: ARG002 (nothing random)
        """Copy along the rows, then smooth."""
        rows = fill_rows(warped)
        return push_pull(rows.image, torch.exp(-rows.distance / self.config["fade"]).masked_fill(~warped.hole, 0))


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
            raise InputError(
                f"edge-aware fills by a part that paints the holes of a warp, which {backend.name!r} is not"
            )
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
            changes: fields of `RimRule` that replace those saved; others go to the back-end.
        """
        folder = Path(folder)
        saved = load_json(folder / "config.json")
        if (found := saved.pop("wheatstone", None)) != cls.name:
            raise CheckpointError(f"{folder}/config.json: holds a {found!r}, not a {cls.name!r}")
        name = saved.pop("backend", None)
        rule, others = _split(changes)
        if unknown := set(saved) - {field.name for field in dataclasses.fields(RimRule)}:
            raise CheckpointError(
                f"{folder}/config.json: {min(unknown)!r} is no setting of {cls.name!r} of this version"
            )
        if name == SmoothRows.name:
            backend: Any = SmoothRows.from_pretrained(folder / _BACKEND_FOLDER, **others)
        else:
            backend = load_synthesizer(str(folder / _BACKEND_FOLDER), **others)
        return cls(backend, RimRule(**{**saved, **rule}))


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> EdgeAware:
    """Make the preset `edge-aware`.

    Args:
        name: the preset.
        weights: the back-end as on the command line, `rows` (default), `classical`, `embedded`, `inpainting=PATH`, any
            other preset that fills holes, or a folder: of a back-end, or one that `EdgeAware.save_pretrained` wrote.
        official: handed to the back-end; of the rim nothing was published that could be reproduced.
        options: fields of `RimRule`, `fade` of the rows, and settings of the back-end.

    Raises:
        InputError: an unknown back-end.
        CheckpointError: weights that are missing or do not fit.
    """
    text = str(weights or SmoothRows.name)
    backend, _, place = text.partition("=")
    rule, others = _split(options)
    if backend == SmoothRows.name and not place:
        return EdgeAware(SmoothRows(**others), RimRule(**rule))
    if backend in PRESETS and backend != name:
        part: Any = load_synthesizer(backend, weights=place or None, official=official, **others)
        return EdgeAware(part, RimRule(**rule))
    header = Path(text) / "config.json"
    if header.is_file() and load_json(header).get("wheatstone") == EdgeAware.name:
        return EdgeAware.from_pretrained(text, **options)
    part = load_synthesizer(text, official=official, **others)
    return EdgeAware(part, RimRule(**rule))


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the rim, and the rest."""
    own = {field.name for field in dataclasses.fields(RimRule)}
    return (
        {key: value for key, value in options.items() if key in own},
        {key: value for key, value in options.items() if key not in own},
    )
