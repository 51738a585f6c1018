"""Recipes of stereo matchers: supervised, stereo from mono (MfS), ZeroStereo, and small ones that run anywhere.

The full ones carry the published numbers. What all of them share in the originals: AdamW with PyTorch's betas on every parameter,
a linear one-cycle with 1 % of warm-up, gradients clipped at norm 1, no running mean. Half precision is bfloat16 here, where
the originals use float16 with loss scaling (`precision="fp16"`).
"""

from dataclasses import replace
from typing import Any

from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule

__all__ = ["STEREO_RECIPES"]

_DATA = "wheatstone.training.stereo_data:stereo_pairs"
_RAFT = Build("wheatstone.matching.raft_stereo:RaftStereo")
_IGEV = Build("wheatstone.matching.igev_stereo:IgevStereo")
_PSMNET = Build("wheatstone.matching.psmnet:PsmNet")
_EVALUATE = Build("wheatstone.training.validation:matcher_evaluation", {"dataset": None, "protocol": "zerostereo"})
_EVALUATE_ANY = Build(_EVALUATE.target, {"dataset": None})  # rendered scenes too, for which no protocol was published

# Two cameras of one rig and nothing else: RAFT-Stereo's and IGEV-Stereo's own augmentation has no noise and no blur.
_SUPERVISED_AUGMENTATION: dict[str, Any] = {"noise": 0.0, "blur": 0.0}
# MfS draws brightness, contrast and saturation of the right view in 0.8..1.2 and then, half of the time, of both in the same
# range with a hue of 0.1; here one draw of these ranges, each view its own half of the time. No scale, no covered patches.
_MFS_AUGMENTATION: dict[str, Any] = {
    "crop": (320, 608),
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": (0.8, 1.2),
    "hue": 0.05,
    "asymmetric": 0.5,
    "erase": 0.0,
    "scale": (0.0, 0.0),
    "stretch": 0.0,
    "vertical_jitter": 0,
}
# Pictures at least 800 wide, 192 columns of which only one camera sees; a range in pixels, whatever the picture.
_MFS_MAKING: dict[str, Any] = {
    "rule": "uniform:low_px=50,high_px=192,official=true",
    "fill": "background",
    "dilate": 0,
    "window": (320, 800),
    "trim": 192,
    "mirror": 0.5,
    "confident": False,
}


def _published(name: str, about: str, matcher: Build, objective: Build, data: dict[str, Any], decay: float) -> Recipe:
    """A recipe with what the published trainings share."""
    return Recipe(
        name=name,
        about=about,
        parts={"matcher": matcher},
        objective=objective,
        data=Build(_DATA, data),
        steps=200_000,
        batch=8,
        optimiser=Optimiser(lr=2e-4, weight_decay=decay, betas=(0.9, 0.999), decay_all=True),
        schedule=Schedule("one-cycle", warmup=0.01, initial=0.04, final=4e-6),
        precision="bf16",
        clip_norm=1.0,
        ema_decay=None,
        evaluate=_EVALUATE,
        evaluate_every=10_000,
        save_every=1000,
    )


def _sequence(**options: Any) -> Build:
    return Build("wheatstone.objectives.sequence:SequenceLoss", options)


def _zerostereo(form: str, **options: Any) -> Build:
    return Build("wheatstone.objectives.zerostereo:ZeroStereoLoss", {"form": form, **options})


