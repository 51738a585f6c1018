"""Which way does each form of distillation move a matcher? Its gradient on scanned scenes, against dense truth on others.

    python benchmarks/distillation_step.py [--scenes 24] [--tests 16] [--matcher FOLDER] [--cache FOLDER]

The gradient of a loss with respect to the weights, the mean over training scenes, is where a fine-tuning would set out for. Dense
truth on scenes that the loss has not seen says where it should: the figures are cosines between the two, of the mean error
overall, within 5 px of edges, and above the highest scan line, where there are no labels. No step is made, so there is no
learning rate, no optimiser and no draw to be lucky with. `alone` is the teacher without any truth beside it, `with truth`
the sum in which it pulls at the predictions as hard as the truth does.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from distillation_pull import FIRST_SEED, FORMS, REGIONS, pair_of, regions_of
from torch import Tensor, nn

from wheatstone.matching import MatcherOutput, load_matcher
from wheatstone.objectives.s2dkd import S2DKD
from wheatstone.training.taught_data import scanned_scenes

SPARSE, DENSE = "sparse truth", "dense truth (out of reach)"
SWITCHED = {"kl_spatial, local": {"local": 0.15}, "kl_spatial, sharpen and local": {"local": 0.15, "sharpen": 1.0}}


class _Told(nn.Module):
    """A matcher that answers what another one has answered, so that many losses share one forward pass."""

    output: MatcherOutput

    def forward(self, *_: Any, **__: Any) -> MatcherOutput:
        return self.output


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--tests", type=int, default=16)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 160))
    parser.add_argument("--matcher", default="embedded", help="without its start, if it is the one that ships")
    parser.add_argument("--cache", type=Path, help="folder that keeps the rendered scenes")
    options = parser.parse_args()
    part = load_matcher(options.matcher, **({"start": "none"} if options.matcher == "embedded" else {}))
    network = part.network.eval().requires_grad_()
    with tempfile.TemporaryDirectory() as temporary:
        places = (("scenes", FIRST_SEED), ("tests", FIRST_SEED + 500))
        scenes, tests = (
            scanned_scenes(
                options.cache or Path(temporary),
                0,
                count=getattr(options, name),
                size=options.size,
                lidar={},
                errors={},
                first_seed=first,
            )
            for name, first in places
        )
        wanted = _wanted(network, part.iterations, tests)
        found = _proposed(network, part.iterations, scenes)
    heads = [f"{kind}: {region}" for kind in ("alone", "with truth") for region in REGIONS.values()]
    print(f"| loss | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}")
    for name, vector in found.items():
        pair = (vector, vector) if name in (SPARSE, DENSE) else (vector, vector + found[SPARSE])
        print(f"| {name} | " + " | ".join(f"{_cosine(one, wanted[r]):+.2f}" for one in pair for r in REGIONS) + " |")


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()).clamp(min=1e-30))


def _wanted(network: nn.Module, iterations: int, scenes: Any) -> dict[str, Tensor]:
    """Gradient of the mean true error by region, the mean over scenes."""
    sums: dict[str, list[Tensor]] = {name: [] for name in REGIONS}
    for index in range(len(scenes)):
        batch, sample = pair_of(scenes[index]), scenes[index]
        last = network(batch["left"], batch["right"], iterations).predictions[-1]
        for name, region in regions_of(sample).items():
            if region.any():
                sums[name].append(_gradient((last - batch["disparity"]).abs()[region].mean(), network))
    return {name: torch.stack(vectors).mean(0) for name, vectors in sums.items()}


def _proposed(network: nn.Module, iterations: int, scenes: Any) -> dict[str, Tensor]:
    """Gradient of every loss, the mean over scenes."""
    forms: Mapping[str, Mapping[str, Any]] = {
        **{name: {"variant": name.split(",")[0], "local": 0.0, **settings} for name, settings in FORMS.items()},
        **{name: {"variant": "kl_spatial", **settings} for name, settings in SWITCHED.items()},
    }
    sums: dict[str, list[Tensor]] = {SPARSE: [], **{name: [] for name in forms}, DENSE: []}
    told = _Told()
    for index in range(len(scenes)):
        batch = pair_of(scenes[index])
        told.output = network(batch["left"], batch["right"], iterations)
        for name, settings in forms.items():
            objective = S2DKD(gradient_target=1.0, steps="all", supervised={"iterations": iterations}, **settings)
            terms = objective({"matcher": told}, batch, 0, [torch.Generator().manual_seed(index)])
            sums[name].append(_gradient(_mean(terms["distillation"]), network))
        sums[SPARSE].append(_gradient(_mean(terms["sequence"]), network))
        surface = regions_of(scenes[index])["all"]
        terms = S2DKD(supervised={"iterations": iterations})({"matcher": told}, {**batch, "valid": surface}, 0, [])
        sums[DENSE].append(_gradient(_mean(terms["sequence"]), network))
    return {name: torch.stack(vectors).mean(0) for name, vectors in sums.items()}


def _mean(term: Sequence[Any]) -> Tensor:
    return term[0] / max(float(term[1]), 1.0)


def _gradient(loss: Tensor, network: nn.Module) -> Tensor:
    parameters = list(network.parameters())
    slopes = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(weight).flatten() if slope is None else slope.flatten()
            for weight, slope in zip(parameters, slopes, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
