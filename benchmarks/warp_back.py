"""What pictures that travel to another view and back teach a hole filler, against pairs with true disparity.

    python benchmarks/warp_back.py OUT [--steps 300] [--scenes 1600] [--size 320 480] [--cache FOLDER] [--runs stereo back ...]
        [--pairs DATASET] [--held-back scenes=900000:16]

1. Holes: of rendered pairs, the hole of the left view warped by its true disparity beside that of the right view after it
   travelled to the left and back; how far they overlap, and how well a plain row fill does in them.
2. Training: the network of `embedded-filler` from the same scenes, steps, seed and schedule, on true pairs (`stereo`), on
   returned left views (`back`; `back, clean rims`), on half of each (`half`); measured on real pairs (the data set named) and on
   scenes that none of them saw, beside the filler that ships. A stopped series goes on in the same folder; finished runs are
   only measured.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from wheatstone.checkpoints import Part
from wheatstone.evaluation import Report, border_holes, evaluate, synthesis_protocol
from wheatstone.samples import image_batch
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.composition import warp_left
from wheatstone.synthesis.rows import fill_rows
from wheatstone.training import recipes, train
from wheatstone.training.ea_filler import ReturnedFills
from wheatstone.training.embedded_data import FillPairs
from wheatstone.training.order import DataSource
from wheatstone.training.pictures import Renderings
from wheatstone.training.scene_cache import SceneCache
from wheatstone.training.warp_back import WarpBack

CROP = (128, 192)
RUNS = {"stereo": (1.0, 0.0), "back": (0.0, 0.5), "half": (0.5, 0.5), "back, clean rims": (0.0, 0.0)}
"""Share of true pairs, and share of items with mixed rims."""
FIGURES = ("psnr_inside", "psnr_holes", "gradient_inside", "ssim_holes")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scenes", type=int, default=1600)
    parser.add_argument("--size", type=int, nargs=2, default=(320, 480))
    parser.add_argument("--cache", type=Path, help="folder that keeps the rendered scenes, by default OUT/scenes")
    parser.add_argument("--runs", nargs="*", choices=list(RUNS), default=list(RUNS))
    parser.add_argument(
        "--pairs", default="stereo-mini-dense", help="real pairs with dense truth; none leaves them out"
    )
    parser.add_argument("--held-back", default="scenes=900000:16")
    parser.add_argument(
        "--compare", type=int, default=24, help="rendered pairs whose holes are compared; 0 leaves that out"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    scenes = SceneCache(options.cache or options.out / "scenes", options.scenes, tuple(options.size), (0.0, 1.0))
    if options.compare:
        print(compared_holes(scenes, options.compare), flush=True)
    fillers = {"ships": load_synthesizer("embedded")}
    for name in options.runs:
        fillers[name] = load_synthesizer("embedded", weights=trained(name, scenes, options.out, options.steps))
    for dataset in (options.pairs, options.held_back):
        if dataset != "none":
            print(f"\n{dataset}\n\n{measured(fillers, dataset)}", flush=True)


def compared_holes(scenes: SceneCache, count: int) -> str:
    """Overlap of the holes of both kinds, and what a row fill reaches in them inside the image."""
    both = either = counted = returned = 0
    errors: dict[str, list[float]] = {name: [0.0, 0.0] for name in ("true pair", "returned", "counted", "mixed rims")}
    for index in range(0, len(scenes), max(1, len(scenes) // count)):
        stored = scenes[index]
        (left, right), (of_left, of_right) = (
            [image_batch(image) for image in stored["image"]],
            [torch.from_numpy(values)[None, None] for values in stored["disparity"]],
        )
        true, back = warp_left(left, of_left), WarpBack()(right, of_right)
        mixed = WarpBack(mixed=1.0)(right, of_right, generator=torch.Generator().manual_seed(index))
        both += int((true.hole & back.view.hole).sum())
        either += int((true.hole | back.view.hole).sum())
        counted += int(back.counted.sum())
        returned += int(back.view.hole.sum())
        _add(errors["true pair"], fill_rows(true).image, right, true.hole)
        _add(errors["returned"], fill_rows(back.view).image, right, back.view.hole)
        _add(errors["counted"], fill_rows(back.view).image, right, back.view.hole, back.counted)
        _add(errors["mixed rims"], fill_rows(mixed.view).image, right, mixed.view.hole, mixed.counted)
    rows = ", ".join(f"{name} {-10 * math.log10(e[0] / e[1]):.2f} dB" for name, e in errors.items())
    return (
        f"holes of about {count} rendered pairs: overlap {both / either:.2f}, {counted / returned:.2f} of the returned "
        f"ones count; rows inside: {rows}"
    )


def _add(sums: list[float], view: Tensor, truth: Tensor, hole: Tensor, counted: Tensor | None = None) -> None:
    inside = hole & ~border_holes(hole)
    inside = inside if counted is None else inside & counted
    sums[0] += float(((view - truth).square() * inside).sum())
    sums[1] += 3 * float(inside.sum())


def trained(name: str, scenes: SceneCache, out: Path, steps: int) -> Path:
    """Train one row, or find it trained."""
    folder = out / name.replace(", ", "-").replace(" ", "-")
    done = folder / "filler" / "training.json"
    if done.is_file() and json.loads(done.read_text())["step"] == steps:
        return done.parent
    share, mixed = RUNS[name]
    pairs = FillPairs(scenes, CROP, ((0, len(scenes)),))
    source: DataSource = pairs
    if share < 1:
        source = ReturnedFills(Renderings(scenes, 0.0), CROP, back=WarpBack(mixed=mixed), pairs=pairs, share=share)
    recipe = replace(recipes["embedded-filler"], steps=steps, save_every=25, log_every=25)
    print(f"training {name}", file=sys.stderr, flush=True)
    return train(recipe, source, folder, resume=folder.exists(), device="cpu").parts["filler"]


def measured(fillers: Mapping[str, Part], dataset: str) -> str:
    """Means over a data set, with the row fill as control, and how many items are better than by `stereo`."""
    first, *others = fillers
    report = evaluate(
        fillers[first],
        dataset,
        protocol=synthesis_protocol(matcher=None, lpips=None),
        label=first,
        baselines={name: fillers[name] for name in others},
    )
    lines = [
        "| trained on | " + " | ".join(FIGURES) + " | better than stereo on |",
        "|---|" + "---|" * (len(FIGURES) + 1),
    ]
    for name in (*fillers, "rows"):
        cells = [f"{report.mean(name, figure):.3f}" for figure in FIGURES]
        lines.append(f"| {name} | " + " | ".join([*cells, _wins(report.values(name, FIGURES[0]), report, name)]) + " |")
    return "\n".join(lines)


def _wins(values: Mapping[str, float], report: Report, name: str) -> str:
    if name == "stereo" or "stereo" not in report.parts:
        return ""
    other = report.values("stereo", FIGURES[0])
    gains = [values[key] - other[key] for key in values if not math.isnan(values[key])]
    return f"{sum(gain > 0 for gain in gains)} of {len(gains)}, mean {statistics.mean(gains):+.2f} dB"


if __name__ == "__main__":
    main()
