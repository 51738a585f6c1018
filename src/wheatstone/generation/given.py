"""Disparity that the user brings along: which file belongs to which photo, and what it says in pixels of that photo."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import FileFormatError, InputError, ShapeError
from wheatstone.files import png_text, read_bytes, read_disparity
from wheatstone.files.disparity import SCALE_KEYWORD
from wheatstone.geometry import resize_disparity

__all__ = ["SUFFIXES", "DisparityFolder", "GivenDisparity", "as_given", "fit_disparity"]

SUFFIXES = (".pfm", ".npy", ".npz", ".disparity.png", ".png")
"""Behind the name of a photo, in the order in which they are looked for: what holds floating-point pixels comes first."""

KITTI_SCALE = 256
ASK_FROM = 0.05
"""Share of exact zeros from which a map of nothing but numbers may mean "unknown" by them."""


@dataclass(frozen=True)
class GivenDisparity:
    """Disparity of one photo from outside.

    Attributes:
        disparity: pixels of this width, frame of the photo, >= 0 where valid.
        valid: where it is known.
        about: plain JSON values for the manifest: `file`, `sha256`, `scale` of a PNG, its own `size` where it was resized.
    """

    disparity: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]
    about: Mapping[str, Any] = field(default_factory=dict)


class DisparityFolder:
    """A folder of disparity maps named like the photos.

    The map of the photo `a/b/cat.jpg` is `a/b/cat.jpg` or `a/b/cat` below the folder, with one of `SUFFIXES` behind it. So the
    maps that `wheatstone match` writes fit, and the `disparity` folder of a data set of ours.

    Attributes:
        folder: where the maps lie.
        config: what the reading depends on, beside the files themselves.
    """

    def __init__(self, folder: str | Path, *, png_scale: float | int | None = None, zero: str | None = None) -> None:
        """Point to the folder; nothing is read yet.

        Args:
            folder: may have sub-folders like the photos.
            png_scale: codes a pixel of PNG files that do not state their scale in a text chunk; by default KITTI's 256.
            zero: what an exact 0 of a PFM, NPY or NPZ map means: `known` (infinitely far) or `unknown`. By default it is
                known, and a map whose numbers are all finite and more than 5 % of them 0 is refused.

        Raises:
            InputError: no such folder, a scale that is not positive, or another word for `zero`.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder of disparity maps")
        if png_scale is not None and not 0 < png_scale < float("inf"):
            raise InputError(f"the scale of PNG disparity must be a positive number, got {png_scale}")
        if zero not in (None, "known", "unknown"):
            raise InputError(f"a disparity of 0 is `known` or `unknown`, got {zero!r}")
        self._png_scale, self._zero = png_scale, zero
        scale = float(png_scale or KITTI_SCALE)
        self.config: Mapping[str, Any] = {"from": "files", "png_scale": scale, "zero": zero or "known"}

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever uses the data must know."""
        if self._png_scale is not None or next(self.folder.rglob("*.png"), None) is None:
            return ()
        return (
            f"disparity PNG files that do not state their scale were read as KITTI's, {KITTI_SCALE} codes a pixel; "
            "--disparity-png-scale says otherwise",
        )

    def find(self, key: str) -> Path | None:
        """The file of the photo `key`, or None."""
        names = dict.fromkeys((key, PurePosixPath(key).with_suffix("").as_posix()))
        paths = (self.folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def digest(self, key: str) -> str | None:
        """Digest of the file of the photo `key`, or None where there is none."""
        path = self.find(key)
        return None if path is None else sha256(read_bytes(path)).hexdigest()

    def read(self, key: str, size: tuple[int, int], own_size: tuple[int, int] | None = None) -> GivenDisparity:
        """Read the map of the photo `key`.

        Args:
            key: of the photo.
            size: height and width that the result should have.
            own_size: those of the photo's file, if it was reduced since.

        Raises:
            FileFormatError: no such file, one that cannot be read, of another shape than the photo, without any known pixel, with
                negative values, or with zeros of unknown meaning.
        """
        path = self.find(key)
        if path is None:
            stem = PurePosixPath(key).with_suffix("").name
            raise FileFormatError(
                f"no disparity file: none of {', '.join(stem + suffix for suffix in SUFFIXES)} in "
                f"{(self.folder / key).parent} (nor with the photo's full name before the suffix)"
            )
        name = path.relative_to(self.folder).as_posix()
        try:
            return self._read(path, name, size, own_size or size)
        except (FileFormatError, ShapeError) as error:
            raise FileFormatError(f"disparity {str(error).replace(str(path), name)}") from error

    def _read(self, path: Path, name: str, size: tuple[int, int], own_size: tuple[int, int]) -> GivenDisparity:
        data = read_bytes(path)
        scale = self._png_scale
        if path.suffix.lower() == ".png":
            stated = png_text(data, path).get(SCALE_KEYWORD)
            scale = KITTI_SCALE if scale is None and stated is None else scale
            disparity, valid = read_disparity(path, scale)
        else:
            stated = scale = None
            disparity, valid = read_disparity(path)
            valid &= self._zeros(disparity, valid, name)
        about: dict[str, Any] = {"file": name, "sha256": sha256(data).hexdigest()}
        if scale is not None or stated is not None:
            about["scale"] = float(scale if stated is None else stated)  # type: ignore[arg-type]
        if tuple(disparity.shape[-2:]) != tuple(size):
            about["size"] = [disparity.shape[-1], disparity.shape[-2]]
        return GivenDisparity(*fit_disparity(disparity, valid, size, own_size, name), about)

    def _zeros(self, disparity: Tensor, valid: Tensor, name: str) -> Tensor:
        """Where an exact 0 does not forbid to use the map."""
        zero = disparity == 0
        if self._zero == "unknown":
            return ~zero
        share = float(zero.float().mean())
        if self._zero is None and share > ASK_FROM and bool(valid.all()):
            raise FileFormatError(
                f"{name}: {share:.0%} of the map is exactly 0, which may mean infinitely far or unknown: "
                "say which with --disparity-zero known or unknown (or store NaN where it is unknown)"
            )
        return torch.ones_like(valid)


def as_given(disparity: Tensor | None, valid: Tensor | None = None) -> GivenDisparity | None:
    """Bring a map that a user holds to the axes of the house; unknown is where `valid` says so or no number stands.

    Raises:
        ShapeError: more than one map, whole numbers, or a `valid` that is no bool map of the same shape.
    """
    if disparity is None:
        return None
    shape = tuple(disparity.shape)
    if disparity.numel() != shape[-1] * shape[-2] or not disparity.is_floating_point():
        raise ShapeError(f"one floating disparity map [H,W] is needed, got {disparity.dtype} {list(shape)}")
    if valid is not None and (tuple(valid.shape) != shape or valid.dtype != torch.bool):
        raise ShapeError(
            f"`valid` must be a bool map of the shape {list(shape)}, got {valid.dtype} {list(valid.shape)}"
        )
    flat = disparity.detach().cpu().float().reshape(1, 1, *shape[-2:])
    known = flat.isfinite() if valid is None else flat.isfinite() & valid.cpu().reshape(flat.shape)
    return GivenDisparity(flat.masked_fill(~known, 0), known)


def fit_disparity(
    disparity: Float[Tensor, "1 1 h w"],
    valid: Bool[Tensor, "1 1 h w"],
    size: tuple[int, int],
    own_size: tuple[int, int] | None = None,
    name: str = "disparity",
) -> tuple[Float[Tensor, "1 1 H W"], Bool[Tensor, "1 1 H W"]]:
    """Bring a map to the size of its photo, in pixels of that width.

    A map of the same shape in another size is resized by taking the nearest pixel, which mixes neither two sides of a depth edge
    nor the known with the unknown; its values follow the width. Another shape is refused, and so is almost the same size:
    a crop, a border or a turned photo must not be stretched into place.

    Args:
        disparity: pixels of its own width.
        valid: where it is known.
        size: height and width of the result.
        own_size: of the photo itself, if `size` is not it.
        name: how to call the map in an error.

    Raises:
        FileFormatError: another shape, nothing known, or negative where known.
    """
    shape, photo = (disparity.shape[-2], disparity.shape[-1]), own_size or size
    if shape != tuple(photo) and not _is_resized(shape, photo):
        raise FileFormatError(
            f"{name}: the map has {shape[1]} x {shape[0]} pixels, the photo {photo[1]} x {photo[0]}: "
            "a map must show the whole photo, upright, in its size or in another size of the same shape"
        )
    if shape != tuple(size):
        disparity, valid = resize_disparity(disparity, (size[0], size[1]), valid)
    if not bool(valid.any()):
        raise FileFormatError(f"{name}: no pixel of the map is known")
    lowest = float(disparity[valid].min())
    if lowest < 0:
        raise FileFormatError(
            f"{name}: disparity down to {lowest:g} px, but x_right = x_left - d with d >= 0 here: is its sign turned?"
        )
    return disparity, valid


def _is_resized(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes show the same picture: more than 2 % apart, of one shape up to the rounding of whole pixels."""
    small, large = sorted((one, other), key=lambda size: size[1])
    ratio = small[1] / large[1]
    rounding = 0.5 + 0.5 * large[0] / large[1] + 1e-6  # of the height, and of the width that the ratio is taken from
    return ratio < 0.98 and abs(small[0] - large[0] * ratio) <= rounding
