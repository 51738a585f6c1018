"""The contract of a stereo matcher, and what every one of them shares: sizes, padding, batches, start values."""

from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wheatstone.checkpoints import Part
from wheatstone.errors import InputError, ShapeError
from wheatstone.geometry import pad_to_multiple, resize_disparity
from wheatstone.samples import Match, image_batch

__all__ = ["FrozenNormNetwork", "MatcherOutput", "NetworkMatcher", "StereoMatcher", "pair_batch"]

NetworkT = TypeVar("NetworkT", bound="FrozenNormNetwork")


class MatcherOutput(NamedTuple):
    """What a matching network returns, at the (padded) size of its input; never clamped.

    Attributes:
        predictions: disparity `[B,1,H,W]` in pixels, positive for the left view, one a refinement step; the last counts.
        initial: the start value at full size, where the network makes one of its own (IGEV, embedded), else None.
    """

    predictions: tuple[Tensor, ...]
    initial: Tensor | None = None


class StereoMatcher(Part):
    """A part that turns a rectified pair into disparity of the left view.

    Attributes:
        iterations: refinement steps of a call that does not say how many; 0 for a matcher that has none.
    """

    iterations: int = 0

    def __call__(
        self,
        left: Any,
        right: Any,
        iterations: int | None = None,
        *,
        initial: Float[Tensor, "B 1 h w"] | None = None,
        all_iterations: bool = False,
    ) -> Match:
        """Match two views of any size, the same for both.

        Args:
            left: `[B,3,H,W]` in 0..1, a PIL image, or a uint8 HWC array.
            right: the same for the other view.
            iterations: refinement steps; the matcher's own number by default.
            initial: disparity to start from, in pixels of its own width; it may be smaller than the images.
            all_iterations: also return every step.

        Returns:
            Disparity `[B,1,H,W]` in pixels of the images' width, float32, not clamped, on the device of `left`.

        Raises:
            ShapeError: the views differ in size.
            InputError: fewer than one iteration.
        """
        raise NotImplementedError


class NetworkMatcher(StereoMatcher):
    """A matcher around a torch network; a subclass builds it in `network` and says to which multiple it pads.

    The network takes images in 0..1 whose sides are multiples of `multiple` and returns a `MatcherOutput`:
    `network(left, right, iterations, initial=None, every=True)`. `initial` has the size of the images; with `every` off only
    the last prediction need be made at full size. This is also what training calls.
    """

    multiple: ClassVar[int] = 32
    network: nn.Module

    @torch.no_grad()
    def __call__(
        self,
        left: Any,
        right: Any,
        iterations: int | None = None,
        *,
        initial: Float[Tensor, "B 1 h w"] | None = None,
        all_iterations: bool = False,
    ) -> Match:
        """Match two views; see `StereoMatcher`.

        On a CPU every call of the network takes one pair, so that a result never depends on the rest of a batch.
        """
        left, right = pair_batch(left, right)
        steps = self.iterations if iterations is None else iterations
        if steps < 1:
            raise InputError(f"{self.name} needs at least one iteration, not {steps}")
        if initial is not None:
            initial = _start(initial, left)
        home = left.device
        chunk = 1 if self.device.type == "cpu" else len(left)
        outputs = [
            self._run(
                left[i : i + chunk],
                right[i : i + chunk],
                steps,
                None if initial is None else initial[i : i + chunk],
                all_iterations,
            )
            for i in range(0, len(left), chunk)
        ]
        steps_made = tuple(torch.cat(step).to(home) for step in zip(*outputs, strict=True))
        return Match(steps_made[-1], steps_made if all_iterations else None)

    def _run(self, left: Tensor, right: Tensor, steps: int, initial: Tensor | None, every: bool) -> list[Tensor]:
        """One float32 map a step, or only the last."""
        return self._run_network(left, right, steps, self.start_values(left, right, initial), every)

    def _run_network(
        self, left: Tensor, right: Tensor, steps: int, start: dict[str, Tensor], every: bool
    ) -> list[Tensor]:
        """Pad, run, crop."""
        padded_left, padding = pad_to_multiple(left.to(self.device, self.dtype), self.multiple)
        padded_right = padding.pad(right.to(self.device, self.dtype))
        given = {name: padding.pad(value.to(self.device, torch.float32)) for name, value in start.items()}
        output: MatcherOutput = self.network(padded_left, padded_right, steps, every=every, **given)
        wanted = output.predictions if every else output.predictions[-1:]
        return [padding.crop(prediction).float() for prediction in wanted]

    def start_values(self, left: Tensor, right: Tensor, initial: Tensor | None) -> dict[str, Tensor]:  # noqa: ARG002
        """What the network is told to start from: maps of the size of the images, by the name of the argument."""
        return {} if initial is None else {"initial": initial}


def pair_batch(left: Any, right: Any) -> tuple[Float[Tensor, "B 3 H W"], Float[Tensor, "B 3 H W"]]:
    """Bring both views to the house convention and check that they are of one size.

    Raises:
        ShapeError: they are not; the message gives both sizes.
    """
    left, right = image_batch(left, "left"), image_batch(right, "right")
    if left.shape != right.shape:
        sizes = [f"{batch.shape[-1]}x{batch.shape[-2]} ({len(batch)})" for batch in (left, right)]
        raise ShapeError(f"left is {sizes[0]}, right is {sizes[1]}: the views of a pair must be of one size")
    return left, right


class FrozenNormNetwork(nn.Module):
    """A network whose batch norms stay in evaluation while it trains, as RAFT-Stereo and IGEV-Stereo do.

    Attributes:
        freeze_batch_norm: off, they train like everything else.
    """

    freeze_batch_norm: bool

    def train(self: NetworkT, mode: bool = True) -> NetworkT:
        """Switch between training and evaluation; frozen batch norms stay in evaluation."""
        super().train(mode)
        if self.freeze_batch_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
                    module.eval()
        return self


def _start(initial: Tensor, left: Tensor) -> Tensor:
    """The start value at the size of the images, in their pixels."""
    if initial.ndim != 4 or initial.shape[:2] != (len(left), 1):
        raise ShapeError(f"`initial` must have shape [{len(left)},1,h,w], got {list(initial.shape)}")
    size = (left.shape[-2], left.shape[-1])
    if tuple(initial.shape[-2:]) == size:
        return initial.float()
    return resize_disparity(initial.float(), size, mode="bilinear")[0]
