"""Pairs to disparity: one pair after the other through a matcher into files, resumable, with a bad pair told and passed over."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wheatstone.datasets import layout
from wheatstone.datasets.lock import LOCK_NAME, FolderLock
from wheatstone.datasets.writer import header_differences
from wheatstone.depth.inference import is_out_of_memory
from wheatstone.errors import CheckpointError, InputError, MissingExtraError, OutputError, WheatstoneError
from wheatstone.files import Calibration, write_bytes
from wheatstone.files.atomic import output_errors
from wheatstone.generation.image_pairs import DatasetPairs, FilePairs, PairViews
from wheatstone.generation.match_files import PRODUCTS, PairResult, write_pair
from wheatstone.matching.base import StereoMatcher
from wheatstone.matching.consistency import left_right_consistency, right_disparity
from wheatstone.matching.rectification import measure_rectification
from wheatstone.progress import Clock, ProgressCallback

__all__ = ["HEADER", "MatchSettings", "MatchSummary", "match_images", "match_pairs"]

HEADER = "match.json"
_FORMAT = "wheatstone-match"
_SAME = "left and right are the same picture: there is no disparity to find"


@dataclass(frozen=True)
class MatchSettings:
    """What the files of a pair depend on, beside its pictures and the matcher.

    Attributes:
        products: which files are written (`match_files.PRODUCTS`).
        iterations: refinement steps; the matcher's own number by default.
        tile: height and width of the tiles, or None to match whole pictures.
        consistency_px: largest disagreement of both views that counts as consistent.
        calibration: makes point clouds metric; a data set's own is used where this is None.
        focal_px: for a relative cloud; by default from EXIF, else guessed.
    """

    products: tuple[str, ...] = tuple(PRODUCTS)
    iterations: int | None = None
    tile: tuple[int, int] | None = None
    consistency_px: float | int = 1.0
    calibration: Calibration | None = None
    focal_px: float | int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense before a picture is read.

        Raises:
            InputError: unknown products or none, tiles or thresholds that are no sizes.
        """
        if not self.products or (unknown := [name for name in self.products if name not in PRODUCTS]):
            found = f"unknown file kind {unknown[0]!r}" if self.products else "no file kind is named"
            raise InputError(f"{found}: use some of {', '.join(PRODUCTS)}")
        if self.tile is not None and min(self.tile) < 1:
            raise InputError(f"a tile is some pixels high and wide, got {self.tile[0]} x {self.tile[1]}")
        if self.iterations is not None and self.iterations < 1:
            raise InputError(f"at least one iteration is needed, got {self.iterations}")
        if not self.consistency_px >= 0:
            raise InputError(f"the threshold of consistency must be at least 0 px, got {self.consistency_px}")
        if self.focal_px is not None and not self.focal_px > 0:
            raise InputError(f"the focal length must be positive, got {self.focal_px}")

    @property
    def both_views(self) -> bool:
        """Whether the right view must be matched too."""
        return bool({"consistency", "ply", "glb"} & set(self.products))


@dataclass(frozen=True)
class MatchSummary:
    """What a call of `match_pairs` did.

    Attributes:
        out: the folder.
        sidecars: what is known of every pair that is done, by key.
        written: pairs matched by this call.
        failed: reasons by key, for pairs that gave nothing.
        warnings: sentences by key, for pairs that look wrong.
    """

    out: Path
    sidecars: Mapping[str, Mapping[str, Any]]
    written: int
    failed: Mapping[str, str]
    warnings: Mapping[str, tuple[str, ...]]


def match_pairs(
    pairs: FilePairs | DatasetPairs,
    out: str | Path,
    matcher: StereoMatcher,
    settings: MatchSettings | None = None,
    *,
    call: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> MatchSummary:
    """Match every pair; run again after an interruption, it does only what is missing.

    `OUT/match.json` holds the configuration and the matcher's digest; a pair is done when its sidecar `OUT/KEY.json`, which is
    written last, belongs to the same pictures and all its files are there. A pair that cannot be read or matched is told in the
    result, and the others go on.

    Args:
        pairs: from `find_image_pairs`, or a data set in `DatasetPairs`.
        out: folder to write.
        matcher: any matcher.
        settings: what to write and how.
        call: the resolved options of the command, kept in `match.json`.
        progress: called after every pair.

    Raises:
        OutputError: OUT cannot be written, is in use, or was made by another configuration.
    """
    out, settings = Path(out), settings or MatchSettings()
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out} is a file: name a folder to write")
    with output_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(out)
    try:
        digest = _write_header(out, matcher, settings, call or {})
        run = _Run(pairs, out, matcher, settings, digest, Clock("match", len(pairs.keys)), progress)
        return run.go()
    finally:
        lock.release()


