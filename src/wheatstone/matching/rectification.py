"""Is a pair rectified, and which view is the left one? Measured on matched image features, before anything is matched densely.

In a rectified pair a point lies on the same row in both views, and further left in the right view. Feature matches tell both:
their vertical offsets, and the share of them that moved the wrong way.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from wheatstone.matching.base import pair_batch
from wheatstone.samples import to_uint8

__all__ = ["FEWEST_MATCHES", "Rectification", "measure_rectification"]

FEWEST_MATCHES = 20
"""With fewer feature matches nothing is claimed."""
LARGEST_OFFSET_PX, LARGEST_ERROR_PX = 1.0, 1.5
"""Limits of a good pair: the most that rectified pairs of KITTI, Middlebury, ETH3D and Scene Flow show is 0.4 and 0.9 px."""
_LARGEST_SIDE = 1600  # features are looked for in a picture of at most this size
_FEATURES = 2000
_LARGEST_NEGATIVE_SHARE, _FEWEST_NEGATIVE = 0.05, 10  # pairs in order show 0.012 at most
_NEGATIVE_PX = -1.0  # what moved less the wrong way may be infinitely far


@dataclass(frozen=True)
class Rectification:
    """How far a pair is from being rectified; pixels of the full size, NaN where nothing could be measured.

    Attributes:
        matches: feature matches that fit one smooth vertical motion.
        vertical_offset_px: median of `y_right - y_left`.
        vertical_spread_px: robust standard deviation of it (1.4826 times the median absolute deviation).
        vertical_error_px: nine in ten matches have a smaller vertical offset, noise of single matches taken out.
        rotation_deg: how far the right view is turned against the left one, from the slope of the offsets along rows.
        vertical_scale: height of the right view's content relative to the left one's.
        negative_share: share of the matches (0..1) that moved to the right, which no point does in a pair in order.
        size_factor: by how much the picture was reduced to find features; the limits grow with it.
    """

    matches: int
    vertical_offset_px: float = math.nan
    vertical_spread_px: float = math.nan
    vertical_error_px: float = math.nan
    rotation_deg: float = math.nan
    vertical_scale: float = math.nan
    negative_share: float = math.nan
    size_factor: float = 1.0

    @property
    def measured(self) -> bool:
        """Whether there were enough matches to say anything."""
        return self.matches >= FEWEST_MATCHES

    @property
    def rectified(self) -> bool:
        """False only where a vertical offset was measured."""
        limit = max(1.0, self.size_factor)
        return not self.measured or (
            abs(self.vertical_offset_px) <= LARGEST_OFFSET_PX * limit
            and self.vertical_error_px <= LARGEST_ERROR_PX * limit
        )

    @property
    def swapped(self) -> bool:
        """True where most points moved the wrong way."""
        return self.measured and self.negative_share > 0.5

    @property
    def partly_negative(self) -> bool:
        """True where a good part of the points, yet not most, moved the wrong way: the cameras point at each other."""
        share = self.negative_share if self.measured and not self.swapped else 0.0
        return share > _LARGEST_NEGATIVE_SHARE and share * self.matches >= _FEWEST_NEGATIVE

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each thing that is wrong with the pair, with the measured number."""
        found = []
        if not self.rectified:
            found.append(
                f"not rectified: matching points lie up to {self.vertical_error_px:.1f} px off their row (median offset "
                f"{self.vertical_offset_px:+.1f} px, spread {self.vertical_spread_px:.1f} px, rotation {self.rotation_deg:+.2f} "
                f"degrees, vertical scale {self.vertical_scale:.4f}; {self.matches} matches): rectify the pair first"
            )
        if self.swapped:
            found.append(
                f"left and right seem swapped: {self.negative_share:.0%} of {self.matches} matching points have negative "
                "disparity"
            )
        if self.partly_negative:
            found.append(
                f"{self.negative_share:.0%} of {self.matches} matching points have negative disparity, which most matchers do "
                "not look for: shift the right view to the left by as many pixels as it takes, and subtract them from the result"
            )
        return tuple(found)

    def as_json(self) -> dict[str, float | int | bool | None]:
        """Plain JSON values, rounded; None where nothing was measured."""
        rounded = {k: v if isinstance(v, int) else round(v, 4) for k, v in asdict(self).items()}
        values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in rounded.items()}
        verdicts = ("measured", "rectified", "swapped", "partly_negative")
        return {**values, **{name: getattr(self, name) for name in verdicts}}


