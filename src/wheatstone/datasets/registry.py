"""Which reader opens a data set: by its own name, else by looking at the folder."""

import os
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
    "kitti-2012": ("wheatstone.datasets.kitti", "load_2012"),
    "kitti-2015": ("wheatstone.datasets.kitti", "load_2015"),
    "flyingthings3d": ("wheatstone.datasets.sceneflow", "load_flyingthings"),
    "nyuv2": ("wheatstone.datasets.rgbd", "load_nyuv2"),
    "kitti-depth": ("wheatstone.datasets.rgbd", "load_kitti_depth"),
    "7scenes": ("wheatstone.datasets.rgbd", "load_7scenes"),
    "tum": ("wheatstone.datasets.rgbd", "load_tum"),
    "sunrgbd": ("wheatstone.datasets.rgbd", "load_sunrgbd"),
    "list": ("wheatstone.datasets.lists", "load"),
}

# Small collections over several of them, opened as NAME=ROOT, or NAME alone with ROOT in the environment variable below.
COLLECTIONS = {
    "rgbd-mini": ("wheatstone.datasets.collections", "load_rgbd_mini"),
    "stereo-mini": ("wheatstone.datasets.collections", "load_stereo_mini"),
    "stereo-mini-dense": ("wheatstone.datasets.collections", "load_stereo_mini_dense"),
}
_ROOT_VARIABLE = "WHEATSTONE_DATA"


def load_dataset(folder_or_name: str | Path, **options: Any) -> StereoDataset:
    """Open a data set: a lazy sequence of `StereoSample` with `len`, `[i]`, `.keys` and `.name`.

    Args:
        folder_or_name: a folder (or list file) whose layout is recognised; or `NAME=PATH` to say which reader to use
            (`kitti-2015=/data/kitti`); or one of the small collections `rgbd-mini`, `stereo-mini`, `stereo-mini-dense`, whose
            root may stand in the environment variable WHEATSTONE_DATA; or `scenes=SEED:COUNT`, rendered when asked for.
        options: settings of that reader, for example `official=True`.

    Raises:
        InputError: no such folder, or no such name.
        DatasetError: the layout is none we know, or broken.
    """
    text = str(folder_or_name)
    name, separator, rest = text.partition("=")
    if name == "scenes" and separator:
        return import_module("wheatstone.datasets.rendered").load(rest, **options)
    if name in COLLECTIONS and not separator and not Path(text).exists():
        rest, separator = _collection_root(name), "="
    named = {**{key: (module, "load") for key, module in READERS.items()}, **PUBLIC, **COLLECTIONS}
    if separator and name in named:
        path = Path(rest).expanduser()
        if not path.exists():
            raise InputError(f"no such folder or file: {path}")
        module_name, function = named[name]
        return getattr(import_module(module_name), function)(path, **options)
    path = Path(text).expanduser()
    if not path.exists():
        hint = f"; names are {', '.join(named)}, scenes" if separator or "/" not in text else ""
        raise InputError(f"no such data set: {text}{hint}")
    for module_name in READERS.values():
        module = import_module(module_name)
        if module.detect(path):
            return module.load(path, **options)
    raise DatasetError(
        f"{path}: not a data set of a layout that is known; say which it is with NAME=PATH, names are {', '.join(named)}"
    )


def _collection_root(name: str) -> str:
    root = os.environ.get(_ROOT_VARIABLE)
    if not root:
        raise InputError(f"{name}: say where its files lie, {name}=ROOT, or set {_ROOT_VARIABLE}=ROOT")
    return root