def match_images(matcher: StereoMatcher, views: PairViews, settings: MatchSettings) -> tuple[Tensor, Tensor | None]:
    """Disparity of the left view, and where both views agree (None unless a product needs it).

    Raises:
        InputError: a setting that this matcher refuses.
    """

    def match(left: Tensor, right: Tensor) -> Tensor:
        if settings.tile is None:
            return matcher(left, right, settings.iterations).disparity
        from wheatstone.matching.tiling import match_tiled

        return match_tiled(matcher, left, right, tile=settings.tile, iterations=settings.iterations).disparity

    with torch.inference_mode():
        disparity = match(views.left, views.right)
        if not settings.both_views:
            return disparity, None
        of_right = right_disparity(match, views.left, views.right)
        return disparity, left_right_consistency(disparity, of_right, settings.consistency_px)


@dataclass
class _Run:
    """One call and what it has found so far."""

    pairs: FilePairs | DatasetPairs
    out: Path
    matcher: StereoMatcher
    settings: MatchSettings
    config_sha256: str
    clock: Clock
    progress: ProgressCallback | None

    def go(self) -> MatchSummary:
        sidecars: dict[str, Mapping[str, Any]] = {}
        failed = dict(self.pairs.refused)
        written = 0
        for index, key in enumerate(self.pairs.keys):
            try:
                sidecars[key], fresh = self._one(index, key)
                written += fresh
                self.clock.already_done += not fresh
            except (OutputError, CheckpointError, MissingExtraError):
                raise
            except WheatstoneError as error:
                failed[key] = str(error).removeprefix(f"{key}: ")
            except (MemoryError, RuntimeError) as error:
                if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                    raise
                failed[key] = "the pair does not fit into memory: --tile matches it in pieces"
            if self.progress is not None:
                self.progress(self.clock.at(index + 1, key))
        warnings = {key: tuple(found) for key, line in sidecars.items() if (found := line["warnings"])}
        return MatchSummary(self.out, sidecars, written, failed, warnings)

    def _one(self, index: int, key: str) -> tuple[Mapping[str, Any], bool]:
        """The sidecar of one pair, and whether it was made just now."""
        views = self.pairs.read(index)
        pixels = views.digest()
        if (before := self._done(key, pixels)) is not None:
            return before, False
        calibration = self.settings.calibration or views.calibration
        if calibration is not None:
            calibration = calibration.at_size(views.left.shape[-1], views.left.shape[-2])
        rectification = measure_rectification(views.left, views.right)
        disparity, consistent = match_images(self.matcher, views, self.settings)
        warnings = [*rectification.warnings, *([_SAME] if torch.equal(views.left, views.right) else [])]
        about = {
            "pixels_sha256": pixels,
            "config_sha256": self.config_sha256,
            "source": dict(views.sources),
            "warnings": warnings,
            "rectification": rectification.as_json(),
            "consistency_px": float(self.settings.consistency_px),
            "calibration": None if calibration is None else asdict(calibration),
        }
        focal_px = self.settings.focal_px or views.focal_px
        result = PairResult(
            views.left.cpu(),
            disparity.float().cpu(),
            None if consistent is None else consistent.cpu(),
            calibration,
            None if focal_px is None else float(focal_px),
            about,
        )
        return write_pair(self.out, key, result, self.settings.products), True

    def _done(self, key: str, pixels: str) -> Mapping[str, Any] | None:
        """The sidecar of a pair whose files are all there, or None.

        Raises:
            InputError: the sidecar belongs to other pictures: going on would replace them.
        """
        try:
            line = json.loads((self.out / f"{key}.json").read_text(encoding="utf-8"))
            config, known = line["config_sha256"], line["pixels_sha256"]
            files = [self.out / entry["file"] for entry in line["files"].values() if entry.get("written", True)]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        if known != pixels:
            raise InputError(f"{self.out} holds a match of this name made from other pictures: choose another folder")
        return line if config == self.config_sha256 and all(file.is_file() for file in files) else None


def _write_header(out: Path, matcher: StereoMatcher, settings: MatchSettings, call: Mapping[str, Any]) -> str:
    """Write `match.json`, or refuse a folder of something else; returns the digest of the configuration."""
    from wheatstone import __version__

    parts = {"matcher": {**matcher.fingerprint(), "dtype": str(matcher.dtype).removeprefix("torch.")}}
    config = json.loads(json.dumps(asdict(settings)))
    config["calibration"] = config["calibration"] or {}  # differences are told number by number
    header = {
        "format": _FORMAT,
        "config": config,
        "config_sha256": layout.config_digest(config, parts, 0),
        "parts": parts,
        "seed": 0,
        "call": dict(call),
        "versions": {"wheatstone": __version__, "torch": torch.__version__},
    }
    path = out / HEADER
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            same = old["config_sha256"] == header["config_sha256"]
            changes = header_differences(old, header)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise OutputError(f"{path}: no header of matches ({error}): choose another folder") from error
        if not same and _holds_results(out):
            raise OutputError(
                f"{out} was made by another configuration ({'; '.join(changes)}): choose another folder or the old values"
            )
        if same:
            return str(header["config_sha256"])
    write_bytes(path, (json.dumps(header, indent=2, ensure_ascii=False) + "\n").encode())
    return str(header["config_sha256"])


def _holds_results(out: Path) -> bool:
    """Whether anything but our header is there: a call that failed before the first pair binds nobody to its configuration."""
    return any(path.is_file() and path.name not in (HEADER, LOCK_NAME) for path in out.rglob("*"))
