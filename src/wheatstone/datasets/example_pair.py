"""The real pair with truth that comes inside scikit-image: Motorcycle of Middlebury 2014 at a quarter of its size.

Licence: free for research, cite Scharstein et al. (GCPR 2014); the site states no formal licence.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch

from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError
from wheatstone.files import read_image, read_map
from wheatstone.samples import StereoSample

__all__ = ["ExamplePair", "load"]

FILES = ("motorcycle_left.png", "motorcycle_right.png", "motorcycle_disp.npz")
# The numbers of scikit-image's documentation of `stereo_motorcycle`, in Middlebury's own words; baseline in millimetres.
CALIBRATION = """cam0=[994.978 0 311.193; 0 994.978 254.877; 0 0 1]
cam1=[994.978 0 342.279; 0 994.978 254.877; 0 0 1]
doffs=31.086
baseline=193.001
width=741
height=500
"""
_HINT = "the pair with truth comes inside scikit-image, which the extra brings: pip install 'wheatstone[demo]'"


def load() -> "ExamplePair":
    """Open the pair; nothing is downloaded, and scikit-image's own loader, which might, is not asked.

    Raises:
        DatasetError: scikit-image is not installed, or comes without the pair.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise DatasetError(f"motorcycle: scikit-image is not installed; {_HINT}")
    folder = Path(package.origin).parent / "data"
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise DatasetError(f"motorcycle: this scikit-image comes without {', '.join(missing)}; {_HINT}")
    return ExamplePair(folder)


class ExamplePair(StereoDataset):
    """One sample, `motorcycle`: 741 x 500, disparity 7 to 60 px from structured light, 7 % unknown, no occlusion mask."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder; no file is opened."""
        self.name, self.keys, self.folder = "motorcycle", ("motorcycle",), folder

    def read(self, index: int) -> StereoSample:  # noqa: ARG002 - there is one
        """Read the pair; see `wheatstone.samples` for shapes and units.

        Raises:
            FileFormatError: a damaged file.
        """
        left, right, truth = (self.folder / name for name in FILES)
        values = read_map(truth)
        valid = np.isfinite(values)
        return StereoSample(
            key="motorcycle",
            views={"left": read_image(left)[0], "right": read_image(right)[0]},
            baselines={"left": 0.0, "right": 1.0},
            disparity=torch.from_numpy(np.where(valid, values, 0).astype(np.float32))[None],
            valid=torch.from_numpy(valid)[None],
            provenance={
                "dataset": self.name,
                "source": "scikit-image: Middlebury 2014, Motorcycle, quarter size",
                "licence": "Middlebury: free for research, cite the papers; no formal licence",
                "calib": CALIBRATION,
            },
        )
