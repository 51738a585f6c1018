"""The rendered data set of CREStereo (Li et al. 2022)."""

from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Coded
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix

__all__ = ["load"]

_LICENCE = "CREStereo data set: no licence stated (its code is Apache-2.0), cite Li et al. 2022"
_PARTS = ("tree", "shapenet", "reflective", "hole")
_IMAGE = "_left.jpg"


def load(path: Path, part: str | None = None, left_right: bool = False) -> PairFolder:
    """CREStereo, 200 000 rendered pairs in four parts.

    Scale: disparity = 16-bit code / 32, truth of both views. Unknown: 0 (its training code leaves 0 out; the release states no
    code). Occlusion: no mask. Licence: none stated for the data (the code is Apache-2.0). Layout:
    `{tree,shapenet,reflective,hole}/ID_{left,right}.jpg` and `ID_{left,right}.disp.png` beside them.

    Args:
        path: the folder of the parts, or one of them.
        part: `tree`, `shapenet`, `reflective` or `hole`; all that are there by default.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    layout = "{tree,shapenet,reflective,hole}/ID_{left,right}{.jpg,.disp.png}"
    require_folder(path, "CREStereo", layout)
    listing = Listing()
    parts = _PARTS if part is None else (one_of("part", part, _PARTS),)
    folders = [name for name in parts if name in listing.folders(path)] or ([""] if part in (None, path.name) else [])
    keys = []
    for folder in folders:
        names = sorted(name for name in listing.files(path / folder) if name.endswith(_IMAGE))
        prefix = key_prefix(path, path / folder)
        keys += [prefix + name.removesuffix(_IMAGE) for name in names]
    pairs = find_pairs(LazyPairs(keys, _Files(path)), path, "CREStereo", layout, listing)
    return PairFolder("crestereo", pairs, _LICENCE, left_right)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path

    def __call__(self, key: str) -> PairFiles:
        stem = self.root / key
        names = ("_left.jpg", "_right.jpg", "_left.disp.png", "_right.disp.png")
        left, right, truth, truth_right = (stem.with_name(stem.name + name) for name in names)
        return PairFiles(key, left, right, truth, truth_right, Coded(32))
