"""Where do the forms of distillation pull a prediction? No training: the gradient of each, against the true error.

    python benchmarks/distillation_pull.py [--scenes 24] [--matcher FOLDER] [--cache FOLDER]

A student has errors that are known, a teacher is true inverse depth spoilt as monocular maps are (no unit, slow distortion, soft
edges), truth is what a laser scanner measures. For a form with gradient g at the prediction d and true disparity t,

    helpful = sum -g * sign(t - d) / sum |g|        1: every bit of the pull lowers the true error, 0: none on the mean

over the pixels of a region; `share` is how much of the pull lies in that region; `pixels` how many pixels it is worth, as a
share of all: (sum |g|)^2 / (N sum g^2). Students: `soft`, the truth with blurred edges, a slow error and a little noise; and
what a matcher predicts (the one that ships, or `--matcher`). Of `local`, `sharpen` and `trust` a form has
only those on that it is named after, not even what is on by default.
"""

import argparse
import json
import math
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from wheatstone.geometry import near_steps
from wheatstone.matching import MatcherOutput, load_matcher
from wheatstone.objectives.s2dkd import S2DKD
from wheatstone.samples import StereoSample
from wheatstone.training.taught_data import scanned_scenes

FORMS: dict[str, dict[str, Any]] = {
    "kl_spatial": {},
    "kl_spatial, raw px": {"temperature": 0.06},
    "kl_spatial, temperature 4": {"temperature": 4.0},
    "kl_spatial, prediction first": {"direction": "prediction-first"},
    "kl_spatial, both": {"direction": "both"},
    "kl_spatial, windows of 32": {"window": 32},
    "kl_spatial, windows of 16": {"window": 16},
    "kl_histogram": {},
    "wasserstein": {},
    "ssi": {},
    "patch_ssi": {"window": 32},
    "rank": {},
    "pearson": {},
    "pearson, windows of 32": {"window": 32},
    "gradient": {},
    "gradient, one scale": {"options": {"scales": 1}},
    "aligned_l1": {},
}
SWITCHES: dict[str, dict[str, Any]] = {
    "": {},
    "sharpen": {"sharpen": 1.0},
    "local": {"local": 0.15},
    "trust": {"trust": 2.0, "trust_cell": 16},
    "sharpen, local": {"sharpen": 1.0, "local": 0.15},
}
REGIONS = {"all": "all", "edge": "edges", "above": "no labels"}
STUDENTS = ("soft", "matcher")
FIRST_SEED = 2_000_000  # scenes that no training sees


class _Given(nn.Module):
    """A matcher that answers what it is told."""

    answer: Tensor

    def forward(self, *_: Any, **__: Any) -> MatcherOutput:
        return MatcherOutput((self.answer,))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--size", type=int, nargs=2, default=(128, 224))
    parser.add_argument("--matcher", default="embedded")
    parser.add_argument("--cache", type=Path, help="folder that keeps the rendered scenes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = _measured(options, options.cache or Path(temporary))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    heads = [f"{student}: {region}" for student in STUDENTS for region in REGIONS.values()]
    print(f"| form | {' | '.join(heads)} | share at edges | pixels |\n|{'---|' * (len(heads) + 3)}")
    for form, row in found.items():
        print(f"| {form} | {' | '.join(_cells(row))} |")


def _cells(row: Mapping[str, Mapping[str, float]]) -> list[str]:
    helpful = [f"{row[student][f'helpful/{region}']:+.2f}" for student in STUDENTS for region in REGIONS]
    return helpful + [f"{100 * row['matcher'][name]:.0f} %" for name in ("share/edge", "pixels")]


def _measured(options: argparse.Namespace, cache: Path) -> dict[str, dict[str, dict[str, float]]]:
    rows: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    forms = {
        f"{form}{' + ' if switch else ''}{switch}": {"variant": form.split(",")[0], "local": 0.0, **settings, **more}
        for form, settings in FORMS.items()
        for switch, more in SWITCHES.items()
        if not switch or form in ("kl_spatial", "kl_spatial, windows of 16", "patch_ssi", "gradient", "aligned_l1")
    }
    for student, batch, regions in _cases(options, cache):
        for form, settings in forms.items():
            for name, value in _pull(settings, batch, regions).items():
                rows[form][student][name].append(value)
    return {
        form: {
            student: {name: _mean(values) for name, values in figures.items()} for student, figures in students.items()
        }
        for form, students in rows.items()
    }


def _cases(options: argparse.Namespace, cache: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Tensor]]]:
    """Student, batch of one with its `answer`, and the regions."""
    scenes = scanned_scenes(
        cache, 0, count=options.scenes, size=options.size, lidar={}, errors={}, first_seed=FIRST_SEED
    )
    matcher = load_matcher(options.matcher)
    for index in range(len(scenes)):
        batch, regions = pair_of(scenes[index]), regions_of(scenes[index])
        truth = batch["disparity"]
        answers = {"soft": _soft(truth, index)}
        with torch.no_grad():
            answers["matcher"] = matcher(batch["left"], batch["right"]).disparity.float()
        for student, answer in answers.items():
            yield student, {**batch, "answer": answer, "truth": truth}, regions


def pair_of(sample: StereoSample) -> dict[str, Any]:
    """A batch of one: views, dense disparity with `valid` where it was scanned, and the teacher."""
    batch: dict[str, Any] = {name: sample.views[name][None] for name in ("left", "right")}
    batch |= {"disparity": sample.extras["dense_disparity"][None].float(), "valid": sample.valid[None]}
    return batch | {name: sample.extras[name][None] for name in ("teacher", "teacher_valid")}


def regions_of(sample: StereoSample) -> dict[str, Tensor]:
    """Masks of the surfaces: all of them, near steps, and above the highest scan line."""
    surface = ~sample.extras["sky"][None].bool()
    top = int(sample.valid[0].any(1).to(torch.uint8).argmax())
    above = torch.zeros_like(surface)
    above[:, :, :top] = True
    near = near_steps(sample.extras["dense_disparity"][None].float(), step_px=2.0, radius=5)
    return {"all": surface, "edge": surface & near, "above": surface & above}


def _soft(truth: Tensor, seed: int) -> Tensor:
    """Edges blurred over some 7 px, an error of 1 px that changes slowly, and noise of 0.2 px."""
    generator = np.random.default_rng(seed)
    values = cv2.GaussianBlur(truth[0, 0].numpy(), (0, 0), 2.0)
    height, width = values.shape
    slow = cv2.resize(generator.normal(0, 1, (4, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = values + slow + generator.normal(0, 0.2, values.shape).astype(np.float32)
    return torch.from_numpy(noisy.astype(np.float32))[None, None]


def _pull(settings: Mapping[str, Any], batch: Mapping[str, Any], regions: Mapping[str, Tensor]) -> dict[str, float]:
    network = _Given()
    network.answer = batch["answer"].clone().requires_grad_()
    objective = S2DKD(gradient_target=None, supervised={"iterations": 1}, **settings)
    terms = objective({"matcher": network}, batch, 0, [torch.Generator().manual_seed(0)])
    (slope,) = torch.autograd.grad(terms["distillation"][0], network.answer)
    size = slope.abs()
    helpful = -slope * (batch["truth"] - batch["answer"]).sign()
    total = float(size.sum())
    found = {"pixels": total**2 / max(1e-30, float(size.square().sum()) * size.numel())}
    for name, region in regions.items():
        part = float(size[region].sum())
        found[f"share/{name}"] = part / max(total, 1e-30)
        found[f"helpful/{name}"] = float(helpful[region].sum()) / part if part > 0 else math.nan
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


if __name__ == "__main__":
    main()
