"""Several data sets as one, each as often as wanted: what training on a published mixture needs.

A mixture is written `A + 2*B + 0.5*C`, each part as `load_dataset` takes it, or as a JSON file:

    {"name": "my mix", "parts": [{"dataset": "vkitti2=/data/vkitti2", "times": 2, "options": {"sky": true}}, ...]}
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, InputError
from wheatstone.files import read_bytes
from wheatstone.samples import StereoSample

__all__ = ["Mix", "load", "load_genstereo", "load_zerostereo", "parse", "repeated"]

_PART = re.compile(r"^(?:([0-9]+\.?[0-9]*|\.[0-9]+)\*)?(.+)$", re.DOTALL)


class Mix(StereoDataset):
    """Data sets one after another; the same parts and factors are always the same samples in the same order.

    A sample is called `NAME/KEY` after its data set; a repeated one is called `NAME/KEY#2`, `#3`, ..., so that what is drawn
    for it (crop, colours) differs. A factor that is not whole takes an evenly spaced share for its fraction.
    """

    def __init__(self, name: str, parts: Sequence[tuple[StereoDataset, float | int]]) -> None:
        """Join data sets; no sample is read.

        Args:
            name: what to call the mixture in a table.
            parts: data sets, and how often each counts (1 = once, 2 = twice, 0.5 = every other sample).

        Raises:
            InputError: no parts, or a factor that is not positive.
            DatasetError: a part from which nothing is taken.
        """
        if not parts:
            raise InputError(f"{name}: a mixture needs at least one data set")
        self.name = name
        self.parts = [dataset for dataset, _ in parts]
        self.keys: list[str] = []
        self._places: list[tuple[int, int]] = []
        names = _distinct([dataset.name for dataset in self.parts])
        for number, ((dataset, times), called) in enumerate(zip(parts, names, strict=True)):
            if not (math.isfinite(times) and times > 0):
                raise InputError(f"{name}: {called} is to count {times} times; write a positive number")
            chosen = repeated(len(dataset), times)
            if not chosen:
                raise DatasetError(f"{name}: nothing is taken from {called}, which has {len(dataset)} samples")
            for index, copy in chosen:
                self.keys.append(f"{called}/{dataset.keys[index]}" + (f"#{copy}" if copy > 1 else ""))
                self._places.append((number, index))

    def read(self, index: int) -> StereoSample:
        """Read one sample and call it by its name in this mixture."""
        number, inner = self._places[index]
        return replace(self.parts[number].read(inner), key=self.keys[index])


def repeated(length: int, times: float | int) -> list[tuple[int, int]]:
    """Which samples make `round(length * times)`: index and number of the copy, from 1, whole rounds first.

    The last, partial round takes indices evenly spaced over the data set.
    """
    rounds, rest = divmod(round(length * times), length) if length else (0, 0)
    whole = [(index, copy + 1) for copy in range(rounds) for index in range(length)]
    return whole + [(place * length // rest, rounds + 1) for place in range(rest)]


def parse(text: str, **options: Any) -> Mix:
    """Open `A + 2*B + 0.5*C`.

    Args:
        text: parts as `load_dataset` takes them, joined by ` + `, each with a factor `TIMES*` if not once.
        options: none are known: settings belong to each part (`A=PATH,setting=value`).

    Raises:
        InputError: an empty part, or options.
    """
    from wheatstone.datasets.registry import load_dataset

    if options:
        raise InputError(
            f"a mixture has no setting {next(iter(options))!r}: write it behind the part that it belongs to"
        )
    parts: list[tuple[StereoDataset, float]] = []
    for piece in text.split(" + "):
        match = _PART.match(piece.strip())
        if match is None:
            raise InputError(f"{text!r}: an empty part; write NAME=PATH + TIMES*NAME=PATH + ...")
        parts.append((load_dataset(match[2]), float(match[1] or 1)))
    return Mix(" + ".join(dataset.name for dataset, _ in parts), parts)


def load(path: Path) -> Mix:
    """Open a mixture from a JSON file: `parts` with `dataset`, `times` (1 if left out) and `options` (none if left out).

    Relative paths start where the program runs, as on the command line.

    Raises:
        DatasetError: not JSON, or of another form.
    """
    from wheatstone.datasets.registry import load_dataset

    form = '{"parts": [{"dataset": "NAME=PATH", "times": 1, "options": {}}, ...]}'
    try:
        content = json.loads(read_bytes(path))
        parts = [(part["dataset"], part.get("times", 1), part.get("options", {})) for part in content["parts"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: a mixture is a JSON file of the form {form}") from error
    for dataset, times, options in parts:
        fits = isinstance(dataset, str) and isinstance(times, int | float) and isinstance(options, Mapping)
        if not fits or isinstance(times, bool):
            raise DatasetError(f"{path}: {dataset!r} with times {times!r}: a mixture has the form {form}")
    name = str(content.get("name", path.stem))
    return Mix(name, [(load_dataset(dataset, **options), times) for dataset, times, options in parts])


def load_zerostereo(path: Path) -> Mix:
    """The mixture that ZeroStereo's inpainting network is fine-tuned on (its released code; the paper leaves out one).

    Scene Flow (final pass, FlyingThings3D TRAIN with Monkaa and Driving), TartanAir, CREStereo, Falling Things and Virtual
    KITTI 2, each once, one after another. The sky of Virtual KITTI 2 counts as known at disparity 0, as there.
    Layout: `{sceneflow,tartanair,crestereo,fallingthings,vkitti2}/` below `path`, each as its own reader wants it.

    Raises:
        DatasetError: one of the five is missing or broken.
    """
    settings: dict[str, dict[str, Any]] = {
        "sceneflow": {},
        "tartanair": {},
        "crestereo": {},
        "fallingthings": {},
        "vkitti2": {"sky": True},
    }
    return Mix("zerostereo-mix", [(dataset, 1) for dataset in _below(path, settings).values()])


def load_genstereo(path: Path, official: bool = False, partial: bool = False) -> Mix:
    """The eleven rendered data sets that GenStereo is trained on, the small ones repeated.

    TartanAir, Dynamic Replica, IRS, Falling Things, Virtual KITTI 2, Infinigen-SV, SimStereo, UnrealStereo4K, Spring, PLT-D3
    and Sintel (final pass; which one is not published), each with its training split. A set smaller than a tenth of the largest
    is repeated until it reaches that tenth. The published lists follow this rule only roughly, by whole factors: see
    `official`. The sky of Virtual KITTI 2 counts as known at 0 px (published: 0.59 px, from its farthest code), that of Spring
    too.
    Layout: `{tartanair,dynamicreplica,irs,fallingthings,vkitti2,infinigensv,simstereo,unrealstereo4k,spring,pltd3,sintel}/`
    below `path`, each as its own reader wants it.

    Args:
        path: folder of the eleven.
        official: the factors in the names of the published lists, whatever the sizes: Virtual KITTI 2 and Infinigen-SV twice,
            UnrealStereo4K 5 times, Spring and PLT-D3 10, Sintel 20.
        partial: leave out the sets that are not there (some are handed out after a form).

    Raises:
        DatasetError: one of them is missing or broken, or none is there.

    Source:
        GenStereo (arXiv 2503.12720), data and its released first loader; sizes by StereoSpace (arXiv 2512.10959), table 4.
    """
    settings: dict[str, dict[str, Any]] = {name: {} for name in _GENSTEREO}
    settings["vkitti2"] = {"sky": True}
    if partial:
        settings = {name: options for name, options in settings.items() if (path / name).is_dir()} or settings
    datasets = _below(path, settings)
    least = _LEAST_SHARE * max(len(dataset) for dataset in datasets.values())
    rule = {name: max(1.0, least / len(dataset)) for name, dataset in datasets.items()}
    return Mix(
        "genstereo-mix", [(dataset, (_GENSTEREO if official else rule)[name]) for name, dataset in datasets.items()]
    )


# Name to how often its published list of files is repeated.
_GENSTEREO = {
    "tartanair": 1,
    "dynamicreplica": 1,
    "irs": 1,
    "fallingthings": 1,
    "vkitti2": 2,
    "infinigensv": 2,
    "simstereo": 1,
    "unrealstereo4k": 5,
    "spring": 10,
    "pltd3": 10,
    "sintel": 20,
}
_LEAST_SHARE = 0.1


def _below(path: Path, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, StereoDataset]:
    """Open the data sets of these names with their settings, each in the folder of its name below `path`."""
    from wheatstone.datasets.registry import load_dataset

    for name in settings:
        if not (path / name).is_dir():
            raise DatasetError(f"{path / name}: no such folder; the mixture is expected as {{{','.join(settings)}}}/")
    return {name: load_dataset(f"{name}={path / name}", **options) for name, options in settings.items()}


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that occur again with a number."""
    return [name if names.index(name) == i else f"{name}.{names[:i].count(name) + 1}" for i, name in enumerate(names)]
