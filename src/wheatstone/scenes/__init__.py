"""Procedural worlds with exact truth: scenes drawn from a seed and rendered by a small ray caster.

    render_scene(7)                                        left and right at 192 x 320, with all truth
    render_scene(7, size=(384, 640), baselines=(-1, 0, 0.5, 1, 2), family="street", frames=3)
    depth_view(7)                                          image, inverse depth, sky: the cheap path for training depth
    scene_sample(7)                                        the same as a `StereoSample`

Everything depends on the seed and the arguments alone. Neighbouring seeds share a texture pool (4000 a pool; a pool takes
a second to make and the last two are kept), so render blocks of consecutive seeds in one process. Seeds from `HELD_OUT`
on are reserved for tests and evaluation: their scenes use textures of their own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wheatstone.scenes.draw import HELD_OUT
    from wheatstone.scenes.families import FAMILIES
    from wheatstone.scenes.truth import DepthView, SceneRender, depth_view, render_scene, scene_sample, view_name

__all__ = [
    "FAMILIES",
    "HELD_OUT",
    "VERSION",
    "DepthView",
    "SceneRender",
    "depth_view",
    "render_scene",
    "scene_sample",
    "view_name",
]

VERSION = 1
"""Raised whenever a seed gives another picture or another world; part of the configuration of rendered data sets."""

# numba is an extra: nothing that needs it is imported before it is asked for.
_PLACES = dict.fromkeys(
    ("DepthView", "SceneRender", "depth_view", "render_scene", "scene_sample"), "wheatstone.scenes.truth"
)
_PLACES |= {"HELD_OUT": "wheatstone.scenes.draw", "FAMILIES": "wheatstone.scenes.families"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
