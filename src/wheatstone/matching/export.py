"""Matching networks as programs for other runtimes: `torch.export` and ONNX.

A program takes two images `[1,3,H,W]` in 0..1, float32, of one fixed size, and returns disparity `[1,1,H,W]` in pixels after a
fixed number of iterations. Padding to the multiple the network wants (edge pixels repeated, shared between both sides) and its
removal are part of the program: it answers as the matcher itself does. A matcher whose start value comes from outside its
network (`embedded` starts from semi-global matching) gives a program with further inputs for it, `initial` and `known`
`[1,1,H,W]`: what `sgbm_start` returns for the pair.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from wheatstone.errors import InputError, require
from wheatstone.files import atomic_path
from wheatstone.geometry import pad_to_multiple
from wheatstone.matching.base import NetworkMatcher, StereoMatcher

__all__ = ["export_onnx", "export_program"]


class _Program(nn.Module):
    """Pad, match, crop: two images and what the network is told to start from in, one disparity map out."""

    def __init__(self, matcher: NetworkMatcher, iterations: int, start_names: list[str]) -> None:
        super().__init__()
        self.network, self.multiple = matcher.network, matcher.multiple
        self.iterations, self.start_names = iterations, start_names

    def forward(self, left: Tensor, right: Tensor, *start: Tensor) -> Tensor:
        padded, padding = pad_to_multiple(left, self.multiple)
        told = {name: padding.pad(value) for name, value in zip(self.start_names, start, strict=True)}
        output = self.network(padded, padding.pad(right), self.iterations, every=False, **told)
        return padding.crop(output.predictions[-1]).float()


def export_program(
    matcher: StereoMatcher, size: tuple[int, int], iterations: int | None = None
) -> torch.export.ExportedProgram:
    """Export a matching network with `torch.export`.

    Args:
        matcher: one with a network, on the CPU, in float32.
        size: height and width of the images in pixels, any.
        iterations: refinement steps, unrolled; the matcher's own number by default.

    Returns:
        The program; `.module()(left, right)` runs it (`embedded`: `(left, right, initial, known)`), `torch.export.save`
        stores it.

    Raises:
        InputError: a matcher without a network, in another number format or on another device; a senseless size or number.
    """
    return _export(matcher, size, iterations)[0]


def _export(
    matcher: StereoMatcher, size: tuple[int, int], iterations: int | None
) -> tuple[torch.export.ExportedProgram, list[str]]:
    """The program, and the names of its inputs beside the images."""
    if not isinstance(matcher, NetworkMatcher) or matcher.network is None:
        raise InputError(f"{matcher.name} has no network to export")
    if matcher.dtype != torch.float32 or matcher.device.type != "cpu":
        raise InputError(f"export wants the network in float32 on the cpu, not {matcher.dtype} on {matcher.device}")
    steps = matcher.iterations if iterations is None else iterations
    if min(*size, steps) < 1:
        raise InputError(f"size and iterations must be positive, got {size[0]}x{size[1]} and {steps}")
    images = (torch.zeros(1, 3, *size), torch.zeros(1, 3, *size))
    blank = torch.zeros(1, 3, 32, 64)
    names = list(matcher.start_values(blank, blank, None))
    start = tuple(torch.zeros(1, 1, *size) for _ in names)
    with torch.no_grad():
        return torch.export.export(_Program(matcher, steps, names).eval(), images + start), names


def export_onnx(matcher: StereoMatcher, path: str | Path, size: tuple[int, int], iterations: int | None = None) -> Path:
    """Write a matching network as one ONNX file with inputs `left`, `right` and output `disparity`.

    `embedded` has inputs `initial` and `known` besides.

    Args:
        matcher: as for `export_program`.
        path: where to write.
        size: height and width of the images in pixels.
        iterations: refinement steps, unrolled.

    Raises:
        InputError: as for `export_program`.
        MissingExtraError: `onnx` or `onnxscript` is not installed.
    """
    program, start_names = _export(matcher, size, iterations)
    for module in ("onnx", "onnxscript"):
        require(module, "dev", "Writing ONNX files")
    with atomic_path(Path(path)) as unfinished:
        torch.onnx.export(
            program,
            (),
            str(unfinished),
            input_names=["left", "right", *start_names],
            output_names=["disparity"],
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    return Path(path)
