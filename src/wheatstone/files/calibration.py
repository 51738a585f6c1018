"""Calibration of a rectified pair, from the files of Middlebury and KITTI or from numbers: what turns pixels into metres."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wheatstone.errors import FileFormatError, InputError
from wheatstone.files.reading import read_bytes

__all__ = ["Calibration", "parse_calibration", "read_calibration"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_KITTI = re.compile(r"^P(?:_rect_)?0?([0-3])$")
_KNOWN = "Middlebury calib.txt (cam0, cam1, doffs, baseline) or KITTI (P0 ... P3, or P_rect_00 ... P_rect_03)"


@dataclass(frozen=True)
class Calibration:
    """A rectified pair of cameras: depth = focal x baseline / (disparity + doffs).

    Attributes:
        focal_px: focal length in pixels.
        baseline_m: distance of the cameras in metres.
        doffs_px: column of the principal point in the right view minus that in the left one, in pixels.
        cx_px, cy_px: principal point of the left view (centres of pixels have whole coordinates); None for the centre.
        width, height: size of the images that these numbers belong to, where the file tells.
    """

    focal_px: float
    baseline_m: float
    doffs_px: float = 0.0
    cx_px: float | None = None
    cy_px: float | None = None
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers from which no depth follows.

        Raises:
            InputError: a focal length or baseline that is not positive, or a number that is not finite.
        """
        for name, value in (("focal length", self.focal_px), ("baseline", self.baseline_m)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"the {name} must be positive, got {value}")
        for name, offset in (("doffs", self.doffs_px), ("cx", self.cx_px), ("cy", self.cy_px)):
            if offset is not None and not math.isfinite(offset):
                raise InputError(f"{name} must be a number of pixels, got {offset}")

    def at_size(self, width: int, height: int) -> "Calibration":
        """The same cameras for images of another size, resized as a whole (not cropped).

        Raises:
            InputError: the proportions differ by more than a pixel or so, so the images were cropped.
        """
        if self.width is None or self.height is None or (self.width, self.height) == (width, height):
            return self
        across, down = width / self.width, height / self.height
        if abs(across - down) > 1.5 / min(self.width, self.height) * max(across, 1.0) + 1e-3:
            raise InputError(
                f"the calibration belongs to images of {self.width} x {self.height}, these are {width} x {height}: "
                "a crop changes the principal point, so give the numbers of this size"
            )
        cx = None if self.cx_px is None else (self.cx_px + 0.5) * across - 0.5
        cy = None if self.cy_px is None else (self.cy_px + 0.5) * down - 0.5
        return replace(
            self,
            focal_px=self.focal_px * across,
            doffs_px=self.doffs_px * across,
            cx_px=cx,
            cy_px=cy,
            width=width,
            height=height,
        )


def read_calibration(path: str | Path, cameras: tuple[int, int] | None = None) -> Calibration:
    """Read Middlebury's `calib.txt` (2014 and later, MiddEval3, ETH3D) or one of KITTI's calibration files.

    Middlebury gives the baseline in millimetres, KITTI hides it in projection matrices in metres. A KITTI file holds four
    cameras, the grey pair 0 and 1 and the colour pair 2 and 3.

    Args:
        path: the file.
        cameras: left and right camera of a KITTI file; by default the colour pair, else the grey one.

    Raises:
        FileFormatError: missing, or neither of these formats.
        InputError: numbers from which no depth follows, or cameras that the file does not hold.
    """
    return parse_calibration(read_bytes(path).decode("utf-8", errors="replace"), cameras, path)


def parse_calibration(
    text: str, cameras: tuple[int, int] | None = None, name: str | Path = "calibration"
) -> Calibration:
    """Read the text of a calibration file; see `read_calibration`."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=" if "=" in line else ":")
        if separator:
            entries[key.strip()] = value.strip()
    if "cam0" in entries and "baseline" in entries:
        return _middlebury(entries, name)
    if projections := {int(m[1]): _numbers(v, name, 12) for k, v in entries.items() if (m := _KITTI.match(k))}:
        sizes = {int(k[-1]): _numbers(v, name, 2) for k, v in entries.items() if re.fullmatch(r"S_rect_0[0-3]", k)}
        return _kitti(projections, sizes, cameras, name)
    raise FileFormatError(f"{name}: no calibration that is known: {_KNOWN}")


def _middlebury(entries: Mapping[str, str], name: str | Path) -> Calibration:
    """`cam0=[f 0 cx; 0 f cy; 0 0 1]`, the same for cam1, `doffs=`, `baseline=` in mm, `width=`, `height=`."""
    left = _numbers(entries["cam0"], name, 9)
    if "doffs" in entries:
        (doffs,) = _numbers(entries["doffs"], name, 1)
    elif "cam1" in entries:
        doffs = _numbers(entries["cam1"], name, 9)[2] - left[2]
    else:
        raise FileFormatError(f"{name}: neither doffs nor cam1: {_KNOWN}")
    (baseline,) = _numbers(entries["baseline"], name, 1)
    size = [int(_numbers(entries[key], name, 1)[0]) if key in entries else None for key in ("width", "height")]
    return Calibration(left[0], baseline / 1000, doffs, left[2], left[5], size[0], size[1])


def _kitti(
    projections: Mapping[int, tuple[float, ...]],
    sizes: Mapping[int, tuple[float, ...]],
    cameras: tuple[int, int] | None,
    name: str | Path,
) -> Calibration:
    """Rectified 3 x 4 projections row by row: `P[0,3] = -focal x position` of a camera along the baseline."""
    chosen = cameras or ((2, 3) if {2, 3} <= set(projections) else (0, 1))
    if missing := [number for number in chosen if number not in projections]:
        raise InputError(f"{name}: holds the cameras {sorted(projections)}, not {missing[0]}")
    left, right = (projections[number] for number in chosen)
    width, height = (int(side) for side in sizes[chosen[0]]) if chosen[0] in sizes else (None, None)
    baseline_m = (left[3] - right[3]) / left[0] if left[0] else 0.0
    return Calibration(left[0], baseline_m, right[2] - left[2], left[2], left[6], width, height)


def _numbers(text: str, name: str | Path, count: int) -> tuple[float, ...]:
    found = tuple(float(number) for number in re.findall(_NUMBER, text))
    if len(found) != count:
        raise FileFormatError(f"{name}: {text[:60]!r} should hold {count} number{'s' * (count > 1)}: {_KNOWN}")
    return found
