"""A data set in the layouts of other people's trainers: ZeroStereo, KITTI 2015, WebDataset shards.

An export is made from stored samples, so it holds exactly what the data set holds. Files are written atomically; running an
export again makes only what is missing.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets import layout
from wheatstone.datasets.base import StereoDataset
from wheatstone.errors import InputError, OutputError, require
from wheatstone.files import atomic_path, encode_png, write_bytes
from wheatstone.files.atomic import output_errors
from wheatstone.files.disparity import encode_disparity_png
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample, to_uint8

__all__ = ["FORMATS", "export_dataset"]

LIST_NAME = "list.txt"
NAMES = "names.jsonl"
SHARD_SAMPLES = 1000


def export_dataset(
    dataset: StereoDataset, out: str | Path, layout_name: str, *, progress: ProgressCallback | None = None
) -> int:
    """Write a data set in another layout.

    Args:
        dataset: pairs with disparity; see `load_dataset`.
        out: a folder, new, empty, or of an earlier export of the same kind.
        layout_name: `zerostereo`, `kitti` or `webdataset`.
        progress: called after every sample.

    Returns:
        Number of samples.

    Raises:
        InputError: an unknown layout, an empty data set, or samples that lack what the layout holds.
        OutputError: the folder holds something else or cannot be written.
        MissingExtraError: `webdataset` is asked for and not installed.
    """
    out = Path(out)
    if layout_name not in FORMATS:
        raise InputError(f"unknown layout {layout_name!r}: use one of {', '.join(FORMATS)}")
    if len(dataset) == 0:
        raise InputError(f"{dataset.name} holds no samples")
    _claim(out, {"layout": layout_name, "dataset": dataset.name, "samples": len(dataset), "content": _content(dataset)})
    clock = Clock(f"export {layout_name}", len(dataset))
    for done, key in enumerate(FORMATS[layout_name](dataset, out), start=1):
        if progress is not None:
            progress(clock.at(done, key))
    return len(dataset)


def _content(dataset: StereoDataset) -> str:
    """Digest of what is exported: the names, and for our own format the manifest."""
    lines = getattr(dataset, "lines", None)
    text = layout.canonical_json([lines[key] for key in dataset.keys] if lines else list(dataset.keys))
    return sha256(text.encode(errors="backslashreplace")).hexdigest()


def _claim(out: Path, header: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else; say what is in it otherwise."""
    path = out / "export.json"
    text = json.dumps(header, indent=2) + "\n"
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise OutputError(f"{out} holds another export: choose another folder")
        if not path.is_file() and any(out.iterdir()):
            raise OutputError(f"{out} is not empty: choose another folder")
    write_bytes(path, text.encode())


def _zerostereo(dataset: StereoDataset, out: Path) -> Iterator[str]:
    """Folders `left right disparity confidence mask_nocc mask_inpaint` and a six-column list.

    Unknown disparity is 0, which the published training code masks. The list has no blanks, so a key that holds one is written
    with `_`; `names.jsonl` tells which sample is which.
    """
    lines, names = [], []
    taken: set[str] = set()
    for sample in dataset:
        name = _plain_name(sample.key, taken)
        pair = _pair(sample)
        for field in ("confidence", "visible", "hole"):
            if getattr(sample, field) is None:
                raise InputError(f"{sample.key}: ZeroStereo's layout needs {field}, which this data set does not have")
        disparity = np.where(_plane(sample.valid), _plane(sample.disparity), 0).astype(np.float32)
        files = {
            f"left/{name}.png": encode_png(pair[0]),
            f"right/{name}.png": encode_png(pair[1]),
            f"disparity/{name}.npy": _npy(disparity),
            f"confidence/{name}.npy": _npy(_plane(sample.confidence).astype(np.float32)),
            f"mask_nocc/{name}.png": encode_png(_plane(sample.visible).astype(np.uint8) * 255),
            f"mask_inpaint/{name}.png": encode_png(_plane(sample.hole).astype(np.uint8) * 255),
        }
        _write_missing(out, files)
        lines.append(" ".join(files))
        names.append({"key": sample.key, "name": name})
        yield sample.key
    write_bytes(out / LIST_NAME, ("\n".join(lines) + "\n").encode())
    _write_names(out, names)