def measure_rectification(left: Any, right: Any) -> Rectification:
    """Measure vertical offset, rotation, scale and direction of motion of one pair.

    SIFT features are matched both ways (ratio test at 0.8); the vertical offset is then fitted as a plane over the image,
    `y_right - y_left = a + b x + c y`, by least squares over an inlier set that shrinks to 2 px, which drops wrong matches.
    For a small turn `b` is its sine and `1 + c` the vertical scale.

    Args:
        left: `[1,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
        right: the same for the other view.

    Raises:
        ShapeError: sizes that differ.
    """
    left, right = pair_batch(left, right)
    factor = max(1.0, max(left.shape[-2:]) / _LARGEST_SIDE)
    points, others = _matched_points(_grey(left, factor), _grey(right, factor))
    if len(points) < FEWEST_MATCHES:
        return Rectification(len(points))
    points, others = points * factor, others * factor
    offset = others[:, 1] - points[:, 1]
    centre = np.array([left.shape[-1] - 1, left.shape[-2] - 1]) / 2
    plane = np.c_[np.ones(len(points)), points - centre]
    keep, fit = _fit_plane(plane, offset, left.shape[-2], factor)
    if keep.sum() < FEWEST_MATCHES:
        return Rectification(int(keep.sum()))
    kept = offset[keep]
    median = float(np.median(kept))
    return Rectification(
        matches=int(keep.sum()),
        vertical_offset_px=median,
        vertical_spread_px=1.4826 * float(np.median(np.abs(kept - median))),
        vertical_error_px=float(np.percentile(np.abs(plane[keep] @ fit), 90)),
        rotation_deg=math.degrees(math.atan(fit[1])),
        vertical_scale=1 + float(fit[2]),
        negative_share=float(np.mean((points[:, 0] - others[:, 0])[keep] < _NEGATIVE_PX)),
        size_factor=factor,
    )


def _grey(image: Tensor, factor: float) -> np.ndarray:
    grey = cv2.cvtColor(to_uint8(image[0]), cv2.COLOR_RGB2GRAY)
    if factor == 1:
        return grey
    size = (round(grey.shape[1] / factor), round(grey.shape[0] / factor))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _matched_points(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions `[N,2]` (x, y) of features that are each other's best match."""
    finder = cv2.SIFT_create(nfeatures=_FEATURES, contrastThreshold=0.02)  # type: ignore[attr-defined]
    (points, codes), (others, other_codes) = (finder.detectAndCompute(image, None) for image in (left, right))
    nothing = np.zeros((0, 2))
    if codes is None or other_codes is None or min(len(codes), len(other_codes)) < 2:
        return nothing, nothing
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    back = {match.queryIdx: match.trainIdx for match in matcher.match(other_codes, codes)}
    pairs = [
        (best.queryIdx, best.trainIdx)
        for best, second in matcher.knnMatch(codes, other_codes, k=2)
        if best.distance < 0.8 * second.distance and back[best.trainIdx] == best.queryIdx
    ]
    if not pairs:
        return nothing, nothing
    return np.array([points[i].pt for i, _ in pairs]), np.array([others[j].pt for _, j in pairs])


def _fit_plane(plane: np.ndarray, offset: np.ndarray, height: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Inliers and coefficients of the plane through the vertical offsets."""
    keep = np.abs(offset - np.median(offset)) <= 0.1 * height
    fit = np.zeros(3)
    for tolerance in (20, 10, 5, 3, 2, 2):
        if keep.sum() < FEWEST_MATCHES:
            break
        fit = np.linalg.lstsq(plane[keep], offset[keep], rcond=None)[0]
        keep = np.abs(offset - plane @ fit) <= tolerance * factor
    return keep, fit
