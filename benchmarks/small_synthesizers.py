"""What a trained `genstereo-small` or `zerostereo-inpainter-small` is worth on scenes nobody trained on: table and picture.

    python benchmarks/small_synthesizers.py runs/gs/generator
    python benchmarks/small_synthesizers.py runs/inpainter/inpainter --scenes 900100:40 --picture docs/images/inpainter-small.png

Which of them a folder holds, its `config.json` says. Beside it stand networks as the recipe builds them (`untrained`) and the
controls of `evaluate`. The lines below the table compare scene by scene; the last one says what the codec alone makes of the
true right views: no generated view can be sharper.

Of GenStereo the same generated view enters three ways: alone (`generated`), weighed against the moved left view by the fusion
layer that was trained with it (`fusion`), and in the holes alone (`known`, what `load_synthesizer` does by default). `shown` is
what the networks are shown, the left view moved by the rounded disparity with black holes.

Of the inpainter there are `painted`, as `load_synthesizer` does it, and `own-colours`, the same without matching the colours of
the fill to those around the holes; `shown` is the exactly moved left view with mid-grey holes.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheatstone.checkpoints import load_json
from wheatstone.cli.console import progress_bar
from wheatstone.datasets import load_dataset
from wheatstone.diffusion import decode_latents, encode_mean
from wheatstone.errors import InputError, WheatstoneError
from wheatstone.evaluation import evaluate, masked_psnr
from wheatstone.files import write_image
from wheatstone.geometry import ForwardWarper
from wheatstone.samples import to_uint8
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.composition import HoleFiller
from wheatstone.synthesis.genstereo import GenStereo
from wheatstone.synthesis.inpainting import StereoInpainting
from wheatstone.synthesis.rows import WarpSynthesizer
from wheatstone.training.genstereo import small_genstereo
from wheatstone.training.inpainter import small_inpainter
from wheatstone.viewing import contact_sheet

FIGURES = ("psnr", "psnr_holes", "psnr_inside", "psnr_outside")
COMPARED = ("psnr", "psnr_holes", "psnr_inside")
STEPS = 12


@dataclass(frozen=True)
class Candidate:
    """One of the systems, ready to be measured.

    Attributes:
        label: name of the part that users get.
        part: that part.
        others: what stands beside it in the table.
        claims: pairs of rows to compare scene by scene.
        columns: rows shown in the picture, between left and right view.
        codec: pictures 0..1 to latents and back.
    """

    label: str
    part: Any
    others: Mapping[str, Any]
    claims: Sequence[tuple[str, str]]
    columns: Sequence[str]
    codec: Callable[[torch.Tensor], torch.Tensor]


class Shown(WarpSynthesizer):
    """The moved left view as GenStereo's networks are shown it: rounded disparity, black holes."""

    name = "shown"
    warper = ForwardWarper("nearest")


class Grey(HoleFiller):
    """The moved left view as an inpainter is shown it: mid-grey holes."""

    name = "shown"

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    def fill(self, warped: Any, generators: Any = None) -> torch.Tensor:  # noqa: ARG002 (the contract)
        return torch.full_like(warped.image, 0.5)


def genstereo(options: argparse.Namespace) -> Candidate:
    """The folder of `genstereo-small`."""
    height, width = options.size
    settings = {
        "steps": options.steps or STEPS,
        "guidance": options.guidance,
        "working_side": round((height * width) ** 0.5),
    }
    ways = {
        name: load_synthesizer("genstereo", weights=options.weights, device=options.device, composite=name, **settings)
        for name in ("known", "fusion", "generated")
    }
    networks = ways["known"].network
    torch.manual_seed(0)
    untrained = GenStereo(small_genstereo().network, **settings)
    return Candidate(
        "known",
        ways["known"],
        {"fusion": ways["fusion"], "generated": ways["generated"], "untrained": untrained, "shown": Shown()},
        (("fusion", "shown"), ("fusion", "warp"), ("fusion", "generated"), ("known", "untrained"), ("known", "rows")),
        ("shown", "generated", "fusion"),
        lambda image: networks.decode(networks.encode(image)).clamp(0, 1),
    )


