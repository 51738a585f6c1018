"""One photo to one stereo sample: depth, rule, clean-up, quantisation, warp, filling.

The result depends on (photo bytes, key, seed, configuration) alone. The disparity is rounded to the grid of its file before
anything is warped by it, so the stored right view is exactly the warp of the stored left view by the stored disparity.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from wheatstone.checkpoints import Part, model_entry
from wheatstone.datasets import layout
from wheatstone.depth import load_depth
from wheatstone.depth.base import DepthEstimator
from wheatstone.disparity import AdaptiveDisparity
from wheatstone.errors import InputError
from wheatstone.files import Photo, decode_photo, read_bytes
from wheatstone.generation.batching import Batcher
from wheatstone.geometry import ForwardWarper, clean_disparity
from wheatstone.samples import Depth, StereoSample, View, image_batch, to_uint8
from wheatstone.seeding import generator_for
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.base import ViewSynthesizer

__all__ = ["PLACEHOLDER_NOTE", "CleanUp", "StereoGenerator", "load_photo", "torch_threads"]

PLACEHOLDER_DEPTH = ("embedded", "row-prior")
PLACEHOLDER_NOTE = (
    "placeholder depth: made by {name!r}, which only lets the whole path run. For real data choose "
    "depth-anything-v2-small (Apache-2.0) or depth-anything-v2-large (better, not for commercial use)."
)


@dataclass(frozen=True)
class CleanUp:
    """How soft depth edges become steps before the warp (`wheatstone.geometry.clean_disparity`)."""

    dilate: int = 1
    """Pixels by which the foreground grows; 0 leaves it."""
    threshold: float = 3.0
    """Slope in pixels of disparity a pixel above which a pixel takes the value of the nearest calmer one; 0 switches it off."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense, before a photo is read.

        Raises:
            InputError: a negative number, or one that is not finite.
        """
        if self.dilate < 0:
            raise InputError(f"edge dilation must be at least 0 pixels, got {self.dilate}")
        if not (self.threshold >= 0 and math.isfinite(self.threshold)):
            raise InputError(f"the edge threshold must be a number from 0 on, got {self.threshold}")


class StereoGenerator:
    """Turns a photo into a `StereoSample`; every stage is a part that can be replaced.

    Attributes:
        depth, rule, synthesizer: the parts.
        seed: run seed; with the key of a photo it decides every random number.
        max_side: photos are reduced so that their longer side is at most this; None keeps their size.
        clean_up: treatment of depth edges.
        threads: threads of one network call on a CPU; part of the configuration, since sums depend on it.
        batch: photos of equal size in one network call on a GPU (on a CPU always one).
    """

    def __init__(
        self,
        depth: DepthEstimator | str = "embedded",
        rule: Any = None,
        synthesizer: ViewSynthesizer | str = "embedded",
        *,
        seed: int = 0,
        max_side: int | None = None,
        clean_up: CleanUp | None = None,
        threads: int = 1,
        batch: int = 4,
    ) -> None:
        """Put the parts together; names are loaded with `load_depth` and `load_synthesizer`.

        Raises:
            InputError: unknown names, or numbers that make no sense.
        """
        if max_side is not None and max_side < 16:
            raise InputError(f"`max_side` must be at least 16 pixels, got {max_side}")
        if threads < 1 or batch < 1:
            raise InputError(f"`threads` and `batch` must be at least 1, got {threads} and {batch}")
        self.depth = load_depth(depth) if isinstance(depth, str) else depth
        self.rule = AdaptiveDisparity() if rule is None else rule
        self.synthesizer = load_synthesizer(synthesizer) if isinstance(synthesizer, str) else synthesizer
        self.seed, self.max_side, self.threads, self.batch = seed, max_side, threads, batch
        self.clean_up = clean_up or CleanUp()
        self._depth_call = Batcher(self._run_depth, _batch_size(self.depth, batch))
        self._synthesis_call = Batcher(self._run_synthesizer, _batch_size(self.synthesizer, batch))

    @property
    def on_gpu(self) -> bool:
        """Whether a part runs on something else than the CPU."""
        return any(part.device.type != "cpu" for part in (self.depth, self.synthesizer))

    @property
    def config(self) -> dict[str, Any]:
        """What a sample depends on beside the parts' weights, the seed and the photo (plain JSON values)."""
        warper = getattr(self.synthesizer, "warper", ForwardWarper())
        return {
            "rule": dict(self.rule.config),
            "clean_up": dataclasses.asdict(self.clean_up),
            "warp": dataclasses.asdict(warper),
            "max_side": self.max_side,
            "network_threads": self.threads,
        }

    @property
    def parts(self) -> dict[str, Any]:
        """Fingerprints of the parts with their licences."""
        return {
            role: {
                **part.fingerprint(),
                "dtype": str(part.dtype).removeprefix("torch."),
                "licence": _licence(part, role),
            }
            for role, part in (("depth", self.depth), ("synthesizer", self.synthesizer))
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever uses the data must know."""
        return (PLACEHOLDER_NOTE.format(name=self.depth.name),) if self.depth.name in PLACEHOLDER_DEPTH else ()

    def __call__(self, photo: Any, key: str | None = None) -> StereoSample:
        """Make the sample of one photo.

        Args:
            photo: a path, a `Photo`, a PIL image, a uint8 array `[H,W,3]` or `[H,W]`, or a float tensor `[3,H,W]` in 0..1.
            key: name of the sample; by default the name of the file, or `photo`. The same photo under another key draws
                other random numbers.

        Raises:
            FileFormatError: the file is no photo that can be read.
        """
        path = Path(photo) if isinstance(photo, (str, Path)) else None
        key = key or (path.name if path is not None else "photo")
        layout.check_key(key)
        with torch_threads(self.threads):
            return self.make(load_photo(photo, key), key)

    def make(self, photo: Photo, key: str, observe: Callable[[str, float], None] | None = None) -> StereoSample:
        """Make the sample of a decoded photo, on as many torch threads as the calling thread has; may run in many threads.

        Args:
            photo: from `read_photo`.
            key: name of the sample.
            observe: called with the name of every stage and the seconds it took.
        """
        stage = _Stages(observe or (lambda *_: None))
        with torch.inference_mode():
            with stage("resize"):
                pixels, focal_px = self._resize(photo)
                left = image_batch(pixels)
            with stage("depth"):
                estimate = self._depth_call(left, tuple(left.shape))
            with stage("disparity"):
                disparity, valid, drawn = self._disparity(estimate, key)
            with stage("view"):
                view = self._synthesis_call((left, disparity, valid, key), tuple(left.shape))
                view = self._exact(view, left, disparity, valid)
        return StereoSample(
            key=key,
            views={"left": left[0], "right": (view.image[0].clamp(0, 1) * 255).round() / 255},
            baselines={"left": 0.0, "right": 1.0},
            disparity=disparity[0],
            valid=valid[0],
            confidence=_confidence(estimate)[0],
            visible=view.visible[0],
            hole=(view.hole | (view.origin != 0))[0],
            origin=view.origin[0],
            provenance=self._provenance(photo, focal_px, estimate, drawn, left.shape[-1]),
        )

    def _resize(self, photo: Photo) -> tuple[np.ndarray, float | None]:
        height, width = photo.image.shape[:2]
        if self.max_side is None or max(height, width) <= self.max_side:
            return photo.image, photo.focal_px
        factor = self.max_side / max(height, width)
        size = (max(2, round(width * factor)), max(2, round(height * factor)))
        focal_px = None if photo.focal_px is None else photo.focal_px * size[0] / width
        return cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA), focal_px

    def _disparity(self, estimate: Depth, key: str) -> tuple[Tensor, Tensor, float]:
        """Pixels on the grid of the file (steps of 1 / scale, at least one step), where usable, and the scale drawn."""
        inverse_depth = estimate.inverse_depth.float()
        made = self.rule(inverse_depth, generator_for(self.seed, key, "disparity"))
        disparity = made.disparity
        if self.clean_up.threshold > 0 or self.clean_up.dilate > 0:
            threshold = self.clean_up.threshold or float("inf")
            disparity = clean_disparity(disparity, made.valid, dilate=self.clean_up.dilate, threshold=threshold)
        scale = layout.disparity_scale(self.rule.max_px(disparity.shape[-1]))
        codes = layout.quantise_disparity(disparity[0, 0].numpy(), made.valid[0, 0].numpy(), scale)
        on_grid = torch.from_numpy((codes / np.float64(scale)).astype(np.float32))[None, None]
        return on_grid, made.valid, float(made.scale_px[0])

    def _run_depth(self, images: Sequence[Tensor]) -> list[Depth]:
        made = self.depth(torch.cat(list(images)), confidence=True)
        maps, confidence = made.inverse_depth.cpu(), made.confidence
        return [
            Depth(maps[i : i + 1], None if confidence is None else confidence[i : i + 1].cpu(), made.notes)
            for i in range(len(images))
        ]

    def _run_synthesizer(self, items: Sequence[tuple[Tensor, Tensor, Tensor, str]]) -> list[View]:
        left, disparity, valid = (torch.cat([item[column] for item in items]) for column in range(3))  # type: ignore[misc]
        generators = [generator_for(self.seed, item[3], "synthesis") for item in items]
        view = self.synthesizer(left, disparity, valid, baseline=1.0, generators=generators)
        return [
            View(*(map_[i : i + 1] for map_ in (view.image, view.hole, view.visible, view.origin)))
            for i in range(len(items))
        ]

    def _exact(self, view: View, left: Tensor, disparity: Tensor, valid: Tensor) -> View:
        """Bring a view to the CPU; there the known pixels are warped again, since another device may round another way."""
        if view.image.device.type == "cpu" and view.image.dtype == torch.float32:
            return view
        warper = getattr(self.synthesizer, "warper", ForwardWarper())
        warp = warper(left, disparity, valid)
        image, origin = view.image.float().cpu(), view.origin.cpu()
        known = (origin == 0) & ~warp.hole
        return View(torch.where(known, warp.image, image), view.hole.cpu(), warp.visible, origin)

    def _provenance(
        self, photo: Photo, focal_px: float | None, estimate: Depth, drawn: float, width: int
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "source_sha256": photo.sha256 or None,
            "focal_px": focal_px,
            "scale_px": drawn,
            "disparity_max_px": float(self.rule.max_px(width)),
            "synthetic_views": ["right"],
            "source": {"mode": photo.mode, "format": photo.format},
        }
        if tuple(photo.image.shape[:2]) != tuple(estimate.inverse_depth.shape[-2:]):
            found["source"]["size"] = [photo.image.shape[1], photo.image.shape[0]]
        if self.depth.name in PLACEHOLDER_DEPTH:
            found["depth"] = "placeholder depth"
        if estimate.notes:
            found["depth_notes"] = dict(estimate.notes)
        return found


def load_photo(photo: Any, key: str) -> Photo:
    """Bring what a user holds to a `Photo`; the digest is that of the file, empty for what came from memory.

    Raises:
        FileFormatError: a file that cannot be read.
        ShapeError: something that is no picture.
    """
    if isinstance(photo, Photo):
        return photo
    if isinstance(photo, (str, Path)):
        return decode_photo(read_bytes(photo), key)
    batch = image_batch(photo, "photo")
    if batch.shape[0] != 1:
        raise InputError(f"one photo at a time, got a batch of {batch.shape[0]}")
    return Photo(to_uint8(batch[0]), None, "", "RGB", "array")


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch on `count` threads in this thread and in those started inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Stages:
    """Times the stages of one photo."""

    def __init__(self, observe: Callable[[str, float], None]) -> None:
        self._observe = observe

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._observe(name, time.perf_counter() - started)


def _confidence(estimate: Depth) -> Tensor:
    """Confidence on the grid of its file, so that a sample is the same before and after it was stored."""
    if estimate.confidence is None:
        return torch.ones_like(estimate.inverse_depth)
    values = torch.nan_to_num(estimate.confidence.float(), nan=0.0).numpy()
    return torch.from_numpy(layout.decode_unit(layout.encode_unit(values)))


def _batch_size(part: Part, batch: int) -> int:
    return 1 if part.device.type == "cpu" else batch


def _licence(part: Part, role: str) -> str | None:
    entry = model_entry(part.source, role) or model_entry(part.name, role)
    return entry.licence if entry else None
