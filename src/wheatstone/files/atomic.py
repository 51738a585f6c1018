"""Files that are either whole or not there: temporary name, flush to the disk, rename."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wheatstone.errors import OutputError

__all__ = ["TEMPORARY_PREFIX", "atomic_path", "output_errors", "write_bytes"]

TEMPORARY_PREFIX = ".tmp-"


@contextmanager
def output_errors(path: str | Path) -> Iterator[None]:
    """Turn the operating system's refusals (disk full, not writable, ...) into an `OutputError` that names `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` with the same suffix; on success it is flushed and renamed to `path`.

    Missing folders are made. When the body raises, the temporary file is removed and an existing `path` stays as it was.

    Raises:
        OutputError: the file cannot be written (disk full, not writable, name too long).
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}{path.suffix[:16]}")
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with output_errors(path):
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes | memoryview) -> None:
    """Write a file in one go, atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_path(path) as temporary, output_errors(path):
        temporary.write_bytes(data)
