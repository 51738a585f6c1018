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
STARTED = "started"
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
# The architecture that ships, narrower: of the family of IGEV-Stereo (a start value from an aggregated volume, then recurrent
# steps). With semi-global matching to start from, as it ships, it needs the fewest steps.
_NARROW = {"iterations": 3, "widths": (16, 32, 48, 64), "volume": 8, "hidden": (32, 16)}
_EMBEDDED = Build("wheatstone.matching.embedded:EmbeddedMatcher", {**_NARROW, "start": "none"})
_WITH_START = Build("wheatstone.matching.embedded:EmbeddedMatcher", {**_NARROW, "start": "sgbm"})
MATCHERS: dict[str, tuple[Build, str]] = {
    STARTED: (_WITH_START, "igev"),
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
    """All trainings: all rows with one seed, then with the next, so that a stopped series has whole tables."""
    depths = ["estimated"] if options.photos else options.depth
    runs: list[Run] = []
    for seed in range(options.seeds):
        for depth in depths:
            rows = options.estimated_rows or options.rows if depth == "estimated" else options.rows
            runs += [Run(depth, row, seed, recipe_of(options, depth, row, seed, steps)) for row in rows]
    if options.supervised and not options.photos:
        seeds = range(options.seeds)
        runs += [Run("true", SUPERVISED, seed, recipe_of(options, "true", SUPERVISED, seed, steps)) for seed in seeds]
    return runs


def recipe_of(options: argparse.Namespace, depth: str, row: str, seed: int, steps: int) -> Recipe:
    """The recipe of a run: all share everything but what the row names."""
    part, form = MATCHERS[options.matcher]
    small = _SMALL[form]
    augmentation = {**small.data.options["augmentation"], "crop": tuple(options.crop)}
    iterations = part.options["iterations"]
    started = part.options.get("start") == "sgbm"
    loss: dict[str, Any] = {"form": form, "iterations": iterations, "confident": False}
    if "max_disparity" in part.options:  # a volume that ends there can be taught no more
        loss["max_disparity"] = float(part.options["max_disparity"])
    if row == SUPERVISED:
        settings = {"pairs": options.scenes, "size": tuple(options.size), "cameras": 0.0, "unlike": 0.0}
        settings["start"] = 1.0 if started else None
        data = Build("wheatstone.training.scene_pairs:scene_pairs", {**settings, "augmentation": augmentation})
    else:
        variant = ROWS[row]
        loss |= {"confident": variant.confident, "photometric": variant.photometric}
        making: dict[str, Any] = {
            **{name: value for name, value in small.data.options.items() if name != "confident"},
            "scenes": options.scenes,
            "size": tuple(options.size),
            "augmentation": augmentation,
            "rule": ADAPTIVE if variant.adaptive else _pixel_range(options),
            "fill": _filler(options.filler) if variant.painted else "background",
            "degrade": None if depth == "estimated" else options.degrade,
            "depth": options.estimator,
            "max_side": options.max_side,
            "draws": options.draws,
            "started": started,
            "confident": variant.confident,
        }
        data = Build("pairs:series_pairs", making)
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
