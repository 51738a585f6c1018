"""Which photos a call means, and what their samples are called."""

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.layout import check_key, colliding_keys
from wheatstone.errors import InputError
from wheatstone.files.images import IMAGE_SUFFIXES

__all__ = ["PhotoFile", "Photos", "find_photos"]


@dataclass(frozen=True)
class PhotoFile:
    """A photo on disk and the key of its sample."""

    path: Path
    key: str


@dataclass(frozen=True)
class Photos:
    """What a call means: photos in the order of their keys, and names that cannot be used with the reason."""

    files: tuple[PhotoFile, ...]
    refused: tuple[tuple[str, str], ...] = ()


def find_photos(sources: str | Path | Sequence[str | Path], *, exclude: str | Path | None = None) -> Photos:
    """Find the photos of a file, a folder, a glob, a text list, or several of these.

    A folder is searched through all its sub-folders for image files (by suffix; names that begin with a dot are skipped,
    links to folders are not followed); every file that a glob or list names is taken, whatever its suffix. A list is a `.txt`
    file with one path a line, relative to the list, `#` for comments. The key of a photo is its path below the root, with its
    full name: the root is the folder given, else the common parent of everything found.

    Args:
        sources: what to search.
        exclude: a folder whose files are left out, for an output that lies inside the input.

    Raises:
        InputError: a source that does not exist, a list that cannot be read, or nothing found at all.
    """
    several = [sources] if isinstance(sources, (str, Path)) else list(sources)
    found: list[Path] = []
    for source in several:
        found += _expand(str(source))
    paths = [Path(os.path.normpath(path.absolute())) for path in found]
    if exclude is not None:
        outside = Path(os.path.normpath(Path(exclude).absolute()))
        inside, paths = paths, [path for path in paths if not path.is_relative_to(outside)]
        if inside and not paths:
            raise InputError(f"all photos lie in the output folder {exclude}: choose another folder to write")
    if not paths:
        raise InputError(
            f"no photos found in {', '.join(map(str, several))}: looked for {', '.join(sorted(IMAGE_SUFFIXES))} files"
        )
    return _named(paths, _root(several, paths))


def _expand(source: str) -> list[Path]:
    path = Path(source).expanduser()
    if path.is_dir():
        return _walk(path)
    if path.is_file():
        return _read_list(path) if path.suffix.lower() == ".txt" else [path]
    if glob.has_magic(source):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
        return [Path(match) for match in matches if Path(match).is_file()]
    raise InputError(f"{source}: no such file or folder, and no glob")


def _walk(folder: Path) -> list[Path]:
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                found.append(Path(here) / name)
    return found


def _read_list(path: Path) -> list[Path]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the list cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [path.parent / Path(line).expanduser() for line in lines if line and not line.startswith("#")]


def _root(sources: Sequence[str | Path], paths: Sequence[Path]) -> Path:
    if len(sources) == 1 and (folder := Path(sources[0]).expanduser()).is_dir():
        return Path(os.path.normpath(folder.absolute()))
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:
        raise InputError(f"the photos lie on several drives and have no common parent: {error}") from error


def _named(paths: Iterable[Path], root: Path) -> Photos:
    files: dict[str, PhotoFile] = {}
    refused: dict[str, str] = {}
    for path in paths:
        key = path.relative_to(root).as_posix()
        try:
            check_key(key)
        except InputError as error:
            refused[key] = str(error)
            continue
        if key in files:
            refused[f"{key} (again)"] = "named twice in the list"
        files.setdefault(key, PhotoFile(path, key))
    for key in colliding_keys(files):
        del files[key]
        refused[key] = "its folder has the name of another sample's file"
    return Photos(tuple(files[key] for key in sorted(files)), tuple(sorted(refused.items())))
