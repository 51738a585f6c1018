"""Bring a small, soft map to the size of its image, with its steps on the edges of the image.

A network that sees a small picture draws depth steps as ramps a few pixels wide. A ramp is the worst thing for a second
view: it becomes a smear beside every object. So every pixel of a ramp takes the value of one of its two plateaus: the one
whose colour it has. Elsewhere the map is only interpolated, so that the texture of a surface does not become its shape.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.geometry import quantiles

__all__ = ["refine_to_image"]

_CHUNK = 1 << 14  # pixels worked on at a time, which bounds the memory
_LARGEST = 1 << 20  # pixels of an image beyond which the map is refined on a smaller copy, which bounds the time


def refine_to_image(
    depth: Float[Tensor, "1 1 h w"],
    image: Float[Tensor, "1 3 H W"],
    *,
    radius: int = 3,
    colour_sigma: float = 0.06,
    ramp: float = 0.01,
) -> Float[Tensor, "1 1 H W"]:
    """Joint bilateral upsampling with the ramps left out (after Kopf et al. 2007).

    Each pixel near a ramp takes a mean of the small map over a window, weighted by how much the colour there is like its own,
    how near it is, and how flat the map is there; then twice the mean of those values that lie close to the one found, which
    settles it on one of the plateaus.

    Args:
        depth: map to refine, any scale and shift.
        image: its image, 0..1, not smaller than the map in either direction up to rounding.
        radius: half width of the window in pixels of the small map.
        colour_sigma: how unlike colours may be (0..1).
        ramp: how much steeper a pixel than its surroundings a ramp is, as a share of the range (5th to 95th percentile).

    Returns:
        The map at the size of the image; a constant map stays constant.
    """
    size = (image.shape[-2], image.shape[-1])
    if size[0] * size[1] > _LARGEST:
        scale = math.sqrt(_LARGEST / (size[0] * size[1]))
        copy_size = (max(1, int(size[0] * scale)), max(1, int(size[1] * scale)))
        copy = functional.interpolate(image, copy_size, mode="bilinear", antialias=True)
        refined = refine_to_image(depth, copy, radius=radius, colour_sigma=colour_sigma, ramp=ramp)
        return functional.interpolate(refined, size, mode="bilinear", align_corners=False)
    smooth = functional.interpolate(depth, size, mode="bilinear", align_corners=False)
    low, high = quantiles(depth, 0.05, 0.95)
    span = high - low
    if not bool(span > 0):
        return smooth
    small = functional.interpolate(image, depth.shape[-2:], mode="bilinear", antialias=True)
    slope = _excess_slope(depth, radius) / span
    near_ramp = functional.max_pool2d(slope, 2 * radius - 1, 1, radius - 1) > ramp
    chosen = functional.interpolate(near_ramp.float(), size, mode="nearest")[0, 0].nonzero()
    flatness = 1 / (0.02 + slope)
    refined = smooth.clone()
    window = _Window(depth[0, 0], small[0], flatness[0, 0], radius, size)
    for start in range(0, len(chosen), _CHUNK):
        rows, columns = chosen[start : start + _CHUNK].unbind(1)
        refined[0, 0, rows, columns] = window.settle(rows, columns, image[0, :, rows, columns], colour_sigma)
    return refined


def _excess_slope(depth: Tensor, radius: int) -> Tensor:
    """Slope a pixel, less the gentlest slope nearby: a tilted surface has none, however steep; a ramp between two has."""
    padded = functional.pad(depth, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]).abs() / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]).abs() / 2
    slope = torch.maximum(across, down)
    kept = (
        functional.pad(slope[..., 1:-1, 1:-1], (1, 1, 1, 1), mode="replicate") if min(slope.shape[-2:]) > 2 else slope
    )
    return kept + functional.max_pool2d(-kept, 2 * radius + 3, 1, radius + 1)


class _Window:
    """Values, colours and flatness of the small map around any list of pixels of the large one."""

    def __init__(self, depth: Tensor, colours: Tensor, flatness: Tensor, radius: int, size: tuple[int, int]) -> None:
        self.size, self.small, self.radius = size, tuple(depth.shape), radius
        offsets = torch.arange(-radius, radius + 1, device=depth.device)
        self.down, self.right = (grid.flatten() for grid in torch.meshgrid(offsets, offsets, indexing="ij"))
        self.depth, self.flatness, self.colours = depth.flatten(), flatness.flatten(), colours.flatten(1)

    def settle(self, rows: Tensor, columns: Tensor, own: Tensor, colour_sigma: float) -> Tensor:
        """Value of each pixel `(rows, columns)` whose colour is `own` `[3,N]`."""
        y = (rows + 0.5) * (self.small[0] / self.size[0]) - 0.5
        x = (columns + 0.5) * (self.small[1] / self.size[1]) - 0.5
        near_y, near_x = y.round().long()[:, None] + self.down, x.round().long()[:, None] + self.right
        inside = (near_y >= 0) & (near_y < self.small[0]) & (near_x >= 0) & (near_x < self.small[1])
        at = near_y.clamp(0, self.small[0] - 1) * self.small[1] + near_x.clamp(0, self.small[1] - 1)
        distance = (near_y - y[:, None]).square() + (near_x - x[:, None]).square()
        weight = torch.exp(-distance / (2 * (0.6 * self.radius) ** 2)) * self.flatness[at] * inside
        unlike = (self.colours[:, at] - own[:, :, None]).square().sum(0)
        weight = weight * torch.exp(-unlike / (2 * 3 * colour_sigma**2)) + 1e-12 * inside
        values = self.depth[at]
        found = (weight * values).sum(1) / weight.sum(1)
        spread = values.amax(1) - values.amin(1)
        for _ in range(2):
            close = torch.exp(-(values - found[:, None]).square() / (2 * (0.2 * spread[:, None]).square() + 1e-12))
            found = (weight * close * values).sum(1) / (weight * close).sum(1).clamp(min=1e-20)
        return found
