"""Disparity as sensors leave it: parts of it are taken away at random, so that a generator learns to do without."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from wheatstone.errors import InputError

__all__ = ["DisparityDropout", "scan_lines"]


def scan_lines(
    height: int,
    width: int,
    generator: np.random.Generator,
    *,
    spacing_px: tuple[float, float] = (2.0, 8.0),
    top: tuple[float, float] = (0.2, 0.45),
    density: tuple[float, float] = (0.5, 1.0),
) -> Bool[np.ndarray, "H W"]:
    """Draw where a turning laser scanner would have measured: nearly level lines one pixel thick, none near the top.

    Args:
        height: rows of the picture.
        width: its columns.
        generator: source of every draw.
        spacing_px: range of the distance of two lines, rows.
        top: range of the share of the picture, from the top, that no line reaches.
        density: range of the share of each line that was measured; single pixels are missing at random.

    Returns:
        True where a measurement lies.

    Source: the ground truth of KITTI 2012 and 2015 (Geiger et al. 2012, Menze and Geiger 2015): 64 lines, nothing in the sky.
    """
    spacing = generator.uniform(*spacing_px)
    tilt, bow = generator.uniform(-0.02, 0.02), generator.uniform(-0.03, 0.03) * height
    x = np.linspace(-0.5, 0.5, width)
    rows = np.arange(height)[:, None] - tilt * width * x - bow * (2 * x) ** 2
    on_line = (rows + generator.uniform(0, spacing)) % spacing < 1
    on_line[: round(generator.uniform(*top) * height)] = False
    measured: np.ndarray = on_line & (generator.random((height, width)) < generator.uniform(*density))
    return measured


@dataclass(frozen=True)
class DisparityDropout:
    """Takes disparity away from a training item: single pixels, or all but scan lines.

    Attributes:
        pixels: probability that an item loses single pixels: a share r is drawn evenly from 0..1, and each pixel of the moved
            view is kept with probability r on its own.
        lines: probability that only the scan lines of an item are known (`scan_lines`), as in KITTI. The published training
            has no such items; on sparse truth its generator is asked for what it has not seen.

    Source:
        GenStereo (ICCV 2025), random disparity dropout (`pixels`, published value); `lines` is ours.
    """

    pixels: float = 0.1
    lines: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        for name in ("pixels", "lines"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"disparity dropout: {name} is a probability, 0..1, got {getattr(self, name)}")

    def __call__(
        self, valid: Bool[np.ndarray, "H W"], generator: np.random.Generator
    ) -> tuple[Bool[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
        """Draw what is lost.

        Args:
            valid: frame of the left view, where disparity is known.
            generator: source of every draw.

        Returns:
            What is still known (frame of the left view), and which moved pixels are lost on top (frame of the right view).
        """
        if generator.random() < self.lines:
            height, width = valid.shape
            valid = valid & scan_lines(height, width, generator)
        dropped = np.zeros(valid.shape, bool)
        if generator.random() < self.pixels:
            kept = generator.random()
            dropped = generator.random(valid.shape) >= kept
        return valid, dropped
