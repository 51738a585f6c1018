"""Recipes of Mono2Stereo: pre-training on pairs made of photos, fine-tuning on sparse truth with a monocular teacher.

Nothing about the training of the original is known but its two stages; the numbers here are ours, after its relatives (see
docs/mono2stereo.md, which names each).
"""

from dataclasses import replace
from typing import Any

from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule

__all__ = ["MONO2STEREO_RECIPES"]

_EVALUATE = Build("wheatstone.training.validation:matcher_evaluation", {"dataset": None})
_MATCHER = Build("wheatstone.matching.raft_stereo:RaftStereo")
_AUGMENTATION: dict[str, Any] = {
    "crop": (320, 736),
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": (0.8, 1.2),
    "hue": 0.01,
}
_MAKING: dict[str, Any] = {
    "rule": "adaptive:center=0.15,radius=0.1",
    "fill": "edge-aware",
    "depth": "depth-anything-v2-large",
    "mirror": 0.5,
    "confident": False,
}

# What the development scenes of benchmarks/s2dkd chose; the objective's own default is the form that is quoted.
_DISTILLATION: dict[str, Any] = {"variant": "pearson", "steps": "all"}

_PRETRAIN = Recipe(
    name="mono2stereo-pretrain",
    about="Mono2Stereo's first stage: RAFT-Stereo on pairs made of photos (--data)",
    parts={"matcher": _MATCHER},
    objective=Build("wheatstone.objectives.sequence:SequenceLoss", {"iterations": 22}),
    data=Build("wheatstone.training.stereo_data:stereo_pairs", {"augmentation": _AUGMENTATION, **_MAKING}),
    steps=150_000,
    batch=8,
    optimiser=Optimiser(lr=2e-4, weight_decay=1e-5, betas=(0.9, 0.999), decay_all=True),
    schedule=Schedule("one-cycle", warmup=0.01, initial=0.04, final=4e-6),
    precision="bf16",
    ema_decay=None,
    evaluate=_EVALUATE,
    evaluate_every=10_000,
    save_every=1000,
)
_FINETUNE = replace(
    _PRETRAIN,
    name="mono2stereo-finetune",
    about="Mono2Stereo's second stage: sparse truth (--data) and a monocular teacher (S2DKD), from the first stage (--start)",
    objective=Build("wheatstone.objectives.s2dkd:S2DKD", {"supervised": {"iterations": 22}, **_DISTILLATION}),
    data=Build(
        "wheatstone.training.taught_data:taught_pairs",
        {
            "augmentation": {**_AUGMENTATION, "erase": 0.0},
            "teacher": "depth-anything-v2-large",
            "replay": 0.2,
            "replay_density": 0.2,
            "replay_from": None,
            "replay_making": _MAKING,
        },
    ),
    start={"matcher": None},
    steps=20_000,
    optimiser=replace(_PRETRAIN.optimiser, lr=2e-5),
    evaluate_every=1000,
)

# Hundreds of steps on a CPU core have to say something: the architecture that ships, far narrower, without a start from
# semi-global matching, which would hand its own edges through.
_SMALL_MATCHER = Build(
    "wheatstone.matching.embedded:EmbeddedMatcher",
    {"iterations": 3, "widths": (8, 16, 24, 32), "volume": 8, "hidden": (16, 8), "start": "none"},
)
_SMALL_LOSS: dict[str, Any] = {"iterations": 3, "initial": 0.3}
_SMALL_SIZE: dict[str, Any] = {"scenes": 300, "size": (128, 224)}
_SMALL_AUGMENTATION: dict[str, Any] = {
    **_AUGMENTATION,
    "crop": (64, 160),
    "erase_px": (8, 24),
    "vertical_jitter": 1,
}
_SMALL_MAKING: dict[str, Any] = {**_MAKING, "depth": "embedded", "degrade": 1.0}
_SMALL_TRAINING: dict[str, Any] = {
    "parts": {"matcher": _SMALL_MATCHER},
    "batch": 4,
    "precision": "no",
    "save_every": 50,
    "log_every": 10,
}
_PRETRAIN_SMALL = replace(
    _PRETRAIN,
    name="mono2stereo-pretrain-small",
    about="mono2stereo-pretrain at a size for minutes on a CPU, from rendered single views unless --data names something",
    objective=replace(_PRETRAIN.objective, options=_SMALL_LOSS),
    data=replace(
        _PRETRAIN.data,
        options={"augmentation": _SMALL_AUGMENTATION, **_SMALL_SIZE, **_SMALL_MAKING, "without": "pictures"},
    ),
    steps=800,
    optimiser=replace(_PRETRAIN.optimiser, lr=1.5e-3),
    schedule=replace(_PRETRAIN.schedule, warmup=0.05),
    evaluate_every=200,
    **_SMALL_TRAINING,
)
_FINETUNE_SMALL = replace(
    _FINETUNE,
    name="mono2stereo-finetune-small",
    about="mono2stereo-finetune at a size for minutes on a CPU (--start), from scanned rendered pairs without --data",
    # the force that was measured, where the teacher knows more than the student; of an estimator and real pairs it may be less
    objective=replace(
        _FINETUNE.objective, options={"supervised": _SMALL_LOSS, **_DISTILLATION, "gradient_target": 8.0}
    ),
    data=replace(
        _FINETUNE.data,
        options={
            "augmentation": {**_SMALL_AUGMENTATION, "erase": 0.0},
            "teacher": "embedded",
            "without": "scenes",
            **_SMALL_SIZE,
            "errors": {},
            "lidar": {},
            "replay": 0.2,
            "replay_density": 0.05,
            "replay_from": None,
            "replay_making": _SMALL_MAKING,
        },
    ),
    steps=150,
    optimiser=replace(_FINETUNE.optimiser, lr=5e-4),
    schedule=replace(_FINETUNE.schedule, warmup=0.05),
    evaluate_every=50,
    **_SMALL_TRAINING,
)

MONO2STEREO_RECIPES: tuple[Recipe, ...] = (_PRETRAIN, _FINETUNE, _PRETRAIN_SMALL, _FINETUNE_SMALL)
"""The recipes of this module, in the order of `wheatstone train list`."""
