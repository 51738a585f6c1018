"""What the readers of public stereo data share: a list of files with a rule for the truth, read when asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from wheatstone.datasets.base import StereoDataset
from wheatstone.datasets.decoding import Mask, Pfm
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError, FileFormatError, InputError
from wheatstone.files import read_bytes, read_image
from wheatstone.samples import StereoSample

__all__ = ["LazyPairs", "PairFiles", "PairFolder", "find_pairs", "one_of", "require_folder", "unique"]

# A run-time type checker would build every pair to look into a sequence of a declared kind.
if TYPE_CHECKING:
    _Pairs = Sequence["PairFiles"]
else:
    _Pairs = Sequence


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair.

    Attributes:
        key: name of the sample.
        left, right: the images.
        truth: disparity of the left view, or None.
        truth_right: disparity of the right view, or None.
        decode: how to read `truth` and `truth_right`.
        masks: what else the data set says of each pixel of the left view; see `PairFolder`.
        texts: name to text file (calibration, camera settings) that goes into the provenance as it stands.
        notes: what a reader of the figures must know.
        opaque: the images' alpha channel means nothing (renderers leave anything in it): take the colours as they are.
    """

    key: str
    left: Path
    right: Path
    truth: Path | None = None
    truth_right: Path | None = None
    decode: Callable[[Path], tuple[np.ndarray, np.ndarray]] = field(default_factory=Pfm)
    masks: Sequence[Mask] = ()
    texts: Mapping[str, Path] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    opaque: bool = False

    def files(self) -> Iterator[Path]:
        """Every file of the pair."""
        yield from (path for path in (self.left, self.right, self.truth, self.truth_right) if path is not None)
        yield from (mask.path for mask in self.masks)
        yield from self.texts.values()


class LazyPairs(_Pairs):
    """Pairs known by their keys, their files named when asked for: 10^5 pairs cost no more memory than their keys."""

    def __init__(self, keys: Sequence[str], build: Callable[[str], PairFiles]) -> None:
        """Keep the keys; `build` (picklable, for worker processes) names the files of one."""
        self.keys, self.build = keys, build

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> PairFiles: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyPairs": ...
    def __getitem__(self, index: int | slice) -> "PairFiles | LazyPairs":
        """The files of pair `index`, or fewer pairs for a slice."""
        if isinstance(index, slice):
            return LazyPairs(self.keys[index], self.build)
        return self.build(self.keys[index])


class PairFolder(StereoDataset):
    """Rectified pairs of a public data set, read lazily.

    Masks by name: `visible` (seen by both cameras) becomes the sample's; `valid` restricts where the truth counts;
    `occluded` and `out_of_frame` become `extras`, and `visible` is where neither holds; other names become `extras`.
    """

    def __init__(self, name: str, pairs: Sequence[PairFiles], licence: str, left_right: bool = False) -> None:
        """Keep the list; no file is opened.

        Args:
            name: what to call the data set in a table.
            pairs: its files.
            licence: terms of the images, put into every sample's provenance.
            left_right: where the data set states no `visible`, compute it from the truths of both views: pixels whose
                disparities agree within 1 px (`wheatstone.matching.consistency`). Off by default: only what is stated.
        """
        self.name = name
        self.pairs = pairs
        self.licence = licence
        self.left_right = left_right
        self.keys = pairs.keys if isinstance(pairs, LazyPairs) else [pair.key for pair in pairs]

    def read(self, index: int) -> StereoSample:
        """Read one pair.

        Raises:
            DatasetError: a file that is missing, broken, or of another size than the left image; or `left_right` without the
                right view's truth.
        """
        pair = self.pairs[index]
        try:
            return _read_pair(pair, self.name, self.licence, self.left_right)
        except FileFormatError as error:
            raise DatasetError(str(error)) from error


