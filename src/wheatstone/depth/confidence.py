"""How far to trust a depth estimate: does the mirrored photo give the mirrored answer?"""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import quantiles

__all__ = ["flip_confidence"]

_FIT_PIXELS = 1 << 16  # of which an affine fit is made; more do not change its second digit
_FIT_ROUNDS = 4
_OUTLIER_SIGMAS = 2.5


def flip_confidence(
    inverse_depth: Float[Tensor, "B 1 H W"],
    mirrored_back: Float[Tensor, "B 1 H W"],
    method: Literal["aligned", "minmax"] = "aligned",
) -> Float[Tensor, "B 1 H W"]:
    """Compare the inverse depth of a photo with that of its mirror image, flipped back.

    Args:
        inverse_depth: of the photo, any scale and shift.
        mirrored_back: of the mirrored photo, flipped back into the frame of the photo, its own scale and shift.
        method: `"aligned"` fits scale and shift of the second map to the first (least squares without outliers) and gives
            1 - |difference| in units of the spread between the 2 % and 98 % quantiles: an absolute figure, comparable between
            photos, so thresholds mean something. `"minmax"` is the published rule: both maps by their extremes, and the result
            stretched to 0..1 again, so the worst pixel of every photo has 0 and one outlier compresses all others.

    Returns:
        0..1; 1 everywhere for constant depth; 0 where a value is not finite.

    Source:
        ZeroStereo, training confidence generation (TCG), for `"minmax"`, where the published code divides 0 by 0 on
        constant depth.
    """
    if method not in ("aligned", "minmax"):
        raise InputError(f"unknown confidence method {method!r}: use 'aligned' or 'minmax'")
    valid = inverse_depth.isfinite() & mirrored_back.isfinite()
    first, second = (values.float().masked_fill(~valid, 0) for values in (inverse_depth, mirrored_back))
    if method == "minmax":
        agreement = 1 - (_minmax(first, valid) - _minmax(second, valid)).abs()
        confidence = torch.where(_span(agreement, valid) > 0, _minmax(agreement, valid), 1.0)
    else:
        confidence = torch.cat([_aligned(*item) for item in zip(first, second, valid, strict=True)])[:, None]
    return confidence.masked_fill(~valid, 0)


def _limits(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    low = values.masked_fill(~valid, torch.inf).flatten(1).amin(1)
    high = values.masked_fill(~valid, -torch.inf).flatten(1).amax(1)
    return low[:, None, None, None], high[:, None, None, None]


def _span(values: Tensor, valid: Tensor) -> Tensor:
    low, high = _limits(values, valid)
    return high - low


def _minmax(values: Tensor, valid: Tensor) -> Tensor:
    low, high = _limits(values, valid)
    return (values - low) / torch.where(high > low, high - low, 1)


def _aligned(
    first: Float[Tensor, "1 H W"], second: Float[Tensor, "1 H W"], valid: Bool[Tensor, "1 H W"]
) -> Float[Tensor, "1 H W"]:
    """1 - |aligned difference| / spread of one image."""
    target, source = first[valid].double(), second[valid].double()
    if not target.numel():
        return torch.zeros_like(first)
    step = -(-target.numel() // _FIT_PIXELS)
    scale, shift = _robust_affine(source[::step], target[::step])
    low, high = quantiles(target[::step], 0.02, 0.98)
    spread = high - low
    if spread <= 0:  # almost constant: fall back to the extremes
        spread = target.max() - target.min()
    difference = (second.double() * scale + shift - first.double()).abs()
    return (1 - difference / spread if spread > 0 else torch.ones_like(difference)).clamp(0, 1).float()


def _robust_affine(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Scale (not negative) and shift of `source` that fit `target`, outliers dropped in rounds."""
    weight = torch.ones_like(source)
    scale, shift = source.new_ones(()), source.new_zeros(())
    for _ in range(_FIT_ROUNDS):
        total = weight.sum()
        mean_source, mean_target = (weight * source).sum() / total, (weight * target).sum() / total
        variance = (weight * (source - mean_source).square()).sum()
        covariance = (weight * (source - mean_source) * (target - mean_target)).sum()
        scale = (covariance / variance).clamp(min=0) if variance > 0 else source.new_zeros(())
        shift = mean_target - scale * mean_source
        residual = (source * scale + shift - target).abs()
        sigma = 1.4826 * residual.median()
        weight = (residual <= _OUTLIER_SIGMAS * sigma).double()
    return scale, shift
