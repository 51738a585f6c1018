"""Which reader opens a data set: by its own name, else by looking at the folder."""

import inspect
import os
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, InputError

__all__ = ["COLLECTIONS", "PUBLIC", "READERS", "load_dataset"]

# Format name -> module with `detect(path) -> bool` and `load(path, **options) -> StereoDataset`; asked in this order.
READERS = {
    "wheatstone": "wheatstone.datasets.own",
    "zerostereo": "wheatstone.datasets.zerostereo",
}

# Public data sets in their official layouts, and plain lists, opened as NAME=PATH: name -> module and function.
PUBLIC = {
    "middlebury-2001": ("wheatstone.datasets.middlebury", "load_2001"),
    "middlebury-2003": ("wheatstone.datasets.middlebury", "load_2003"),
    "middlebury-2005": ("wheatstone.datasets.middlebury", "load_2005"),
    "middlebury-2006": ("wheatstone.datasets.middlebury", "load_2006"),
    "middlebury-2014": ("wheatstone.datasets.middlebury", "load_2014"),
    "middlebury-2021": ("wheatstone.datasets.middlebury", "load_2021"),
    "middeval3": ("wheatstone.datasets.middlebury", "load_evaluation"),
    "eth3d": ("wheatstone.datasets.eth3d", "load"),
    "kitti-2012": ("wheatstone.datasets.kitti", "load_2012"),
    "kitti-2015": ("wheatstone.datasets.kitti", "load_2015"),
    "kitti-raw": ("wheatstone.datasets.kitti", "load_raw"),
    "drivingstereo": ("wheatstone.datasets.drivingstereo", "load"),
    "instereo2k": ("wheatstone.datasets.indoor", "load_instereo2k"),
    "booster": ("wheatstone.datasets.indoor", "load_booster"),
    "sintel": ("wheatstone.datasets.sintel", "load"),
    "sceneflow": ("wheatstone.datasets.sceneflow", "load"),
    "flyingthings3d": ("wheatstone.datasets.sceneflow", "load_flyingthings"),
    "monkaa": ("wheatstone.datasets.sceneflow", "load_monkaa"),
    "driving": ("wheatstone.datasets.sceneflow", "load_driving"),
    "vkitti2": ("wheatstone.datasets.vkitti", "load"),
    "tartanair": ("wheatstone.datasets.tartanair", "load"),
    "crestereo": ("wheatstone.datasets.crestereo", "load"),
    "fallingthings": ("wheatstone.datasets.fallingthings", "load"),
    "dynamicreplica": ("wheatstone.datasets.dynamicreplica", "load"),
    "irs": ("wheatstone.datasets.irs", "load"),
    "infinigensv": ("wheatstone.datasets.infinigen", "load"),
    "simstereo": ("wheatstone.datasets.simstereo", "load"),
    "unrealstereo4k": ("wheatstone.datasets.unrealstereo", "load"),
    "spring": ("wheatstone.datasets.spring", "load"),
    "pltd3": ("wheatstone.datasets.pltd3", "load"),
    "layeredflow": ("wheatstone.datasets.layeredflow", "load"),
    "side-by-side": ("wheatstone.datasets.side_by_side", "load"),
    "list": ("wheatstone.datasets.lists", "load"),
    "nyuv2": ("wheatstone.datasets.rgbd", "load_nyuv2"),
    "kitti-depth": ("wheatstone.datasets.rgbd", "load_kitti_depth"),
    "7scenes": ("wheatstone.datasets.rgbd", "load_7scenes"),
    "tum": ("wheatstone.datasets.rgbd", "load_tum"),
    "sunrgbd": ("wheatstone.datasets.rgbd", "load_sunrgbd"),
}

# Collections over several of them, opened as NAME=ROOT, or NAME alone with ROOT in the environment variable below.
COLLECTIONS = {
    "rgbd-mini": ("wheatstone.datasets.collections", "load_rgbd_mini"),
    "stereo-mini": ("wheatstone.datasets.collections", "load_stereo_mini"),
    "stereo-mini-dense": ("wheatstone.datasets.collections", "load_stereo_mini_dense"),
    "stereo-mini-real": ("wheatstone.datasets.collections", "load_stereo_mini_real"),
    "zerostereo-mix": ("wheatstone.datasets.mix", "load_zerostereo"),
    "genstereo-mix": ("wheatstone.datasets.mix", "load_genstereo"),
    "mix": ("wheatstone.datasets.mix", "load"),
}
_ROOT_VARIABLE = "WHEATSTONE_DATA"
_OPTION = re.compile(r",([a-z_]+)=([^,=]*)$")


