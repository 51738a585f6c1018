"""What is trained: the first stage, once, and the second one with every teacher, variant and seed."""

import argparse
import json
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rows import Run

from wheatstone.objectives.s2dkd import S2DKD, VARIANTS
from wheatstone.training import Build, Recipe, recipes
from wheatstone.training.order import DataSource

BEFORE, SPARSE, DENSE = "before", "sparse", "dense"
PLAIN = {
    BEFORE: "before fine-tuning",
    SPARSE: "sparse truth alone",
    DENSE: "dense truth (out of reach)",
}
"""Rows without a teacher."""

TEACHERS = {"spoilt": "spoilt true depth", "estimated": "embedded depth"}
NARROW, SHIPPED = "narrow", "shipped"
SHIPPED_MATCHER = Build("wheatstone.matching.embedded:EmbeddedMatcher", {"start": "none"})
"""The matcher that ships, without semi-global matching to start from, which would hand its own edges through."""

PULL = 4.0
"""Gradient of the teacher as a share of that of the truth, unless told otherwise."""

_PLAIN_TEACHER = "none"
_FIRST, _SECOND = recipes["mono2stereo-pretrain-small"], recipes["mono2stereo-finetune-small"]
DEFAULT: str = _SECOND.objective().variant
"""The form that the recipes train with."""


@dataclass(frozen=True)
class Trial(Run):
    """A fine-tuning; `depth` is its teacher, `row` the variant."""

    base: str = field(default="", compare=False)
    """Name of the pre-trained matcher it starts from."""

    @property
    def name(self) -> str:
        return f"{super().name}-{self.base[-8:]}" if self.base else super().name


def base_of(options: argparse.Namespace) -> str:
    """Name of the matcher that every row starts from."""
    return SHIPPED if options.matcher == SHIPPED else pretraining(options).name


def pretraining(options: argparse.Namespace) -> Trial:
    """The first stage: pairs made of the left views of rendered scenes, with spoilt depth."""
    making = {
        **{name: value for name, value in _FIRST.data.options.items() if name != "confident"},
        "augmentation": _augmentation(_FIRST, options),
        "scenes": options.pretrain_scenes,
        "size": tuple(options.size),
        "draws": 1,
        "confident": False,
    }
    recipe = _sized(_FIRST, options, Build("pairs:series_pairs", making), options.pretrain_steps)
    return Trial(_PLAIN_TEACHER, "pretrain", 0, recipe)


def fine_tunings(options: argparse.Namespace, steps: int) -> list[Trial]:
    """All fine-tunings: all rows with one seed, then with the next, so that a stopped series has whole tables."""
    base = base_of(options)
    rows = [(_PLAIN_TEACHER, SPARSE)]
    rows += [("spoilt", variant) for variant in options.variants]
    rows += [("estimated", variant) for variant in options.estimated_variants]
    rows += [(_PLAIN_TEACHER, DENSE)] if options.dense else []
    return [
        Trial(teacher, row, seed, _fine_tuning(options, teacher, row, seed, steps), base)
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for teacher, row in rows
    ]


def _fine_tuning(options: argparse.Namespace, teacher: str, row: str, seed: int, steps: int) -> Recipe:
    """All share everything but truth, teacher and variant."""
    augmentation = _augmentation(_SECOND, options)
    size = {"size": tuple(options.size), "augmentation": augmentation}
    supervised = dict(_SECOND.objective.options["supervised"])
    if row == DENSE:
        target = "taught:dense_pairs"
        data: dict[str, Any] = {**size, "scenes": options.scenes}
    else:
        target = "wheatstone.training.taught_data:taught_pairs"
        errors = {"blur": options.blur} if teacher != "estimated" else None
        data = {**size, "scenes": options.scenes, "without": "scenes", "teacher": "embedded", "errors": errors}
        data["lidar"] = lidar_of(options)
    if teacher == _PLAIN_TEACHER:
        loss = Build("wheatstone.objectives.sequence:SequenceLoss", supervised)
    else:
        chosen = {name: value for variant, name, value in options.set if variant in ("", row)}
        distilled = {"supervised": supervised, "variant": row, "gradient_target": _pull_of(options, row), **chosen}
        loss = Build("wheatstone.objectives.s2dkd:S2DKD", distilled)
    recipe = _sized(_SECOND, options, Build(target, data), steps)
    if options.matcher == SHIPPED:
        recipe = replace(recipe, parts={"matcher": SHIPPED_MATCHER})
    return replace(recipe, objective=loss, seed=seed, start={}, optimiser=replace(recipe.optimiser, lr=options.lr))


def lidar_of(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of the scanner."""
    return {"spacing": options.spacing, "step": options.step, "mixed_px": options.mixed}


def _augmentation(recipe: Recipe, options: argparse.Namespace) -> dict[str, Any]:
    return {**recipe.data.options["augmentation"], "crop": tuple(options.crop)}


def _sized(recipe: Recipe, options: argparse.Namespace, data: Build, steps: int) -> Recipe:
    return replace(
        recipe,
        data=data,
        steps=steps,
        batch=options.batch,
        precision=options.precision,
        evaluate=None,
        save_every=max(50, steps // 10),
        log_every=max(1, steps // 20),
    )


def source_of(trial: Trial, cache: Path) -> DataSource:
    """The data of a training; its seed draws the scans."""
    source: DataSource = trial.recipe.data(folder=cache, cache=cache, seed=trial.seed)
    return source


def known_variants() -> list[str]:
    return list(VARIANTS)


def setting(text: str) -> tuple[str, str, Any]:
    """`NAME=JSON` or `VARIANT:NAME=JSON` as typed: variant ("" for all), name and value."""
    left, _, value = text.partition("=")
    variant, _, name = left.rpartition(":")
    known = {entry.name for entry in fields(S2DKD)} - {"supervised", "variant", "gradient_target"}
    if (variant and variant not in VARIANTS) or name not in known:
        raise argparse.ArgumentTypeError(f"{text!r}: no such variant or setting; there are {', '.join(sorted(known))}")
    try:
        return variant, name, json.loads(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {value!r} is not JSON") from None


def pull(text: str) -> tuple[str, float]:
    """`SHARE` or `VARIANT=SHARE` as typed: name ("" for all) and number."""
    name, _, number = text.rpartition("=")
    if name and name not in VARIANTS:
        raise argparse.ArgumentTypeError(f"{text!r}: no such variant; there are {', '.join(VARIANTS)}")
    try:
        share = float(number)
    except ValueError:
        share = 0.0
    if not share > 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a share must be positive")
    return name, share


def _pull_of(options: argparse.Namespace, variant: str) -> float:
    shares = dict(options.pull)
    return float(shares.get(variant, shares.get("", PULL)))
