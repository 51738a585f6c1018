"""Which pairs of pictures a call of `match` means: two files, two folders matched by name, or a data set."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from wheatstone.datasets import StereoDataset
from wheatstone.errors import DatasetError, InputError, ShapeError
from wheatstone.files import Calibration, parse_calibration, read_photo
from wheatstone.generation.discovery import find_photos
from wheatstone.samples import image_batch, to_uint8

__all__ = ["DatasetPairs", "FilePairs", "PairViews", "find_image_pairs"]


@dataclass(frozen=True)
class PairViews:
    """One pair, read.

    Attributes:
        left, right: `[1,3,H,W]` in 0..1, of one size.
        sources: where they come from, by view; plain text for a sidecar.
        focal_px: focal length of the left view, where its EXIF tells.
        calibration: where a data set brings it with the pair.
    """

    left: Float[Tensor, "1 3 H W"]
    right: Float[Tensor, "1 3 H W"]
    sources: Mapping[str, str]
    focal_px: float | None = None
    calibration: Calibration | None = None

    def digest(self) -> str:
        """SHA-256 of the pixels of both views (8-bit RGB): the same pair stored another way has the same digest."""
        digest = sha256(str(tuple(self.left.shape)).encode())
        for view in (self.left, self.right):
            digest.update(to_uint8(view[0]).tobytes())
        return digest.hexdigest()


class FilePairs:
    """Pairs of image files, read when asked for: EXIF rotation, grey, alpha and 16 bits as everywhere (`files.read_photo`).

    Attributes:
        keys: names of the pairs: the left picture's path below its folder, with its full name.
        refused: pictures that have no partner, with the reason.
    """

    def __init__(self, files: Mapping[str, tuple[Path, Path]], refused: Mapping[str, str] | None = None) -> None:
        """Keep the list; no file is opened."""
        self._files, self.refused = dict(files), dict(refused or {})
        self.keys = list(self._files)

    def read(self, index: int) -> PairViews:
        """Read pair `index`.

        Raises:
            FileFormatError: a file that cannot be read.
            ShapeError: pictures of different sizes.
        """
        paths = self._files[self.keys[index]]
        left, right = (read_photo(path) for path in paths)
        if left.image.shape != right.image.shape:
            sizes = [f"{photo.image.shape[1]} x {photo.image.shape[0]}" for photo in (left, right)]
            raise ShapeError(
                f"{paths[0]} is {sizes[0]}, {paths[1]} is {sizes[1]}: the views of a pair must be of one size"
            )
        sources = {"left": str(paths[0]), "right": str(paths[1])}
        return PairViews(image_batch(left.image), image_batch(right.image), sources, left.focal_px)


class DatasetPairs:
    """The left and right views of a data set; its calibration is used where it brings one.

    Attributes:
        keys: names of the samples.
        refused: always empty.
    """

    def __init__(self, dataset: StereoDataset) -> None:
        """Keep the data set; nothing is read."""
        self.dataset = dataset
        self.keys = list(dataset.keys)
        self.refused: dict[str, str] = {}

    def read(self, index: int) -> PairViews:
        """Read sample `index`.

        Raises:
            DatasetError: a file that is missing or broken, or a sample without two views.
        """
        sample = self.dataset.read(index)
        if not {"left", "right"} <= set(sample.views):
            raise DatasetError(f"{self.dataset.name}: {sample.key} has no left and right view")
        left, right = sample.views["left"][None], sample.views["right"][None]
        sources = {name: f"{self.dataset.name}: {sample.key}, {name} view" for name in ("left", "right")}
        return PairViews(left, right, sources, None, _calibration(sample.provenance, left))


def find_image_pairs(left: str | Path, right: str | Path, *, exclude: str | Path | None = None) -> FilePairs:
    """Find the pairs of two files, or of two folders matched by name.

    In folders (searched with their sub-folders) the partner of a left picture has the same path below its folder; else the same
    but for the suffix; else the same with `left` and `L` turned into `right` and `R`.

    Args:
        left: a file or a folder.
        right: the same kind.
        exclude: a folder whose files are left out, for an output that lies inside the input.

    Raises:
        InputError: something that does not exist, a file and a folder, or folders in which nothing fits.
    """
    first, second = Path(left).expanduser(), Path(right).expanduser()
    for path in (first, second):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    if first.is_dir() != second.is_dir():
        raise InputError(f"{first} and {second}: name two pictures or two folders")
    if not first.is_dir():
        return FilePairs({first.name: (first, second)})
    lefts, rights = (find_photos(folder, exclude=exclude) for folder in (first, second))
    others = {photo.key: photo.path for photo in rights.files}
    by_stem: dict[str, list[str]] = {}
    for key in others:
        by_stem.setdefault(_stem(key), []).append(key)
    files, refused = {}, dict(lefts.refused)
    for photo in lefts.files:
        partner = _partner(photo.key, others, by_stem)
        if partner is None:
            refused[photo.key] = f"no picture of that name in {second}"
        else:
            files[photo.key] = (photo.path, others.pop(partner))
    refused |= dict.fromkeys(others, f"no picture of that name in {first}")
    if not files:
        raise InputError(f"no picture in {first} has a partner of its name in {second}")
    return FilePairs(files, refused)


def _partner(key: str, others: Mapping[str, Path], by_stem: Mapping[str, list[str]]) -> str | None:
    for name in (key, _turned(key)):
        if name in others:
            return name
        alike = [other for other in by_stem.get(_stem(name), ()) if other in others]
        if len(alike) == 1:
            return alike[0]
    return None


def _stem(key: str) -> str:
    return re.sub(r"\.[^./]*$", "", key)


def _turned(key: str) -> str:
    """The name with left turned into right; a lone L only as a word of its own or at the end of the name."""
    turned = re.sub("left", "right", re.sub("Left", "Right", re.sub("LEFT", "RIGHT", key)))
    return turned if turned != key else re.sub(r"(?<![A-Za-z])L(?![A-Za-z])|(?<=[a-z])L(?=\.)", "R", key)


def _calibration(provenance: Mapping[str, Any], left: Tensor) -> Calibration | None:
    """What a sample says about its cameras; nothing where that cannot be used, since the pair can be matched all the same."""
    try:
        if isinstance(text := provenance.get("calib"), str):
            return parse_calibration(text).at_size(left.shape[-1], left.shape[-2])
        if provenance.get("focal_px") and provenance.get("baseline_m"):
            return Calibration(float(provenance["focal_px"]), float(provenance["baseline_m"]))
    except (InputError, ValueError):
        return None
    return None
