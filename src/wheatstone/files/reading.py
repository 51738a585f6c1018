"""Whole files into memory: the one place where the operating system's refusals to read become errors of the library."""

from pathlib import Path

from wheatstone.errors import FileFormatError

__all__ = ["read_bytes"]


def read_bytes(path: str | Path, name: str | Path | None = None) -> bytes:
    """Read a file in one go.

    Args:
        path: the file.
        name: how to call it in an error, by default its path.

    Raises:
        FileFormatError: it cannot be read (missing, a folder, no permission).
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileFormatError(f"{name or path}: cannot be read: {error.strerror or error}") from error
