"""Photos to a data set: workers that each take a photo through all stages, a crash-safe writer, a page at the end.

Reading, depth, warp, filling and writing of different photos overlap because several workers are under way at once: on a CPU
each worker computes on its own thread, on a GPU their network calls are gathered in batches while others read and write.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from wheatstone.datasets.quality import quality_figures
from wheatstone.datasets.writer import DatasetWriter
from wheatstone.depth.inference import is_out_of_memory
from wheatstone.errors import (
    CheckpointError,
    FileFormatError,
    InputError,
    MissingExtraError,
    OutputError,
    WheatstoneError,
)
from wheatstone.files import decode_photo, read_bytes
from wheatstone.generation.batching import WeightedGate
from wheatstone.generation.discovery import PhotoFile, Photos, find_photos
from wheatstone.generation.generator import StereoGenerator, torch_threads
from wheatstone.generation.given import SUFFIXES, DisparityFolder
from wheatstone.generation.labels import LabelCheck, check_labels
from wheatstone.matching.base import StereoMatcher
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import StereoSample

__all__ = ["Summary", "Thresholds", "default_workers", "generate"]

# Photos under way hold together at most so many pixels, and never more than memory allows; a larger one goes alone.
PIXELS_A_WORKER = 12_000_000
BYTES_A_PIXEL = 320  # measured peak of warp and embedded filling


@dataclass(frozen=True)
class Thresholds:
    """What a sample must reach to be kept.

    Attributes:
        max_holes: largest share of painted pixels (`quality_figures`), 0..1; None keeps all.
        min_confidence: least mean confidence, 0..1; None keeps all.
    """

    max_holes: float | None = None
    min_confidence: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            InputError: a threshold outside 0..1, or not a number.
        """
        for name, value in (("max_holes", self.max_holes), ("min_confidence", self.min_confidence)):
            if value is not None and not 0 <= value <= 1:  # NaN fails too
                raise InputError(f"`{name}` must lie in 0..1, got {value}")

    def complaint(self, quality: Mapping[str, float]) -> str | None:
        """Why a sample with these figures is not kept, or None."""
        if self.max_holes is not None and quality["hole_share"] > self.max_holes:
            return f"{quality['hole_share']:.1%} of the new view would be painted, more than {self.max_holes:.1%}"
        if self.min_confidence is not None and quality["mean_confidence"] < self.min_confidence:
            return f"mean confidence {quality['mean_confidence']:.3f}, less than {self.min_confidence:.3f}"
        return None


@dataclass(frozen=True)
class Summary:
    """What a call of `generate` did.

    Attributes:
        out: the data set.
        samples: samples it holds now.
        written: samples this call added.
        rejected: reasons by key, for the photos of this call.
        seconds: wall time of the generation, the page excluded.
        stages: seconds by stage, summed over workers.
        report: the page, or None when none was asked for.
        labels: how far a matcher agrees with the labels, or None when none was asked.
    """

    out: Path
    samples: int
    written: int
    rejected: Mapping[str, str]
    seconds: float
    stages: Mapping[str, float]
    report: Path | None
    labels: LabelCheck | None = None