def _kitti(dataset: StereoDataset, out: Path) -> Iterator[str]:
    """KITTI 2015: `training/{image_2,image_3,disp_occ_0,disp_noc_0}/NNNNNN_10.png`, 16-bit disparity times 256, 0 = unknown.

    `disp_noc_0` holds the pixels seen in both views. Disparity beyond 255.99 px does not fit and becomes unknown.
    """
    names = []
    for number, sample in enumerate(dataset):
        left, right = _pair(sample)
        disparity = _plane(sample.disparity).astype(np.float64)
        known = _plane(sample.valid) & (disparity <= 65535 / 256)
        seen = known if sample.visible is None else known & _plane(sample.visible)
        name = f"{number:06d}_10.png"
        _write_missing(
            out / "training",
            {
                f"image_2/{name}": encode_png(left),
                f"image_3/{name}": encode_png(right),
                f"disp_occ_0/{name}": encode_disparity_png(disparity, known, 256),
                f"disp_noc_0/{name}": encode_disparity_png(disparity, seen, 256),
            },
        )
        lost = int((_plane(sample.valid) & ~known).sum())
        names.append({"key": sample.key, "name": name, "too_large": lost})
        yield sample.key
    _write_names(out, names)


def _webdataset(dataset: StereoDataset, out: Path) -> Iterator[str]:
    """Tar shards of at most 1000 samples: `ID.left.png`, `ID.right.png`, `ID.disparity.png` (16-bit), ..., `ID.json`.

    The id is the key with `%`, `.` and `/` escaped, since shards cut names at the first dot; the key stands in the JSON.
    """
    webdataset = require("webdataset", "scale", "Writing WebDataset shards")
    for first in range(0, len(dataset), SHARD_SAMPLES):
        shard = dataset[first : first + SHARD_SAMPLES]
        path = out / f"shard-{first // SHARD_SAMPLES:06d}.tar"
        if path.is_file():
            yield from shard.keys
            continue
        # a fixed time, owner and mode: equal samples give equal shards
        fixed = {"encoder": False, "mtime": 0, "user": "", "group": "", "mode": 0o644}
        with (
            atomic_path(path) as temporary,
            output_errors(path),
            webdataset.TarWriter(str(temporary), **fixed) as tar,
        ):
            for sample in shard:
                tar.write(_record(sample))
                yield sample.key


def _record(sample: StereoSample) -> dict[str, Any]:
    scale = layout.disparity_scale(float(_plane(sample.disparity)[_plane(sample.valid)].max(initial=0)))
    scale = int(sample.provenance.get("disparity_scale") or scale)
    left, right = _pair(sample)
    meta = {
        "key": sample.key,
        "baselines": dict(sample.baselines),
        "disparity_scale": scale,
        "focal_px": sample.provenance.get("focal_px"),
        "synthetic_views": list(sample.provenance.get("synthetic_views", ())),
        "quality": sample.provenance.get("quality", {}),
    }
    record: dict[str, Any] = {
        "__key__": layout.id_of_key(sample.key),
        "left.png": encode_png(left),
        "right.png": encode_png(right),
        "disparity.png": encode_disparity_png(_plane(sample.disparity), _plane(sample.valid), scale),
    }
    if sample.confidence is not None:
        record["confidence.png"] = encode_png(layout.encode_unit(_plane(sample.confidence)))
    for field, folder in layout.MASKS.items():
        if (mask := getattr(sample, field)) is not None:
            record[f"{folder}.png"] = encode_png(_plane(mask).astype(np.uint8) * 255)
    if sample.origin is not None:
        record["origin.png"] = encode_png(_plane(sample.origin))
    record["json"] = layout.canonical_json(meta).encode()
    return record


FORMATS: dict[str, Callable[[StereoDataset, Path], Iterator[str]]] = {
    "zerostereo": _zerostereo,
    "kitti": _kitti,
    "webdataset": _webdataset,
}


def _pair(sample: StereoSample) -> tuple[np.ndarray, np.ndarray]:
    if not {"left", "right"} <= set(sample.views) or sample.disparity is None or sample.valid is None:
        raise InputError(f"{sample.key}: an export needs left, right and disparity")
    return to_uint8(sample.views["left"]), to_uint8(sample.views["right"])


def _plane(map_: Any) -> np.ndarray:
    return map_.detach().cpu().numpy()[0]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _plain_name(key: str, taken: set[str]) -> str:
    """A name without white space that no earlier sample has."""
    plain = name = "_".join(key.split())
    number = 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    taken.add(name)
    return name


def _write_missing(out: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        if not (out / name).is_file():
            write_bytes(out / name, data)


def _write_names(out: Path, names: list[dict[str, Any]]) -> None:
    write_bytes(out / NAMES, "".join(f"{layout.canonical_json(name)}\n" for name in names).encode())
