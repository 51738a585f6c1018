"""Pairs named in a text file, for data that has no layout of its own."""

from functools import partial
from pathlib import Path

import numpy as np

from wheatstone.datasets.pairs import PairFiles, PairFolder, find_pairs
from wheatstone.errors import DatasetError
from wheatstone.files import read_disparity

__all__ = ["load"]

_LAYOUT = "lines 'LEFT RIGHT [TRUTH [SCALE]]', columns parted by tabs (or blanks), paths relative to the list"


def load(path: Path) -> PairFolder:
    """Open a list of pairs: one a line, `LEFT RIGHT [TRUTH [SCALE]]`, `#` for comments.

    Columns are parted by tabs if a line holds any, else by blanks. Key: the left image as it is named in the list.
    Scale: TRUTH is what `wheatstone.files.read_disparity` reads: `.pfm`, `.npy` and `.npz` hold pixels, `.png` holds code =
    disparity x SCALE (which may be left out where the file itself says it). Unknown: 0 in `.png`, else what is not finite.
    Occlusion: none. Licence: whatever the files have. Layout: relative paths start at the list's folder.

    Raises:
        DatasetError: an unreadable list, a line of another form, a missing file, or the same left image twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: the list cannot be read: {error}") from error
    pairs: dict[str, PairFiles] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pair = _pair(line, path, number)
        if pair.key in pairs:
            raise DatasetError(f"{path}: line {number} names {pair.key} again")
        pairs[pair.key] = pair
    return PairFolder(path.stem, find_pairs(list(pairs.values()), path, "a list", _LAYOUT), "unknown: see the files")


def _pair(line: str, path: Path, number: int) -> PairFiles:
    columns = [word.strip() for word in (line.split("\t") if "\t" in line else line.split()) if word.strip()]
    if not 2 <= len(columns) <= 4:
        raise DatasetError(f"{path}: line {number} has {len(columns)} columns, but a list has {_LAYOUT}")
    left, right, truth = (path.parent / Path(word).expanduser() for word in (*columns[:3], "")[:3])
    scale = None
    if len(columns) == 4:
        try:
            scale = float(columns[3])
        except ValueError as error:
            raise DatasetError(f"{path}: line {number}: the scale {columns[3]!r} is no number") from error
    return PairFiles(
        key=columns[0],
        left=left,
        right=right,
        truth=truth if len(columns) > 2 else None,
        decode=partial(_decode, scale=scale),
    )


def _decode(path: Path, scale: float | None) -> tuple[np.ndarray, np.ndarray]:
    disparity, valid = read_disparity(path, scale=scale)
    return disparity[0, 0].numpy(), valid[0, 0].numpy()
