"""LPIPS, where torchvision and the weights of its networks are at hand; nothing else here needs them."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.errors import CheckpointError

__all__ = ["Lpips", "LpipsNet", "load_lpips"]

LpipsNet = Literal["alex", "squeeze", "vgg"]


class Lpips:
    """Learned perceptual distance of two images; 0 for equal ones."""

    def __init__(self, metric: Any) -> None:
        """Take a metric of torchmetrics; `load_lpips` makes one."""
        self._metric = metric

    @torch.no_grad()
    def __call__(self, view: Float[Tensor, "1 3 H W"], truth: Float[Tensor, "1 3 H W"]) -> float:
        """Compare two images in 0..1."""
        distance = float(self._metric(view.float().clamp(0, 1), truth.float().clamp(0, 1)))
        self._metric.reset()
        return distance


def load_lpips(net: LpipsNet = "alex") -> Lpips:
    """Load LPIPS (version 0.1): torchmetrics brings its linear layers, torchvision the ImageNet network below them.

    Args:
        net: the ImageNet network; figures of different ones cannot be compared.

    Raises:
        CheckpointError: torchvision or its weights are not to be had; the message says which.

    Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018.
    """
    try:
        import torchvision  # noqa: F401
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
    except ImportError as error:
        raise CheckpointError("torchvision is not installed") from error
    except RuntimeError as error:  # a build for another torch
        raise CheckpointError(f"torchvision does not fit this torch ({str(error).splitlines()[0]})") from error
    try:
        metric = LearnedPerceptualImagePatchSimilarity(net_type=net, normalize=True)
    except OSError as error:  # no network, no space
        raise CheckpointError(f"the weights of torchvision's {net} could not be fetched ({error})") from error
    return Lpips(metric.eval())
