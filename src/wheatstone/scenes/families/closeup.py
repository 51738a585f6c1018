"""Close-ups: a person or an animal that fills the frame, and small things, flowers or food from very near."""

import math

from wheatstone.scenes.creatures import animal, bird, person
from wheatstone.scenes.families.indoor import room_shell
from wheatstone.scenes.families.light import backdrop_light, daylight, focal, indoor_light
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import bush, flower, pot_plant, rock, tree, tuft
from wheatstone.scenes.small_things import small_thing
from wheatstone.scenes.things import bookshelf, sofa
from wheatstone.scenes.world import Builder, Kind, Motion, Number, Scene, look, rotation

__all__ = ["closeup", "portrait"]


def _background(b: Builder, far: Number, reach: Number) -> tuple:
    """What stands behind a close subject: a plain wall, a room, or a garden."""
    kind = b.pick("wall", "room", "room", "garden", "garden", "sky")
    if kind == "wall":
        lights, env = backdrop_light(b, reach)
        b.box(
            (0, 1.5, far + 0.1),
            (12, 6, 0.1),
            stuff(b, b.pick("wall", "tintwall", "cloth", "brick", "dark", "plaster"), size=1.5),
            rotation(b.uniform(-20, 20)),
            shadow=False,
        )
        b.add(Kind.PLANE, (0, 0, 0), (1, 1, 1), stuff(b, b.pick("floorwood", "carpet", "stone")), shadow=False)
    elif kind == "room":
        half = (b.uniform(1.6, 3), far + 0.8)
        lights, env = indoor_light(b, half, 2.6, reach)
        room_shell(b, half, 2.6)
        if b.chance(0.5):
            with b.placed((b.uniform(-1, 1), 0, far + 0.5)):
                bookshelf(b, 1.4, 2.0)
        if b.chance(0.5):
            with b.placed((b.uniform(-1, 1), 0, far + 0.2)):
                sofa(b, 1.8)
    else:
        lights, env = daylight(b, 300, reach)
        b.add(Kind.PLANE, (0, 0, 0), (1, 1, 1), stuff(b, b.pick("grass", "paving", "drygrass", "sand")), shadow=False)
        for _ in range(14 if kind == "garden" else 3):
            z = far * b.uniform(1.2, 6)
            with b.placed((b.uniform(-0.8, 0.8) * z, 0, z)):
                tree(b, b.uniform(3, 8), clusters=40) if b.chance(0.4) else bush(b, b.uniform(0.5, 2))
    return lights, env


def portrait(b: Builder, size: tuple[int, int]) -> Scene:
    """One to three people, or an animal, near the camera."""
    lights, env = _background(b, b.uniform(1.2, 3.5), 0.12)
    moving: Motion = {}
    fov = focal(b, 36, 62, size[1])
    if b.chance(0.62):
        distance = b.uniform(0.45, 1.5)
        people = int(b.rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))
        for k in range(people):
            x = b.uniform(-0.12, 0.12) + (k - (people - 1) / 2) * b.uniform(0.4, 0.6)
            with b.placed(
                (x, b.uniform(-0.06, 0.06), distance + b.uniform(0, 0.35) * (people > 1)),
                b.uniform(-45, 45),
                scale=b.uniform(0.92, 1.06),
            ):
                person(b, b.pick("stand", "bust"))
            moving[b.groups] = ((b.uniform(-0.01, 0.01), 0.0, b.uniform(-0.01, 0.01)), b.uniform(-2, 2))
        target, height = 1.52, 1.52 + b.uniform(-0.25, 0.2)
    else:
        species = b.pick("cat", "cat", "dog", "dog", "horse", "cow", "sheep")
        big = species in ("horse", "cow")
        distance = b.uniform(2.0, 4.0) if big else b.uniform(0.5, 1.3)
        with b.placed((b.uniform(-0.1, 0.1), 0, distance + (0.9 if big else 0.25)), b.uniform(-110, 110)):
            tall = animal(b, species)
        moving[b.groups] = ((b.uniform(-0.02, 0.02), 0.0, b.uniform(-0.02, 0.02)), b.uniform(-2, 2))
        target = tall * b.uniform(0.75, 1.0)
        height = target + b.uniform(-0.1, 0.5) * distance
    pitch = math.degrees(math.atan2(target - height, distance)) + b.uniform(-4, 4)
    camera = look((b.uniform(-0.15, 0.15), height, 0), b.uniform(-9, 9), pitch, b.uniform(-5, 5), fov, size)
    step = (b.uniform(-0.02, 0.02), b.uniform(-0.01, 0.01), b.uniform(-0.01, 0.02), b.uniform(-1, 1), b.uniform(-1, 1))
    return b.finish(lights, env, camera, "portrait", motion=moving, step=step)