def _read_pair(pair: PairFiles, name: str, licence: str, left_right: bool) -> StereoSample:
    views = {name: read_image(path, pair.opaque)[0] for name, path in (("left", pair.left), ("right", pair.right))}
    size = tuple(views["left"].shape[-2:])
    _same_size(pair.right, tuple(views["right"].shape[-2:]), pair.left, size)
    disparity = valid = None
    extras: dict[str, Tensor] = {}
    if pair.truth is not None:
        disparity, valid = _map(pair.truth, pair, size)
    if pair.truth_right is not None:
        extras["disparity_right"], extras["valid_right"] = _map(pair.truth_right, pair, size)
    masks = _masks(pair, size)
    visible = masks.pop("visible", None)
    if valid is not None and "valid" in masks:
        valid = valid & masks["valid"]
    masks.pop("valid", None)
    if visible is None and "occluded" in masks:
        visible = ~(masks["occluded"] | masks.get("out_of_frame", torch.zeros_like(masks["occluded"])))
    provenance = {"dataset": name, "source": str(pair.left), "licence": licence, **pair.notes}
    for text, path in pair.texts.items():
        provenance[text] = read_bytes(path).decode("utf-8", errors="replace")
    if visible is None and left_right:
        visible = _visible_by_truth(pair, disparity, valid, extras)
        provenance["visible"] = "both truths agree within 1 px"
    return StereoSample(
        key=pair.key,
        views=views,
        baselines={"left": 0.0, "right": 1.0},
        disparity=disparity,
        valid=valid,
        visible=visible,
        extras={**extras, **masks},
        provenance=provenance,
    )


def _map(path: Path, pair: PairFiles, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    values, valid = pair.decode(path)
    _same_size(path, values.shape, pair.left, size)
    return torch.from_numpy(values)[None], torch.from_numpy(valid)[None]


def _masks(pair: PairFiles, size: tuple[int, ...]) -> dict[str, Tensor]:
    codes: dict[Path, np.ndarray] = {}
    found = {}
    for mask in pair.masks:
        if mask.path not in codes:  # one file may say two things
            codes[mask.path] = mask.read()
            _same_size(mask.path, codes[mask.path].shape, pair.left, size)
        found[mask.name] = torch.from_numpy(mask.rule(codes[mask.path]))[None]
    return found


def _visible_by_truth(
    pair: PairFiles, disparity: Tensor | None, valid: Tensor | None, extras: Mapping[str, Tensor]
) -> Tensor:
    from wheatstone.matching.consistency import left_right_consistency

    if disparity is None or valid is None or "disparity_right" not in extras:
        raise DatasetError(f"{pair.key}: left_right needs the truth of both views, this pair has not got it")
    unknown = torch.tensor(float("inf"))
    of_right = torch.where(extras["valid_right"], extras["disparity_right"], unknown)
    return left_right_consistency(disparity[None], of_right[None])[0] & valid


def _same_size(path: Path, found: tuple[int, ...], reference: Path, expected: tuple[int, ...]) -> None:
    if tuple(found) != tuple(expected):
        raise DatasetError(
            f"{path}: {found[1]} x {found[0]} pixels, but {reference.name} has {expected[1]} x {expected[0]}"
        )


def require_folder(path: Path, dataset: str, layout: str) -> Path:
    """Return `path` if it is a folder.

    Raises:
        DatasetError: it is not; the message says which layout `dataset` has.
    """
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; {dataset} is expected as {layout}")
    return path


def find_pairs(
    pairs: Sequence[PairFiles], root: Path, dataset: str, layout: str, listing: Listing | None = None
) -> Sequence[PairFiles]:
    """The pairs, if there are any and the files of each exist; each folder is listed once, no file is asked for by itself.

    Raises:
        DatasetError: none were found, a file of a pair is missing, or a key occurs twice; the message says which layout is
            expected.
    """
    if not pairs:
        raise DatasetError(f"{root}: no pairs found; {dataset} is expected as {layout}")
    listing = listing or Listing()
    for pair in pairs:
        for path in pair.files():
            if not listing.has(path):
                raise DatasetError(f"{path}: missing; {dataset} is expected as {layout}")
    unique([pair.key for pair in pairs] if not isinstance(pairs, LazyPairs) else pairs.keys, root, dataset)
    return pairs


def unique(keys: Sequence[str], root: Path, dataset: str) -> None:
    """Check that no key occurs twice.

    Raises:
        DatasetError: one does: the same scene lies below `root` in two places.
    """
    if len(set(keys)) == len(keys):
        return
    seen: set[str] = set()
    twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    raise DatasetError(f"{root}: two pairs of {dataset} are called {twice}: open the folders one by one")


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`.

    Raises:
        InputError: it is not; the message lists them.
    """
    if value not in choices:
        raise InputError(f"{name} is one of {', '.join(choices)}, got {value!r}")
    return value
