"""Photometric terms: how much two pictures differ, by structure and by colour. Shared by every objective that looks at pixels."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError, ShapeError

__all__ = ["SSIM_CONSTANTS", "photometric_error", "ssim_distance"]

SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""C1 and C2 of SSIM for pixels of range 1 (Wang et al. 2004)."""


def ssim_distance(
    image: Float[Tensor, "B C H W"],
    other: Float[Tensor, "B C H W"],
    *,
    window: int = 7,
    constants: tuple[float, float] = SSIM_CONSTANTS,
) -> Float[Tensor, "B C H W"]:
    """Structural distance of every pixel and channel, (1 - SSIM) / 2, limited to 0..1.

    Moments are plain means over a square window, with mirrored borders.

    Args:
        image: any range.
        other: the picture it is compared with, of the same range.
        window: odd side of the window, px; ZeroStereo 7, monodepth2 3.
        constants: C1 and C2. `SSIM_CONSTANTS` belong to pixels of 0..1; for pixels of another range R they would be R^2 times
            as large, and published code that leaves them as they are makes them vanish.

    Raises:
        InputError: an even window, or none.
        ShapeError: images of different sizes, or not larger than half of the window.

    Source:
        Wang et al. 2004, eq. 13, with a box window as in monodepth2 (ICCV 2019) and ZeroStereo (ICCV 2025).
    """
    if window < 1 or window % 2 == 0:
        raise InputError(f"the window of SSIM must be odd and positive, got {window}")
    if image.shape != other.shape or min(image.shape[-2:]) <= window // 2:
        raise ShapeError(
            f"SSIM with a window of {window} compares images of one size above {window // 2}, "
            f"got {list(image.shape)} and {list(other.shape)}"
        )
    first, second = constants
    mean_a, mean_b = _box(image, window), _box(other, window)
    # E[ab] - E[a]E[b] loses digits where a window is bright and flat: take it about a value that is close to both means.
    anchor = (0.5 * (mean_a + mean_b)).detach().mean((-2, -1), keepdim=True)
    a, b = image - anchor, other - anchor
    near_a, near_b = mean_a - anchor, mean_b - anchor
    spread = _box(a * a + b * b, window) - near_a.square() - near_b.square()
    common = _box(a * b, window) - near_a * near_b
    ratio = (2 * mean_a * mean_b + first) * (2 * common + second)
    ratio = ratio / ((mean_a.square() + mean_b.square() + first) * (spread + second))
    return ((1 - ratio) / 2).clamp(0, 1)


def photometric_error(
    image: Float[Tensor, "B C H W"],
    other: Float[Tensor, "B C H W"],
    *,
    ssim: float = 0.85,
    l1: float = 0.15,
    window: int = 7,
    constants: tuple[float, float] = SSIM_CONSTANTS,
) -> Float[Tensor, "B 1 H W"]:
    """Weighted sum of structural distance and absolute difference of every pixel, each a mean over channels.

    Args:
        image: any range.
        other: the picture it is compared with.
        ssim: weight of `ssim_distance`.
        l1: weight of the absolute difference.
        window: see `ssim_distance`.
        constants: see `ssim_distance`.

    Source:
        Monodepth (CVPR 2017) and everything after it: 0.85 and 0.15.
    """
    difference = (image - other).abs().mean(1, keepdim=True)
    if ssim == 0:
        return l1 * difference
    structure = ssim_distance(image, other, window=window, constants=constants).mean(1, keepdim=True)
    return ssim * structure + l1 * difference


def _box(values: Tensor, window: int) -> Tensor:
    """Mean over a window, one axis after the other."""
    radius = window // 2
    padded = functional.pad(values, (radius, radius, radius, radius), mode="reflect")
    return functional.avg_pool2d(functional.avg_pool2d(padded, (window, 1), 1), (1, window), 1)
