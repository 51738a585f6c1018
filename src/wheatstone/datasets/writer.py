"""The crash-safe writer of our format: a sample exists when its manifest line does."""

import errno
import json
import os
import platform
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wheatstone.datasets import layout
from wheatstone.datasets.lock import FolderLock
from wheatstone.errors import DatasetError, InputError, OutputError
from wheatstone.files.atomic import TEMPORARY_PREFIX, output_errors, write_bytes
from wheatstone.files.disparity import SCALE_KEYWORD
from wheatstone.files.png import encode_png
from wheatstone.samples import StereoSample, to_uint8

__all__ = ["DatasetWriter", "header_differences"]

# Entries of `StereoSample.provenance` that have a place of their own in the manifest.
_OWN_PLACE = (
    "source_sha256",
    "synthetic_views",
    "measured_baselines",
    "disparity_max_px",
    "disparity_scale",
    "scale_px",
    "focal_px",
    "quality",
)


class DatasetWriter:
    """Writes samples from any number of threads; killed at any moment, it loses only the samples in flight.

    Use it as a context manager; call `finish` when everything has been written.

    Attributes:
        out: the folder.
        done_keys: keys that have a sample, those of earlier runs included.
        done: their manifest lines by key.
        rejected: lines of what gave no sample, by key.
    """

    def __init__(
        self,
        out: str | Path,
        config: Mapping[str, Any],
        seed: int = 0,
        parts: Mapping[str, Any] | None = None,
        *,
        call: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Open a folder for writing, or for going on with an unfinished or smaller data set of the same configuration.

        Args:
            out: the folder; made when missing, must be empty or hold a data set of this configuration.
            config: everything the samples depend on beside photo, key and seed (plain JSON values).
            seed: run seed.
            parts: fingerprints of the parts by role (`Part.fingerprint()`), licences included where known.
            call: the resolved options of the command, so that it can be run again; not part of the comparison.
            notes: remarks for whoever uses the data, for example that a placeholder depth was used.

        Raises:
            OutputError: not writable, in use by another process, not ours, or made by another configuration.
        """
        self.out = Path(out)
        self._header: dict[str, Any] = {
            "format": layout.FORMAT_NAME,
            "format_version": layout.FORMAT_VERSION,
            "conventions": layout.CONVENTIONS,
            "config": dict(config),
            "config_sha256": layout.config_digest(config, parts or {}, seed),
            "seed": seed,
            "parts": dict(parts or {}),
            "notes": list(notes),
            "call": dict(call or {}),
            "versions": _versions(),
        }
        if self.out.exists() and not self.out.is_dir():
            raise OutputError(f"{self.out} is a file: name a folder to write")
        with output_errors(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.out)
        self._appending = threading.Lock()
        self._manifest: int | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def done_keys(self) -> set[str]:
        """Keys that have a sample."""
        return set(self.done)

    def write(self, sample: StereoSample, quality: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Write one sample and return its manifest line.

        Views go to `left/`, `right/` and `views/NAME/`, the reference maps to their folders; of `extras`, bool maps go to
        `mask_NAME/`, `disparity_NAME` (usable where the bool map `valid_NAME` says so, default: where finite) to a 16-bit PNG
        with the scale of the disparity, `origin_NAME` (uint8) to a folder of that name. Of `provenance`, `source_sha256`,
        `synthetic_views` (names; none by default), `measured_baselines` (by view), `disparity_max_px` (default: the largest
        disparity), `scale_px` (drawn by the rule) and `focal_px` have their own places in the manifest; the rest (plain JSON
        values) stays together.

        Args:
            sample: what to write; maps that are None are left out.
            quality: figures of the sample; by default those in its provenance.

        Raises:
            InputError: a key that is no name, is already written, or values the format cannot hold.
            OutputError: the files cannot be written.
        """
        layout.check_key(sample.key)
        if sample.key in self.done:
            raise InputError(f"a sample of the name {sample.key!r} is already in {self.out}")
        scale = _scale_of(sample)
        files = {}
        for folder, array, text in _products(sample, scale):
            relative = layout.product_path(folder, sample.key)
            write_bytes(self.out / relative, encode_png(array, text))
            files[folder] = relative
        line = _manifest_line(sample, scale, quality or sample.provenance.get("quality", {}), files)
        self._append(line)
        return line

    def reject(self, key: str, reason: str, *, kind: str = "file", sha256: str | None = None) -> None:
        """Note that `key` gives no sample.

        Args:
            key: name of the photo.
            reason: one sentence for the user.
            kind: `file` (cannot be read), `name`, `quality` (below a threshold) or `part` (a part could not handle it).
            sha256: digest of the photo, if it could be read.
        """
        line = {"key": key, "kind": kind, "reason": reason, "sha256": sha256}
        with self._appending:
            self.rejected[key] = line
            with output_errors(self.out / layout.REJECTED), (self.out / layout.REJECTED).open("ab") as stream:
                stream.write(_json_line(line))

    def finish(self) -> None:
        """Put manifest and rejects in key order, write the counts, and give the folder free.

        Raises:
            OutputError: the files cannot be written.
        """
        self._close_manifest()
        rejected = {key: line for key, line in self.rejected.items() if key not in self.done}
        for name, lines in ((layout.MANIFEST, self.done), (layout.REJECTED, rejected)):
            write_bytes(self.out / name, b"".join(_json_line(lines[key]) for key in sorted(lines)))
        self._write_header({"complete": True, "counts": {"samples": len(self.done), "rejected": len(rejected)}})
        self.close()

    def close(self) -> None:
        """Give the folder free without finishing; a later run goes on."""
        self._close_manifest()
        self._lock.release()

    def _open(self) -> None:
        self._compare()
        _remove_temporaries(self.out)
        with output_errors(self.out):
            self.done = {line["key"]: line for line in layout.read_lines(self.out / layout.MANIFEST, torn="drop")}
            self.rejected = {line["key"]: line for line in layout.read_lines(self.out / layout.REJECTED, torn="drop")}
            self._write_header({"complete": False, "counts": None})
            for name, lines in ((layout.MANIFEST, self.done), (layout.REJECTED, self.rejected)):
                write_bytes(self.out / name, b"".join(_json_line(line) for line in lines.values()))  # drops a torn line
            self._manifest = os.open(self.out / layout.MANIFEST, os.O_WRONLY | os.O_APPEND)

    def _compare(self) -> None:
        """Refuse a folder of something else; a folder may hold nothing but our own leftovers before its header exists."""
        path = self.out / layout.HEADER
        if not path.is_file():
            if foreign := [e.name for e in self.out.iterdir() if not e.name.startswith(".")]:
                raise OutputError(
                    f"{self.out} is not empty and no data set (it holds {foreign[0]!r}): choose another folder"
                )
            return
        from wheatstone.datasets.own import read_header

        try:
            old = read_header(self.out)
        except DatasetError as error:
            raise OutputError(f"{self.out} holds something else: {error}") from error
        if old["config_sha256"] != self._header["config_sha256"]:
            changes = "; ".join(header_differences(old, self._header)) or "the configuration was edited by hand"
            raise OutputError(
                f"{self.out} was made by another configuration ({changes}): choose another folder or the old values"
            )
        self._header["versions"] = old["versions"]
        # what was found out about the samples afterwards stays true of those that are there
        self._header |= {name: old[name] for name in ("label_check",) if name in old}

    def _write_header(self, state: Mapping[str, Any]) -> None:
        text = json.dumps({**self._header, **state}, indent=2, ensure_ascii=False, allow_nan=False)
        write_bytes(self.out / layout.HEADER, (text + "\n").encode())

    def _append(self, line: dict[str, Any]) -> None:
        data = _json_line(line)
        with self._appending:
            if self._manifest is None:
                raise OutputError(f"{self.out}: the writer is closed")
            with output_errors(self.out / layout.MANIFEST):
                _append_whole(self._manifest, data)
            self.done[line["key"]] = line
            self.rejected.pop(line["key"], None)

    def _close_manifest(self) -> None:
        if self._manifest is not None:
            os.close(self._manifest)
            self._manifest = None


def _append_whole(descriptor: int, data: bytes) -> None:
    """Append all of `data` and flush it, or nothing: what a full disk took of it is cut off again."""
    size = os.fstat(descriptor).st_size
    try:
        if (written := os.write(descriptor, data)) != len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were written")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _json_line(line: Mapping[str, Any]) -> bytes:
    return (layout.canonical_json(line) + "\n").encode(errors="backslashreplace")


def _scale_of(sample: StereoSample) -> int | None:
    if sample.disparity is None:
        return None
    largest = sample.provenance.get("disparity_max_px")
    if largest is None:
        maps = [sample.disparity, *(v for k, v in sample.extras.items() if k.startswith("disparity"))]
        largest = max(float(torch.where(torch.isfinite(one), one, 0).amax()) for one in maps)
    return layout.disparity_scale(float(largest))


def _products(sample: StereoSample, scale: int | None) -> list[tuple[str, np.ndarray, dict[str, str] | None]]:
    """Folder, array and text chunks of every file of a sample."""
    found: list[tuple[str, np.ndarray, dict[str, str] | None]] = []
    for name, image in sample.views.items():
        found.append((layout.view_folder(name), to_uint8(image), None))
    if sample.disparity is not None and scale is not None:
        found.append(_disparity_product("disparity", sample.disparity, sample.valid, scale))
    if sample.confidence is not None:
        found.append(("confidence", layout.encode_unit(_plane(sample.confidence)), None))
    for name, folder in layout.MASKS.items():
        if (mask := getattr(sample, name)) is not None:
            found.append((folder, _mask(mask), None))
    if sample.origin is not None:
        found.append((layout.origin_folder("right"), _plane(sample.origin), None))
    for name, extra in sample.extras.items():
        if name.startswith("valid_") and f"disparity_{name.removeprefix('valid_')}" in sample.extras:
            continue  # stored as the zeros of its disparity
        if extra.dtype == torch.bool:
            found.append((layout.mask_extra(name), _mask(extra), None))
        elif name.startswith("disparity_") and scale is not None:
            layout.mask_extra(name)  # the same rule for names
            valid = sample.extras.get(f"valid_{name.removeprefix('disparity_')}")
            found.append(_disparity_product(name, extra, valid, scale))
        elif name.startswith("origin_") and extra.dtype == torch.uint8:
            layout.mask_extra(name)
            found.append((name, _plane(extra), None))
        else:
            raise InputError(f"{sample.key}: the format has no place for the map {name!r} of {extra.dtype}")
    return found


def _disparity_product(
    folder: str, disparity: Tensor, valid: Tensor | None, scale: int
) -> tuple[str, np.ndarray, dict[str, str]]:
    values = _plane(disparity)
    usable = np.isfinite(values) if valid is None else _plane(valid)
    return folder, layout.quantise_disparity(values, usable, scale), {SCALE_KEYWORD: str(scale)}


def _plane(map_: Tensor) -> np.ndarray:
    return map_.detach().cpu().numpy()[0]


def _mask(mask: Tensor) -> np.ndarray:
    return _plane(mask).astype(np.uint8) * 255


def _manifest_line(
    sample: StereoSample, scale: int | None, quality: Mapping[str, float], files: Mapping[str, str]
) -> dict[str, Any]:
    height, width = sample.views[sample.reference].shape[-2:]
    measured = sample.provenance.get("measured_baselines", {})
    synthetic = sample.provenance.get("synthetic_views", ())
    baselines = {
        name: {"nominal": float(k), "measured": measured.get(name), "synthetic": name in synthetic}
        for name, k in sample.baselines.items()
    }
    rest = {key: value for key, value in sample.provenance.items() if key not in _OWN_PLACE}
    return {
        "key": sample.key,
        "id": layout.id_of_key(sample.key),
        "sha256": sample.provenance.get("source_sha256"),
        "width": int(width),
        "height": int(height),
        "reference": sample.reference,
        "baselines": baselines,
        "disparity_scale": scale,
        "scale_px": sample.provenance.get("scale_px"),
        "focal_px": sample.provenance.get("focal_px"),
        "quality": dict(quality),
        "files": dict(files),
        "provenance": rest,
    }


def header_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two headers, one phrase a leaf; of a part that was exchanged only its name."""
    before, after = ({**_leaves(h["config"]), **_leaves(h["parts"], "parts"), "seed": h["seed"]} for h in (old, new))
    missing = object()
    changed = [k for k in sorted({*before, *after}) if before.get(k, missing) != after.get(k, missing)]
    exchanged = tuple(k.removesuffix("part") for k in changed if k.startswith("parts.") and k.endswith(".part"))
    told = [k for k in changed if k.endswith(".part") or not k.startswith(exchanged)]
    more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    return [f"{key} was {_short(before.get(key))}, is now {_short(after.get(key))}" for key in told[:_TOLD]] + more


_TOLD = 8  # differences that are spelled out


def _leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: list(tree) if isinstance(tree, tuple) else tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found.update(_leaves(value, f"{prefix}.{key}" if prefix else str(key)))
    return found


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:16]}..."


def _remove_temporaries(out: Path) -> None:
    """Clear what a killed run was writing; only files this library names so, and the lock is held."""
    for folder, _, names in os.walk(out):
        for name in names:
            if name.startswith(TEMPORARY_PREFIX):
                (Path(folder) / name).unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    from wheatstone import __version__

    return {"wheatstone": __version__, "torch": torch.__version__, "python": platform.python_version()}
