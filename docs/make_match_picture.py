"""Make the picture of docs/match.md with the library itself: python docs/make_match_picture.py.

The pair with truth that comes inside scikit-image is matched by the default matcher; the picture shows the left view, the
disparity, what both views agree on, and the point cloud as seen from the side.
"""

from pathlib import Path

import numpy as np

from wheatstone import load_dataset, load_matcher
from wheatstone.files import parse_calibration, write_image
from wheatstone.generation import MatchSettings
from wheatstone.generation.image_pairs import DatasetPairs
from wheatstone.generation.matches import match_images
from wheatstone.samples import to_uint8
from wheatstone.viewing import colour_map, thumbnail
from wheatstone.viewing.point_cloud import PointCloud, point_cloud

PANEL_WIDTH, GAP = 440, 8
TURN_DEG, TILT_DEG = 32.0, 16.0


def main() -> None:
    """Write docs/images/match.jpg."""
    pair = load_dataset("motorcycle")
    views = DatasetPairs(pair).read(0)
    disparity, consistent = match_images(load_matcher(), views, MatchSettings())
    calibration = parse_calibration(pair[0].provenance["calib"])
    cloud = point_cloud(views.left, disparity, consistent, calibration)
    height, width = disparity.shape[-2:]
    panels = [
        to_uint8(views.left[0]),
        colour_map(disparity),
        colour_map(disparity, consistent),
        from_the_side(cloud, width, height),
    ]
    small = [thumbnail(panel, PANEL_WIDTH) for panel in panels]
    bar = np.full((small[0].shape[0], GAP, 3), 255, np.uint8)
    rows = [np.concatenate([small[i], bar, small[i + 1]], axis=1) for i in (0, 2)]
    sheet = np.concatenate([rows[0], np.full((GAP, rows[0].shape[1], 3), 255, np.uint8), rows[1]])
    target = Path(__file__).parent / "images" / "match.jpg"
    write_image(target, sheet, quality=86)
    print(f"{target}: {sheet.shape[1]} x {sheet.shape[0]}, {target.stat().st_size // 1024} kB")


def from_the_side(cloud: PointCloud, width: int, height: int) -> np.ndarray:
    """The cloud turned about a point in its middle and drawn from back to front, RGB."""
    middle = np.array([0, 0, np.median(cloud.points[:, 2])])
    turn, tilt = np.radians(TURN_DEG), np.radians(TILT_DEG)
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    points = (cloud.points - middle) @ (about_x @ about_y).T
    depth = 1.35 * abs(middle[2]) - points[:, 2]
    order = np.argsort(-depth)
    order = order[depth[order] > 0.2]
    columns = np.rint(width * (0.5 + points[:, 0] / depth)).astype(int)[order]
    rows = np.rint(height / 2 - width * points[:, 1] / depth).astype(int)[order]
    picture = np.full((height, width, 3), 246, np.uint8)
    for down in (0, 1):
        for right in (0, 1):
            inside = (columns + right >= 0) & (columns + right < width) & (rows + down >= 0) & (rows + down < height)
            picture[rows[inside] + down, columns[inside] + right] = cloud.colours[order][inside]
    return picture


if __name__ == "__main__":
    main()
