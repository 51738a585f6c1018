"""The files of one matched pair: numbers in three formats, a picture, a mask, point clouds, and a sidecar about them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.files import encode_png, write_bytes, write_disparity
from wheatstone.files.calibration import Calibration
from wheatstone.files.disparity import SCALES, disparity_scale
from wheatstone.geometry import quantiles
from wheatstone.viewing import colour_map
from wheatstone.viewing.point_cloud import AXES, PointCloud, point_cloud, write_glb, write_ply

__all__ = ["MEANING", "PRODUCTS", "PairResult", "product_file", "write_pair"]

MEANING = (
    "disparity in pixels of this width, left is the reference: x_right = x_left - d; not clamped, so it may be negative"
)
PRODUCTS = {
    "pfm": (".pfm", "float32 pixels, little endian, rows bottom-up as PFM has them; +inf = unknown"),
    "npy": (".npy", "float32 [H,W] pixels; NaN = unknown"),
    "png": (".disparity.png", "16-bit grey: pixels = code / scale, 0 = unknown or negative; the file holds the scale too"),
    "picture": (".turbo.png", "8-bit colours for looking at, not for measuring: red = near, blue = far, grey = unknown"),
    "consistency": (".consistent.png", "8-bit mask: 255 = both views' disparities agree, 0 = hidden or doubtful"),
    "ply": (".ply", f"binary little-endian point cloud with sRGB colours; {AXES}"),
    "glb": (".glb", f"binary glTF 2.0 point cloud with linear colours; {AXES}"),
}  # fmt: skip
"""What can be written of a pair: name -> suffix behind the key, convention of the file."""

_LARGEST_PX = 65534 / SCALES[-1]


@dataclass(frozen=True)
class PairResult:
    """What a matcher found for one pair; all maps have the size of the pictures.

    Attributes:
        left: `[1,3,H,W]` in 0..1.
        disparity: `[1,1,H,W]` as the matcher gave it.
        consistent: where both views agree, or None when the right view was not matched.
        calibration: of this size, for a metric cloud.
        focal_px: for a relative cloud, where it is known.
        about: further entries of the sidecar.
    """

    left: Float[Tensor, "1 3 H W"]
    disparity: Float[Tensor, "1 1 H W"]
    consistent: Bool[Tensor, "1 1 H W"] | None = None
    calibration: Calibration | None = None
    focal_px: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


def product_file(key: str, product: str) -> str:
    """Path of one file of the pair `key` below the output folder."""
    return f"{key}{PRODUCTS[product][0]}"


def write_pair(out: Path, key: str, result: PairResult, products: tuple[str, ...]) -> dict[str, Any]:
    """Write the files of a pair and, last of all, its sidecar `KEY.json`, whose content is returned.

    Args:
        out: the folder.
        key: name of the pair; it may have folders.
        result: what to write.
        products: names from `PRODUCTS`.

    Raises:
        InputError: an unknown product, or a mask or cloud of a pair whose right view was not matched.
        OutputError: a file cannot be written.
    """
    if unknown := [name for name in products if name not in PRODUCTS]:
        raise InputError(f"unknown file kind {unknown[0]!r}: use {', '.join(PRODUCTS)}")
    if result.consistent is None and {"consistency", "ply", "glb"} & set(products):
        raise InputError("mask and point cloud need the consistency of both views")
    finite = result.disparity.isfinite()
    files: dict[str, dict[str, Any]] = {}
    cloud: PointCloud | None = None
    for name in products:
        path = out / product_file(key, name)
        if name in ("ply", "glb"):
            cloud = cloud or point_cloud(
                result.left, result.disparity, result.consistent, result.calibration, focal_px=result.focal_px
            )
            details = _write_cloud(path, cloud, write_ply if name == "ply" else write_glb)
        else:
            details = _write_map(path, name, result, finite)
        files[name] = {"file": product_file(key, name), "convention": PRODUCTS[name][1], **details}
    height, width = result.disparity.shape[-2:]
    sidecar = {
        "key": key,
        "width": width,
        "height": height,
        "meaning": MEANING,
        "disparity_px": _figures(result.disparity[finite]),
        "unknown_share": _share(~finite),
        "negative_share": _share(finite & (result.disparity < 0)),
        "consistent_share": None if result.consistent is None else _share(result.consistent),
        **result.about,
        "files": files,
    }
    text = json.dumps(sidecar, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(out / f"{key}.json", text.encode(errors="backslashreplace"))
    return sidecar


def _write_map(path: Path, name: str, result: PairResult, finite: Tensor) -> dict[str, Any]:
    """Write one map; what the sidecar must say about it beyond the convention of its kind."""
    disparity = result.disparity
    if name == "png":
        return _write_png(path, disparity, finite)
    if name == "picture":
        # the outermost hundredth of the pixels is mostly errors, and would take the colours from all the others
        known = disparity[finite]
        ends = [float(end) for end in quantiles(known, 0.01, 0.99)] if len(known) else [0.0, 0.0]
        picture = colour_map(disparity, finite, low=ends[0], high=ends[1])
        write_bytes(path, encode_png(picture))
        return {"blue_px": round(ends[0], 3), "red_px": round(ends[1], 3)}
    if name == "consistency" and result.consistent is not None:
        write_bytes(path, encode_png(result.consistent[0, 0].cpu().numpy().astype("uint8") * 255))
        return {}
    write_disparity(path, disparity, finite)
    return {}


def _write_png(path: Path, disparity: Tensor, finite: Tensor) -> dict[str, Any]:
    """16 bits hold 0 to 4095 px: what lies outside becomes unknown, and is counted."""
    negative, large = finite & (disparity < 0), finite & (disparity > _LARGEST_PX)
    usable = finite & ~negative & ~large
    scale = disparity_scale(float(disparity[usable].max()) if usable.any() else 0.0)
    write_disparity(path, disparity, usable, scale)
    return {"scale": scale, "negative_pixels_left_out": int(negative.sum()), "too_large_left_out": int(large.sum())}


def _write_cloud(path: Path, cloud: PointCloud, write: Callable[[Path, PointCloud], None]) -> dict[str, Any]:
    details = {
        "points": len(cloud.points),
        "unit": cloud.unit,
        "about": cloud.about,
        "left_out": {"at_infinity": cloud.at_infinity, "between_depths": cloud.on_edges},
    }
    if not len(cloud.points):
        return {**details, "written": False, "why": _why_empty(cloud)}
    write(path, cloud)
    return details


def _why_empty(cloud: PointCloud) -> str:
    if not cloud.at_infinity + cloud.on_edges:
        return "no pixel is consistent between both views"
    return (
        f"of the pixels consistent between both views {cloud.at_infinity} are as good as infinitely far and {cloud.on_edges} lie "
        "between two depths, which leaves no point"
    )


def _figures(values: Tensor) -> dict[str, float] | None:
    if not len(values):
        return None
    low, middle, high = (round(float(value), 4) for value in quantiles(values.double(), 0.0, 0.5, 1.0))
    return {"min": low, "median": middle, "max": high}


def _share(mask: Tensor) -> float:
    return round(float(mask.double().mean()), 6)
