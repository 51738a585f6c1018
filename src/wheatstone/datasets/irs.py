"""IRS (Wang et al. 2021): rendered homes, offices, restaurants and stores for indoor robots."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing, key_prefix
from wheatstone.files import read_exr

__all__ = ["load"]

_LICENCE = "IRS: no licence stated, cite Wang et al. 2021"
_PARTS = ("Home", "Office", "Restaurant", "Store")
_FOCAL_PX, _BASELINE_M = 480.0, 0.1


def load(path: Path, part: str | None = None) -> PairFolder:
    """IRS, 960 x 540: 103 316 rendered indoor pairs, some dark, overexposed or with lens flares, many with glass and mirrors.

    Scale: OpenEXR, disparity of the left view in pixels, positive. Unknown: not stated; 0, negative and not finite count as
    unknown here. Occlusion: no mask, and no truth of the right view. Licence: none stated. Layout:
    `{Home,Office,Restaurant,Store}/SCENE/{l_N.png,r_N.png,d_N.exr}` (normals `n_N.exr` beside them are not read). Focal length
    480 px (its loader); baseline 10 cm (StereoSpace, arXiv 2512.10959, table 4).

    Args:
        path: the folder of the parts, or anything below it.
        part: `Home`, `Office`, `Restaurant` or `Store`; all that are there by default.
    """
    layout = "{Home,Office,Restaurant,Store}/SCENE/{l_N.png,r_N.png,d_N.exr}"
    require_folder(path, "IRS", layout)
    listing = Listing()
    keys = []
    for place in listing.holders_of(path if part is None else path / one_of("part", part, _PARTS), "l_", ".png"):
        prefix = key_prefix(path, place)
        names = sorted(name for name in listing.files(place) if name.startswith("l_") and name.endswith(".png"))
        keys += [prefix + name.removeprefix("l_").removesuffix(".png") for name in names]
    return PairFolder("irs", find_pairs(LazyPairs(keys, _Files(path)), path, "IRS", layout, listing), _LICENCE)


@dataclass(frozen=True)
class _Files:
    """Names the files of a pair."""

    root: Path

    def __call__(self, key: str) -> PairFiles:
        folder, _, number = key.rpartition("/")
        place = self.root / folder
        return PairFiles(
            key=key,
            left=place / f"l_{number}.png",
            right=place / f"r_{number}.png",
            truth=place / f"d_{number}.exr",
            decode=_decode,
            notes={"focal_px": _FOCAL_PX, "baseline_m": _BASELINE_M},
        )


def _decode(path: Path) -> tuple[np.ndarray, np.ndarray]:
    values = read_exr(path)
    valid = np.isfinite(values) & (values > 0)
    return np.where(valid, values, 0).astype(np.float32), valid
