"""What a trained `genstereo-small` is worth on scenes nobody trained on: its table, and a picture of the first scenes.

    python benchmarks/genstereo_small.py runs/gs/generator
    python benchmarks/genstereo_small.py runs/gs/generator --scenes 900100:40 --picture docs/images/genstereo-small.png

The same generated view enters three ways: alone (`generated`), weighed against the moved left view by the fusion layer that was
trained with it (`fusion`), and in the holes alone (`known`, what `load_synthesizer` does by default). Beside them what the
networks are shown, the left view moved by the rounded disparity with black holes (`shown`), networks as the recipe builds them
(`untrained`, in the holes alone), and the controls of `evaluate`. The lines below compare scene by scene; the last one says what
the codec alone makes of the true right views: no generated view can be sharper.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from wheatstone.cli.console import progress_bar
from wheatstone.datasets import load_dataset
from wheatstone.errors import WheatstoneError
from wheatstone.evaluation import evaluate, masked_psnr
from wheatstone.files import write_image
from wheatstone.geometry import ForwardWarper
from wheatstone.samples import to_uint8
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.genstereo import GenStereo, GenStereoNetworks
from wheatstone.synthesis.rows import WarpSynthesizer
from wheatstone.training.genstereo import small_genstereo

GAP = 4
FIGURES = ("psnr", "psnr_holes", "psnr_inside", "psnr_outside")
CLAIMS = (("fusion", "shown"), ("fusion", "warp"), ("fusion", "generated"), ("known", "untrained"), ("known", "rows"))


class Shown(WarpSynthesizer):
    """The moved left view as GenStereo's networks are shown it: rounded disparity, black holes."""

    name = "shown"
    warper = ForwardWarper("nearest")


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
    height, width = options.size
    scenes = load_dataset(f"scenes={options.scenes}", size=(height, width))
    settings = {"steps": options.steps, "guidance": options.guidance, "working_side": round((height * width) ** 0.5)}
    ways = {
        name: load_synthesizer("genstereo", weights=options.weights, device=options.device, composite=name, **settings)
        for name in ("known", "fusion", "generated")
    }
    torch.manual_seed(0)
    untrained = GenStereo(small_genstereo().network, **settings)
    pictures = Pictures(options.rows, ways["known"].network)
    others = {"fusion": ways["fusion"], "generated": ways["generated"], "untrained": untrained, "shown": Shown()}
    with progress_bar() as bar:
        report = evaluate(ways["known"], scenes, label="known", baselines=others, progress=bar, watch=pictures)
    names = {"psnr": "PSNR", "psnr_holes": "in holes", "psnr_inside": "inside", "psnr_outside": "outside"}
    print(f"| | {' | '.join(names.values())} | SSIM | gradient inside |")
    print("|---|" + "---|" * (len(names) + 2))
    for part in report.parts:
        figures = [f"{report.mean(part, figure):.2f}" for figure in (*FIGURES, "ssim", "gradient_inside")]
        print(f"| `{part}` | {' | '.join(figures)} |")
    print()
    for ours, theirs in CLAIMS:
        for figure in ("psnr", "psnr_holes", "psnr_inside"):
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

    def __init__(self, rows: int, networks: GenStereoNetworks) -> None:
        self.rows, self.networks, self.kept, self.codec = rows, networks, [], []

    def __call__(self, _key: str, truth: Any, outputs: Mapping[str, Any], _figures: Mapping[str, Any]) -> None:
        real = truth.real.to(next(self.networks.parameters()).device)
        with torch.no_grad():
            decoded = self.networks.decode(self.networks.encode(real)).clamp(0, 1)
        self.codec.append(float(masked_psnr(decoded, real, torch.ones_like(real[:, :1], dtype=torch.bool))))
        if len(self.kept) < self.rows:
            views = [truth.left, *(outputs[name].image for name in ("shown", "generated", "fusion")), truth.real]
            self.kept.append([to_uint8(view[0]) for view in views])

    def sheet(self, enlarge: int) -> np.ndarray:
        """All of them on white."""
        lines = []
        for views in self.kept:
            large = [cv2.resize(v, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_NEAREST) for v in views]
            bar = np.full((large[0].shape[0], GAP, 3), 255, np.uint8)
            lines.append(np.concatenate([part for view in large for part in (view, bar)][:-1], 1))
        bar = np.full((GAP, lines[0].shape[1], 3), 255, np.uint8)
        return np.concatenate([part for line in lines for part in (line, bar)][:-1])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="OUT/generator of a run")
    parser.add_argument(
        "--scenes", default="900000:40", metavar="SEED:COUNT", help="scenes from 900000 on are held back"
    )
    parser.add_argument("--size", type=int, nargs=2, default=(64, 96), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=12, help="denoising steps")
    parser.add_argument("--guidance", type=float, default=1.0, help="1 is off")
    parser.add_argument("--picture", type=Path, default=None, help="where to write the picture")
    parser.add_argument("--rows", type=int, default=3, help="scenes in the picture")
    parser.add_argument("--enlarge", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