_RAFT_SUPERVISED = _published(
    "raft-supervised",
    "RAFT-Stereo on pairs with true disparity (--data), with the authors' numbers",
    _RAFT,
    _sequence(iterations=22),
    {"augmentation": {"crop": (320, 720), **_SUPERVISED_AUGMENTATION}},
    decay=1e-5,
)
_IGEV_SUPERVISED = _published(
    "igev-supervised",
    "IGEV-Stereo on pairs with true disparity (--data), with the authors' numbers",
    _IGEV,
    _sequence(iterations=22, max_disparity=192.0, initial=1.0),
    {"augmentation": {"crop": (320, 736), **_SUPERVISED_AUGMENTATION}},
    decay=1e-5,
)
_ZEROSTEREO_DATA: dict[str, Any] = {
    "augmentation": {"crop": (384, 512)},
    "depth": "depth-anything-v2-large",
    "fill": "embedded",
}
_ZEROSTEREO_RAFT = _published(
    "zerostereo-raft",
    "RAFT-Stereo with ZeroStereo's loss, from what `generate` wrote, MfS35K, or photos (--data)",
    _RAFT,
    _zerostereo("raft", iterations=22),
    _ZEROSTEREO_DATA,
    decay=0.01,
)
_ZEROSTEREO_IGEV = _published(
    "zerostereo-igev",
    "IGEV-Stereo with ZeroStereo's loss, from what `generate` wrote, MfS35K, or photos (--data)",
    _IGEV,
    _zerostereo("igev", iterations=22),
    _ZEROSTEREO_DATA,
    decay=0.01,
)
_MFS = Recipe(
    name="mfs",
    about="PSMNet by stereo from mono: photos (--data), background fill, a range in pixels",
    parts={"matcher": _PSMNET},
    objective=_sequence(weights=(1 / 3, 1 / 3, 1 / 3), max_disparity=192.0, saturate=True),
    data=Build(_DATA, {"augmentation": _MFS_AUGMENTATION, "depth": "dpt-large", **_MFS_MAKING}),
    steps=250_000,
    batch=2,
    optimiser=Optimiser(lr=1e-3, weight_decay=0.0, betas=(0.9, 0.999)),
    schedule=Schedule("constant", warmup=0.0),  # the published drop every 5 epochs is never reached
    clip_norm=None,
    ema_decay=None,
    evaluate=_EVALUATE,
    evaluate_every=10_000,
    save_every=1000,
)
# ZeroStereo's comparison: the data of MfS, the networks, depth and training of ZeroStereo, no confidence.
_MFS_COMPARISON: dict[str, Any] = {
    "augmentation": {"crop": (320, 512)},
    "depth": "depth-anything-v2-large",
    **_MFS_MAKING,
}
_MFS_RAFT = _published(
    "mfs-raft",
    "ZeroStereo's baseline: RAFT-Stereo on the pairs of stereo from mono, from photos (--data)",
    _RAFT,
    _sequence(iterations=22),
    _MFS_COMPARISON,
    decay=0.01,
)
_MFS_IGEV = _published(
    "mfs-igev",
    "ZeroStereo's baseline: IGEV-Stereo on the pairs of stereo from mono, from photos (--data)",
    _IGEV,
    _sequence(iterations=22, max_disparity=192.0, initial=1.0),
    _MFS_COMPARISON,
    decay=0.01,
)

_SMALL_RAFT = Build(
    _RAFT.target,
    {"hidden_dims": (32, 32, 32), "n_downsample": 3, "n_gru_layers": 2, "shared_backbone": True, "iterations": 6},
)
_SMALL_IGEV = Build(
    _IGEV.target, {"hidden_dims": (32, 32, 32), "n_gru_layers": 1, "max_disparity": 64, "iterations": 6}
)
_SMALL_DATA: dict[str, Any] = {
    "augmentation": {"crop": (128, 192), "erase_px": (12, 32)},
    "scenes": 300,
    "size": (240, 320),
}


def _small(recipe: Recipe, matcher: Build, about: str, without: str, **changes: Any) -> Recipe:
    """The same training at a size for minutes on one CPU core; from rendered scenes when no data is given."""
    # a volume that ends earlier can be taught no more than its range, as the published one is taught up to 192 px
    limit = {"max_disparity": float(matcher.options["max_disparity"])} if "max_disparity" in matcher.options else {}
    objective = replace(recipe.objective, options={**recipe.objective.options, "iterations": 6, **limit})
    given = changes.pop("data", {})
    data = {**recipe.data.options, "depth": "embedded", **_SMALL_DATA, "without": without, **given}
    small = replace(
        recipe,
        name=f"{recipe.name}-small",
        about=about,
        parts={"matcher": matcher},
        objective=objective,
        data=replace(recipe.data, options=data),
        steps=300,
        batch=4,
        optimiser=replace(recipe.optimiser, lr=1e-3),
        schedule=replace(recipe.schedule, warmup=0.05),
        precision="no",
        evaluate=_EVALUATE_ANY,
        evaluate_every=100,
        save_every=50,
        log_every=10,
    )
    return replace(small, **changes)


_MINUTES = "{} at a size for minutes on a CPU, from rendered {} unless --data names something"
_SMALL = (
    _small(_RAFT_SUPERVISED, _SMALL_RAFT, _MINUTES.format("raft-supervised", "pairs"), "pairs"),
    _small(_IGEV_SUPERVISED, _SMALL_IGEV, _MINUTES.format("igev-supervised", "pairs"), "pairs", batch=2),
    _small(_ZEROSTEREO_RAFT, _SMALL_RAFT, _MINUTES.format("zerostereo-raft", "single views"), "pictures"),
    _small(_ZEROSTEREO_IGEV, _SMALL_IGEV, _MINUTES.format("zerostereo-igev", "single views"), "pictures", batch=2),
    _small(
        _MFS_RAFT,
        _SMALL_RAFT,
        _MINUTES.format("mfs-raft", "single views"),
        "pictures",
        name="mfs-small",
        # the same shares of a width of 320 as 50, 192 and 192 of 800
        data={"rule": "uniform:low_px=20,high_px=77,official=true", "window": (240, 320), "trim": 77},
    ),
)

STEREO_RECIPES: tuple[Recipe, ...] = (
    _RAFT_SUPERVISED,
    _IGEV_SUPERVISED,
    _MFS,
    _MFS_RAFT,
    _MFS_IGEV,
    _ZEROSTEREO_RAFT,
    _ZEROSTEREO_IGEV,
    *_SMALL,
)
"""The recipes of this module, in the order of `wheatstone train list`."""
