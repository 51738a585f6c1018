"""Make the picture at the top of the README with the library itself: python docs/make_pictures.py.

A photo that comes inside scikit-image goes through the main job with its defaults; the strip shows the photo, the anaglyph,
the disparity, and which pixels of the right view had to be invented.
"""

from pathlib import Path

import numpy as np
import skimage

from wheatstone import StereoGenerator
from wheatstone.files import write_image
from wheatstone.samples import to_uint8
from wheatstone.viewing import anaglyph, colour_map, colour_origins, converge, thumbnail

PHOTO, PANEL_WIDTH, GAP = "astronaut.png", 360, 8


def main() -> None:
    """Write docs/images/strip.jpg."""
    sample = StereoGenerator()(Path(skimage.__file__).parent / "data" / PHOTO)
    left, right = sample.views["left"], sample.views["right"]
    pivot = round(float(sample.disparity.median()))
    red_cyan = anaglyph(*converge(left[None], right[None], pivot))[0]
    panels = [
        to_uint8(left),
        _same_shape(to_uint8(red_cyan), left.shape[-2:]),
        colour_map(sample.disparity, sample.valid),
        colour_origins(to_uint8(right), sample.origin[0].numpy()),
    ]
    small = [thumbnail(panel, PANEL_WIDTH) for panel in panels]
    bar = np.full((small[0].shape[0], GAP, 3), 255, np.uint8)
    strip = np.concatenate([part for panel in small for part in (panel, bar)][:-1], axis=1)
    target = Path(__file__).parent / "images" / "strip.jpg"
    write_image(target, strip, quality=88)
    print(f"{target}: {strip.shape[1]} x {strip.shape[0]}, {target.stat().st_size // 1024} kB")


def _same_shape(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut rows in the proportion in which columns were lost, and bring the picture back to the size of the others."""
    import cv2

    rows = round(picture.shape[1] * size[0] / size[1])
    start = (picture.shape[0] - rows) // 2
    return cv2.resize(picture[start : start + rows], (size[1], size[0]), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
