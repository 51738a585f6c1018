"""Padding to a multiple, as networks with strides need it, and the way back."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wheatstone.errors import InputError

__all__ = ["Padding", "pad_to_multiple"]


@dataclass(frozen=True)
class Padding:
    """Rows and columns added on each side, in pixels."""

    left: int
    right: int
    top: int
    bottom: int

    def pad(self, image: Tensor) -> Tensor:
        """Repeat the border pixels of `[...,H,W]` (any number type) outwards."""
        height, width = image.shape[-2:]
        if self.top or self.bottom:
            image = image.index_select(-2, _clamped(height, self.top, self.bottom, image.device))
        if self.left or self.right:
            image = image.index_select(-1, _clamped(width, self.left, self.right, image.device))
        return image

    def crop(self, image: Tensor) -> Tensor:
        """Undo `pad` on anything of the padded size."""
        height, width = image.shape[-2:]
        return image[..., self.top : height - self.bottom, self.left : width - self.right]


def pad_to_multiple(image: Tensor, multiple: int, mode: Literal["split", "bottom"] = "split") -> tuple[Tensor, Padding]:
    """Pad `[...,H,W]` by edge replication until both sides are multiples of `multiple`.

    Args:
        image: floats, integers or booleans.
        multiple: for example 14 for a ViT, 8 for a VAE, 32 for a matcher.
        mode: `"split"` shares rows and columns between both sides, the smaller half first; `"bottom"` shares the columns and
            puts all rows at the bottom (the habit for KITTI, whose sky is at the top).

    Returns:
        The padded tensor and the `Padding` whose `crop` undoes it.

    Source:
        RAFT-Stereo and ZeroStereo, `InputPadder` (modes "sintel" and "kitti").
    """
    if multiple < 1 or mode not in ("split", "bottom"):
        raise InputError(
            f"cannot pad to a multiple of {multiple} in mode {mode!r}: use a positive number, 'split' or 'bottom'"
        )
    height, width = image.shape[-2:]
    rows, columns = -height % multiple, -width % multiple
    top = rows // 2 if mode == "split" else 0
    padding = Padding(left=columns // 2, right=columns - columns // 2, top=top, bottom=rows - top)
    return padding.pad(image), padding


def _clamped(length: int, before: int, after: int, device: torch.device) -> Tensor:
    return torch.arange(-before, length + after, device=device).clamp_(0, length - 1)
