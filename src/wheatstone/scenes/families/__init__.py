"""Scene families: each draws a whole scene from a generator. `FAMILIES` gives the generators and how often they are drawn."""

from collections.abc import Callable

import numpy as np

from wheatstone.scenes.families.closeup import closeup, portrait
from wheatstone.scenes.families.indoor import room, table_top
from wheatstone.scenes.families.nature import nature
from wheatstone.scenes.families.soup import soup
from wheatstone.scenes.families.street import street
from wheatstone.scenes.world import Builder, Number, Scene

__all__ = ["FAMILIES", "draw_family"]

# name -> (generator, weight)
FAMILIES: dict[str, tuple[Callable[[Builder, tuple[int, int]], Scene], Number]] = {
    "street": (street, 0.2),
    "room": (room, 0.28),
    "table": (table_top, 0.16),
    "nature": (nature, 0.14),
    "portrait": (portrait, 0.1),
    "closeup": (closeup, 0.07),
    "soup": (soup, 0.05),
}


def draw_family(rng: np.random.Generator) -> str:
    """Draw the name of a family by weight."""
    names = list(FAMILIES)
    weights = np.array([FAMILIES[name][1] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]
