"""What every data set of the library is: a lazy, named sequence of `StereoSample`."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from wheatstone.samples import StereoSample

__all__ = ["StereoDataset", "Subset"]

# A run-time type checker looks into a sequence of a declared kind, that is, it would read samples from the disk.
if TYPE_CHECKING:
    _Samples = Sequence[StereoSample]
else:
    _Samples = Sequence


class StereoDataset(_Samples):
    """Reads a sample when it is asked for; safe to use from several threads and processes.

    Attributes:
        name: what to call the data set in a table.
        keys: names of the samples, in order.
    """

    name: str
    keys: Sequence[str]

    @abstractmethod
    def read(self, index: int) -> StereoSample:
        """Read sample `index` (0 <= index < len)."""

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> StereoSample: ...
    @overload
    def __getitem__(self, index: slice) -> "Subset": ...
    def __getitem__(self, index: int | slice) -> "StereoSample | Subset":
        """One sample, or a lazy part of the data set for a slice.

        Raises:
            IndexError: no such sample.
        """
        if isinstance(index, slice):
            return Subset(self, range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} samples, there is no number {index}")
        return self.read(index % len(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} samples)"


class Subset(StereoDataset):
    """Some samples of another data set, still lazy."""

    def __init__(self, dataset: StereoDataset, indices: Sequence[int]) -> None:
        """Choose the samples `indices` of `dataset`, in that order."""
        self.dataset, self.indices = dataset, indices
        self.name = dataset.name
        self.keys = [dataset.keys[index] for index in indices]

    def read(self, index: int) -> StereoSample:
        """Read sample `index` of this choice."""
        return self.dataset.read(self.indices[index])
