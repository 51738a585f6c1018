"""A soup of floating things, for plain variety."""

import math

from wheatstone.scenes.families.light import daylight, focal
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.small_things import small_thing
from wheatstone.scenes.world import Builder, Motion, Scene, look, rotation

__all__ = ["soup"]


def soup(b: Builder, size: tuple[int, int]) -> Scene:
    """Things of all kinds floating before a far wall or the sky."""
    lights, env = daylight(b, 1e4, 0.3)
    if b.chance(0.7):
        b.box(
            (0, 0, b.uniform(7, 12)),
            (40, 40, 0.2),
            stuff(b, "anything", size=4),
            rotation(b.uniform(-25, 25), b.uniform(-15, 15)),
            shadow=False,
        )
    moving: Motion = {}
    for _ in range(int(b.rng.integers(14, 40))):
        z = math.exp(b.uniform(math.log(1.6), math.log(8)))
        at = (b.uniform(-0.7, 0.7) * z, b.uniform(-0.45, 0.45) * z, z)
        r = z * b.uniform(0.03, 0.16)
        with b.placed(at, b.uniform(0, 360), b.uniform(-60, 60), b.uniform(0, 360)):
            kind = b.pick("box", "ball", "drum", "limb", "torn", "leaf", "thing", "wire")
            m = stuff(b, "anything", size=max(r, 0.2))
            if kind == "box":
                b.box((0, 0, 0), (r, r * b.uniform(0.2, 1.3), r * b.uniform(0.1, 1)), m)
            elif kind == "ball":
                b.ball((0, 0, 0), (r, r * b.uniform(0.4, 1.2), r), m)
            elif kind == "drum":
                b.drum((0, 0, 0), r * 0.7, r, m, b.uniform(0.1, 1.2))
            elif kind == "limb":
                b.limb((-r, 0, 0), (r, r * b.uniform(-1, 1), 0), r * b.uniform(0.1, 0.5), r * b.uniform(0.1, 0.5), m)
            elif kind in ("torn", "leaf"):
                cut = b.pick("torn", "torn", "mesh") if kind == "torn" else b.pick("cluster", "branch", "fern", "twigs")
                b.quad((0, 0, 0), r * 1.5, r * 1.5, stuff(b, "anything", cutout=cut, two_sided=0.4))
            elif kind == "thing":
                with b.placed(scale=z * 0.6):
                    small_thing(b)
            else:
                b.limb((-2 * r, 0, 0), (2 * r, 0, 0), 0.006 * z, 0.006 * z, m)
        moving[b.groups] = ((b.uniform(-0.05, 0.05), b.uniform(-0.05, 0.05), b.uniform(-0.05, 0.05)), b.uniform(-4, 4))
    camera = look((0, 0, 0), 0, 0, b.uniform(-8, 8), focal(b, 45, 75, size[1]), size)
    step = (b.uniform(-0.05, 0.05), b.uniform(-0.03, 0.03), b.uniform(-0.05, 0.05), b.uniform(-1, 1), b.uniform(-1, 1))
    return b.finish(lights, env, camera, "soup", motion=moving, step=step)
