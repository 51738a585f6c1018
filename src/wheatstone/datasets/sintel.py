"""MPI Sintel stereo (Butler et al. 2012; stereo training data of 2015)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.decoding import Mask, is_set
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.errors import FileFormatError
from wheatstone.files import decode_png, read_bytes

__all__ = ["load"]

_LICENCE = "MPI Sintel: frames of the film Sintel, CC BY 3.0 Blender Foundation; cite Butler et al. 2012"


def load(path: Path, render: str = "final") -> PairFolder:
    """Sintel stereo: 1064 training pairs of 23 sequences, 1024 x 436, baseline 10 cm.

    Scale: 8-bit RGB, disparity = 4 R + G / 2^6 + B / 2^14 pixels (its README encodes R and G, its reader adds B). Unknown: none.
    Occlusion: `occlusions` and `outofframe`, not 0 = not seen by the right camera; `visible` is where neither is set, and both
    stand in `extras` (`occluded`, `out_of_frame`): the benchmark does not count what leaves the frame. Licence: film frames
    CC BY 3.0 (Blender Foundation); none stated for the truth. Layout:
    `training/FOLDER/SEQUENCE/frame_NNNN.png` with FOLDER `{clean,final}_{left,right}`, `disparities`, `occlusions`, `outofframe`.

    Args:
        path: the folder that holds `training`, or that folder itself.
        render: `final` or `clean`.
    """
    one_of("render", render, ("final", "clean"))
    layout = f"training/{{{render}_left,{render}_right,disparities,occlusions,outofframe}}/SEQUENCE/frame_NNNN.png"
    listing = Listing()
    root = path if f"{render}_left" in listing.folders(path) else path / "training"
    left = require_folder(root / f"{render}_left", "Sintel stereo", layout)
    keys = [
        f"{sequence}/{name.removesuffix('.png')}"
        for sequence in listing.folders(left)
        for name in sorted(listing.files(left / sequence))
        if name.endswith(".png")
    ]
    pairs = find_pairs(LazyPairs(keys, _Files(root, render)), root, "Sintel stereo", layout, listing)
    return PairFolder(f"sintel-{render}", pairs, _LICENCE)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path
    render: str

    def __call__(self, key: str) -> PairFiles:
        name = f"{key}.png"
        return PairFiles(
            key=key,
            left=self.root / f"{self.render}_left" / name,
            right=self.root / f"{self.render}_right" / name,
            truth=self.root / "disparities" / name,
            decode=_decode,
            masks=(
                Mask(self.root / "occlusions" / name, "occluded", is_set),
                Mask(self.root / "outofframe" / name, "out_of_frame", is_set),
            ),
        )


def _decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    codes = decode_png(read_bytes(path), path)
    if codes.ndim != 3 or codes.dtype != np.uint8:
        raise FileFormatError(
            f"{path}: Sintel's disparity is an 8-bit RGB picture, this is {codes.dtype} {list(codes.shape)}"
        )
    values = codes @ np.array((4, 2**-6, 2**-14))
    return values.astype(np.float32), np.ones(values.shape, bool)
