"""Checks every promise of our format that can be computed from the files, sample by sample.

First of all (`verify_views`): outside its painted pixels a synthetic view is exactly the warp of the stored real view by the
stored disparity.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets import layout
from wheatstone.datasets.own import OwnDataset
from wheatstone.datasets.quality import quality_figures
from wheatstone.datasets.verify_views import broken_views
from wheatstone.errors import DatasetError, FileFormatError, InputError
from wheatstone.files.atomic import TEMPORARY_PREFIX
from wheatstone.files.disparity import SCALE_KEYWORD, SCALES
from wheatstone.files.png import decode_png, png_text
from wheatstone.geometry import ForwardWarper
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import Origin

__all__ = ["Problem", "Verification", "summarise", "verify_dataset"]

_LINE = {"key": str, "id": str, "width": int, "height": int, "baselines": dict, "files": dict, "quality": dict}
_LINE_KEYS = (*_LINE, "sha256", "reference", "disparity_scale", "scale_px", "focal_px", "provenance")
_TOP_FOLDERS = ("left", "right", "disparity", "confidence", "origin", "views")


@dataclass(frozen=True)
class Problem:
    """A promise that is broken.

    Attributes:
        key: the sample, or None for the data set as a whole.
        promise: short name of the promise: `warp`, `visible`, `file`, `size`, ...
        detail: what was found.
    """

    key: str | None
    promise: str
    detail: str


@dataclass(frozen=True)
class Verification:
    """Outcome: how many samples were looked at, and every broken promise."""

    folder: Path
    samples: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether every promise is kept."""
        return not self.problems


def verify_dataset(
    folder: str | Path,
    *,
    tolerance: int = 0,
    workers: int | None = None,
    progress: ProgressCallback | None = None,
) -> Verification:
    """Check a data set of our format; never stops at a broken sample.

    Args:
        folder: the data set.
        tolerance: 8-bit steps by which known pixels of the right view may differ from the warp; data made on another
            kind of machine may need 1.
        workers: samples under way at once; one a CPU core by default.
        progress: called after every sample.

    Raises:
        DatasetError: the folder is no data set of ours at all.
        InputError: a negative tolerance.
    """
    if tolerance < 0:
        raise InputError(f"`tolerance` must not be negative, got {tolerance}")
    folder = Path(folder)
    try:
        dataset = OwnDataset(folder)
    except DatasetError:
        if not (folder / layout.HEADER).is_file():
            raise
        return Verification(folder, 0, tuple(_broken_lists(folder)))
    problems = [*_check_header(dataset), *_check_lists(dataset), *_check_strays(dataset)]
    warper = _warper(dataset.header)
    clock = Clock("verify", len(dataset))

    def look(key: str) -> list[Problem]:
        return list(_check_sample(dataset, dataset.lines[key], warper, tolerance))

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for done, (key, found) in enumerate(zip(dataset.keys, pool.map(look, dataset.keys), strict=True), start=1):
            problems += found
            if progress is not None:
                progress(clock.at(done, key))
    return Verification(folder, len(dataset), tuple(problems))


def _broken_lists(folder: Path) -> Iterator[Problem]:
    """Why header or manifest cannot even be opened."""
    try:
        OwnDataset(folder)
    except DatasetError as error:
        yield Problem(None, "header", str(error))


def _warper(header: Mapping[str, Any]) -> ForwardWarper:
    try:
        return ForwardWarper(**header["config"].get("warp", {}))
    except (TypeError, AttributeError):
        return ForwardWarper()


def _check_header(dataset: OwnDataset) -> Iterator[Problem]:
    header = dataset.header
    digest = layout.config_digest(header["config"], header["parts"], header["seed"])
    if digest != header["config_sha256"]:
        yield Problem(None, "configuration", "config_sha256 is not the digest of configuration, parts and seed")
    if not header.get("complete"):
        yield Problem(None, "complete", "the data set is not finished: run the command that made it again")
        return
    counts = header.get("counts") or {}
    if counts.get("samples") != len(dataset):
        yield Problem(
            None, "counts", f"{layout.HEADER} says {counts.get('samples')} samples, the manifest {len(dataset)}"
        )


