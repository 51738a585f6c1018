"""Frames of stereo films: both views side by side in one picture, or already cut apart as the Mono2Stereo benchmark does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import torch
from torch import Tensor

from wheatstone.datasets.base import StereoDataset
from wheatstone.datasets.pairs import PairFiles, PairFolder, find_pairs, one_of, require_folder, unique
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.errors import DatasetError, FileFormatError, InputError
from wheatstone.files import read_image
from wheatstone.files.images import IMAGE_SUFFIXES
from wheatstone.samples import StereoSample

__all__ = ["SideBySide", "load"]

_LICENCE = "unknown: films belong to their makers"
_LAYOUT = "frames FRAME.{png,jpg,...} with the left view in the left half, or left/FRAME.jpg and right/FRAME.jpg"
_PUBLISHED = (960, 540)
_SQUEEZED_BELOW = 2.5
"""Width over height of a frame: two squeezed views reach 2.41 (CinemaScope), two whole ones begin at 2.67 (4:3)."""


class SideBySide(StereoDataset):
    """Pictures that hold both views side by side, read lazily.

    Attributes:
        name, keys: as of every data set.
    """

    def __init__(
        self,
        root: Path,
        keys: Sequence[str],
        paths: Sequence[Path],
        *,
        first: Literal["left", "right"],
        squeezed: bool | None,
        size: tuple[int, int] | None,
    ) -> None:
        """Keep the list; no file is opened. Arguments as in `load`."""
        self.name, self.keys, self.root = "side-by-side", keys, root
        self._paths, self._first, self._squeezed, self._size = paths, first, squeezed, size

    def read(self, index: int) -> StereoSample:
        """Read and cut one frame.

        Raises:
            DatasetError: an unreadable frame, or one with an odd width.
        """
        path = self._paths[index]
        try:
            frame = read_image(path)[0]
        except FileFormatError as error:
            raise DatasetError(str(error)) from error
        width = frame.shape[-1]
        if width % 2 or width < 4:
            raise DatasetError(
                f"{path}: {width} pixels wide, so it cannot hold two views of the same width side by side"
            )
        halves = [self._restored(half.contiguous()) for half in frame.split(width // 2, dim=-1)]
        left, right = halves if self._first == "left" else halves[::-1]
        return StereoSample(
            key=self.keys[index],
            views={"left": left, "right": right},
            baselines={"left": 0.0, "right": 1.0},
            provenance={"dataset": self.name, "source": str(path), "licence": _LICENCE},
        )

    def _restored(self, half: Tensor) -> Tensor:
        """One view at its own proportions."""
        height, width = half.shape[-2:]
        if self._size is not None:
            size = self._size
        elif self._squeezed or (self._squeezed is None and 2 * width < _SQUEEZED_BELOW * height):
            size = (width, max(1, height // 2))  # rows are given up: no column is invented
        else:
            return half
        shrinks = size[0] * size[1] < width * height
        interpolation = cv2.INTER_AREA if shrinks and self._size is None else cv2.INTER_LINEAR
        resized = cv2.resize(half.permute(1, 2, 0).numpy(), size, interpolation=interpolation)
        return torch.from_numpy(resized).permute(2, 0, 1).contiguous().clamp(0, 1)


def load(
    path: Path, first: str = "left", squeezed: str | bool = "auto", size: str | int = "", official: bool = False
) -> StereoDataset:
    """Frames of stereo films, without any disparity.

    Layout: pictures with both views side by side, in any folders below `path`; or, as the benchmark's own script leaves them,
    folders `left` and `right` with files of the same names. Key: the path below `path` without its suffix. Scale: there is no
    truth (`wheatstone evaluate synthesizer NAME DATA --protocol mono2stereo` needs none). Unknown: all. Occlusion: none.
    Licence: films belong to their makers.

    Args:
        path: the folder.
        first: the view in the left half: `left` (parallel), or `right` (crossed eyes).
        squeezed: whether the halves are squeezed to half their width, as in films for television sets; `auto` takes frames
            narrower than 2.5 times their height for squeezed. Such views lose every other row.
        size: `WIDTHxHEIGHT` that every view is resized to instead.
        official: 960x540, bilinear, whatever the frame is, as published.

    Raises:
        InputError: a setting that means nothing.
        DatasetError: no such folder, no frames, or a left view without its right one.

    Source: Yu et al., "Mono2Stereo: A Benchmark and Empirical Study for Stereo Conversion" (CVPR 2025), its data script, which
    also takes one frame of eight and drops the first 300 and the last 600 seconds of a film.
    """
    one_of("first", first, ("left", "right"))
    one_of("squeezed", str(squeezed).lower(), ("auto", "true", "false"))
    root = require_folder(path, "a folder of side-by-side frames", _LAYOUT)
    listing = Listing()
    if places := [place for place in listing.holders(root, "left") if {"left", "right"} <= set(listing.folders(place))]:
        if size or official or first != "left" or squeezed != "auto":
            raise InputError(
                f"{root}: its views lie in folders left and right, cut already; no setting applies to them"
            )
        return _cut(root, places, listing)
    paths = [found for found in sorted(root.rglob("*")) if found.suffix.lower() in IMAGE_SUFFIXES and found.is_file()]
    if not paths:
        raise DatasetError(f"{root}: no frames found; expected are {_LAYOUT}")
    keys = [found.relative_to(root).with_suffix("").as_posix() for found in paths]
    unique(keys, root, "a folder of side-by-side frames")
    return SideBySide(
        root,
        keys,
        paths,
        first="left" if first == "left" else "right",
        squeezed=None if squeezed == "auto" else str(squeezed).lower() == "true",
        size=_PUBLISHED if official else _size(str(size)),
    )


def _cut(root: Path, places: Sequence[Path], listing: Listing) -> PairFolder:
    pairs = []
    for place in places:
        prefix = key_prefix(root, place)
        for name in sorted(listing.files(place / "left")):
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                pairs.append(PairFiles(prefix + Path(name).stem, place / "left" / name, place / "right" / name))
    found = find_pairs(pairs, root, "a folder of film frames cut apart", _LAYOUT, listing)
    return PairFolder("side-by-side", found, _LICENCE)


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InputError(f"size is WIDTHxHEIGHT (960x540), got {text!r}")
    return int(width), int(height)