def load_dataset(folder_or_name: str | Path, **options: Any) -> StereoDataset:
    """Open a data set: a lazy sequence of `StereoSample` with `len`, `[i]`, `.keys` and `.name`.

    Args:
        folder_or_name: a folder (or list file) whose layout is recognised; or `NAME=PATH` to say which reader to use
            (`kitti-2015=/data/kitti`); or one of the small collections `rgbd-mini`, `stereo-mini`, `stereo-mini-dense`,
            `stereo-mini-real`, whose root may stand in the environment variable WHEATSTONE_DATA; or `scenes=SEED:COUNT`,
            rendered when asked for; or `motorcycle`, the real pair with truth inside scikit-image.
            Settings of the reader may follow, `middeval3=/data/MiddEval3,resolution=H`; several data sets are joined by ` + `,
            each with a factor if it should count more or less than once, `2*vkitti2=/data/vkitti2 + crestereo=/data/cre`.
        options: settings of that reader, for example `official=True`.

    Raises:
        InputError: no such folder, no such name, or a setting that the reader does not have.
        DatasetError: the layout is none we know, or broken.
    """
    text = str(folder_or_name)
    name, separator, rest = text.partition("=")
    whole = any(Path(part).expanduser().exists() for part in (text, rest) if part)  # whatever characters its name has
    if re.match(r"[0-9.]+\*", text) or (not whole and " + " in text):
        return import_module("wheatstone.datasets.mix").parse(text, **options)
    if name == "scenes" and separator:
        return import_module("wheatstone.datasets.rendered").load(rest, **options)
    if text == "motorcycle" and not whole:
        return import_module("wheatstone.datasets.example_pair").load()
    named = {**{key: (module, "load") for key, module in READERS.items()}, **PUBLIC, **COLLECTIONS}
    if not whole:
        text, options = _settings(text, options)
        name, separator, rest = text.partition("=")
        if name in COLLECTIONS and not separator:
            rest, separator = _collection_root(name), "="
    if separator and name in named:
        path = Path(rest).expanduser()
        if not path.exists():
            raise InputError(f"no such folder or file: {path}")
        module_name, function = named[name]
        return _open(name, getattr(import_module(module_name), function), path, options)
    path = Path(text).expanduser()
    if not path.exists():
        hint = f"; names are {', '.join(named)}, scenes" if separator or "/" not in text else ""
        raise InputError(f"no such data set: {text}{hint}")
    for reader, module_name in READERS.items():
        module = import_module(module_name)
        if module.detect(path):
            return _open(reader, module.load, path, options)
    raise DatasetError(
        f"{path}: not a data set of a layout that is known; say which it is with NAME=PATH, names are {', '.join(named)}"
    )


def _settings(text: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Part `PATH,setting=value,...`: the path, and the settings with those of Python, which win."""
    found: dict[str, Any] = {}
    while not Path(text.partition("=")[2] or text).expanduser().exists() and (match := _OPTION.search(text)):
        found[match[1]] = _value(match[2])
        text = text[: match.start()]
    return text, {**found, **options}


def _value(word: str) -> str | bool | int:
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    return int(word) if re.fullmatch(r"-?[0-9]+", word) else word


def _open(name: str, load: Callable[..., StereoDataset], path: Path, options: dict[str, Any]) -> StereoDataset:
    parameters = list(inspect.signature(load).parameters)[1:]
    if unknown := [option for option in options if option not in parameters]:
        there = f"it has {', '.join(parameters)}" if parameters else "it has none"
        raise InputError(f"{name} has no setting {unknown[0]!r}; {there}")
    return load(path, **options)


def _collection_root(name: str) -> str:
    root = os.environ.get(_ROOT_VARIABLE)
    if not root:
        raise InputError(f"{name}: say where its files lie, {name}=ROOT, or set {_ROOT_VARIABLE}=ROOT")
    return root
