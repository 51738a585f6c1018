"""Single pictures with inverse depth, for pairs that are made while a network trains.

Photos get their depth from an estimator, once, and keep it on disk. Rendered views have true depth, which can be spoilt the way
estimators err: soft edges, slow distortion, whole regions too near or too far. That is done twice, as if for the picture and
for its mirror image, whose disagreement is the confidence.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Float32

from wheatstone.datasets import layout
from wheatstone.depth import load_depth
from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.confidence import flip_confidence
from wheatstone.errors import InputError
from wheatstone.files import atomic_path, read_photo
from wheatstone.generation.discovery import PhotoFile, find_photos
from wheatstone.generation.generator import torch_threads
from wheatstone.progress import Clock, ProgressCallback
from wheatstone.samples import image_batch
from wheatstone.seeding import numpy_generator_for
from wheatstone.training.scene_cache import SceneCache

__all__ = [
    "DepthCache",
    "EstimatedPictures",
    "PhotoImages",
    "Picture",
    "Pictures",
    "Renderings",
    "degraded_depth",
    "photo_pictures",
    "scene_pictures",
    "without_confidence",
]


@dataclass(frozen=True)
class Picture:
    """A picture and what is known about its depth.

    Attributes:
        key: its name.
        image: uint8 `[H,W,3]`, RGB.
        inverse_depth: float32 `[H,W]`, larger is nearer, scale and shift unknown.
        confidence: float32 `[H,W]`, 0..1; None where there is none.
    """

    key: str
    image: np.ndarray
    inverse_depth: np.ndarray
    confidence: np.ndarray | None


@runtime_checkable
class Images(Protocol):
    """A sequence of pictures without depth."""

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def key(self, index: int) -> str:
        """Name of a picture."""
        ...

    def stamp(self, index: int) -> str:
        """What tells this picture, in the size it is used in, from any other."""
        ...

    def image(self, index: int) -> np.ndarray:
        """Pixels of a picture, uint8 `[H,W,3]`."""
        ...


@runtime_checkable
class Pictures(Protocol):
    """A sequence of pictures with depth."""

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def __getitem__(self, index: int) -> Picture:
        """One picture with its depth."""
        ...

    def image(self, index: int) -> np.ndarray:
        """The pixels of one picture, uint8 `[H,W,3]`, without its depth."""
        ...


@dataclass(frozen=True)
class PhotoImages:
    """Photos on disk; larger ones are reduced to `max_side` px."""

    files: tuple[PhotoFile, ...]
    max_side: int = 1280

    def __len__(self) -> int:
        return len(self.files)

    def key(self, index: int) -> str:
        """Path below the folder of the photos."""
        return self.files[index].key

    def stamp(self, index: int) -> str:
        """Name, size and date of the file, and the size it is reduced to."""
        facts = self.files[index].path.stat()
        return f"{self.key(index)}\0{facts.st_size}\0{facts.st_mtime_ns}\0{self.max_side}"

    def image(self, index: int) -> np.ndarray:
        """Decode a photo.

        Raises:
            FileFormatError: it cannot be read.
        """
        image = read_photo(self.files[index].path).image
        factor = self.max_side / max(image.shape[:2])
        if factor >= 1:
            return image
        size = (max(2, round(image.shape[1] * factor)), max(2, round(image.shape[0] * factor)))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class DepthCache:
    """Depth that an estimator makes, once, each map in an uncompressed file of its own.

    Attributes:
        depth: the estimator.
        folder: of the files; their names are digests of picture and estimator, so trainings may share it.
    """

    depth: DepthEstimator
    folder: Path

    def path_of(self, stamp: str) -> Path:
        """File of what is kept of the picture with this stamp."""
        name = sha256(f"{stamp}\0{self._estimator}".encode()).hexdigest()[:32]
        return self.folder / name[:2] / f"{name}.npz"

    def __call__(self, stamp: str, image_of: Callable[[], np.ndarray], *, pixels: bool = True) -> dict[str, np.ndarray]:
        """What is kept of a picture: `inverse_depth` float32 `[H,W]`, `confidence` 0..1 coded in 16 bits `[H,W]`.

        Args:
            stamp: tells the picture from any other.
            image_of: its pixels, uint8 `[H,W,3]`; asked for only if nothing is kept yet.
            pixels: keep these, too, as `image`.

        Raises:
            OutputError: the folder cannot be written.
        """
        path, names = self.path_of(stamp), ("image", "inverse_depth", "confidence")[0 if pixels else 1 :]
        try:
            with np.load(path) as stored:
                return {name: stored[name] for name in names}
        except FileNotFoundError:
            return self.make(stamp, image_of(), pixels=pixels)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):  # torn by a crash of the machine: again
            path.unlink(missing_ok=True)
            return self.make(stamp, image_of(), pixels=pixels)

    def make(self, stamp: str, image: np.ndarray, *, pixels: bool = True) -> dict[str, np.ndarray]:
        """Estimate and keep."""
        with torch_threads(1), torch.inference_mode():  # sums of a CPU depend on the number of threads
            made = self.depth(image_batch(image), confidence=True)
        inverse = made.inverse_depth[0, 0].float().cpu().numpy()
        confidence = np.ones_like(inverse) if made.confidence is None else made.confidence[0, 0].float().cpu().numpy()
        kept = {"inverse_depth": inverse, "confidence": layout.encode_unit(np.nan_to_num(confidence, nan=0.0))}
        kept |= {"image": image} if pixels else {}
        with atomic_path(self.path_of(stamp)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **kept)  # type: ignore[arg-type]
        return kept

    @cached_property
    def _estimator(self) -> str:
        return repr(sorted(self.depth.fingerprint().items()))


@dataclass(frozen=True)
class EstimatedPictures:
    """Pictures whose depth an estimator makes, once; picture and depth are kept in one file (`DepthCache`).

    Attributes:
        images: the pictures.
        depth: the estimator.
        cache: folder of the files.
        confident: with the flip consistency of the depth.
    """

    images: Images
    depth: DepthEstimator
    cache: Path
    confident: bool = True

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Picture:
        """One picture; estimates its depth when it is not kept yet.

        Raises:
            FileFormatError: a photo that cannot be read.
            OutputError: the cache cannot be written.
        """
        kept = self._kept(self.images.stamp(index), lambda: self.images.image(index))
        confidence = layout.decode_unit(kept["confidence"]) if self.confident else None
        return Picture(self.images.key(index), kept["image"], kept["inverse_depth"], confidence)

    def image(self, index: int) -> np.ndarray:
        """The pixels alone."""
        return self.images.image(index)

    def path_of(self, index: int) -> Path:
        """File of what is kept of one picture."""
        return self._kept.path_of(self.images.stamp(index))

    @cached_property
    def _kept(self) -> DepthCache:
        return DepthCache(self.depth, self.cache)

    def fill(self, progress: ProgressCallback | None = None) -> None:
        """Estimate the depth of all pictures that lack it."""
        clock = Clock("estimate depth", len(self))
        for index in range(len(self)):
            if not self.path_of(index).is_file():
                self._kept.make(self.images.stamp(index), self.images.image(index))
            if progress is not None:
                progress(clock.at(index + 1))


@dataclass(frozen=True)
class Renderings:
    """Rendered views with true depth, spoilt as an estimator would; exact depth has confidence 1.

    Attributes:
        scenes: one view a scene.
        degrade: how far the depth is spoilt (`degraded_depth`); 0 leaves it exact.
        confident: with a confidence.
    """

    scenes: SceneCache
    degrade: float = 1.0
    confident: bool = field(default=True)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Picture:
        """One view; its depth has the same errors every time."""
        stored, key = self.scenes[index], self.key(index)
        inverse, confidence = stored["inverse_depth"][0], None
        if self.degrade > 0:
            inverse, confidence = degraded_depth(inverse, numpy_generator_for(0, key, "degrade"), self.degrade)
        return Picture(key, stored["image"][0], inverse, confidence if self.confident else None)

    def key(self, index: int) -> str:
        """Seed of the scene."""
        return f"scene-{self.scenes.first_seed + index}"

    def stamp(self, index: int) -> str:
        """Seed and size."""
        return f"{self.key(index)}\0{self.scenes.size}"

    def image(self, index: int) -> np.ndarray:
        """The view alone."""
        return self.scenes[index]["image"][0]


def without_confidence(pictures: Pictures) -> Pictures:
    """The same pictures, with no confidence."""
    if isinstance(pictures, EstimatedPictures | Renderings):
        return replace(pictures, confident=False)
    raise InputError(f"{type(pictures).__name__} cannot leave its confidence out")


def photo_pictures(
    folder: str | Path, depth: str, cache: str | Path, *, max_side: int = 1280, device: str | None = None
) -> EstimatedPictures:
    """Open photos as pictures.

    Args:
        folder: photos, as `generate` takes them.
        depth: name of a depth estimator.
        cache: folder of what is kept.
        max_side: larger photos are reduced to this, px.
        device: estimate all depth now, there; None: on the CPU, photo by photo when asked for.

    Raises:
        InputError: no photos there.
    """
    if max_side < 16:
        raise InputError(f"`max_side` must be at least 16 pixels, got {max_side}")
    found = find_photos(str(folder))
    pictures = EstimatedPictures(PhotoImages(found.files, max_side), load_depth(depth, device=device), Path(cache))
    if device is not None:
        pictures.fill()
        pictures.depth.to("cpu")  # the processes that prepare data have no GPU
    return pictures


def scene_pictures(
    folder: Path,
    count: int,
    size: tuple[int, int],
    *,
    degrade: float = 1.0,
    depth: str | None = None,
    first_seed: int = 0,
) -> Renderings | EstimatedPictures:
    """Rendered views as pictures, with true depth, spoilt true depth, or that of an estimator; `folder` keeps the scenes.

    Raises:
        InputError: a negative `degrade`.
    """
    if degrade < 0:
        raise InputError(f"`degrade` must not be negative, got {degrade}")
    renderings = Renderings(SceneCache(folder, count, size, (0.0,), first_seed=first_seed), degrade)
    return renderings if depth is None else EstimatedPictures(renderings, load_depth(depth), folder / "depth")


def degraded_depth(
    inverse_depth: Float32[np.ndarray, "H W"], generator: np.random.Generator, strength: float = 1.0
) -> tuple[Float32[np.ndarray, "H W"], Float32[np.ndarray, "H W"]]:
    """Spoil true inverse depth the way estimators err, and say how far the result can be trusted.

    Args:
        inverse_depth: larger is nearer.
        generator: source of the errors.
        strength: 1 is about what a good estimator leaves: depth edges some pixels wide, 3 % of slow distortion, a few
            regions off by some percent of the range, all different in the mirror image.

    Returns:
        Inverse depth in 0..1 of the range of the image, and its flip consistency (`flip_confidence`).
    """
    low, high = (float(end) for end in np.quantile(inverse_depth, (0.0, 0.995)))
    share = np.clip((inverse_depth - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    curve = float(np.exp(generator.normal(0, 0.15 * strength)))
    share = share**curve
    first, second = (_spoilt(share, generator, strength) for _ in range(2))
    confidence = flip_confidence(torch.from_numpy(first)[None, None], torch.from_numpy(second)[None, None])
    return first, confidence[0, 0].numpy()


def _spoilt(share: np.ndarray, generator: np.random.Generator, strength: float) -> np.ndarray:
    """Regions that moved, edges that softened, a slow distortion."""
    height, width = share.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = share.copy()
    for _ in range(4):
        radius = generator.uniform(0.05, 0.2, 2) * (height, width)
        middle = generator.uniform(0, 1, 2) * (height, width)
        inside = ((rows - middle[0]) / radius[0]) ** 2 + ((columns - middle[1]) / radius[1]) ** 2 < 1
        surface = np.abs(share - share[int(middle[0]), int(middle[1])]) < 0.1  # an object, not a disc
        moved += np.where(inside & surface, np.float32(generator.normal(0, 0.05 * strength)), np.float32(0))
    soft = cv2.GaussianBlur(moved, (0, 0), max(1e-3, strength * width / 250))
    slow = cv2.resize(generator.normal(0, 0.03 * strength, (4, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
    return (soft + slow).astype(np.float32)
