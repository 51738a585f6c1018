"""One photo to one stereo sample: depth and rule or disparity from outside, clean-up, quantisation, warp, filling.

The result depends on (photo bytes, key, seed, configuration) alone, and on the bytes of the disparity that was given. The
disparity is rounded to the grid of its file before anything is warped by it, so the stored synthetic view is exactly the warp
of the stored photo by the stored disparity.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
from torch import Tensor

from wheatstone.checkpoints import Part, model_entry
from wheatstone.datasets import layout
from wheatstone.depth import load_depth
from wheatstone.depth.base import DepthEstimator
from wheatstone.disparity import AdaptiveDisparity, DisparityRule
from wheatstone.errors import InputError
from wheatstone.files import Photo, decode_photo, read_bytes
from wheatstone.generation.batching import Batcher
from wheatstone.generation.clean_up import CleanUp
from wheatstone.generation.eyes import EYES, Eye, PhotoMaps, compose, on_grid, paint_eye
from wheatstone.generation.given import DisparityFolder, GivenDisparity, as_given, fit_disparity
from wheatstone.geometry import ForwardWarper
from wheatstone.samples import Depth, StereoSample, View, image_batch, to_uint8
from wheatstone.seeding import generator_for
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.edge_aware import EdgeAware

__all__ = ["PLACEHOLDER_NOTE", "CleanUp", "StereoGenerator", "load_photo", "torch_threads"]

PLACEHOLDER_DEPTH = ("embedded", "row-prior")
PLACEHOLDER_NOTE = (
    "placeholder depth: made by {name!r}, which only lets the whole path run. For real data choose "
    "depth-anything-v2-small (Apache-2.0) or depth-anything-v2-large (better, not for commercial use)."
)


class StereoGenerator:
    """Turns a photo into a `StereoSample`; every stage is a part that can be replaced.

    Attributes:
        depth, rule, synthesizer: the parts; depth and rule are None where the disparity is given.
        disparities: where the disparity of every photo comes from, or None when depth and rule make it.
        synthetic_view: which side is generated: `right` (the photo is the left eye), `left`, or `both`, moved by half each.
        complete_unknown: paint what is unknown by the disparity of its farther neighbour (`eyes.paint_eye`). By default given
            disparity is completed for synthesizers that do not take sparse views; what is stored stays unknown.
        seed: run seed; with the key of a photo it decides every random number.
        max_side: photos are reduced so that their longer side is at most this; None keeps their size.
        clean_up: treatment of depth edges.
        threads: threads of one network call on a CPU; part of the configuration, since sums depend on it.
        batch: photos of equal size in one network call on a GPU (on a CPU always one).
    """

    def __init__(
        self,
        depth: DepthEstimator | str | None = "embedded",
        rule: Any = None,
        synthesizer: ViewSynthesizer | str = "embedded",
        *,
        disparities: DisparityFolder | None = None,
        synthetic_view: str = "right",
        complete_unknown: bool | None = None,
        seed: int = 0,
        max_side: int | None = None,
        clean_up: CleanUp | None = None,
        threads: int = 1,
        batch: int = 4,
    ) -> None:
        """Put the parts together; names are loaded with `load_depth` and `load_synthesizer`.

        With `disparities`, depth and rule have no say and are not loaded, and depth edges are left as they are unless
        `clean_up` is named.

        Raises:
            InputError: unknown names, or numbers that make no sense.
        """
        if max_side is not None and max_side < 16:
            raise InputError(f"`max_side` must be at least 16 pixels, got {max_side}")
        if threads < 1 or batch < 1:
            raise InputError(f"`threads` and `batch` must be at least 1, got {threads} and {batch}")
        if synthetic_view not in EYES:
            raise InputError(f"`synthetic_view` must be one of {', '.join(EYES)}, got {synthetic_view!r}")
        given = disparities is not None
        self.disparities, self.synthetic_view = disparities, synthetic_view
        self.depth = None if given else load_depth(depth) if isinstance(depth, str) else depth
        self.rule = None if given else AdaptiveDisparity() if rule is None else rule
        self.synthesizer = load_synthesizer(synthesizer) if isinstance(synthesizer, str) else synthesizer
        if complete_unknown is None:
            complete_unknown = given and not self.synthesizer.takes_sparse
        self.complete_unknown = complete_unknown
        self.seed, self.max_side, self.threads, self.batch = seed, max_side, threads, batch
        self.clean_up = CleanUp.fitting(self.synthesizer, given=given) if clean_up is None else clean_up
        self._depth_call = Batcher(self._run_depth, 1 if self.depth is None else _batch_size(self.depth, batch))
        self._synthesis_call = Batcher(self._run_synthesizer, _batch_size(self.synthesizer, batch))

    @property
    def on_gpu(self) -> bool:
        """Whether a part runs on something else than the CPU."""
        return any(part.device.type != "cpu" for part in (self.depth, self.synthesizer) if part is not None)

    @property
    def config(self) -> dict[str, Any]:
        """What a sample depends on beside the parts' weights, the seed and the photo (plain JSON values)."""
        made_by: dict[str, Any] = {"rule": dict(self.rule.config)} if self.rule is not None else {}
        if self.disparities is not None:
            made_by["disparity"] = dict(self.disparities.config)
        if (
            self.synthetic_view != "right"
        ):  # said where it differs: data sets from before this choice stay what they are
            made_by["synthetic_view"] = self.synthetic_view
        if self.disparities is not None or self.complete_unknown:
            made_by["complete_unknown"] = self.complete_unknown
        return {
            **made_by,
            "clean_up": self.clean_up.config,
            "warp": dataclasses.asdict(self.warper),
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
            if part is not None
        }

    @property
    def warper(self) -> ForwardWarper:
        """How the synthesizer warps."""
        return getattr(self.synthesizer, "warper", ForwardWarper())

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever uses the data must know."""
        notes = [PLACEHOLDER_NOTE.format(name=self._placeholder)] if self._placeholder else []
        if self.disparities is not None:
            notes += self.disparities.notes
        return (*notes, *_SIDE_NOTES.get(self.synthetic_view, ()))

    @property
    def _placeholder(self) -> str | None:
        return self.depth.name if self.depth is not None and self.depth.name in PLACEHOLDER_DEPTH else None

    def __call__(
        self, photo: Any, key: str | None = None, *, disparity: Tensor | None = None, valid: Tensor | None = None
    ) -> StereoSample:
        """Make the sample of one photo.

        Args:
            photo: a path, a `Photo`, a PIL image, a uint8 array `[H,W,3]` or `[H,W]`, or a float tensor `[3,H,W]` in 0..1.
            key: name of the sample; by default the name of the file, or `photo`. The same photo under another key draws
                other random numbers.
            disparity: of this photo instead of an estimate: `[H,W]` with any leading axes of size 1, pixels of its own
                width, >= 0; NaN and infinite values are unknown.
            valid: where it is known, of the same shape.

        Raises:
            FileFormatError: the file is no photo that can be read, or the disparity does not belong to it.
        """
        path = Path(photo) if isinstance(photo, (str, Path)) else None
        key = key or (path.name if path is not None else "photo")
        layout.check_key(key)
        with torch_threads(self.threads):
            return self.make(load_photo(photo, key), key, given=as_given(disparity, valid))

    def make(
        self,
        photo: Photo,
        key: str,
        observe: Callable[[str, float], None] | None = None,
        *,
        given: GivenDisparity | None = None,
    ) -> StereoSample:
        """Make the sample of a decoded photo, on as many torch threads as the calling thread has; may run in many threads.

        Args:
            photo: from `read_photo`.
            key: name of the sample.
            observe: called with the name of every stage and the seconds it took.
            given: its disparity; by default that of `disparities`, else depth and rule make it.
        """
        stage = _Stages(observe or (lambda *_: None))
        with torch.inference_mode():
            with stage("resize"):
                pixels, focal_px = self._resize(photo)
                image = image_batch(pixels)
            about = self._about(photo, focal_px, image)
            if given is None and self.disparities is None:
                with stage("depth"):
                    estimate = self._depth_call(image, tuple(image.shape))
                with stage("disparity"):
                    maps = self._from_depth(image, estimate, key, about)
            else:
                with stage("disparity"):
                    maps = self._from_given(image, given, photo, key, about)
            with stage("view"):
                views = {eye.name: self._eye(eye, maps, key) for eye in EYES[self.synthetic_view]}
                return compose(key, self.synthetic_view, maps, views, self.warper, about)

    def _resize(self, photo: Photo) -> tuple[np.ndarray, float | None]:
        height, width = photo.image.shape[:2]
        if self.max_side is None or max(height, width) <= self.max_side:
            return photo.image, photo.focal_px
        factor = self.max_side / max(height, width)
        size = (max(2, round(width * factor)), max(2, round(height * factor)))
        focal_px = None if photo.focal_px is None else photo.focal_px * size[0] / width
        return cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA), focal_px

    def _from_depth(self, image: Tensor, estimate: Depth, key: str, about: dict[str, Any]) -> PhotoMaps:
        """Disparity by the rule, at a scale drawn for this key; notes what was drawn in `about`."""
        rule = cast("DisparityRule", self.rule)
        made = rule(estimate.inverse_depth.float(), generator_for(self.seed, key, "disparity"))
        largest = float(rule.max_px(image.shape[-1]))
        about |= {"scale_px": float(made.scale_px[0]), "disparity_max_px": largest}
        if self._placeholder:
            about["depth"] = "placeholder depth"
        if estimate.notes:
            about["depth_notes"] = dict(estimate.notes)
        return self._maps(image, made.disparity, made.valid, _confidence(estimate), largest)

    def _from_given(
        self, image: Tensor, given: GivenDisparity | None, photo: Photo, key: str, about: dict[str, Any]
    ) -> PhotoMaps:
        """Disparity from outside, as it is; it is trusted where it is known."""
        size, own_size = (image.shape[-2], image.shape[-1]), (photo.image.shape[0], photo.image.shape[1])
        if given is None:
            given = cast("DisparityFolder", self.disparities).read(key, size, own_size)
            disparity, valid = given.disparity, given.valid
        else:
            disparity, valid = fit_disparity(given.disparity, given.valid, size, own_size)
        largest = float(disparity[valid].max())
        about |= {"scale_px": None, "disparity_max_px": largest, "given_disparity": dict(given.about)}
        return self._maps(image, disparity, valid, valid.float(), largest)

    def _maps(self, image: Tensor, disparity: Tensor, valid: Tensor, confidence: Tensor, largest: float) -> PhotoMaps:
        """Clean up depth edges and round to the grid of the file."""
        disparity = self.clean_up(disparity, valid)
        scale = layout.disparity_scale(largest)
        return PhotoMaps(image, on_grid(disparity, valid, scale), valid, confidence, scale)

    def _eye(self, eye: Eye, maps: PhotoMaps, key: str) -> View:
        def synthesize(image: Tensor, disparity: Tensor, valid: Tensor) -> View:
            return self._synthesis_call((image, disparity, valid, key, eye), (*image.shape, eye))

        return paint_eye(eye, maps, synthesize, self.warper, complete=self.complete_unknown)

    def _run_depth(self, images: Sequence[Tensor]) -> list[Depth]:
        if self.depth is None:
            raise InputError("this generator has no depth estimator: give the disparity of the photo")
        made = self.depth(torch.cat(list(images)), confidence=True)
        maps, confidence = made.inverse_depth.cpu(), made.confidence
        return [
            Depth(maps[i : i + 1], None if confidence is None else confidence[i : i + 1].cpu(), made.notes)
            for i in range(len(images))
        ]

    def _run_synthesizer(self, items: Sequence[tuple[Tensor, Tensor, Tensor, str, Eye]]) -> list[View]:
        """Make the same eye of several photos of one size."""
        image, disparity, valid = (torch.cat([item[column] for item in items]) for column in range(3))  # type: ignore[misc]
        eye = items[0][4]
        generators = [generator_for(self.seed, item[3], eye.stream) for item in items]
        view = self.synthesizer(image, disparity, valid, baseline=eye.shift, generators=generators)
        return [
            View(*(map_[i : i + 1] for map_ in (view.image, view.hole, view.visible, view.origin)))
            for i in range(len(items))
        ]

    def _about(self, photo: Photo, focal_px: float | None, image: Tensor) -> dict[str, Any]:
        """What the manifest keeps about the photo."""
        about: dict[str, Any] = {
            "source_sha256": photo.sha256 or None,
            "focal_px": focal_px,
            "source": {"mode": photo.mode, "format": photo.format},
        }
        if tuple(photo.image.shape[:2]) != tuple(image.shape[-2:]):
            about["source"]["size"] = [photo.image.shape[1], photo.image.shape[0]]
        return about


_SIDE_NOTES = {
    "left": (
        "the photo is the right view; the left one is generated, and its disparity is unknown where it was painted",
    ),
    "both": (
        "both views are generated, each by half the disparity; the photo is the view called center, between them",
    ),
}


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
    """What the table says of the part, or of the one that it lets paint."""
    if isinstance(part, EdgeAware):
        return _licence(part.backend, role)
    entry = model_entry(part.source, role) or model_entry(part.name, role)
    return entry.licence if entry else None
