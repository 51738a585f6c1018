"""Meadow, wood, garden, rocks and shore."""

import math

from wheatstone.scenes.buildings import building
from wheatstone.scenes.creatures import animal, person
from wheatstone.scenes.families.light import daylight, focal
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import bush, flower, rock, tree, tuft
from wheatstone.scenes.world import Builder, Kind, Motion, Number, Scene, look, rotation

__all__ = ["nature"]


def _hills(b: Builder, near: Number, far: Number) -> None:
    for _ in range(int(b.rng.integers(2, 6))):
        z = b.uniform(near, far)
        r = z * b.uniform(0.3, 1.0)
        half = (r * b.uniform(0.8, 1.8), z * b.uniform(0.04, 0.2), r)
        b.ball(
            (b.uniform(-1.2, 1.2) * z, -half[1] * 0.15, z + r),
            half,
            stuff(b, b.pick("grass", "foliage", "rock", "drygrass"), size=z / 12),
        )
    if b.chance(0.7):
        z = far * b.uniform(1.3, 2.5)
        m = stuff(b, b.pick("foliage", "rock", "foliage"), cutout="skyline", repeat=(b.uniform(2, 4), 1.0), size=z / 10)
        tall = z * b.uniform(0.05, 0.2)
        b.quad((0, tall * 0.6, z), z * 2.5, tall, m, rotation(b.uniform(-15, 15)), shadow=False)


def _ground(b: Builder, kind: str, ground: str) -> None:
    """A trail and low mounds."""
    if kind in ("path", "garden", "wood") and b.chance(0.7):
        trail = stuff(b, b.pick("soil", "sand", "drygrass"))
        for k in range(16):
            b.ball((math.sin(k * 0.5) * 1.2, 0.0, 2.2 * k), (b.uniform(0.9, 1.3), 0.04, 2.0), trail)
    for _ in range(int(b.rng.integers(6, 16))):
        r = b.uniform(1, 5)
        b.ball(
            (b.uniform(-12, 12), -r * 0.06, r + b.uniform(2.5, 32)), (r, r * b.uniform(0.08, 0.16), r), stuff(b, ground)
        )


def _wood(b: Builder, kind: str) -> None:
    """Trees and bushes."""
    trees = {"wood": 26, "meadow": 5, "garden": 8, "rocks": 4, "shore": 4, "path": 12}[kind]
    for k in range(trees):
        near = kind == "wood" and k < 6
        z = b.uniform(2.5, 8) if near else b.uniform(6, 55)
        x = (1 if b.chance(0.5) else -1) * b.uniform(0.9, 2.5 + 0.5 * z)
        with b.placed((x, -0.05, z), b.uniform(0, 360)):
            tree(b, b.uniform(4, 13), clusters=90 if z < 14 else 36)
    for _ in range({"wood": 10, "meadow": 6, "garden": 16, "rocks": 3, "shore": 3, "path": 12}[kind]):
        with b.placed((b.uniform(-7, 7), -0.02, b.uniform(2, 18))):
            bush(b, b.uniform(0.3, 1.5))


def _undergrowth(b: Builder, kind: str) -> None:
    """Grass, rocks, flowers, a fence."""
    if b.chance(0.75):
        blades = [
            stuff(b, b.pick("grass", "drygrass"), cutout=b.pick("grass", "grass", "fern"), two_sided=0.7)
            for _ in range(3)
        ]
        for _ in range(int(b.rng.integers(30, 140))):
            z = b.uniform(0.8, 9)
            with b.placed((b.uniform(-0.9, 0.9) * (z + 0.5), 0, z)):
                tuft(b, b.uniform(0.1, 0.45), blades[int(b.rng.integers(3))])
    for _ in range(int(b.rng.integers(2, 9)) * (4 if kind == "rocks" else 1)):
        z = b.uniform(1.5, 20)
        with b.placed((b.uniform(-1, 1) * z * 0.8, 0, z)):
            rock(b, b.uniform(0.1, 1.2) * (2 if kind == "rocks" else 1))
    if kind in ("garden", "meadow") and b.chance(0.7):
        stem, petal, heart = stuff(b, "foliage"), stuff(b, "plastic", shine=0.0), stuff(b, "food")
        for _ in range(int(b.rng.integers(6, 30))):
            with b.placed((b.uniform(-2.5, 2.5), 0, b.uniform(1, 6)), b.uniform(0, 360)):
                flower(b, b.uniform(0.25, 0.7), stem, petal, heart)
    if b.chance(0.3):
        fence = stuff(
            b,
            b.pick("wood", "white", "metal"),
            cutout=b.pick("bars", "mesh"),
            repeat=(float(b.rng.integers(4, 12)), 1.0),
        )
        b.quad((b.uniform(-3, 3), 0.5, b.uniform(5, 14)), b.uniform(4, 9), 0.55, fence, rotation(b.uniform(-40, 40)))


def _visitors(b: Builder) -> Motion:
    """People, animals, perhaps a house; returns what moves."""
    moving: Motion = {}
    for _ in range(int(b.rng.integers(0, 4))):
        z = b.uniform(2.5, 16)
        with b.placed((b.uniform(-0.5, 0.5) * z, 0, z), b.uniform(0, 360)):
            person(b, b.pick("walk", "stand", "stand")) if b.chance(0.45) else animal(b)
        moving[b.groups] = ((b.uniform(-0.05, 0.05), 0.0, b.uniform(-0.05, 0.05)), b.uniform(-2, 2))
    if b.chance(0.25):
        with b.placed((b.uniform(-14, 14), 0, b.uniform(16, 45)), b.uniform(20, 150)):
            building(b, (b.uniform(2.5, 5), b.uniform(1.6, 3), b.uniform(3, 6)))
    return moving


def nature(b: Builder, size: tuple[int, int]) -> Scene:
    """Meadow, wood, beach, garden or mountains."""
    kind = b.pick("meadow", "wood", "wood", "garden", "rocks", "shore", "path")
    lights, env = daylight(b, 60.0 if kind == "wood" and b.chance(0.4) else b.uniform(200, 900), 0.6)
    ground = {
        "rocks": b.pick("rock", "sand", "snow"),
        "shore": "sand",
        "wood": b.pick("soil", "grass"),
        "path": "grass",
    }.get(kind, b.pick("grass", "grass", "drygrass"))
    b.add(Kind.PLANE, (0, 0, 0), (1, 1, 1), stuff(b, ground), shadow=False)
    _hills(b, 25, 120)
    if kind == "shore":
        b.box((0, 0.0, 70), (300, 0.05, 60), stuff(b, "water"), shadow=False)
    _ground(b, kind, ground)
    _wood(b, kind)
    _undergrowth(b, kind)
    moving = _visitors(b)
    height = b.uniform(1.2, 1.9) if b.chance(0.75) else b.uniform(0.35, 1.0)
    camera = look(
        (0, height, 0), b.uniform(-20, 20), b.uniform(-14, 6), b.uniform(-3, 3), focal(b, 40, 80, size[1]), size
    )
    step = (
        b.uniform(-0.05, 0.05),
        b.uniform(-0.02, 0.02),
        b.uniform(0.02, 0.2),
        b.uniform(-1, 1),
        b.uniform(-0.5, 0.5),
    )
    return b.finish(lights, env, camera, "nature", motion=moving, step=step)
