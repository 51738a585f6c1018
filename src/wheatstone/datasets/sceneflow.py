"""FlyingThings3D of the Scene Flow data sets (Mayer et al. 2016). Licence: research use only, cite the paper."""

from pathlib import Path

import numpy as np

from wheatstone.datasets.pairs import PairFiles, PairFolder, Pfm, find_pairs, require_folder
from wheatstone.errors import InputError

__all__ = ["load_flyingthings"]

_LICENCE = "Scene Flow data sets: research use only, cite Mayer et al. 2016"


def load_flyingthings(path: Path, split: str | None = None, render: str = "cleanpass") -> PairFolder:
    """FlyingThings3D, rendered pairs with dense truth.

    Scale: PFM in pixels. The full release stores the left disparity positive, the FlyingThings3D subset negative; both
    come out positive here. Unknown: nothing (inf and NaN would be). Occlusion: the release has no stereo mask.
    Layout: `frames_cleanpass/{TRAIN,TEST}/{A,B,C}/NNNN/{left,right}/NNNN.{png,webp}` and
    `disparity/{TRAIN,TEST}/{A,B,C}/NNNN/{left,right}/NNNN.pfm`.

    Args:
        path: folder that holds `frames_cleanpass` and `disparity`.
        split: `"TRAIN"` or `"TEST"`; both by default.
        render: `"cleanpass"` or `"finalpass"` (with motion blur and defocus).
    """
    if render not in ("cleanpass", "finalpass"):
        raise InputError(f"render is 'cleanpass' or 'finalpass', got {render!r}")
    layout = f"frames_{render}/TRAIN/A/0000/{{left,right}}/0006.png and disparity/TRAIN/A/0000/left/0006.pfm"
    frames = require_folder(path / f"frames_{render}", "FlyingThings3D", layout)
    images = [*frames.glob("*/*/*/left/*.png"), *frames.glob("*/*/*/left/*.webp")]
    pairs = []
    for image in sorted(images):
        scene = image.parents[1].relative_to(frames)
        if split is not None and scene.parts[0] != split:
            continue
        truth = path / "disparity" / scene / "left" / f"{image.stem}.pfm"
        other = path / "disparity" / scene / "right" / f"{image.stem}.pfm"
        pairs.append(
            PairFiles(
                key=(scene / image.stem).as_posix(),
                left=image,
                right=image.parents[1] / "right" / image.name,
                truth=truth,
                truth_right=other if other.is_file() else None,
                decode=_positive,
            )
        )
    return PairFolder("flyingthings3d", find_pairs(pairs, path, "FlyingThings3D", layout), _LICENCE)


def _positive(path: Path) -> tuple[np.ndarray, np.ndarray]:
    values, valid = Pfm()(path)
    return np.abs(values), valid
