"""What depth estimators with a pretrained network share: photo in, inverse depth and flip consistency out."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.confidence import flip_confidence
from wheatstone.depth.inference import Memory, predict_maps
from wheatstone.depth.preprocessing import InputRule, Preprocessor
from wheatstone.errors import InputError
from wheatstone.samples import Depth, image_batch

__all__ = ["DEPTH_KINDS", "DepthKind", "NetworkDepth", "inverse_of_depth"]

DepthKind = Literal["inverse", "depth", "metric"]
DEPTH_KINDS: tuple[DepthKind, ...] = ("inverse", "depth", "metric")

NEAREST = 0.01


def inverse_of_depth(depth: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Invert depth; each image's depth is held above a hundredth of its median, so that zeros do not become infinite.

    Values that are not finite count as infinitely far: inverse depth 0.
    """
    known = torch.where(depth.isfinite() & (depth > 0), depth, torch.nan)
    median = known.flatten(1).nanmedian(dim=1).values.nan_to_num(1.0)
    floor = NEAREST * median[:, None, None, None]
    return torch.where(depth.isfinite(), 1 / depth.maximum(floor), 0.0)


class NetworkDepth(DepthEstimator):
    """A depth estimator around a network; a subclass says how to call it.

    Attributes:
        preprocessor: the model's own steps from photo to input.
        rule: how large the network sees a photo.
        depth_kind: what the network's output means.
        memory: what may be done when memory runs out.
        confidence_method: how the flip consistency is measured (see `flip_confidence`).
    """

    preprocessor: Preprocessor
    rule: InputRule
    depth_kind: DepthKind
    memory: Memory
    confidence_method: Literal["aligned", "minmax"]

    def forward(self, pixels: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 1 h w"]:
        """Run the network on prepared pixels and return its output as it is, at any size."""
        raise NotImplementedError

    @torch.no_grad()
    def __call__(self, image: Any, *, confidence: bool = False) -> Depth:
        """Estimate the inverse depth of images, at the size of the images; arguments as in `DepthEstimator`.

        The flip consistency is that of ZeroStereo (TCG): the network sees the mirrored input, its map is mirrored back.
        `notes` say the unit of metric models (`1/m`) and whatever memory forced.
        """
        photos = image_batch(image).to(self.device, torch.float32)
        pixels, frame = self.preprocessor.prepare(photos, self.rule)
        size = (pixels.shape[-2], pixels.shape[-1])
        maps, mirrored, notes = predict_maps(self._inverse_depth, pixels, mirror=confidence, memory=self.memory)
        if self.depth_kind == "metric":
            notes["unit"] = "1/m"
        inverse = frame.restore(maps, size)
        if mirrored is None:
            return Depth(inverse, notes=notes)
        confidence_map = flip_confidence(inverse, frame.restore(mirrored, size), self.confidence_method)
        return Depth(inverse, confidence_map, notes)

    def _inverse_depth(self, pixels: Tensor) -> Tensor:
        maps = self.forward(pixels.to(self.dtype)).float()
        if not maps.isfinite().any():
            raise InputError(f"{self.name}: the network returned no finite depth; try dtype float32")
        return maps if self.depth_kind == "inverse" else inverse_of_depth(maps)
