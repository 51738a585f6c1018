"""Which reader opens a data set: by its own name, else by looking at the folder."""

from importlib import import_module
from pathlib import Path
from typing import Any

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, InputError

__all__ = ["READERS", "load_dataset"]

# Format name -> module with `detect(path) -> bool` and `load(path, **options) -> StereoDataset`; asked in this order.
READERS = {
    "wheatstone": "wheatstone.datasets.own",
    "zerostereo": "wheatstone.datasets.zerostereo",
}


def load_dataset(folder_or_name: str | Path, **options: Any) -> StereoDataset:
    """Open a data set: a lazy sequence of `StereoSample` with `len`, `[i]`, `.keys` and `.name`.

    Args:
        folder_or_name: a folder (or list file) whose layout is recognised, or `FORMAT=PATH` to say which reader to use
            (`kitti2015=/data/kitti`).
        options: settings of that reader, for example `official=True`.

    Raises:
        InputError: no such folder, or no such format.
        DatasetError: the layout is none we know, or broken.
    """
    text = str(folder_or_name)
    name, separator, rest = text.partition("=")
    if separator and name in READERS:
        path = Path(rest).expanduser()
        if not path.exists():
            raise InputError(f"no such folder or file: {path}")
        return import_module(READERS[name]).load(path, **options)
    path = Path(text).expanduser()
    if not path.exists():
        hint = f"; formats are {', '.join(READERS)}" if separator else ""
        raise InputError(f"no such data set: {text}{hint}")
    for module_name in READERS.values():
        module = import_module(module_name)
        if module.detect(path):
            return module.load(path, **options)
    raise DatasetError(
        f"{path}: not a data set of a layout that is known; say which it is with FORMAT=PATH, formats are {', '.join(READERS)}"
    )
