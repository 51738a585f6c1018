"""LayeredFlow (Wen et al. 2024): real pairs of glass and mirrors, with sparse truth measured by fiducial markers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.errors import FileFormatError
from wheatstone.files import read_bytes
from wheatstone.files.pickles import read_pickle
from wheatstone.files.png import png_header

__all__ = ["load"]

_LICENCE = "LayeredFlow: no licence of the data stated, cite Wen et al. 2024"
_CAMERAS = ("0", "3")  # of the two positions of the rig; each has a left (0) and a right (1) picture
_LAYERS = (0, 1, 2, 3)


def load(path: Path, split: str = "val", layer: int = 0) -> PairFolder:
    """LayeredFlow, real scenes: two pairs each, sparse truth on transparent, reflecting and plain things; for testing.

    Scale: `gt.pickle`, positions of the same marker in all four pictures; disparity = column in the left - column in the right
    one, in pixels of the full pictures (the published evaluation shrinks them by 4). Unknown: everything but the markers that
    are annotated as valid and lie on `layer`. Occlusion: no mask. Licence: none stated for the data. Layout:
    `{val,test}/SCENE/{0_0.png,0_1.png,3_0.png,3_1.png}` and `val/SCENE/gt.pickle`. That `_0` is the left and `_1` the right
    picture and that they are rectified is how the file's indices read; its documentation does not say (not checked on the data).
    Markers whose columns grow from left to right picture in more than half the cases are refused.

    Args:
        path: the folder of the splits, or one of them.
        split: `val` or `test`, which has no truth; a `path` without these folders is taken as it is.
        layer: which surface along the ray counts, 0 = the first.
    """
    layout = "{val,test}/SCENE/{0_0,0_1,3_0,3_1}.png and val/SCENE/gt.pickle"
    one_of("split", split, ("val", "test"))
    one_of("layer", str(layer), tuple(str(number) for number in _LAYERS))
    require_folder(path, "LayeredFlow", layout)
    listing = Listing()
    root = path / split if {"val", "test"} & set(listing.folders(path)) else path
    places = list(listing.holders(root, "0_0.png"))
    keys = [f"{key_prefix(root, place)}{camera}" for place in places for camera in _CAMERAS]
    measured = frozenset(key_prefix(root, place) for place in places if listing.has(place / "gt.pickle"))
    pairs = LazyPairs(keys, _Files(root, measured, layer))
    return PairFolder("layeredflow", find_pairs(pairs, root, "LayeredFlow", layout, listing), _LICENCE)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path
    measured: frozenset[str]
    layer: int

    def __call__(self, key: str) -> PairFiles:
        folder, slash, camera = key.rpartition("/")
        place = self.root / folder
        return PairFiles(
            key=key,
            left=place / f"{camera}_0.png",
            right=place / f"{camera}_1.png",
            truth=place / "gt.pickle" if folder + slash in self.measured else None,
            decode=_Markers(camera, self.layer),
            notes={"layer": self.layer},
        )


@dataclass(frozen=True)
class _Markers:
    """Sparse disparity from the markers that both pictures of one camera position show."""

    camera: str
    layer: int

    def __call__(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        width, height, _, _ = png_header(read_bytes(path.with_name(f"{self.camera}_0.png")), path)
        try:
            found = list(self._pairs(read_pickle(path)))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(f"{path}: no optical_points and annotations of the usual form: {error!r}") from error
        if found and np.median([column - other for column, _, other in found]) < 0:
            raise FileFormatError(
                f"{path}: markers move to the right in {self.camera}_1.png: the pictures seem swapped"
            )
        values, valid = np.zeros((height, width), np.float32), np.zeros((height, width), bool)
        for column, row, other in found:
            if 0 <= column < width and 0 <= row < height:
                values[int(row), int(column)], valid[int(row), int(column)] = column - other, True
        return values, valid

    def _pairs(self, content: Mapping[str, Any]) -> list[tuple[float, float, float]]:
        """Column and row in the left picture and column in the right one."""
        first = 2 * _CAMERAS.index(self.camera)
        left, right = (
            {(point[0], point[1]): point[2] for point in content["optical_points"][first + side]} for side in (0, 1)
        )
        notes = content["annotations"]
        return [
            (float(position[0]), float(position[1]), float(right[name][0]))
            for name, position in left.items()
            if name in right and notes[name][0] and notes[name][2] == self.layer
        ]