def inpainting(options: argparse.Namespace) -> Candidate:
    """The folder of `zerostereo-inpainter-small`."""
    settings = {} if options.steps is None else {"steps": options.steps}
    painted, plain = (
        load_synthesizer("inpainting", weights=options.weights, device=options.device, colour_match=matched, **settings)
        for matched in (True, False)
    )
    vae = painted.network.vae
    torch.manual_seed(0)
    untrained = small_inpainter(steps=painted.config["steps"])
    return Candidate(
        "painted",
        painted,
        {"own-colours": plain, "untrained": untrained, "shown": Grey()},
        (("painted", "warp"), ("painted", "shown"), ("painted", "untrained"), ("painted", "rows")),
        ("shown", "painted", "rows"),
        lambda image: decode_latents(vae, encode_mean(vae, image * 2 - 1)) / 2 + 0.5,
    )


SYSTEMS = {GenStereo.name: genstereo, StereoInpainting.name: inpainting}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, write the picture."""
    options = _options(arguments)
    torch.set_num_threads(options.threads)
    try:
        _measure(options)
    except WheatstoneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _measure(options: argparse.Namespace) -> None:
    scenes = load_dataset(f"scenes={options.scenes}", size=tuple(options.size))
    held = str(load_json(options.weights / "config.json").get("wheatstone"))
    if held not in SYSTEMS:
        raise InputError(f"{options.weights}: holds a {held!r}, this measures {' and '.join(SYSTEMS)}")
    candidate = SYSTEMS[held](options)
    pictures = Pictures(options.rows, candidate)
    with progress_bar() as bar:
        report = evaluate(
            candidate.part,
            scenes,
            label=candidate.label,
            baselines=candidate.others,
            progress=bar,
            watch=pictures,
        )
    names = {"psnr": "PSNR", "psnr_holes": "in holes", "psnr_inside": "inside", "psnr_outside": "outside"}
    print(f"| | {' | '.join(names.values())} | SSIM | gradient inside |")
    print("|---|" + "---|" * (len(names) + 2))
    for part in report.parts:
        figures = [f"{report.mean(part, figure):.2f}" for figure in (*FIGURES, "ssim", "gradient_inside")]
        print(f"| `{part}` | {' | '.join(figures)} |")
    print()
    for ours, theirs in candidate.claims:
        for figure in COMPARED:
            print(_claim(report, ours, theirs, figure))
    print(f"psnr of the codec alone {np.mean(pictures.codec):.2f} dB")
    if options.picture is not None:
        picture = pictures.sheet(options.enlarge)
        write_image(options.picture, picture)
        print(
            f"{options.picture}: {picture.shape[1]} x {picture.shape[0]}, {options.picture.stat().st_size // 1024} kB"
        )


def _claim(report: Any, ours: str, theirs: str, figure: str) -> str:
    one, other = report.values(ours, figure), report.values(theirs, figure)
    both = [key for key in one if np.isfinite(one[key]) and np.isfinite(other.get(key, np.nan))]
    gaps = np.array([one[key] - other[key] for key in both])
    return f"{figure}: {ours} - {theirs} {gaps.mean():+.2f} dB, better on {(gaps > 0).sum()} of {len(gaps)} scenes"


class Pictures:
    """Keeps the views of the first scenes, one row a scene, one column a view; and measures the codec."""

    def __init__(self, rows: int, candidate: Candidate) -> None:
        self.rows, self.candidate, self.kept, self.codec = rows, candidate, [], []

    def __call__(self, _key: str, truth: Any, outputs: Mapping[str, Any], _figures: Mapping[str, Any]) -> None:
        real = truth.real.to(self.candidate.part.device)
        with torch.no_grad():
            decoded = self.candidate.codec(real)
        self.codec.append(float(masked_psnr(decoded, real, torch.ones_like(real[:, :1], dtype=torch.bool))))
        if len(self.kept) < self.rows:
            views = [truth.left, *(outputs[name].image for name in self.candidate.columns), truth.real]
            self.kept.append([to_uint8(view[0]) for view in views])

    def sheet(self, enlarge: int) -> np.ndarray:
        """All of them on white."""
        return contact_sheet(self.kept, enlarge=enlarge)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="OUT/generator or OUT/inpainter of a run")
    parser.add_argument(
        "--scenes", default="900000:40", metavar="SEED:COUNT", help="scenes from 900000 on are held back"
    )
    parser.add_argument("--size", type=int, nargs=2, default=(64, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument(
        "--steps", type=int, default=None, help="denoising steps; by default 12, or what the inpainter says"
    )
    parser.add_argument("--guidance", type=float, default=1.0, help="of GenStereo; 1 is off")
    parser.add_argument("--picture", type=Path, default=None, help="where to write the picture")
    parser.add_argument("--rows", type=int, default=3, help="scenes in the picture")
    parser.add_argument("--enlarge", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
