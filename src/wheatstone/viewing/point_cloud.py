"""Disparity as coloured points in space, and their files: PLY and binary glTF, written by hand because both are small formats.

Axes of both: x to the right, y up, z towards the viewer, the left camera at the origin looking along -z. That is the
convention of glTF and of OpenGL, so any viewer shows the scene upright as the camera saw it.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from wheatstone.errors import InputError, ShapeError
from wheatstone.files import write_bytes
from wheatstone.files.calibration import Calibration
from wheatstone.samples import image_batch, to_uint8

__all__ = ["AXES", "LEAST_DISPARITY_PX", "PointCloud", "point_cloud", "write_glb", "write_ply"]

AXES = "x right, y up, z towards the viewer; the left camera stands at the origin and looks along -z"
LEAST_DISPARITY_PX = 1.0
"""Below this (disparity plus doffs) a point counts as infinitely far: half a pixel of error moves it by half its distance."""


@dataclass(frozen=True)
class PointCloud:
    """Coloured points.

    Attributes:
        points: `[N,3]`, in `unit`; see `AXES`.
        colours: `[N,3]`, sRGB 0..255.
        unit: `"m"`, or `"baseline"`: the distance of the cameras, when nothing tells it in metres.
        about: one sentence on what scale and shape rest on; it goes into the files.
        at_infinity: pixels left out because they are too far to tell how far.
        on_edges: pixels left out because they lie between the two sides of a depth step.
    """

    points: Float[np.ndarray, "N 3"]
    colours: UInt8[np.ndarray, "N 3"]
    unit: str
    about: str
    at_infinity: int
    on_edges: int


def point_cloud(
    image: Any,
    disparity: Float[Tensor, "1 1 H W"],
    keep: Bool[Tensor, "1 1 H W"] | None = None,
    calibration: Calibration | None = None,
    *,
    focal_px: float | int | None = None,
    edges: bool = True,
) -> PointCloud:
    """Put every pixel where it lies in space: depth = focal x baseline / (disparity + doffs).

    Without a calibration the cloud is relative: its unit is the distance of the cameras, doffs is taken to be 0, and the focal
    length is `focal_px` or, when that is unknown too, the image's width (a field of view of 53 degrees). A wrong focal length
    stretches the cloud along the line of sight.

    Args:
        image: the left view: `[1,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
        disparity: in pixels of this width; pixels without a finite one give no point.
        keep: which pixels may give points (default: all), for example those that are consistent.
        calibration: of images of this size (`Calibration.at_size`).
        focal_px: focal length for a relative cloud.
        edges: leave out pixels on depth steps, which float between foreground and background.

    Raises:
        ShapeError: maps of different sizes.
        InputError: a calibration of images of another size.
    """
    left = image_batch(image)
    if left.shape[0] != 1 or left.shape[-2:] != disparity.shape[-2:]:
        raise ShapeError(f"image {list(left.shape)} and disparity {list(disparity.shape)} do not belong together")
    height, width = disparity.shape[-2:]
    camera, about = _camera(calibration, width, height, focal_px)
    values = disparity[0, 0].detach().cpu().double().numpy()
    kept = np.isfinite(values) if keep is None else np.isfinite(values) & keep[0, 0].cpu().numpy()
    shifted = np.where(kept, values, 0) + camera.doffs_px
    near = shifted > LEAST_DISPARITY_PX
    at_infinity = int((kept & ~near).sum())
    kept = kept & near
    step = _steps(shifted) if edges else np.zeros_like(kept)
    on_edges = int((kept & step).sum())
    rows, columns = np.nonzero(kept & ~step)
    depth = camera.focal_px * camera.baseline_m / shifted[rows, columns]
    across = (columns - _or(camera.cx_px, (width - 1) / 2)) * depth / camera.focal_px
    down = (rows - _or(camera.cy_px, (height - 1) / 2)) * depth / camera.focal_px
    points = np.stack([across, -down, -depth], axis=-1).astype(np.float32)
    unit = "baseline" if calibration is None else "m"
    return PointCloud(points, to_uint8(left[0])[rows, columns], unit, about, at_infinity, on_edges)


def write_ply(path: str | Path, cloud: PointCloud) -> None:
    """Write a binary little-endian PLY: float x, y, z and uchar red, green, blue; unit and axes stand in its comments.

    Raises:
        OutputError: the file cannot be written.
    """
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"comment unit: {cloud.unit}\ncomment axes: {AXES}\ncomment {cloud.about}\n"
        f"element vertex {len(cloud.points)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    rows = np.empty(len(cloud.points), np.dtype([("point", "<f4", 3), ("colour", "u1", 3)]))
    rows["point"], rows["colour"] = cloud.points, cloud.colours
    write_bytes(path, header.encode("ascii") + rows.tobytes())


def write_glb(path: str | Path, cloud: PointCloud) -> None:
    """Write a binary glTF 2.0 of unlit points; unit, axes and `about` stand in `asset.extras`.

    Vertex colours of glTF are linear light (specification 3.9.2), so sRGB is decoded; they are kept
    as floats, because 8 bits would band in the shadows and some readers take 16 bits for 8.

    Raises:
        InputError: a cloud without points, which glTF cannot hold.
        OutputError: the file cannot be written.
    """
    count = len(cloud.points)
    if count == 0:
        raise InputError(f"{path}: the point cloud has no points")
    body = cloud.points.astype("<f4").tobytes() + _LINEAR[cloud.colours].astype("<f4").tobytes()
    split = 12 * count
    low, high = cloud.points.min(axis=0).tolist(), cloud.points.max(axis=0).tolist()
    scene = {
        "asset": {
            "version": "2.0",
            "generator": "wheatstone",
            "extras": {"unit": cloud.unit, "axes": AXES, "about": cloud.about},
        },
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "points"}],
        "meshes": [
            {"primitives": [{"mode": 0, "attributes": {"POSITION": 0, "COLOR_0": 1}, "material": 0}]},
        ],
        "materials": [{"extensions": {"KHR_materials_unlit": {}}, "pbrMetallicRoughness": {"metallicFactor": 0}}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": count, "type": "VEC3", "min": low, "max": high},
            {"bufferView": 1, "componentType": 5126, "count": count, "type": "VEC3"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": split, "target": 34962},
            {"buffer": 0, "byteOffset": split, "byteLength": len(body) - split, "target": 34962},
        ],
        "buffers": [{"byteLength": len(body)}],
    }
    text = json.dumps(scene, separators=(",", ":")).encode()
    chunks = _chunk(b"JSON", text + b" " * (-len(text) % 4)) + _chunk(b"BIN\0", body)
    write_bytes(path, struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<I4s", len(data), kind) + data


def _camera(
    calibration: Calibration | None, width: int, height: int, focal_px: float | int | None
) -> tuple[Calibration, str]:
    """The cameras to compute with, and the sentence about them."""
    if calibration is None:
        focal = float(width if focal_px is None else focal_px)
        known = f"{focal:g} px" if focal_px is not None else f"guessed as the image width, {width} px"
        about = f"relative: without a calibration one unit is the baseline; focal length {known}, doffs taken as 0"
        return Calibration(focal, 1.0), about
    if calibration.width is not None and (calibration.width, calibration.height) != (width, height):
        raise InputError(
            f"the calibration is for {calibration.width} x {calibration.height} pixels, the disparity has {width} x {height}"
        )
    numbers = (
        f"focal {calibration.focal_px:g} px, baseline {calibration.baseline_m:g} m, doffs {calibration.doffs_px:g} px"
    )
    return calibration, f"metric: {numbers}"


def _steps(disparity: np.ndarray) -> np.ndarray:
    """Pixels that lie strictly between two neighbours whose disparities are far apart: smeared edges of a matcher.

    A pixel counts when it differs from both opposite neighbours, two pixels away, by more than 5 % of the disparity and a pixel.
    """
    found = np.zeros(disparity.shape, bool)
    limit = np.maximum(1.0, 0.05 * np.abs(disparity))
    for axis in (0, 1):
        before, after = (np.roll(disparity, shift, axis) for shift in (2, -2))
        between = np.minimum(np.abs(disparity - before), np.abs(disparity - after)) > limit
        inner = [slice(None), slice(None)]
        inner[axis] = slice(2, -2)
        rising = (disparity - before) * (after - disparity) > 0
        found[tuple(inner)] |= (between & rising)[tuple(inner)]
    return found


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _linear() -> np.ndarray:
    """Codes of sRGB, 0..255, as linear light 0..1 (IEC 61966-2-1)."""
    share = np.arange(256) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


_LINEAR = _linear()