def _check_lists(dataset: OwnDataset) -> Iterator[Problem]:
    """Order and uniqueness of the manifest, and that nothing is both a sample and rejected."""
    complete = bool(dataset.header.get("complete"))
    torn = "error" if complete else "drop"
    keys = [line["key"] for line in layout.read_lines(dataset.folder / layout.MANIFEST, torn=torn)]
    if len(set(keys)) != len(keys):
        yield Problem(None, "manifest", f"{len(keys) - len(set(keys))} keys occur more than once")
    if complete and keys != sorted(keys):
        yield Problem(None, "manifest", "the lines are not in the order of their keys")
    try:
        rejected = [line["key"] for line in layout.read_lines(dataset.folder / layout.REJECTED, torn=torn)]
    except DatasetError as error:
        yield Problem(None, "rejected", str(error))
        return
    if complete and not (dataset.folder / layout.REJECTED).is_file():
        yield Problem(None, "rejected", f"{layout.REJECTED} is missing")
    if complete and (both := set(rejected) & set(keys)):
        yield Problem(sorted(both)[0], "rejected", "is rejected and in the manifest at once")
    said = (dataset.header.get("counts") or {}).get("rejected")
    if complete and said != len(rejected):
        yield Problem(None, "counts", f"{layout.HEADER} says {said} rejects, {layout.REJECTED} has {len(rejected)}")


def _check_strays(dataset: OwnDataset) -> Iterator[Problem]:
    """Files in the folders of the format that belong to no sample, and leftovers of interrupted writing."""
    known = {name for line in dataset.lines.values() for name in _files(line).values()}
    for here, folders, names in os.walk(dataset.folder):
        folders.sort()
        inside = Path(here).relative_to(dataset.folder)
        ours = bool(inside.parts) and (
            inside.parts[0] in _TOP_FOLDERS or inside.parts[0].startswith(("mask_", "disparity_", "origin_"))
        )
        for name in sorted(names):
            relative = (inside / name).as_posix()
            if name.startswith(TEMPORARY_PREFIX):
                yield Problem(None, "stray", f"{relative}: left by an interrupted run; running it again clears it")
            elif ours and relative not in known:
                yield Problem(None, "stray", f"{relative}: belongs to no sample of the manifest")


def _check_sample(
    dataset: OwnDataset, line: Mapping[str, Any], warper: ForwardWarper, tolerance: int
) -> Iterator[Problem]:
    key = line["key"]
    if broken := list(_check_line(line)):
        yield from broken
        return
    arrays: dict[str, np.ndarray] = {}
    for folder in line["files"]:
        yield from _check_file(dataset, line, folder, arrays)
    if len(arrays) == len(line["files"]):
        yield from (Problem(key, *found) for found in broken_views(line, arrays, warper, tolerance))
        yield from _check_maps(key, arrays)
        if {"disparity", "confidence", "mask_nocc", "mask_inpaint"} <= set(arrays) and line["quality"]:
            yield from _check_quality(key, quality_figures(dataset.assemble(line, arrays)), line["quality"])


def _check_line(line: Mapping[str, Any]) -> Iterator[Problem]:
    key = line["key"]
    try:
        layout.check_key(key)
    except InputError as error:
        yield Problem(key, "key", str(error))
    if missing := [name for name in _LINE_KEYS if name not in line]:
        yield Problem(key, "manifest", f"the line lacks {', '.join(missing)}")
        return
    for name, kind in _LINE.items():
        if not isinstance(line[name], kind):
            yield Problem(key, "manifest", f"{name} is {line[name]!r}, not a {kind.__name__}")
    if line["id"] != layout.id_of_key(key):
        yield Problem(key, "id", f"{line['id']!r} is not the escaped key")
    for folder, path in _files(line).items():
        if path != layout.product_path(folder, key):
            yield Problem(
                key, "file", f"{folder} is said to lie at {path!r}, not at {layout.product_path(folder, key)!r}"
            )
    for name, entry in line["baselines"].items() if isinstance(line["baselines"], dict) else ():
        if layout.view_folder(name) not in line["files"]:
            yield Problem(key, "file", f"the view {name!r} has no file")
        if not isinstance(entry, dict) or not {"nominal", "measured", "synthetic"} <= set(entry):
            yield Problem(key, "manifest", f"the baseline of {name!r} is {entry!r}")
    if "disparity" in line["files"] and line["disparity_scale"] not in SCALES:
        yield Problem(key, "scale", f"disparity_scale is {line['disparity_scale']!r}, not one of {SCALES}")


