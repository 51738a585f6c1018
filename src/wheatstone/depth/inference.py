"""Running a depth network: batches, mirrors, and what to do when memory runs out.

On a GPU images and their mirrors share batches. On a CPU every call takes one image (and its mirror), so that a result
never depends on which other photos happened to be at hand. When memory runs out the batch is halved; a single image that
is still too large is cut into overlapping tiles, each brought to the scale and shift of a whole-image estimate at lower
resolution, and blended; lowering the resolution itself needs leave, and every such step is noted for the manifest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import InputError

__all__ = ["Memory", "is_out_of_memory", "predict_maps"]

Predict = Callable[[Tensor], Tensor]  # pixels [N,3,h,w] -> maps [N,1,h,w], larger = nearer

LARGEST_REDUCTION = 16
OVERLAP = 0.25


@dataclass(frozen=True)
class Memory:
    """What may be done about memory.

    Attributes:
        max_batch: images (mirrors counted) in one call on a GPU; on a CPU it is one image and its mirror.
        multiple: sides of whatever the network is given are multiples of this.
        tiles: cut an image that does not fit into tiles.
        allow_downscale: as a last resort, run at lower resolution.
    """

    max_batch: int = 8
    multiple: int = 14
    tiles: bool = True
    allow_downscale: bool = False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch says that memory ran out, on a GPU or on the CPU."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text or "not enough memory" in text)
    )


def predict_maps(
    predict: Predict, pixels: Float[Tensor, "B 3 h w"], *, mirror: bool, memory: Memory
) -> tuple[Float[Tensor, "B 1 h w"], Float[Tensor, "B 1 h w"] | None, dict[str, Any]]:
    """Run a network on images and, on request, on their mirrors.

    Args:
        predict: normalised pixels to maps of the same size, larger = nearer; raises torch's out-of-memory error if it must.
        pixels: network input.
        mirror: also run the mirrored input, and mirror the result back.
        memory: what may be done about memory.

    Returns:
        The maps, those of the mirror (or None), and notes: `tiles` and `downscaled_by` where memory forced them.

    Raises:
        InputError: an image does not fit in any way that is allowed.
    """
    stack = torch.stack([pixels, pixels.flip(-1)], dim=1).flatten(0, 1) if mirror else pixels
    one_item = 2 if mirror else 1
    chunk = one_item if pixels.device.type == "cpu" else max(memory.max_batch, 1)
    maps, notes = _in_chunks(predict, stack, chunk, memory)
    if not mirror:
        return maps, None, notes
    maps = maps.unflatten(0, (len(pixels), 2))
    return maps[:, 0], maps[:, 1].flip(-1), notes


def _in_chunks(predict: Predict, stack: Tensor, chunk: int, memory: Memory) -> tuple[Tensor, dict[str, Any]]:
    done: list[Tensor] = []
    notes: dict[str, Any] = {}
    start = 0
    while start < len(stack):
        maps = _try(predict, stack[start : start + chunk])
        if maps is None and chunk > 1:
            chunk = chunk // 2
            continue
        if maps is None:
            maps, why = _too_large(predict, stack[start : start + 1], memory)
            notes |= why
        done.append(maps)
        start += len(maps)
    return torch.cat(done), notes


def _try(predict: Predict, pixels: Tensor) -> Tensor | None:
    """Predict, or None when memory runs out."""
    try:
        return predict(pixels)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if pixels.is_cuda:
        torch.cuda.empty_cache()
    return None


def _too_large(predict: Predict, pixels: Tensor, memory: Memory) -> tuple[Tensor, dict[str, Any]]:
    """One image `[1,3,h,w]` that does not fit whole."""
    size = (pixels.shape[-2], pixels.shape[-1])
    for factor in range(2, LARGEST_REDUCTION + 1):
        small = tuple(max(1, round(side / factor / memory.multiple)) * memory.multiple for side in size)
        guide = _try(predict, functional.interpolate(pixels, small, mode="bicubic", antialias=True))
        if guide is None:
            continue
        guide = functional.interpolate(guide, size, mode="bilinear", align_corners=False)
        if memory.tiles:
            tiled = _tiled(predict, pixels, guide, (small[0], small[1]))
            if tiled is not None:
                return tiled[0], {"tiles": tiled[1]}
        if memory.allow_downscale:
            return guide, {"downscaled_by": factor}
        break
    raise InputError(
        f"an image of {size[1]}x{size[0]} pixels does not fit into memory: use --max-side, the input rule cap:N, "
        "or allow a lower resolution (--allow-downscale)"
    )


def _tiled(predict: Predict, pixels: Tensor, guide: Tensor, tile: tuple[int, int]) -> tuple[Tensor, int] | None:
    """Predict tiles of a size that is known to fit, bring each to the guide's scale and shift, blend them linearly."""
    total, weights = torch.zeros_like(guide), torch.zeros_like(guide)
    ramp = _ramp(tile[0], guide)[:, None] * _ramp(tile[1], guide)[None, :]
    count = 0
    for top in _starts(pixels.shape[-2], tile[0]):
        for left in _starts(pixels.shape[-1], tile[1]):
            window = (..., slice(top, top + tile[0]), slice(left, left + tile[1]))
            maps = _try(predict, pixels[window])
            if maps is None:
                return None
            total[window] += _fitted_to(maps, guide[window]) * ramp
            weights[window] += ramp
            count += 1
    return total / weights, count


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles begin so that they cover the length evenly and overlap by a quarter or more."""
    if tile >= length:
        return [0]
    count = math.ceil((length - tile) / (tile * (1 - OVERLAP))) + 1
    return [round(index * (length - tile) / (count - 1)) for index in range(count)]


def _ramp(length: int, like: Tensor) -> Tensor:
    """Weights that rise from the border of a tile inwards over the overlap; never zero, so that every pixel has a weight."""
    distance = torch.arange(1, length + 1, device=like.device, dtype=like.dtype)
    return torch.minimum(distance, distance.flip(0)).div(length * OVERLAP).clamp(max=1)


def _fitted_to(maps: Tensor, guide: Tensor) -> Tensor:
    """Scale and shift a tile to its guide by least squares; a tile that runs against its guide gives way to it."""
    centred, wanted = maps - maps.mean(), guide - guide.mean()
    variance = (centred * centred).sum()
    slope = (centred * wanted).sum() / variance if variance > 0 else variance
    return slope * centred + guide.mean() if slope > 0 else guide
