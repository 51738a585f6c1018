"""Small real parts and photos for the tests of the main job."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.confidence import flip_confidence
from wheatstone.generation import StereoGenerator
from wheatstone.samples import Depth, image_batch
from wheatstone.synthesis import load_synthesizer


class TinyDepth(DepthEstimator):
    """A random convolution at an eighth of the size: soft, lopsided depth with a confidence that is not constant."""

    name = "tiny"

    def __init__(self, seed: int = 0) -> None:
        self.config = {"seed": seed}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.network = nn.Conv2d(3, 1, 5, padding=2, padding_mode="replicate")

    def __call__(self, image, *, confidence=False):
        image = image_batch(image)
        straight = self._predict(image)
        if not confidence:
            return Depth(straight)
        return Depth(straight, flip_confidence(straight, self._predict(image.flip(-1)).flip(-1)))

    def _predict(self, image):
        size = (max(5, image.shape[-2] // 8), max(5, image.shape[-1] // 8))
        small = functional.interpolate(image, size, mode="bilinear", antialias=True)
        with torch.no_grad():
            return functional.interpolate(self.network(small), image.shape[-2:], mode="bilinear")


def make_photo(path: Path, seed: int = 0, height: int = 72, width: int = 96) -> Path:
    """A photo of random blobs; the same seed gives the same bytes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    return path


def make_photos(folder: Path, count: int = 6) -> Path:
    """Photos in sub-folders, of two sizes."""
    for seed in range(count):
        suffix = ("jpg", "png")[seed % 2]
        make_photo(folder / f"set{seed % 3}" / f"{seed}.{suffix}", seed, 72 + 8 * (seed % 2))
    return folder


def tiny_generator(**options) -> StereoGenerator:
    """Tiny depth, adaptive rule, row fill."""
    depth = options.pop("depth", None) or TinyDepth()
    return StereoGenerator(
        depth, options.pop("rule", None), options.pop("synthesizer", load_synthesizer("rows")), **options
    )
