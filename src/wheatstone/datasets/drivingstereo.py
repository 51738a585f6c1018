"""DrivingStereo (Yang et al. 2019): street scenes with filtered LiDAR truth."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Coded
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing

__all__ = ["load"]

_LICENCE = "DrivingStereo: its site's repository is under MIT, of the data it says nothing; cite Yang et al. 2019"
_WEATHERS = ("sunny", "cloudy", "foggy", "rainy")
_SCALES = {"half": 256, "full": 128}
_KINDS = ("left-image", "right-image", "disparity-map")


def load(path: Path, split: str = "train", size: str = "half") -> PairFolder:
    """DrivingStereo: 174 437 training and 7 751 test pairs, and 500 each of four weathers.

    Scale: disparity = 16-bit code / 256 at half size (881 x 400), code / 128 at full size (1762 x 800). The site could not be
    read; public evaluation code divides by 128 at full size, though one toolbox by 256. Unknown: 0. Occlusion: not stated.
    Licence: the site's repository (github.com/drivingstereo-dataset/drivingstereo-dataset.github.io) is under MIT and says
    nothing of the data. Layout: `SPLIT-KIND/[KIND-SIZE-size/]SEQUENCE/TIME.jpg` with SPLIT `train` or `test`,
    KIND `left-image`, `right-image` or `disparity-map` (these `.png`) and SIZE `half` or `full`; and
    `WEATHER/KIND-SIZE-size/TIME.jpg` with WEATHER `sunny`, `cloudy`, `foggy` or `rainy`. Images may be PNG as well.

    Args:
        path: the folder of these folders; a weather may be that folder itself.
        split: `train`, `test`, or a weather.
        size: `half` or `full`; training data come at half size only.
    """
    one_of("split", split, ("train", "test", *_WEATHERS))
    one_of("size", size, tuple(_SCALES))
    weather = split in _WEATHERS
    layout = (
        f"{split}/{{left-image,right-image,disparity-map}}-{size}-size/TIME.{{jpg,png}}"
        if weather
        else f"{split}-{{left-image,right-image,disparity-map}}/[..-{size}-size/]SEQUENCE/TIME.{{jpg,png}}"
    )
    listing = Listing()
    root = path / split if weather and split in listing.folders(path) else path
    names = [f"{kind}-{size}-size" if weather else f"{split}-{kind}" for kind in _KINDS]
    homes = [require_folder(root / name, "DrivingStereo", layout) for name in names]
    if not weather:  # test archives unpack into a folder of their own per size
        inner = [home / f"{kind}-{size}-size" for home, kind in zip(homes, _KINDS, strict=True)]
        homes = [deep if deep.name in listing.folders(home) else home for home, deep in zip(homes, inner, strict=True)]
    keys, suffixes = [], set()
    for folder in [""] if weather else listing.folders(homes[0]):
        for stem, suffix in _images(listing, homes[0] / folder):
            keys.append(f"{folder}/{stem}".lstrip("/"))
            suffixes.add(suffix)
    build = _Files(homes[0], homes[1], homes[2], max(suffixes, default=".jpg"), _SCALES[size])
    pairs = find_pairs(LazyPairs(keys, build), root, "DrivingStereo", layout, listing)
    return PairFolder(f"drivingstereo-{split}", pairs, _LICENCE)


def _images(listing: Listing, folder: Path) -> Iterator[tuple[str, str]]:
    for name in sorted(listing.files(folder)):
        if (file := Path(name)).suffix in (".jpg", ".png"):
            yield file.stem, file.suffix


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    left: Path
    right: Path
    truth: Path
    suffix: str
    scale: int

    def __call__(self, key: str) -> PairFiles:
        image = f"{key}{self.suffix}"
        return PairFiles(
            key=key,
            left=self.left / image,
            right=self.right / image,
            truth=self.truth / f"{key}.png",
            decode=Coded(self.scale),
        )
