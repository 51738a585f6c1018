"""What lies in a folder tree, without touching a file: data sets have 10^5 of them, often on a network disk.

A folder is listed once, when its names are first asked for; a listing answers for all its files at the price of one request,
where asking the disk for each file by name would take one request a file.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from wheatstone.errors import DatasetError

__all__ = ["Listing", "key_prefix"]

_DEPTH = (
    8  # below the folder that the user names; no official layout is deeper, and links that go round in circles end here
)


class Listing:
    """Names of the files and folders below any folder, remembered; files are neither opened nor asked for one by one.

    Names that begin with a dot are passed over. A folder that may not be listed is a `DatasetError`.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {}

    def files(self, folder: str | Path) -> frozenset[str]:
        """Names of the files in `folder`; none if there is no such folder."""
        return self._list(folder)[0]

    def folders(self, folder: str | Path) -> tuple[str, ...]:
        """Names of the folders in `folder` (links to folders count), sorted; none if there is no such folder."""
        return self._list(folder)[1]

    def has(self, path: str | Path) -> bool:
        """Whether there is a file `path`."""
        folder, name = os.path.split(path)
        return name in self.files(folder)

    def holders(self, root: str | Path, *names: str) -> Iterator[Path]:
        """The folders at and below `root` that hold a file or folder with one of these names, in order of their names.

        What lies below such a folder is not looked at: a trajectory of thousands of images costs one listing, its own.
        """
        wanted = frozenset(names)
        yield from self._holders(Path(root), lambda name: name in wanted, _DEPTH)

    def holders_of(self, root: str | Path, begin: str, end: str) -> Iterator[Path]:
        """Like `holders`, for data sets that keep their files in no folder of a fixed name: what a name begins and ends with."""
        yield from self._holders(Path(root), lambda name: name.startswith(begin) and name.endswith(end), _DEPTH)

    def _holders(self, folder: Path, wanted: Callable[[str], bool], depth: int) -> Iterator[Path]:
        files, folders = self._list(folder)
        if any(map(wanted, folders)) or any(map(wanted, files)):
            yield folder
        elif depth:
            for name in folders:
                yield from self._holders(folder / name, wanted, depth - 1)

    def _list(self, folder: str | Path) -> tuple[frozenset[str], tuple[str, ...]]:
        place = os.fspath(folder)
        if place not in self._known:
            files: list[str] = []
            folders: list[str] = []
            try:
                with os.scandir(place or ".") as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):  # what file managers leave behind
                            (folders if entry.is_dir() else files).append(entry.name)
            except (FileNotFoundError, NotADirectoryError):
                files, folders = [], []  # what is not there holds nothing; whoever needs a file of it names that file
            except OSError as error:
                raise DatasetError(f"{place}: cannot be listed: {error.strerror or error}") from error
            self._known[place] = frozenset(files), tuple(sorted(folders))
        return self._known[place]


def key_prefix(root: Path, folder: Path) -> str:
    """What the keys of samples in `folder` begin with: its path below `root` and a slash; nothing for `root` itself."""
    inside = folder.relative_to(root).as_posix()
    return "" if inside == "." else f"{inside}/"
