"""One writer a folder: a lock that dies with its process."""

import os
from pathlib import Path

from wheatstone.errors import OutputError
from wheatstone.files.atomic import output_errors

try:
    import fcntl
except ImportError:  # not a POSIX system: writing works, two writers in one folder are not noticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK_NAME", "FolderLock"]

LOCK_NAME = ".lock"


class FolderLock:
    """Holds `FOLDER/.lock` with flock(2); the system releases it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            OutputError: another process holds it, or the folder is not writable.
        """
        self._path = folder / LOCK_NAME
        self._descriptor: int | None = None
        while self._descriptor is None:
            with output_errors(folder):
                descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o644)
            try:
                if fcntl is not None:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                raise OutputError(
                    f"{folder} is being written by another process: wait for it or choose another folder"
                ) from error
            if _same_file(descriptor, self._path):
                self._descriptor = descriptor
            else:  # the holder before us removed the file between our open and our lock
                os.close(descriptor)

    def release(self) -> None:
        """Remove the lock file and give the folder free; safe to call twice."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
