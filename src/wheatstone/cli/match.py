"""A pair to disparity: numbers in three formats, a picture, a point cloud, a mask of what can be trusted.

LEFT and RIGHT are two pictures, or two folders whose pictures are matched by name; instead of both, a data set. For a pair KEY:
KEY.pfm, KEY.npy, KEY.disparity.png (16 bits), KEY.turbo.png (red = near), KEY.consistent.png, KEY.ply, KEY.glb, and KEY.json,
which says what they hold. Interrupted, the same command goes on where it stopped.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

if TYPE_CHECKING:
    from wheatstone.files import Calibration
    from wheatstone.generation import MatchSettings, MatchSummary
    from wheatstone.generation.image_pairs import DatasetPairs, FilePairs
    from wheatstone.matching import StereoMatcher

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone match`."""

    pair: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="LEFT RIGHT | DATASET")]
    """Two pictures, two folders matched by name, or one data set (a folder of ours, NAME=PATH, scenes=SEED:COUNT)."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("match")
    """Folder to write."""
    matcher: str | None = None
    """Matcher: a preset (see wheatstone info), a folder, a Hub id, or PRESET=PATH; by default the library's own choice."""
    iterations: int | None = None
    """Refinement steps; by default the matcher's own number."""
    device: str = "auto"
    """Where the network runs: auto (a GPU if there is one), cpu, cuda, cuda:1, mps."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of the network."""
    official: bool = False
    """Reproduce the published behaviour of the matcher where it differs from ours."""
    tile: str | None = None
    """Match in overlapping tiles of this size, HxW as in 512x768, for pictures that do not fit into memory."""
    write: tuple[Literal["pfm", "npy", "png", "picture", "consistency", "ply", "glb"], ...] = (
        *("pfm", "npy", "png"),
        *("picture", "consistency", "ply", "glb"),
    )
    """What to write of a pair; without consistency, ply and glb the right view is not matched, which takes half the time."""
    consistency_px: float = 1.0
    """Both views agree where their disparities differ by at most this many pixels."""
    calib: Path | None = None
    """Calibration file (Middlebury calib.txt or a KITTI file): the point cloud is in metres."""
    calib_cameras: tuple[int, int] | None = None
    """Left and right camera of a KITTI file; by default 2 3 (colour), else 0 1 (grey)."""
    focal_px: float | None = None
    """Focal length in pixels of these pictures; with --baseline-m the point cloud is in metres."""
    baseline_m: float | None = None
    """Distance of the cameras in metres."""
    doffs_px: float = 0.0
    """Column of the principal point in the right view minus that in the left one."""
    cx: float | None = None
    """Column of the left principal point; by default the middle."""
    cy: float | None = None
    """Row of the principal point; by default the middle."""


SHOWN = 20


def run(options: Options) -> int:
    """Match; 0 done, 1 when some pairs gave nothing."""
    import torch

    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.parts import load_part, pick_device, say_licences
    from wheatstone.errors import InputError
    from wheatstone.generation import match_pairs
    from wheatstone.matching import load_matcher
    from wheatstone.matching.registry import DEFAULT

    settings = _settings(options)
    pairs = _pairs(options)
    name = options.matcher or DEFAULT
    say_licences(name)
    parts = {
        "device": pick_device(options.device),
        "dtype": getattr(torch, options.dtype),
        "official": options.official,
    }
    matcher: StereoMatcher = load_part(load_matcher, name, parts)
    call = {field.name: _plain(getattr(options, field.name)) for field in fields(options) if field.name != "device"}
    with progress_bar() as progress:
        summary = match_pairs(pairs, options.out, matcher, settings, call=call, progress=progress)
    if not summary.sidecars:
        raise InputError("; ".join(f"{key}: {why}" for key, why in list(summary.failed.items())[:3]) or "no pair found")
    _report(summary)
    return 1 if summary.failed else 0


def _pairs(options: Options) -> "FilePairs | DatasetPairs":
    from wheatstone.datasets import load_dataset
    from wheatstone.errors import InputError
    from wheatstone.generation.image_pairs import DatasetPairs, find_image_pairs

    if len(options.pair) == 2:
        return find_image_pairs(options.pair[0], options.pair[1], exclude=options.out)
    if len(options.pair) != 1:
        raise InputError("name the left and the right picture: wheatstone match LEFT RIGHT")
    if Path(options.pair[0]).is_file():
        raise InputError(f"{options.pair[0]} is one picture: name the right one too, wheatstone match LEFT RIGHT")
    return DatasetPairs(load_dataset(options.pair[0]))


