"""What is trained: the rows of the table, and the recipe of every run."""

import argparse
import json
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from wheatstone.training import Build, Recipe, recipes

ADAPTIVE = "adaptive"  # of the width of the picture
PIXELS = (50 / 800, 192 / 800)  # of the nominal width: stereo from mono draws 50..192 px for pictures 800 px wide
SUPERVISED = "supervised"
_HARMLESS = ("name", "about", "save_every", "log_every")  # fields of a recipe that do not change its outcome


@dataclass(frozen=True)
class Variant:
    """A row of the paper's table: what pairs are made of, and what the loss looks at."""

    title: str
    adaptive: bool
    """Range of the disparity as a share of the width (ADS), else in pixels."""
    painted: bool
    """Holes of the right view are painted, else another picture shows through."""
    confident: bool = False
    """Disparity is weighed by its confidence (TCG)."""
    photometric: bool = False
    """What is not confident is compared by its looks: the full loss."""
    before: str = ""
    """The row it is compared with."""


ROWS = {
    "baseline": Variant("baseline: background fill, range in pixels", adaptive=False, painted=False),
    "ads": Variant("+ ADS", adaptive=True, painted=False, before="baseline"),
    "inpainting": Variant("+ inpainting", adaptive=False, painted=True, before="baseline"),
    "both": Variant("+ ADS + inpainting", adaptive=True, painted=True, before="baseline"),
    "tcg": Variant("+ ADS + inpainting + TCG", adaptive=True, painted=True, confident=True, before="both"),
    "full": Variant("all, ZeroStereo loss", True, True, confident=True, photometric=True, before="tcg"),
}

_SMALL = {form: recipes[f"zerostereo-{form}-small"] for form in ("raft", "igev")}
# The architecture that ships, without semi-global matching: of the family of IGEV-Stereo (a start value from an aggregated
# volume, then recurrent steps), and the one that learns most in a CPU-minute.
_EMBEDDED = Build("wheatstone.matching.embedded:EmbeddedMatcher", {"start": "none", "iterations": 4})
MATCHERS: dict[str, tuple[Build, str]] = {
    "embedded": (_EMBEDDED, "igev"),
    "raft": (_SMALL["raft"].parts["matcher"], "raft"),
    "igev": (_SMALL["igev"].parts["matcher"], "igev"),
}


@dataclass(frozen=True)
class Run:
    """One training of the series."""

    depth: str
    row: str
    seed: int
    recipe: Recipe = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Of its files: what it is, and a digest of everything that decides its outcome."""
        deciding = {key: value for key, value in self.recipe.as_dict().items() if key not in _HARMLESS}
        text = json.dumps(deciding, sort_keys=True)
        return f"{self.depth}-{self.row}-{self.seed}-{sha256(text.encode()).hexdigest()[:8]}"


def result_file(out: Path, run: Run) -> Path:
    """Where the outcome of a run is kept; there is none before it is finished."""
    return out / "results" / f"{run.name}.json"


def all_runs(options: argparse.Namespace, steps: int) -> list[Run]:
    """All trainings, those first that make a complete table soonest."""
    depths = ["estimated"] if options.photos else options.depth
    runs: list[Run] = []
    for depth in depths:
        for seed in range(options.seeds):
            runs += [Run(depth, row, seed, _recipe(options, depth, row, seed, steps)) for row in options.rows]
    if not options.photos and options.supervised:
        true = [
            Run("true", SUPERVISED, seed, _recipe(options, "true", SUPERVISED, seed, steps))
            for seed in range(options.seeds)
        ]
        first = len(options.rows) * options.seeds
        runs[first:first] = true
    return runs


def _recipe(options: argparse.Namespace, depth: str, row: str, seed: int, steps: int) -> Recipe:
    """The recipe of a run: all share everything but what the row names."""
    part, form = MATCHERS[options.matcher]
    small = _SMALL[form]
    augmentation = {**small.data.options["augmentation"], "crop": tuple(options.crop)}
    iterations = part.options["iterations"]
    loss: dict[str, Any] = {"form": form, "iterations": iterations, "confident": False}
    if row == SUPERVISED:
        settings = {"pairs": options.scenes, "size": tuple(options.size), "cameras": 0.0, "unlike": 0.0}
        data = Build("wheatstone.training.scene_pairs:scene_pairs", {**settings, "augmentation": augmentation})
    else:
        variant = ROWS[row]
        loss |= {"confident": variant.confident, "photometric": variant.photometric}
        making: dict[str, Any] = {
            "rule": ADAPTIVE if variant.adaptive else _pixel_range(options),
            "fill": _filler(options.filler) if variant.painted else "background",
            "degrade": None if depth == "estimated" else options.degrade,
            "depth": options.estimator,
            "max_side": options.max_side,
        }
        data = replace(
            small.data, options={**small.data.options, "scenes": options.scenes, "size": tuple(options.size)}
        )
        data = replace(data, options={**data.options, "augmentation": augmentation, **making})
    return replace(
        small,
        name=f"ablation-{row}",
        about="a run of benchmarks/zerostereo_ablation",
        parts={"matcher": part},
        objective=replace(small.objective, options=loss),
        data=data,
        steps=steps,
        batch=options.batch,
        precision=options.precision,
        optimiser=replace(small.optimiser, lr=options.lr),
        seed=seed,
        evaluate=None,
        save_every=max(500, steps // 10),
        log_every=max(1, steps // 20),
    )


def _pixel_range(options: argparse.Namespace) -> str:
    """The same pixels for every picture: the published shares of the nominal width."""
    width = options.max_side if options.photos else options.size[1]
    low, high = (round(share * width) for share in PIXELS)
    return options.range or f"uniform:low_px={low},high_px={high}"


def _filler(text: str) -> str:
    """`zerostereo=PATH` is the inpainter in that folder; anything else is a name that `load_synthesizer` knows."""
    return text.partition("=")[2] or text