def _flowers(b: Builder, base: Number, distance: Number) -> None:
    """Flowers and grass in front of the camera."""
    stem, heart = stuff(b, "foliage"), stuff(b, "food")
    petals = [stuff(b, b.pick("plastic", "food", "white"), shine=0.0) for _ in range(2)]
    for _ in range(int(b.rng.integers(4, 16))):
        with b.placed((b.uniform(-0.3, 0.3), base - 0.35, distance + b.uniform(-0.05, 0.5)), b.uniform(0, 360)):
            flower(b, b.uniform(0.25, 0.5), stem, petals[int(b.rng.integers(2))], heart)
    for _ in range(14):
        with b.placed((b.uniform(-0.5, 0.5), base - 0.4, distance + b.uniform(0, 0.7)), b.uniform(0, 360)):
            tuft(b, b.uniform(0.25, 0.5))


def _subject(b: Builder, kind: str, base: Number, distance: Number) -> None:
    """What lies or stands on the surface at height `base`."""
    if kind == "things":
        for _ in range(int(b.rng.integers(1, 6))):
            with b.placed(
                (b.uniform(-0.22, 0.22), base, distance + b.uniform(-0.04, 0.35)),
                b.uniform(0, 360),
                scale=b.uniform(0.9, 1.4),
            ):
                small_thing(b)
    elif kind == "bird":
        for _ in range(int(b.rng.integers(1, 4))):
            with b.placed(
                (b.uniform(-0.15, 0.15), base, distance + b.uniform(0, 0.25)),
                b.uniform(-120, 120),
                scale=b.uniform(0.9, 1.8),
            ):
                bird(b)
    elif kind == "plant":
        with b.placed((b.uniform(-0.08, 0.08), base, distance + 0.15)):
            pot_plant(b, b.uniform(0.3, 0.5))
    elif kind == "rocks":
        for _ in range(int(b.rng.integers(4, 14))):
            with b.placed((b.uniform(-0.3, 0.3), base, distance + b.uniform(0, 0.5))):
                rock(b, b.uniform(0.04, 0.14))
    else:
        names = [b.pick("fruit", "toy", "box", "can", "jar", "mug", "bear", "books") for _ in range(2)]
        for _ in range(int(b.rng.integers(6, 14))):
            lift = b.uniform(0, 0.08)
            with b.placed(
                (b.uniform(-0.25, 0.25), base + lift, distance + b.uniform(0, 0.4)),
                b.uniform(0, 360),
                b.uniform(-25, 25) * (lift > 0.03),
                scale=b.uniform(0.8, 1.2),
            ):
                small_thing(b, names[int(b.rng.integers(2))])


def closeup(b: Builder, size: tuple[int, int]) -> Scene:
    """Flowers, a plant, a bird, food or a few things on a surface, 0.2 to 0.7 m away."""
    lights, env = _background(b, b.uniform(0.9, 2.5), 0.05)
    kind = b.pick("flowers", "things", "things", "bird", "plant", "rocks", "heap")
    distance = b.uniform(0.28, 0.65)
    base = 0.8
    if kind == "flowers":
        _flowers(b, base, distance)
    else:
        b.box(
            (0, base - 0.05, distance + 0.3),
            (0.9, 0.05, 0.75),
            stuff(b, b.pick("wood", "stone", "white", "cloth", "carpet", "wood", "grass")),
            rotation(b.uniform(-20, 20)),
        )
        _subject(b, kind, base, distance)
    lift = b.uniform(0.05, 0.45)
    aim = 0.22 if kind == "plant" else 0.08
    pitch = -math.degrees(math.atan2(lift - aim, distance)) + b.uniform(-5, 5)
    camera = look(
        (b.uniform(-0.08, 0.08), base + lift, 0.0),
        b.uniform(-9, 9),
        pitch,
        b.uniform(-6, 6),
        focal(b, 38, 65, size[1]),
        size,
    )
    step = (b.uniform(-0.01, 0.01), b.uniform(-0.01, 0.01), b.uniform(-0.01, 0.01), b.uniform(-1, 1), b.uniform(-1, 1))
    return b.finish(lights, env, camera, "closeup", step=step)
