"""What the readers of public stereo data share: a list of files with a rule for the truth, read when asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, FileFormatError
from wheatstone.files import read_bytes, read_image, read_pfm
from wheatstone.samples import StereoSample

__all__ = ["Coded", "PairFiles", "PairFolder", "Pfm", "find_pairs", "read_codes", "require_folder"]


@dataclass(frozen=True)
class Coded:
    """Truth stored as whole numbers: disparity = code / scale, one code means unknown."""

    scale: int
    invalid: int = 0

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        codes = read_codes(path)
        valid = codes != self.invalid
        return np.where(valid, codes / np.float64(self.scale), 0).astype(np.float32), valid


@dataclass(frozen=True)
class Pfm:
    """Truth stored as floating-point pixels; inf and NaN mean unknown."""

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Disparity in pixels (float32 `[H,W]`, 0 where unknown) and where it is known."""
        values = read_pfm(path)
        if values.ndim != 2:
            raise FileFormatError(f"{path}: a disparity PFM has one channel, this one has {values.shape[-1]}")
        valid = np.isfinite(values)
        return np.where(valid, values, 0).astype(np.float32), valid


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair.

    Attributes:
        key: name of the sample.
        left, right: the images.
        truth: disparity of the left view, or None.
        truth_right: disparity of the right view, or None.
        decode: how to read `truth` and `truth_right`.
        non_occluded: 8-bit mask, 255 = seen by both cameras, or None.
        truth_non_occluded: a second truth file that holds only non-occluded pixels (KITTI), or None.
        notes: what a reader of the figures must know.
    """

    key: str
    left: Path
    right: Path
    truth: Path | None = None
    truth_right: Path | None = None
    decode: Callable[[Path], tuple[np.ndarray, np.ndarray]] = field(default_factory=Pfm)
    non_occluded: Path | None = None
    truth_non_occluded: Path | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


class PairFolder(StereoDataset):
    """Rectified pairs of a public data set, read lazily."""

    def __init__(self, name: str, pairs: Sequence[PairFiles], licence: str) -> None:
        """Keep the list; no file is opened.

        Args:
            name: what to call the data set in a table.
            pairs: its files.
            licence: terms of the images, put into every sample's provenance.
        """
        self.name = name
        self.pairs = list(pairs)
        self.licence = licence
        self.keys = [pair.key for pair in self.pairs]

    def read(self, index: int) -> StereoSample:
        """Read one pair.

        Raises:
            DatasetError: a file that is missing, broken, or of another size than the left image.
        """
        pair = self.pairs[index]
        try:
            return _read_pair(pair, self.name, self.licence)
        except FileFormatError as error:
            raise DatasetError(str(error)) from error


def _read_pair(pair: PairFiles, name: str, licence: str) -> StereoSample:
    views = {"left": read_image(pair.left)[0], "right": read_image(pair.right)[0]}
    size = tuple(views["left"].shape[-2:])
    _same_size(pair.right, tuple(views["right"].shape[-2:]), pair.left, size)
    disparity = valid = visible = None
    extras: dict[str, Tensor] = {}
    if pair.truth is not None:
        disparity, valid = _map(pair.truth, pair, size)
    if pair.truth_right is not None:
        extras["disparity_right"], extras["valid_right"] = _map(pair.truth_right, pair, size)
    if pair.truth_non_occluded is not None:
        visible = _map(pair.truth_non_occluded, pair, size)[1]
    elif pair.non_occluded is not None:
        mask = read_codes(pair.non_occluded)
        _same_size(pair.non_occluded, mask.shape, pair.left, size)
        visible = torch.from_numpy(mask == 255)[None]
    provenance = {"dataset": name, "source": str(pair.left), "licence": licence, **pair.notes}
    return StereoSample(
        key=pair.key,
        views=views,
        baselines={"left": 0.0, "right": 1.0},
        disparity=disparity,
        valid=valid,
        visible=visible,
        extras=extras,
        provenance=provenance,
    )


def _map(path: Path, pair: PairFiles, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    values, valid = pair.decode(path)
    _same_size(path, values.shape, pair.left, size)
    return torch.from_numpy(values)[None], torch.from_numpy(valid)[None]


def _same_size(path: Path, found: tuple[int, ...], reference: Path, expected: tuple[int, ...]) -> None:
    if tuple(found) != tuple(expected):
        raise DatasetError(
            f"{path}: {found[1]} x {found[0]} pixels, but {reference.name} has {expected[1]} x {expected[0]}"
        )


def read_codes(path: Path) -> np.ndarray:
    """Read whole-number codes `[H,W]` from a grey PNG or PGM of 8 or 16 bits; a palette of greys is looked up.

    Raises:
        FileFormatError: missing, broken, or a colour picture.
    """
    data = read_bytes(path)
    codes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if codes is None:
        raise FileFormatError(f"{path}: not a readable PNG or PGM file")
    if codes.ndim == 3:
        colours = codes[..., :3]
        if (colours != colours[..., :1]).any():
            raise FileFormatError(f"{path}: a colour picture, but codes of disparity or depth are grey")
        codes = colours[..., 0]
    if codes.dtype not in (np.uint8, np.uint16):
        raise FileFormatError(f"{path}: codes are 8- or 16-bit whole numbers, this file holds {codes.dtype}")
    return np.ascontiguousarray(codes)


def require_folder(path: Path, dataset: str, layout: str) -> Path:
    """Return `path` if it is a folder.

    Raises:
        DatasetError: it is not; the message says which layout `dataset` has.
    """
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; {dataset} is expected as {layout}")
    return path


def find_pairs(pairs: Sequence[PairFiles], root: Path, dataset: str, layout: str) -> list[PairFiles]:
    """The pairs, if there are any and the files of each exist.

    Raises:
        DatasetError: none were found, or an image of a pair is missing; the message says which layout is expected.
    """
    if not pairs:
        raise DatasetError(f"{root}: no pairs found; {dataset} is expected as {layout}")
    for pair in pairs:
        for path in (pair.left, pair.right, pair.truth):
            if path is not None and not path.is_file():
                raise DatasetError(f"{path}: missing; {dataset} is expected as {layout}")
    return list(pairs)
