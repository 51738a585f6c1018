"""Edge-aware filling against the plain filling by the same part, on pairs whose real right view is known.

    python benchmarks/edge_aware.py --scenes 930000:16
    WHEATSTONE_DATA=ROOT python benchmarks/edge_aware.py --data stereo-mini-dense
    python benchmarks/edge_aware.py --scenes 930000:16 --blur 0 --backends classical embedded --picture docs/images/edge-aware.png
    python benchmarks/edge_aware.py --scenes 900500:8 --profile
    python benchmarks/edge_aware.py --scenes 930000:4 --backends inpainting=FOLDER --steps 20

Left views are warped twice: by the true disparity, and by one that is blurred as monocular maps are (Gaussian, `--blur` px),
whose edges are then cleaned as `generate` does by default: by slope for the plain part, edge-aware for the edge-aware one. With
true disparity nothing is cleaned. All methods are judged at the same places, which the true disparity decides: PSNR in the holes
inside the image; PSNR in the rim (`hole_rim`, 5 px on both sides of their outline) and in its known pixels alone; gradient
energy in the holes over that of the truth; share of mixed colours (`mixed_colours`).

`NAME` is the painter alone, `NAME, edge-aware` is `EdgeAware` around that very part: `rows` copies in both, and `smooth-rows` is
what `edge-aware` takes unless told otherwise. Two more rows of the first back-end take one step away: `label` has edge-aware
disparity and the plain fill, `rim` the plain disparity and the edge-aware fill.

Scenes 900500 to 900515 chose the settings; report others.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wheatstone.cli.console import progress_bar
from wheatstone.datasets import load_dataset
from wheatstone.errors import InputError, WheatstoneError
from wheatstone.evaluation import (
    SynthesisProtocol,
    border_holes,
    gradient_energy,
    hole_rim,
    masked_psnr,
    mixed_colours,
)
from wheatstone.evaluation.protocols import SkippedItem
from wheatstone.evaluation.synthesis_protocol import ViewTruth
from wheatstone.files import write_image
from wheatstone.generation import CleanUp
from wheatstone.geometry import ForwardWarper, background_fill
from wheatstone.progress import Progress
from wheatstone.samples import Origin, to_uint8
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.composition import warp_left
from wheatstone.synthesis.edge_aware import EdgeAware
from wheatstone.synthesis.edge_view import RimRule
from wheatstone.synthesis.registry import split_place
from wheatstone.viewing import contact_sheet

LEAST_RIM = 200  # pixels: an image with fewer says nothing
FIGURES = ("PSNR holes", "PSNR rim", "known rim")
PROFILE, PROFILE_STEP, PROFILE_SURFACE = 5, 3.0, 1.5  # px
BACKENDS = ("smooth-rows", "rows", "classical", "embedded")
Clean = Callable[[Tensor, Tensor], Tensor]


@dataclass
class Scores:
    """Figures of one way to make the view.

    Attributes:
        rows: one dict an image of what is averaged over images.
        sums: what is added up before it is divided: gradient energies and counts of mixed pixels, of view and truth.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, image: Tensor, truth: ViewTruth, disparity_of_view: Tensor) -> None:
        """Measure one view."""
        inside = truth.hole & truth.scored & ~border_holes(truth.hole)
        rim = hole_rim(truth.hole) & truth.scored
        known = rim & ~truth.hole
        masks = dict(zip(FIGURES, (inside, rim, known), strict=True))
        self.rows.append({name: float(masked_psnr(image, truth.real, mask)) for name, mask in masks.items()})
        mixed, judged = mixed_colours(image, truth.real, truth.hole, disparity_of_view)
        energies = gradient_energy(image, inside), gradient_energy(truth.real, inside)
        for name, value in zip(("mixed", "judged", "energy", "true energy"), (mixed, judged, *energies), strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + float(value)

    def mean(self, name: str) -> str:
        """Mean over images, and their standard deviation."""
        values = np.array([row[name] for row in self.rows])
        return f"{values.mean():.2f} ± {values.std():.2f}"

    def pooled(self) -> tuple[str, str]:
        """Gradient ratio, and mixed share in per cent."""
        return (
            f"{self.sums['energy'] / max(self.sums['true energy'], 1e-12):.2f}",
            f"{100 * self.sums['mixed'] / max(self.sums['judged'], 1.0):.1f}",
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, write the picture."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        _measure(options)
    except WheatstoneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _measure(options: argparse.Namespace) -> None:
    name = options.data or f"scenes={options.scenes}"
    items = load_dataset(name) if options.data else load_dataset(name, size=tuple(options.size))
    painters = {backend: _painters(backend, options) for backend in options.backends}
    results: dict[str, dict[str, Scores]] = {"true": {}, "blurred": {}}
    if options.profile:
        protocol = SynthesisProtocol(lpips=None, matcher=None)
        _profile(name, [protocol.truth(items[index]) for index in range(len(items))])
        return
    protocol, skipped = SynthesisProtocol(lpips=None, matcher=None, min_density=0.9), 0
    picture = _Picture(options.picture)
    with progress_bar() as bar:
        for index in range(len(items)):
            bar(Progress("images", index, len(items)))
            try:
                truth = protocol.truth(items[index])
            except SkippedItem:
                skipped += 1
                continue
            if int((hole_rim(truth.hole) & truth.scored).sum()) < LEAST_RIM:
                skipped += 1
                continue
            _measure_one(truth, painters, options.blur, results, picture)
    print(f"{name}: {len(items) - skipped} images, {skipped} left out; blur {options.blur:g} px\n")
    for kind, ways in results.items():
        if ways:
            _print(kind, ways)
    picture.write()


def _painters(backend: str, options: argparse.Namespace) -> tuple[ViewSynthesizer, ViewSynthesizer]:
    """The plain part and the edge-aware one around it: one painter, so that nothing else differs."""
    settings = {"steps": options.steps} if options.steps else {}
    name, place = split_place(backend)
    plain = load_synthesizer(name, weights=place, device=options.device, **settings)
    return plain, EdgeAware(plain, RimRule(closed=options.closed))


def _measure_one(
    truth: ViewTruth,
    painters: Mapping[str, tuple[ViewSynthesizer, ViewSynthesizer]],
    blur: float,
    results: dict[str, dict[str, Scores]],
    picture: "_Picture",
) -> None:
    complete = background_fill(truth.disparity, truth.valid)
    where = ForwardWarper().landing(truth.disparity, truth.valid).pick(truth.disparity)
    results["true"].setdefault("the real view", Scores()).add(truth.real, truth, where)
    ways: list[tuple[str, str, str, Clean, int]] = []
    for backend in painters:
        ways += [("true", backend, backend, _as_it_is, 0), ("true", f"{backend}, edge-aware", backend, _as_it_is, 1)]
        if blur > 0:
            slope, sharp = CleanUp(), CleanUp.fitting(painters[backend][1])
            ways += [("blurred", backend, backend, slope, 0), ("blurred", f"{backend}, edge-aware", backend, sharp, 1)]
            if backend == next(iter(painters)):
                ways += [
                    ("blurred", f"{backend}, label", backend, sharp, 0),
                    ("blurred", f"{backend}, rim", backend, slope, 1),
                ]
    made: dict[tuple[str, str], Tensor] = {}
    for kind, label, backend, clean, aware in ways:
        disparity, valid = truth.disparity, truth.valid
        if kind == "blurred":
            disparity, valid = clean(blurred(complete, blur), torch.ones_like(valid)), torch.ones_like(valid)
        generators = [torch.Generator().manual_seed(0)]
        image = painters[backend][aware](truth.left, disparity, valid, generators=generators).image.float().cpu()
        results[kind].setdefault(label, Scores()).add(image, truth, where)
        made[kind, label] = image
    for backend in painters:
        picture.offer(backend, truth, made["true", backend], made["true", f"{backend}, edge-aware"])


def _profile(name: str, truths: Sequence[ViewTruth]) -> None:
    """Print the error of moved pixels by their distance from a disocclusion, on its near and its far side."""
    sums = np.zeros((2, PROFILE + 1, 2))
    for truth in truths:
        warped = warp_left(truth.left, truth.disparity, truth.valid)
        error = 255 * (warped.image - truth.real).abs().mean(1, keepdim=True)
        last = warped.hole.shape[-1] - 1
        level = [warped.disparity.gather(-1, end.clamp(0, last)) for end in (warped.ends.left, warped.ends.right)]
        first = (warped.origin == Origin.DISOCCLUSION) & (warped.ends.left + 1 == torch.arange(last + 1))
        first = first & ((level[0] - level[1]).abs() > PROFILE_STEP)
        away = ~functional.max_pool2d(warped.hole.float(), (1, 21), 1, (0, 10)).bool()
        for side, at_left in enumerate((level[0] > level[1], level[0] <= level[1])):
            for k in range(PROFILE):
                column = torch.where(at_left, warped.ends.left - k, warped.ends.right + k)
                at = column.clamp(0, last)
                same = (warped.disparity.gather(-1, at) - torch.where(at_left, *level)).abs() <= PROFILE_SURFACE
                counts = first & same & (column == at) & ~warped.hole.gather(-1, at)
                sums[side, k] += int(counts.sum()), float(error.gather(-1, at)[counts].sum())
            sums[side, PROFILE] += int(away.sum()), float(error[away].sum())
    print(f"| distance, px | {' | '.join(str(k + 1) for k in range(PROFILE))} | far |")
    print("|---|" + "---|" * (PROFILE + 1))
    for side, row in zip(("near", "far"), sums, strict=True):
        print(f"| {name}, {side} side | {' | '.join(f'{total / max(count, 1):.1f}' for count, total in row)} |")


def _as_it_is(disparity: Tensor, valid: Tensor) -> Tensor:  # noqa: ARG001 (the form of a clean-up)
    return disparity


def blurred(disparity: Tensor, sigma: float) -> Tensor:
    """What a monocular network makes of sharp edges: a Gaussian of `sigma` px over the whole map."""
    radius = max(1, round(3 * sigma))
    weights = torch.exp(-torch.arange(-radius, radius + 1.0).square() / (2 * sigma**2))
    weights = weights / weights.sum()
    rows = functional.conv2d(
        functional.pad(disparity, (radius, radius, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1)
    )
    return functional.conv2d(functional.pad(rows, (0, 0, radius, radius), mode="replicate"), weights.view(1, 1, -1, 1))


def _print(kind: str, ways: Mapping[str, Scores]) -> None:
    print(f"| {kind} disparity | {' | '.join(FIGURES)} | gradient | mixed % | rim against plain | wins |")
    print("|---|" + "---|" * (len(FIGURES) + 4))
    for label, scores in ways.items():
        backend = label.removesuffix(", edge-aware").removesuffix(", label").removesuffix(", rim")
        against = wins = ""
        if label != backend and backend in ways:
            gain = np.array(
                [a["PSNR rim"] - b["PSNR rim"] for a, b in zip(scores.rows, ways[backend].rows, strict=True)]
            )
            against, wins = f"{gain.mean():+.2f} ± {gain.std():.2f} dB", f"{int((gain > 0).sum())} of {len(gain)}"
        psnr = [scores.mean(name) if label != "the real view" else "" for name in FIGURES]
        print(f"| {label} | {' | '.join(psnr)} | {' | '.join(scores.pooled())} | {against} | {wins} |")
    print()


class _Picture:
    """A row a back-end, the crop where edge-aware filling gained most: plain, edge-aware, real, enlarged."""

    SIDE, SCALE = 64, 4

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.best: dict[str, float] = {}
        self.crops: dict[str, list[Tensor]] = {}

    def offer(self, backend: str, truth: ViewTruth, plain: Tensor, aware: Tensor) -> None:
        """Keep this image's crop if it gained more than the back-end's best so far."""
        if self.path is None or min(truth.real.shape[-2:]) < self.SIDE:
            return
        rim = hole_rim(truth.hole) & truth.scored
        errors = [((image.clamp(0, 1) - truth.real).square().mean(1, keepdim=True)) * rim for image in (plain, aware)]
        gain = functional.avg_pool2d(errors[0] - errors[1], self.SIDE, 8)
        if float(gain.max()) <= self.best.get(backend, -1.0):
            return
        self.best[backend] = float(gain.max())
        row, column = divmod(int(gain.flatten().argmax()), gain.shape[-1])
        area = (..., slice(8 * row, 8 * row + self.SIDE), slice(8 * column, 8 * column + self.SIDE))
        self.crops[backend] = [image[area][0] for image in (plain, aware, truth.real)]

    def write(self) -> None:
        """Write the crops, three a row.

        Raises:
            InputError: no image was large enough.
        """
        if self.path is None:
            return
        if not self.crops:
            raise InputError("no image is large enough for the picture")
        rows = [[to_uint8(crop) for crop in crops] for crops in self.crops.values()]
        write_image(Path(self.path), contact_sheet(rows, enlarge=self.SCALE))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--scenes", default="930000:16", help="SEED:COUNT of rendered worlds")
    parser.add_argument("--data", help="a data set instead, for example stereo-mini-dense or middlebury-2014=ROOT")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 400), help="height and width of scenes")
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), help="what fills, NAME or NAME=PATH")
    parser.add_argument("--blur", type=float, default=2.0, help="px; 0 leaves the blurred disparity out")
    parser.add_argument("--steps", type=int, help="of a diffusion back-end")
    parser.add_argument("--closed", type=int, help="px around holes within which the foreground is closed; 0 opens it")
    parser.add_argument("--picture", help="write the crops where most was gained")
    parser.add_argument("--profile", action="store_true", help="only say which side of a hole is contaminated")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
