"""Reader of our own format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheatstone.datasets import layout
from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import DatasetError, FileFormatError
from wheatstone.files.png import decode_png
from wheatstone.samples import StereoSample, image_batch

__all__ = ["OwnDataset", "detect", "load", "read_header"]


def detect(folder: Path) -> bool:
    """Whether `folder` looks like our format."""
    return (folder / layout.HEADER).is_file()


def load(folder: Path) -> "OwnDataset":
    """Open a data set of our format.

    Scale: 16-bit code / the scale in the manifest and in each file (256, 64 or 16). Unknown: 0. Occlusion: `mask_nocc` (seen by
    both) and `mask_inpaint` (holes of the second view). Licence: that of the photos and of the parts named in `dataset.json`.
    Layout: `dataset.json`, `manifest.jsonl` and the folders of `docs/data-format.md`.
    """
    return OwnDataset(folder)


def read_header(folder: str | Path) -> dict[str, Any]:
    """Read and check `dataset.json`.

    Raises:
        DatasetError: missing, broken, or of another format or a newer version.
    """
    path = Path(folder) / layout.HEADER
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{folder}: no {layout.HEADER}, so this is no data set of ours") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if not isinstance(header, dict) or header.get("format") != layout.FORMAT_NAME:
        raise DatasetError(f"{path}: not the header of a data set of ours")
    if header.get("format_version") != layout.FORMAT_VERSION:
        raise DatasetError(
            f"{path}: format version {header.get('format_version')}, this library reads version {layout.FORMAT_VERSION}"
        )
    missing = {"config", "config_sha256", "seed", "parts", "versions"} - set(header)
    if missing:
        raise DatasetError(f"{path}: lacks {', '.join(sorted(missing))}")
    return header


class OwnDataset(StereoDataset):
    """A data set that `generate`, `scenes` or `generate-views` wrote; unfinished ones give the samples written so far.

    Attributes:
        folder: where it lies.
        header: content of `dataset.json`.
        lines: manifest lines by key.
    """

    def __init__(self, folder: str | Path) -> None:
        """Open the folder; reads header and manifest only.

        Raises:
            DatasetError: not our format, or a broken manifest.
        """
        self.folder = Path(folder)
        self.name = self.folder.resolve().name
        self.header = read_header(self.folder)
        torn = "error" if self.header.get("complete") else "drop"
        self.lines = {line["key"]: line for line in layout.read_lines(self.folder / layout.MANIFEST, torn=torn)}
        self.keys = sorted(self.lines)

    def read(self, index: int) -> StereoSample:
        """Read one sample; see `wheatstone.samples` for shapes and units.

        Raises:
            DatasetError: a file that is missing or broken.
        """
        line = self.lines[self.keys[index]]
        return self.assemble(line, {folder: self.decode(line, folder) for folder in line["files"]})

    @staticmethod
    def assemble(line: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> StereoSample:
        """Make the sample of a manifest line from its decoded files by folder."""
        files = dict(arrays)
        views = {
            name: image_batch(files.pop(layout.view_folder(name)))[0]
            for name in line["baselines"]
            if layout.view_folder(name) in files
        }
        codes = files.pop("disparity", None)
        confidence, origin = files.pop("confidence", None), files.pop("origin", None)
        masks = {name: _mask(files.pop(folder, None)) for name, folder in layout.MASKS.items()}
        scale = line["disparity_scale"]
        return StereoSample(
            key=line["key"],
            views=views,
            baselines={name: entry["nominal"] for name, entry in line["baselines"].items()},
            reference=line["reference"],
            disparity=None if codes is None else _disparity(codes, scale),
            valid=None if codes is None else torch.from_numpy(codes > 0)[None],
            confidence=None if confidence is None else torch.from_numpy(layout.decode_unit(confidence))[None],
            visible=masks["visible"],
            hole=masks["hole"],
            origin=None if origin is None else torch.from_numpy(origin)[None],
            extras=_extras(files, scale),
            provenance=_provenance(line),
        )

    def decode(self, line: Mapping[str, Any], folder: str) -> np.ndarray:
        """Decode one file of a sample as it is stored (`[H,W]` or `[H,W,3]`, uint8 or uint16).

        Raises:
            DatasetError: missing, broken, or of another pixel format (8 bits where 16 are due, grey where colour is).
        """
        path = self.folder / line["files"][folder]
        try:
            array = decode_png(path.read_bytes(), path)
        except OSError as error:
            raise DatasetError(
                f"{path}: cannot be read: {error.strerror or error}; `wheatstone verify` lists what is wrong"
            ) from error
        except FileFormatError as error:
            raise DatasetError(str(error)) from error
        dtype, axes = layout.pixel_format(folder)
        if (array.dtype, array.ndim) != (dtype, axes):
            due = f"{dtype} with {axes} axes"
            raise DatasetError(
                f"{path}: holds {array.dtype} {list(array.shape)}, but {due} is due: was it saved again?"
            )
        return array


def _disparity(codes: np.ndarray, scale: int) -> torch.Tensor:
    return torch.from_numpy((codes / np.float64(scale)).astype(np.float32))[None]


def _mask(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array > 127)[None]


def _extras(files: Mapping[str, np.ndarray], scale: int) -> dict[str, torch.Tensor]:
    """Further maps: masks without their prefix; `disparity_NAME` of other views with `valid_NAME`; `origin_NAME`."""
    found = {}
    for folder, array in files.items():
        if folder.startswith("mask_"):
            found[folder.removeprefix("mask_")] = torch.from_numpy(array > 127)[None]
        elif folder.startswith("origin_"):
            found[folder] = torch.from_numpy(array)[None]
        else:
            found[folder] = _disparity(array, scale)
            found[f"valid_{folder.removeprefix('disparity_')}"] = torch.from_numpy(array > 0)[None]
    return found


def _provenance(line: Mapping[str, Any]) -> dict[str, Any]:
    baselines = line["baselines"]
    return {
        **line["provenance"],
        "source_sha256": line["sha256"],
        "synthetic_views": [name for name, entry in baselines.items() if entry["synthetic"]],
        "measured_baselines": {n: e["measured"] for n, e in baselines.items() if e["measured"] is not None},
        "disparity_scale": line["disparity_scale"],
        "scale_px": line["scale_px"],
        "focal_px": line["focal_px"],
        "quality": line["quality"],
    }
