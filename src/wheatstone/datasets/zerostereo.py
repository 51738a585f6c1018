"""Reader of ZeroStereo's layout, MfS35K included.

Files of one sample differ only in one folder of their path (`left`, `right`, `disparity`, `confidence`, `mask_nocc`,
`mask_inpaint`) and in the suffix: pictures and masks are PNG (left may be any image), disparity and confidence are float32
`.npy`. A list file has one line a sample with six blank-separated relative paths: left right disparity confidence mask_nocc
mask_inpaint. (ZeroStereo, released code, `util/util.py` and `dataset/`.)

Where we differ: the released warp writes a wrong pixel into column 0 of almost every row of the right view and calls it
known; here that column counts as a hole unless `official`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, FileFormatError, InputError
from wheatstone.files import read_disparity, read_image, read_photo
from wheatstone.files.images import IMAGE_SUFFIXES
from wheatstone.samples import StereoSample

__all__ = ["PRODUCTS", "ZeroStereoDataset", "detect", "load"]

PRODUCTS = ("left", "right", "disparity", "confidence", "mask_nocc", "mask_inpaint")
_LAYOUT = f"[.../]{{{','.join(PRODUCTS)}}}/NAME, disparity and confidence .npy, or a list of those six paths a line"


@dataclass(frozen=True)
class _Entry:
    """Paths of one sample in the order of `PRODUCTS`."""

    key: str
    paths: tuple[Path, ...]


def detect(path: Path) -> bool:
    """Whether `path` is a six-column list file, or a folder with `left` and `disparity` (`.npy`) somewhere below."""
    if path.is_file():
        return path.suffix == ".txt" and len(_first_line(path).split()) == len(PRODUCTS)
    return any(_left_folders(path))


def load(path: Path, *, root: str | Path | None = None, official: bool = False) -> "ZeroStereoDataset":
    """Open a folder or list file, MfS35K included; see `ZeroStereoDataset`.

    Scale: `.npy`, float32 pixels. Unknown: 0 and not finite. Occlusion: `mask_nocc` (seen by both) and `mask_inpaint` (holes of
    the second view), above 127 = set. Licence: MfS35K is published under MIT, its photos have the terms of the data sets they
    come from (ADE20K, DIODE, DiW, COCO, Mapillary Vistas). Layout: `.../PRODUCT/NAME` with the six products of this module, or a
    list file with six paths a line.
    """
    return ZeroStereoDataset(path, root=root, official=official)


class ZeroStereoDataset(StereoDataset):
    """A data set that ZeroStereo's scripts wrote, from a list file or from its folders."""

    def __init__(self, path: str | Path, *, root: str | Path | None = None, official: bool = False) -> None:
        """Open a folder or a list file; reads names only.

        Args:
            path: a folder that holds the product folders (at any depth), or a list file.
            root: what the paths of a list are relative to; the folder of the list by default.
            official: take column 0 of the right view as known, as published.

        Raises:
            DatasetError: nothing of this layout there, or a list line without six paths.
        """
        path = Path(path)
        self.name, self.official = path.stem, official
        self.root = Path(root) if root is not None else (path.parent if path.is_file() else path)
        self.entries = _from_list(path, self.root) if path.is_file() else _from_folders(path)
        if not self.entries:
            raise DatasetError(f"{path}: no sample found; ZeroStereo's layout is expected as {_LAYOUT}")
        self.keys = [entry.key for entry in self.entries]

    def read(self, index: int) -> StereoSample:
        """Read one sample; `valid` is disparity > 0, as in the released training code.

        Raises:
            DatasetError: a file that is missing, broken or of another size.
        """
        entry = self.entries[index]
        if missing := [path for path in entry.paths if not path.is_file()]:
            raise DatasetError(f"{missing[0]}: missing; ZeroStereo's layout is expected as {_LAYOUT}")
        try:
            left, right = read_image(entry.paths[0])[0], read_image(entry.paths[1])[0]
            disparity, valid = (t[0] for t in read_disparity(entry.paths[2]))
            confidence = _read_confidence(entry.paths[3])
            visible, hole = (_read_mask(path) for path in entry.paths[4:])
        except (FileFormatError, InputError) as error:
            raise DatasetError(f"{entry.key}: {error}") from error
        for name, shape in zip(PRODUCTS[1:], (right, disparity, confidence, visible, hole), strict=True):
            if shape.shape[-2:] != left.shape[-2:]:
                raise DatasetError(
                    f"{entry.key}: {name} is {_size(shape)}, the left view is {_size(left)}: files of different samples?"
                )
        if not self.official:
            hole[..., 0] = True
        return StereoSample(
            key=entry.key,
            views={"left": left, "right": right},
            baselines={"left": 0.0, "right": 1.0},
            disparity=disparity,
            valid=valid & (disparity > 0),
            confidence=confidence,
            visible=visible,
            hole=hole,
            provenance={"synthetic_views": ["right"], "files": [str(path) for path in entry.paths]},
        )


def _from_list(path: Path, root: Path) -> list[_Entry]:
    entries = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: the list cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        names = line.split()
        if len(names) != len(PRODUCTS):
            raise DatasetError(
                f"{path}: line {number} has {len(names)} columns, not the six of {' '.join(PRODUCTS)}; no blanks in names"
            )
        entries.append(_Entry(_key(names[0]), tuple(root / name for name in names)))
    return entries


def _from_folders(folder: Path) -> list[_Entry]:
    entries = []
    for left in _left_folders(folder):
        for picture in sorted(p for p in left.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES):
            inside = picture.relative_to(left)
            paths = [picture, *(left.parent / name / inside for name in PRODUCTS[1:])]
            suffixes = (picture.suffix, ".png", ".npy", ".npy", ".png", ".png")
            key = str(picture.relative_to(folder))
            entries.append(_Entry(_key(key), tuple(p.with_suffix(s) for p, s in zip(paths, suffixes, strict=True))))
    return entries


def _left_folders(folder: Path) -> Sequence[Path]:
    """Folders named `left` that have `disparity` with `.npy` files beside them."""
    found = []
    for left in sorted(p for p in (folder / "left", *folder.rglob("left")) if p.is_dir()):
        beside = left.parent / "disparity"
        if left not in found and beside.is_dir() and next(beside.rglob("*.npy"), None) is not None:
            found.append(left)
    return found


def _key(left: str) -> str:
    """The path of the left view without its `left` folder."""
    parts = list(Path(left).parts)
    if "left" in parts:
        parts.pop(len(parts) - 1 - parts[::-1].index("left"))
    return "/".join(parts)


def _read_confidence(path: Path) -> torch.Tensor:
    values, known = read_disparity(path)  # the same container: a float32 .npy
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise FileFormatError(f"{path}: confidence is not within 0..1")
    return torch.where(known, values, 0.0)[0]


def _read_mask(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(read_photo(path).image[..., 0] > 127))[None]


def _first_line(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.readline(1 << 16).decode("utf-8", errors="replace")


def _size(map_: torch.Tensor) -> str:
    return f"{map_.shape[-1]} x {map_.shape[-2]}"
