"""A data set in the layout of other people's trainers: zerostereo, kitti, webdataset."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone export`."""

    dataset: Annotated[Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Folder of a data set, in our format or any other that is read (FORMAT=PATH)."""
    as_: Annotated[Literal["zerostereo", "kitti", "webdataset"], tyro.conf.arg(name="as")]
    """Layout: ZeroStereo's folders and list, KITTI 2015's folders, or WebDataset tar shards."""
    out: str | None = None
    """Folder to write; by default the data set's name with the layout appended, beside it."""


def run(options: Options) -> int:
    """Export; 0 done."""
    from pathlib import Path

    from wheatstone.cli.console import progress_bar
    from wheatstone.datasets import load_dataset
    from wheatstone.datasets.export import export_dataset

    dataset = load_dataset(options.dataset)
    source = Path(options.dataset.rpartition("=")[2])
    out = Path(options.out) if options.out else source.resolve().with_name(f"{source.resolve().name}-{options.as_}")
    with progress_bar() as progress:
        count = export_dataset(dataset, out, options.as_, progress=progress)
    print(f"{out}: {count} samples in the layout {options.as_}")
    return 0
