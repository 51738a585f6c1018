"""The table of recipes: a name for everything `wheatstone train` can make."""

from wheatstone.training.ea_filler import EA_FILLER
from wheatstone.training.embedded_matcher import EMBEDDED_MATCHER
from wheatstone.training.genstereo import GENSTEREO_RECIPES
from wheatstone.training.inpainter import INPAINTER_RECIPES
from wheatstone.training.mono2stereo import MONO2STEREO_RECIPES
from wheatstone.training.recipe import Build, Optimiser, Recipe, Schedule
from wheatstone.training.stereo_recipes import STEREO_RECIPES

__all__ = ["recipes"]

_SCENE_SIZE = (240, 320)

_EMBEDDED_DEPTH = Recipe(
    name="embedded-depth",
    about="the placeholder depth that ships: relative inverse depth from rendered scenes alone",
    parts={"depth": Build("wheatstone.depth.embedded:EmbeddedDepth")},
    objective=Build("wheatstone.objectives.relative_depth:RelativeDepth", {"gradient": 3.0}),
    data=Build(
        "wheatstone.training.embedded_data:depth_views",
        {
            "pairs": 2000,
            "singles": 5500,
            "size": _SCENE_SIZE,
            "areas": ((0, 24576), (7400, 49152)),
            "pools": ((0, 600), (300, 1200), (800, 2500), (2000, 4000), (2700, 7500)),
        },
    ),
    steps=14400,
    batch=8,
    optimiser=Optimiser(lr=8e-4, weight_decay=0.02),
    schedule=Schedule("cosine", warmup=0.02, final=0.005),
    precision="bf16",
    ema_decay=0.999,
    save_every=250,
    save_dtype="float16",
)

_EMBEDDED_FILLER = Recipe(
    name="embedded-filler",
    about="the hole filler that ships: better than row copies, from rendered scenes alone",
    parts={"filler": Build("wheatstone.synthesis.embedded:EmbeddedFiller", {"decision": 3.0})},
    objective=Build("wheatstone.objectives.hole_fill:HoleFill", {"grain": 0.08}),
    data=Build(
        "wheatstone.training.embedded_data:fill_pairs",
        {
            "pairs": 2000,
            "size": _SCENE_SIZE,
            "crop": (128, 192),
            "pools": ((0, 250), (300, 600), (800, 1200), (1900, 2000)),
        },
    ),
    steps=3600,
    batch=8,
    optimiser=Optimiser(lr=1.0e-3, weight_decay=0.01),
    schedule=Schedule("cosine", warmup=0.02, final=0.005),
    precision="bf16",
    ema_decay=0.999,
    save_every=250,
    save_dtype="float16",
)

recipes: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _EMBEDDED_DEPTH,
        _EMBEDDED_FILLER,
        EA_FILLER,
        EMBEDDED_MATCHER,
        *STEREO_RECIPES,
        *INPAINTER_RECIPES,
        *GENSTEREO_RECIPES,
        *MONO2STEREO_RECIPES,
    )
}
"""Name to recipe; `wheatstone train NAME OUT` runs one."""