def generate(
    photos: str | Path | Sequence[str | Path] | Photos,
    out: str | Path,
    generator: StereoGenerator,
    *,
    workers: int | None = None,
    thresholds: Thresholds | None = None,
    report_samples: int = 48,
    label_matcher: StereoMatcher | None = None,
    call: Mapping[str, Any] | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Turn photos into a stereo data set; run again after an interruption, it does only what is missing.

    A photo that cannot be read, that a part cannot handle or that misses a threshold is listed in `rejected.jsonl`; the run
    goes on.

    Args:
        photos: what `find_photos` understands, or its result.
        out: folder of the data set.
        generator: the parts and their configuration.
        workers: photos under way at once; by default one a CPU core, more on a GPU.
        thresholds: what a sample must reach.
        report_samples: rows of `report.html`; 0 writes no page.
        label_matcher: asked afterwards how far it agrees with the labels of every sample (`check_labels`).
        call: the resolved options of the command, kept in `dataset.json`.
        progress: called after every photo.

    Raises:
        InputError: no photos, no disparity file for any of them, or OUT holds samples of these names made from other files.
        OutputError: OUT cannot be written, is in use, or was made by another configuration.
    """
    found = photos if isinstance(photos, Photos) else find_photos(photos, exclude=out)
    thresholds = thresholds or Thresholds()
    workers = default_workers(generator) if workers is None else workers
    if workers < 1:
        raise InputError(f"`workers` must be at least 1, got {workers}")
    if report_samples < 0:
        raise InputError(f"`report_samples` must be at least 0, got {report_samples}")
    _some_disparity(found, generator.disparities)
    config = {**generator.config, "max_holes": thresholds.max_holes, "min_confidence": thresholds.min_confidence}
    started = time.monotonic()
    with DatasetWriter(out, config, generator.seed, generator.parts, call=call, notes=generator.notes) as writer:
        todo = _still_to_do(found.files, writer, generator.disparities)
        for key, reason in found.refused:
            writer.reject(key, reason, kind="name")
        run = _Run(
            generator, writer, thresholds, progress, Clock("generate", len(found.files), len(found.files) - len(todo))
        )
        run.go(todo, workers)
        writer.finish()
    seconds = time.monotonic() - started
    keys = {*(photo.key for photo in found.files), *(key for key, _ in found.refused)}
    rejected = {key: line["reason"] for key, line in sorted(writer.rejected.items()) if key in keys}
    labels = None if label_matcher is None else check_labels(out, label_matcher, progress=progress)
    report = None
    if report_samples > 0:
        from wheatstone.viewing import write_report

        report = Path(write_report(out, samples=report_samples))
    return Summary(Path(out), len(writer.done), run.written, rejected, seconds, dict(run.stages), report, labels)


def default_workers(generator: StereoGenerator) -> int:
    """Photos under way at once: one for each CPU core and network thread; on a GPU enough to fill its batches meanwhile."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if generator.on_gpu:
        return min(32, max(4, cores, 3 * generator.batch))
    return max(1, cores // generator.threads)


def _some_disparity(photos: Photos, disparities: DisparityFolder | None) -> None:
    """Refuse a folder of disparity that has nothing for any photo: the names do not go together.

    Raises:
        InputError: no photo has a file there.
    """
    if disparities is None or not photos.files or any(disparities.find(photo.key) for photo in photos.files):
        return
    first = photos.files[0].key
    stem = PurePosixPath(first).with_suffix("").as_posix()
    raise InputError(
        f"{disparities.folder}: no disparity file for any of the {len(photos.files)} photos; that of {first} would be "
        f"{', '.join(stem + suffix for suffix in SUFFIXES)} in this folder"
    )


def _still_to_do(
    files: Sequence[PhotoFile], writer: DatasetWriter, disparities: DisparityFolder | None
) -> list[PhotoFile]:
    """Photos without a sample.

    Raises:
        InputError: a sample of that name was made from another file, or by another disparity: going on would mix two sets.
    """
    todo = []
    for photo in files:
        line = writer.done.get(photo.key)
        if line is None:
            todo.append(photo)
            continue
        digest = _digest(photo.path)
        if digest is not None and line["sha256"] not in (None, digest):
            raise InputError(
                f"{writer.out} holds a sample {photo.key!r} made from another file of that name: choose another folder"
            )
        before = line["provenance"].get("given_disparity", {}).get("sha256")
        if disparities is not None and (now := disparities.digest(photo.key)) is not None and now != before:
            raise InputError(
                f"{writer.out} holds a sample {photo.key!r} made by another disparity file: choose another folder"
            )
    return todo


def _digest(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:  # a photo that has gone since: its sample stays
        return None


@dataclass
class _Run:
    """The workers of one call and what they share."""

    generator: StereoGenerator
    writer: DatasetWriter
    thresholds: Thresholds
    progress: ProgressCallback | None
    clock: Clock
    written: int = 0
    finished: int = 0
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _failure: BaseException | None = None

    def go(self, photos: Sequence[PhotoFile], workers: int) -> None:
        """Take all photos through; returns when they are done, raises the first error that is not one photo's own."""
        if self.progress is not None:
            self.progress(self.clock.at(self.clock.already_done))
        queue = iter(photos)
        gate = WeightedGate(min(workers * PIXELS_A_WORKER, _pixels_in_memory()))
        with torch_threads(self.generator.threads):  # threads started inside inherit it
            # not `Thread.join`: interrupted, Python 3.11's takes a running thread for ended, and the exit then kills it
            ended = [threading.Event() for _ in range(min(workers, max(1, len(photos))))]
            for i, event in enumerate(ended):
                threading.Thread(
                    target=self._work, args=(queue, gate, event), name=f"photo-worker-{i}", daemon=True
                ).start()
            try:
                for event in ended:
                    event.wait()
            finally:  # an interrupt: whoever computes finishes its stage and writes nothing more
                self._stop.set()
                for event in ended:
                    event.wait(timeout=5)
        if self._failure is not None:
            raise self._failure

    def _work(self, queue: Iterator[PhotoFile], gate: WeightedGate, ended: threading.Event) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    photo = next(queue, None)
                if photo is None:
                    return
                self._one(photo, gate)
        except _Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by `go`
            error.add_note(f"while working on {photo.path if photo else 'no photo'}")
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()
        finally:
            ended.set()

    def _one(self, photo: PhotoFile, gate: WeightedGate) -> None:
        reason = kind = digest = None
        try:
            started = time.perf_counter()
            data = read_bytes(photo.path, photo.key)
            digest = sha256(data).hexdigest()
            if not self._rejected_before(photo.key, digest):
                decoded = decode_photo(data, photo.key)
                self._observe("read", time.perf_counter() - started)
                held = gate.acquire(decoded.image.shape[0] * decoded.image.shape[1])
                try:
                    sample = self.generator.make(decoded, photo.key, self._observe)
                    reason, kind = self._keep(sample), "quality"
                finally:
                    gate.release(held)
        except (OutputError, CheckpointError, MissingExtraError):
            raise
        except FileFormatError as error:
            reason, kind = str(error), "file"
        except WheatstoneError as error:
            reason, kind = str(error), "part"
        except (MemoryError, RuntimeError) as error:
            if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                raise
            reason, kind = "the photo does not fit into memory; --max-side reduces it", "part"
        if reason is not None and kind is not None:
            self.writer.reject(photo.key, reason.removeprefix(f"{photo.key}: "), kind=kind, sha256=digest)
        self._report(photo.key)

    def _keep(self, sample: StereoSample) -> str | None:
        """Write the sample, or say which threshold it misses."""
        quality = quality_figures(sample)
        if complaint := self.thresholds.complaint(quality):
            return complaint
        started = time.perf_counter()
        self.writer.write(sample, quality)
        self._observe("write", time.perf_counter() - started)
        with self._lock:
            self.written += 1
        return None

    def _rejected_before(self, key: str, digest: str) -> bool:
        """Whether an earlier run found this very photo below a threshold: the same configuration would again."""
        line = self.writer.rejected.get(key)
        return line is not None and line["kind"] == "quality" and line["sha256"] == digest

    def _observe(self, stage: str, seconds: float) -> None:
        if self._stop.is_set():
            raise _Stopped
        with self._lock:
            self.stages[stage] += seconds

    def _report(self, key: str) -> None:
        with self._lock:
            self.finished += 1
            if self.progress is not None:
                self.progress(self.clock.at(self.clock.already_done + self.finished, key))


def _pixels_in_memory() -> int:
    """How many pixels half of this machine's memory can work on."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        memory = 8 << 30
    return memory // 2 // BYTES_A_PIXEL


class _Stopped(BaseException):
    """Unwinds a worker after an interrupt; nothing must catch it on the way."""