def _settings(options: Options) -> "MatchSettings":
    from wheatstone.errors import InputError
    from wheatstone.generation import MatchSettings

    tile = None
    if options.tile is not None:
        sides = options.tile.lower().split("x")
        if len(sides) != 2 or not all(side.isdecimal() for side in sides):
            raise InputError(f"--tile is HEIGHTxWIDTH in pixels, for example 512x768, not {options.tile!r}")
        tile = (int(sides[0]), int(sides[1]))
    return MatchSettings(
        products=tuple(dict.fromkeys(options.write)),
        iterations=options.iterations,
        tile=tile,
        consistency_px=options.consistency_px,
        calibration=_calibration(options),
        focal_px=options.focal_px if options.calib is None else None,
    )


def _calibration(options: Options) -> "Calibration | None":
    """From a file or from numbers; None leaves the cloud relative.

    Raises:
        InputError: both, or a baseline without a focal length.
        FileFormatError: a file of another format.
    """
    from wheatstone.errors import InputError
    from wheatstone.files import Calibration, read_calibration

    numbers = (options.focal_px, options.baseline_m, options.cx, options.cy)
    if options.calib is not None:
        if any(number is not None for number in numbers) or options.doffs_px:
            raise InputError("give either --calib or the numbers (--focal-px, --baseline-m, ...), not both")
        return read_calibration(options.calib, options.calib_cameras)
    if options.baseline_m is None:
        return None
    if options.focal_px is None:
        raise InputError("--baseline-m needs --focal-px beside it: depth = focal x baseline / (disparity + doffs)")
    return Calibration(options.focal_px, options.baseline_m, options.doffs_px, options.cx, options.cy)


def _report(summary: "MatchSummary") -> None:
    lines = summary.sidecars
    for key, found in list(summary.warnings.items())[:SHOWN]:
        for warning in found:
            print(f"warning: {key}: {warning}", file=sys.stderr)
    if len(summary.warnings) > SHOWN:
        print(f"warning: {len(summary.warnings) - SHOWN} more pairs; see their .json files", file=sys.stderr)
    if len(lines) == 1 and not summary.failed:
        ((key, line),) = lines.items()
        print("\n".join(_about_one(summary.out / key, line, fresh=bool(summary.written))))
        return
    shares = [line["consistent_share"] for line in lines.values() if line["consistent_share"] is not None]
    text = f"{summary.out}: {len(lines)} pairs matched, {summary.written} of them new"
    print(text + (f"; {sum(shares) / len(shares):.1%} of the pixels consistent on average" if shares else ""))
    for key, reason in list(summary.failed.items())[:SHOWN]:
        print(f"no match: {key}: {reason}", file=sys.stderr)
    if len(summary.failed) > SHOWN:
        print(f"no match: {len(summary.failed) - SHOWN} more", file=sys.stderr)


def _about_one(place: Path, line: Mapping[str, Any], *, fresh: bool) -> list[str]:
    """What a single pair gave, file by file."""
    figures = line["disparity_px"]
    found = "no disparity at all"
    if figures is not None:
        found = f"disparity {figures['min']:.1f} to {figures['max']:.1f} px, median {figures['median']:.1f} px"
    text = [f"{place}: {line['width']} x {line['height']}, {found}{'' if fresh else ' (was there already)'}"]
    if line["consistent_share"] is not None:
        text.append(f"{line['consistent_share']:.1%} of the pixels are consistent between both views")
    for name, entry in line["files"].items():
        remark = ""
        if count := entry.get("negative_pixels_left_out"):
            remark = f"  ({count} negative pixels are unknown here: 16-bit PNG holds none; .pfm and .npy keep them)"
        if name in ("ply", "glb"):
            remark = f"  ({entry['points']} points, {entry['about'].partition(':')[0]})"
            if not entry.get("written", True):
                remark = f"  not written: {entry.get('why', 'no points')}"
        text.append(f"  {place.parent / Path(entry['file']).name}{remark}")
    return text


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
