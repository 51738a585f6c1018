"""Disparity as sensors leave it: parts of it are taken away at random, so that a generator learns to do without."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32

from wheatstone.errors import InputError
from wheatstone.geometry import near_steps

__all__ = ["DisparityDropout", "LidarScan", "scan_lines"]


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


@dataclass(frozen=True)
class LidarScan:
    """A turning laser scanner on top of the camera: which pixels of a dense truth it would have measured.

    Beams lie `spacing` degrees apart, from the horizon down, and fire every `step` degrees as the head turns; each hits one
    pixel of a pinhole camera, so lines bow and spread towards the sides as real ones do. There is no noise in range.

    Attributes:
        spacing: angle between two beams, degrees. 64 beams on 26.9 degrees have 0.42; 16 on 30 have 2.
        step: angle between two shots of a beam, degrees.
        top: highest beam, degrees above the horizon; 0 leaves everything above the horizon without truth.
        bottom: lowest beam, degrees.
        focal: focal length of the camera as a share of the width (KITTI: 0.58).
        horizon: row of the horizon as a share of the height, drawn from this range.
        dropout: share of the shots that do not come back.
        mixed_px: shots that hit a depth step, this near to it, return a mixture and are thrown away; 0 keeps them. px.
        step_px: difference of neighbouring disparities that is a step, px.

    Source:
        data sheets of the HDL-64E and VLP-16 as commonly quoted, for orders of magnitude; all else is ours.
    """

    spacing: float | int = 2.0
    step: float | int = 0.8
    top: float | int = 0.0
    bottom: float | int = -25.0
    focal: float | int = 0.58
    horizon: tuple[float, float] = (0.45, 0.55)
    dropout: float | int = 0.1
    mixed_px: int = 1
    step_px: float | int = 1.0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        if not (self.spacing > 0 and self.step > 0 and self.focal > 0 and self.step_px > 0):
            raise InputError("LiDAR: spacing, step, focal and step_px must be positive")
        if not -89 <= self.bottom < self.top <= 89:
            raise InputError(f"LiDAR: needs -89 <= bottom < top <= 89 degrees, got {self.bottom} and {self.top}")
        ranged = len(self.horizon) == 2 and self.horizon[0] <= self.horizon[1]
        if not (0 <= self.dropout <= 1 and self.mixed_px >= 0 and ranged):
            raise InputError("LiDAR: needs dropout in 0..1, mixed_px >= 0 and horizon a range (low, high)")

    def __call__(
        self,
        disparity: Float32[np.ndarray, "H W"],
        usable: Bool[np.ndarray, "H W"],
        generator: np.random.Generator,
    ) -> Bool[np.ndarray, "H W"]:
        """Draw a scan.

        Args:
            disparity: dense truth, px; for its steps.
            usable: where something returns a beam: no sky.
            generator: source of every draw: horizon, first angles, shots lost.

        Returns:
            True where there is a measurement.
        """
        height, width = disparity.shape
        focal = self.focal * width
        horizon = generator.uniform(*self.horizon) * (height - 1)
        first, turned = generator.random(2)
        elevation = np.radians(np.arange(self.top - first * self.spacing, self.bottom, -self.spacing))
        side = np.degrees(np.arctan(width / 2 / focal))
        azimuth = np.radians(np.arange(-side + turned * self.step, side, self.step))
        rows = np.rint(horizon - focal * np.tan(elevation)[:, None] / np.cos(azimuth)).astype(int)
        columns = np.broadcast_to(np.rint((width - 1) / 2 + focal * np.tan(azimuth)).astype(int), rows.shape)
        came_back = (generator.random(rows.shape) >= self.dropout) & (rows >= 0) & (rows < height)
        came_back &= (columns >= 0) & (columns < width)
        measured = np.zeros(disparity.shape, bool)
        measured[rows[came_back], columns[came_back]] = True
        if self.mixed_px:
            planes = torch.from_numpy(np.ascontiguousarray(disparity))[None, None]
            measured &= ~near_steps(planes, step_px=self.step_px, radius=self.mixed_px)[0, 0].numpy()
        return measured & usable
