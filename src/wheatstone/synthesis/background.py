"""Preset `background`: holes show a random other photo, recoloured to match (stereo from mono, the MfS rule)."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from wheatstone.checkpoints import sha256_of_file
from wheatstone.errors import CheckpointError, InputError
from wheatstone.files import read_image
from wheatstone.files.images import IMAGE_SUFFIXES
from wheatstone.synthesis.composition import HoleFiller, WarpedView

__all__ = ["BackgroundSynthesizer", "cut_window", "load", "pool_digest", "transfer_colour"]


def transfer_colour(
    image: Float[Tensor, "3 H W"], target: Float[Tensor, "3 h w"], *, official: bool = False
) -> Float[Tensor, "3 H W"]:
    """Give every channel of `image` the mean and the spread of that channel in `target`, clipped to 0..1.

    Args:
        image: 0..1.
        target: 0..1, any size.
        official: measure the spread as published, by the standard deviation over columns of the standard deviations over
            rows, which is not the standard deviation of the channel.

    A channel without any spread keeps it and takes the mean; the published code divides by zero there.

    Source: stereo from mono (ECCV 2020), background fill.
    """
    shape = (-1, 1, 1)
    spread = _published_spread if official else _spread
    from_spread, to_spread = spread(image.double()), spread(target.double())
    gain = torch.where(from_spread > 0, to_spread / from_spread, 1.0).reshape(shape)
    from_mean, to_mean = image.double().mean((1, 2)), target.double().mean((1, 2))
    moved = (image.double() - from_mean.reshape(shape)) * gain + to_mean.reshape(shape)
    return moved.clamp(0, 1).to(image.dtype)


def cut_window(
    photo: Float[Tensor, "1 3 H W"], size: tuple[int, int], down: float, across: float
) -> Float[Tensor, "3 h w"]:
    """Enlarge a photo to cover `size` (height, width) where it is smaller, and cut a window out; `down`, `across` in [0, 1)."""
    scale = max(size[0] / photo.shape[-2], size[1] / photo.shape[-1])
    if scale > 1:
        enlarged = tuple(max(want, round(have * scale)) for want, have in zip(size, photo.shape[-2:], strict=True))
        photo = functional.interpolate(photo, enlarged, mode="bilinear", align_corners=False)
    top = int(down * (photo.shape[-2] - size[0] + 1))
    left = int(across * (photo.shape[-1] - size[1] + 1))
    return photo[0, :, top : top + size[0], left : left + size[1]]


def pool_digest(pool: str | Path) -> str:
    """Hex digest of the photos in a folder: their relative names and contents, in name order.

    Raises:
        InputError: no such folder, or no photo in it.
    """
    digest = sha256()
    for path in _photos(Path(pool)):
        digest.update(f"{path.relative_to(pool).as_posix()}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()


class BackgroundSynthesizer(HoleFiller):
    """Warp, then show a random photo of a pool through the holes.

    Needs the generator of every item: it chooses the photo and the place in it. The photo is enlarged to cover the view if
    it is smaller, else a random window of it is taken.

    Args:
        pool: folder of photos, searched recursively.
        pool_sha256: digest that the pool must have (`pool_digest`); computed when left out, and part of the configuration.
        official: colour transfer as published (`transfer_colour`).

    Raises:
        InputError: no folder, or nothing in it.
        CheckpointError: a pool whose content is not that of `pool_sha256`.

    Source: stereo from mono (ECCV 2020), which takes another photo of the same data set.
    """

    name = "background"

    def __init__(self, pool: str | Path, pool_sha256: str | None = None, official: bool = False) -> None:
        self._paths = _photos(Path(pool))
        found = pool_digest(pool)
        if pool_sha256 is not None and found != pool_sha256:
            raise CheckpointError(f"{pool}: these photos are not the pool with the digest {pool_sha256}, but {found}")
        self.config = {"pool": str(pool), "pool_sha256": found, "official": official}

    def fingerprint(self) -> dict[str, Any]:
        """What the result depends on: the content of the pool, not where it lies."""
        config = {key: value for key, value in self.config.items() if key != "pool"}
        return {**super().fingerprint(), "config": config}

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:
        """Draw, cut and recolour one photo an item."""
        if generators is None:
            raise InputError("the synthesizer 'background' draws random photos and needs the generator of every item")
        size = warped.image.shape[-2:]
        fills = []
        for left, generator in zip(warped.left, generators, strict=True):
            photo = self._draw(generator, (size[0], size[1])).to(left)
            fills.append(transfer_colour(photo, left, official=self.config["official"]))
        return torch.stack(fills)

    def _draw(self, generator: torch.Generator, size: tuple[int, int]) -> Float[Tensor, "3 H W"]:
        which, down, across = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        photo = read_image(self._paths[int(which * len(self._paths))])
        return cut_window(photo, size, down, across)


def load(
    name: str, weights: str | Path | None = None, official: bool = False, *, pool: str | Path | None = None
) -> BackgroundSynthesizer:
    """Make the preset `background` from a folder of photos, given as `weights` (`background=FOLDER`) or as `pool`."""
    folder = weights if pool is None else pool
    if folder is None:
        raise InputError(f"the synthesizer {name!r} needs a folder of photos to show through the holes: {name}=FOLDER")
    return BackgroundSynthesizer(folder, official=official)


def _photos(pool: Path) -> list[Path]:
    if not pool.is_dir():
        raise InputError(f"{pool}: no such folder of background photos")
    paths = sorted(path for path in pool.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not paths:
        raise InputError(f"{pool}: no photos in this folder ({', '.join(IMAGE_SUFFIXES)})")
    return paths


def _spread(image: Tensor) -> Tensor:
    return image.std((1, 2), correction=0)


def _published_spread(image: Tensor) -> Tensor:
    return image.std(1, correction=0).std(1, correction=0)
