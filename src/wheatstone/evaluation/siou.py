"""Stereo Intersection-over-Union, the metric of the Mono2Stereo benchmark for stereo conversion, and its published slips."""

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import InputError, ShapeError
from wheatstone.samples import to_uint8

__all__ = ["stereo_iou", "wrapped_psnr"]

_CANNY = (100, 200)
_CHANGED = 5  # grey levels of 255


def stereo_iou(
    view: Float[Tensor, "B 3 H W"],
    truth: Float[Tensor, "B 3 H W"],
    left: Float[Tensor, "B 3 H W"],
    *,
    edge_share: float = 0.75,
    official: bool = False,
) -> Float[Tensor, " B"]:
    """How far a synthesised right view has its edges, and its changes against the left view, where the real one has them.

    `edge_share * IoU(E(view), E(truth)) + (1 - edge_share) * IoU(B(view), B(truth))`: E are Canny's edges (thresholds 100 and
    200), B the pixels whose grey difference from the left view is above 5 of 255. All images are rounded to 8 bits first. A
    view that is the left one scores 0 in the second term, not in the first.

    Args:
        view: the synthesised right view, 0..1 (clamped).
        truth: the real right view, 0..1.
        left: the left view, 0..1.
        edge_share: weight of the edges; the published one correlates best with people's judgement.
        official: differences taken in 8 bits, as in all published tables: a pixel darker than in the left view by 1 to 250
            levels counts as 255 to 6 levels brighter. And a term without any pixel is NaN, not 0.

    Returns:
        float64, 0..1.

    Raises:
        ShapeError: images of different sizes.
        InputError: a weight outside 0..1.

    Source: Yu et al., "Mono2Stereo: A Benchmark and Empirical Study for Stereo Conversion" (CVPR 2025), its metric script. The
    script weighs channels for grey in the order blue, green, red, though its arrays are red, green, blue; that belongs to the
    metric and is kept.
    """
    if not view.shape == truth.shape == left.shape:
        raise ShapeError(f"SIoU needs three images of one size: {[list(x.shape) for x in (view, truth, left)]}")
    if not 0 <= edge_share <= 1:
        raise InputError(f"the weight of the edges is a share of 0..1, got {edge_share}")
    scores = []
    for images in zip(view, truth, left, strict=True):
        made, real, reference = (to_uint8(image) for image in images)
        edges = _iou(_edges(made), _edges(real), official)
        changes = _iou(_changes(made, reference, official), _changes(real, reference, official), official)
        scores.append(edge_share * edges + (1 - edge_share) * changes)
    return torch.tensor(scores, dtype=torch.float64)


def wrapped_psnr(view: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """PSNR as the same script published it: difference and square both wrapped at 256, so that it is never below 24.17 dB.

    Only for the comparison with published tables. `view` and `truth` are 0..1; inf where all wrapped squares are 0.

    Raises:
        ShapeError: images of different sizes.
    """
    if view.shape != truth.shape:
        raise ShapeError(f"view {list(view.shape)} and truth {list(truth.shape)} differ in size")
    found = []
    for made, real in zip(view, truth, strict=True):
        difference = to_uint8(made) - to_uint8(real)
        found.append(float(np.multiply(difference, difference, dtype=np.uint8).mean()))
    return 10 * (255**2 / torch.tensor(found, dtype=torch.float64)).log10()


def _edges(image: np.ndarray) -> np.ndarray:
    return cv2.Canny(_grey(image), *_CANNY) > 0


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # of an RGB array: as published, see `stereo_iou`


def _changes(image: np.ndarray, left: np.ndarray, official: bool) -> np.ndarray:
    return _grey(image - left if official else cv2.absdiff(image, left)) > _CHANGED


def _iou(first: np.ndarray, second: np.ndarray, official: bool) -> float:
    union = int((first | second).sum())
    if not union:
        return float("nan") if official else 0.0
    return int((first & second).sum()) / union
