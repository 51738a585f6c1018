"""The folder of a run: recipe, log, checkpoints, results; everything is written aside and renamed, never half."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from wheatstone.checkpoints import Part, load_json
from wheatstone.errors import CheckpointError, OutputError
from wheatstone.files import atomic_path, write_bytes
from wheatstone.files.atomic import output_errors
from wheatstone.training.recipe import Optimiser, Recipe, Schedule

__all__ = ["RunFolder"]

# What may differ between an interrupted run and the one that goes on: how long, how often it writes, how it is computed.
_FREE_FIELDS = ("steps", "save_every", "log_every", "accumulate", "about", "evaluate_every", "tf32", "compile")

_UNFINISHED = ".unfinished-"


class RunFolder:
    """Reads and writes one run.

    Layout: `recipe.json` (resolved), `log.jsonl` (one line per logged step), `checkpoints/step-NNNNNNN/state.pt` (the last
    one only), one folder of weights per trained part, the same under `best/` if a figure decides, `tensorboard/`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def checkpoint_for(self, recipe: Recipe, *, resume: bool) -> Path | None:
        """The checkpoint to go on from, if there is one; nothing is written.

        Raises:
            OutputError: a run is there already and `resume` is off, another recipe made it, or it is a data set.
        """
        if (self.path / "dataset.json").is_file():
            raise OutputError(f"{self.path}: is a data set; name it with --data, and another folder for the run")
        checkpoint = self.last_checkpoint()
        if checkpoint is not None and not resume:
            raise OutputError(f"{self.path}: holds a run at {checkpoint.name}; resume it or choose another folder")
        if checkpoint is not None:
            self._check_same(load_json(self.path / "recipe.json"), _plain(recipe.as_dict()))
        return checkpoint

    def prepare(self, recipe: Recipe, step: int) -> None:
        """Make the folder ready for what follows `step`: the recipe's file, no half-written rest, no later log.

        Raises:
            OutputError: the folder cannot be written.
        """
        with output_errors(self.path):
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        self._sweep()
        write_bytes(self.path / "recipe.json", (json.dumps(_plain(recipe.as_dict()), indent=2) + "\n").encode())
        self._cut_log(step)

    def _check_same(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        old = _with_defaults(old)
        differing = [name for name in new if name not in _FREE_FIELDS and old.get(name) != new[name]]
        if differing:
            detail = "; ".join(f"{name}: {old.get(name)!r} there, {new[name]!r} now" for name in differing)
            raise OutputError(f"{self.path}: holds a run of another recipe ({detail}); choose another folder")

    def _sweep(self) -> None:
        """Remove what a killed run left half written."""
        places = (self.path, self.path / "best", self.path / "checkpoints")
        for path in [path for place in places for path in place.glob(f"{_UNFINISHED}*")]:
            shutil.rmtree(path, ignore_errors=True)

    def last_checkpoint(self) -> Path | None:
        """Newest complete checkpoint; unfinished ones carry another name and are never seen."""
        found = sorted((self.path / "checkpoints").glob("step-*"))
        return found[-1] if found else None

    def save_checkpoint(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after `step` steps aside, rename it into place, then drop the older ones.

        Raises:
            OutputError: it cannot be written; the older checkpoint stays.
        """
        folder = self.path / "checkpoints" / f"step-{step:07d}"
        unfinished = _fresh_beside(folder)
        path = unfinished / "state.pt"
        with atomic_path(path) as temporary, output_errors(path), temporary.open("wb") as stream:
            torch.save(dict(state), stream)
        _into_place(unfinished, folder)
        for other in folder.parent.glob("step-*"):
            if other != folder:
                shutil.rmtree(other)
        return folder

    def load_checkpoint(self, folder: Path) -> dict[str, Any]:
        """Read a checkpoint, on the CPU; nothing in it is ever executed.

        Raises:
            CheckpointError: the file is missing or broken.
        """
        try:
            state: dict[str, Any] = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, LookupError, UnpicklingError) as error:
            raise CheckpointError(f"{folder}: cannot be read ({error}); delete it to start afresh") from error
        return state

    def save_part(self, role: str, part: Part, facts: Mapping[str, Any], *, best: bool = False) -> Path:
        """Write the weights of a part and what made them (`training.json`) as a folder `from_pretrained` reads.

        Args:
            role: name of the folder.
            part: as it is to be used.
            facts: plain values.
            best: write it under `best/`.
        """
        folder = self.part_folder(role, best=best)
        unfinished = _fresh_beside(folder)
        with output_errors(folder):
            part.save_pretrained(unfinished)
        write_bytes(unfinished / "training.json", (json.dumps(_plain(facts), indent=2) + "\n").encode())
        _into_place(unfinished, folder)
        return folder

    def part_folder(self, role: str, *, best: bool = False) -> Path:
        """Where the weights of a part lie."""
        return self.path / "best" / role if best else self.path / role

    def saved_step(self, role: str) -> int | None:
        """Step of the weights in a part's folder; None when there is no such folder."""
        facts = self.part_folder(role) / "training.json"
        return int(load_json(facts)["step"]) if facts.is_file() else None

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append one line to the log."""
        log = self.path / "log.jsonl"
        with output_errors(log), log.open("a") as stream:
            stream.write(json.dumps(entry) + "\n")

    def log_failure(self, entry: Mapping[str, Any]) -> None:
        """Write what was in the step that went wrong (`failure.json`)."""
        write_bytes(self.path / "failure.json", (json.dumps(entry, indent=2) + "\n").encode())

    def _cut_log(self, step: int) -> None:
        """Drop log lines after `step`: the run will write them again."""
        log = self.path / "log.jsonl"
        if log.is_file():
            lines = [line for line in log.read_text().splitlines() if _step_of(line) <= step]
            write_bytes(log, "".join(line + "\n" for line in lines).encode())


def _fresh_beside(folder: Path) -> Path:
    """An empty name beside a folder, under which it is written."""
    unfinished = folder.with_name(_UNFINISHED + folder.name)
    shutil.rmtree(unfinished, ignore_errors=True)
    return unfinished


def _into_place(unfinished: Path, folder: Path) -> None:
    """Rename a finished folder into place; an older one steps aside first, so that a kill loses at most the older."""
    old = folder.with_name(f"{_UNFINISHED}old-{folder.name}")
    with output_errors(folder):
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def _with_defaults(old: Mapping[str, Any]) -> dict[str, Any]:
    """A stored recipe with the fields that it was written without, as they were then: at their defaults."""
    fresh = {entry.name: entry.default for entry in fields(Recipe) if entry.default is not MISSING}
    fresh |= {"start": {}, "trained": []}
    nested = {"optimiser": _plain(asdict(Optimiser())), "schedule": _plain(asdict(Schedule()))}
    filled = {**fresh, **old}
    return {**filled, **{name: {**values, **filled.get(name, {})} for name, values in nested.items()}}


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")  # a torn last line: drop it


def _plain(value: Any) -> Any:
    """Through JSON and back: tuples become lists, so that saved and fresh recipes compare equal."""
    return json.loads(json.dumps(value))