def _check_file(
    dataset: OwnDataset, line: Mapping[str, Any], folder: str, arrays: dict[str, np.ndarray]
) -> Iterator[Problem]:
    """Read one file into `arrays`; its pixel format, size and text chunk must be those of its folder."""
    key, path = line["key"], dataset.folder / line["files"][folder]
    try:
        data = path.read_bytes()
        array = decode_png(data, path.name)
    except (OSError, FileFormatError) as error:
        yield Problem(
            key, "file", f"{line['files'][folder]}: {error.strerror if isinstance(error, OSError) else error}"
        )
        return
    if (array.dtype, array.ndim) != layout.pixel_format(folder):
        yield Problem(key, "pixels", f"{line['files'][folder]} holds {array.dtype} of shape {list(array.shape)}")
        return
    if array.shape[:2] != (line["height"], line["width"]):
        size = f"{array.shape[1]} x {array.shape[0]}"
        yield Problem(
            key, "size", f"{line['files'][folder]} is {size}, the manifest says {line['width']} x {line['height']}"
        )
        return
    if folder.startswith("disparity") and png_text(data).get(SCALE_KEYWORD) != str(line["disparity_scale"]):
        said = png_text(data).get(SCALE_KEYWORD)
        yield Problem(key, "scale", f"{line['files'][folder]} says {said}, the manifest {line['disparity_scale']}")
    arrays[folder] = array


def _check_maps(key: str, arrays: Mapping[str, np.ndarray]) -> Iterator[Problem]:
    for folder, array in arrays.items():
        if folder.startswith("mask_") and not np.isin(array, (0, 255)).all():
            yield Problem(key, "mask", f"{folder} holds values other than 0 and 255")
    for folder, array in arrays.items():
        if folder.startswith("origin") and array.max(initial=0) > max(Origin):
            yield Problem(key, "origin", f"code {array.max()} in {folder} means nothing")
    origin, painted = arrays.get("origin"), arrays.get("mask_inpaint")
    if origin is not None and painted is not None and (wrong := int(((origin > 0) != (painted > 127)).sum())):
        yield Problem(key, "origin", f"{_pixels(wrong)} where origin and mask_inpaint disagree")


def _check_quality(key: str, computed: Mapping[str, float], said: Mapping[str, float]) -> Iterator[Problem]:
    for name in sorted(set(computed) & set(said)):
        if not isinstance(said[name], (int, float)) or abs(computed[name] - said[name]) > 2e-4 * max(
            1, abs(computed[name])
        ):
            yield Problem(key, "quality", f"{name} is said to be {said[name]}, the files say {computed[name]}")


def _files(line: Mapping[str, Any]) -> Mapping[str, str]:
    return line["files"] if isinstance(line.get("files"), dict) else {}


def _pixels(count: int) -> str:
    return "1 pixel" if count == 1 else f"{count} pixels"


def summarise(problems: Sequence[Problem], shown: int = 3) -> list[str]:
    """Lines for a reader: every broken promise with its count and a few examples."""
    lines = []
    for promise in dict.fromkeys(problem.promise for problem in problems):
        found = [problem for problem in problems if problem.promise == promise]
        lines.append(f"{promise}: broken {len(found)} times" if len(found) > 1 else f"{promise}: broken")
        lines += [f"  {problem.key + ': ' if problem.key else ''}{problem.detail}" for problem in found[:shown]]
        if len(found) > shown:
            lines.append(f"  and {len(found) - shown} more")
    return lines
