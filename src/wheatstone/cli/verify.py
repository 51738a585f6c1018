"""Check every promise of a data set, sample by sample.

First of all that the right view is the warp of the left view by the stored disparity wherever it was not painted. Exits with 1
when a promise is broken.
"""

from dataclasses import dataclass
from typing import Annotated

import tyro
from tyro.conf import Positional

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone verify`."""

    dataset: Annotated[Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Folder of a data set in our format."""
    tolerance: int = 0
    """8-bit steps by which known pixels of the right view may differ from the warp."""
    workers: int | None = None
    """Samples under way at once; by default one a CPU core."""


def run(options: Options) -> int:
    """Verify; 0 all promises kept, 1 some broken."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.datasets.verify import summarise, verify_dataset

    with progress_bar() as progress:
        result = verify_dataset(
            options.dataset, tolerance=options.tolerance, workers=options.workers, progress=progress
        )
    for line in summarise(result.problems):
        print(line)
    if result.ok:
        print(f"{result.folder}: {result.samples} samples, every promise kept")
        return 0
    print(f"{result.folder}: {result.samples} samples, {len(result.problems)} broken promises")
    return 1
