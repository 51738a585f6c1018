"""Indoor scenes: furnished rooms seen from eye height, and table tops seen from close by."""

import math

from wheatstone.scenes.creatures import animal, person
from wheatstone.scenes.families.light import daylight, focal, indoor_light
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import bush, pot_plant, tree
from wheatstone.scenes.small_things import small_thing
from wheatstone.scenes.things import bed, bookshelf, cabinet, chair, desk, lamp, sofa, table
from wheatstone.scenes.world import Builder, Kind, Motion, Number, Scene, look, rotation

__all__ = ["room", "room_shell", "table_top"]


def room_shell(b: Builder, half: tuple[Number, Number], tall: Number) -> None:
    """Floor, ceiling and four walls; the far wall often has a window or a door."""
    wall = stuff(b, b.pick("wall", "wall", "tintwall", "white", "plaster"))
    other = wall if b.chance(0.75) else stuff(b, b.pick("wall", "tintwall", "wood", "brick"))
    floor = stuff(b, b.pick("floorwood", "floorwood", "carpet", "paving", "stone", "wall"))
    x, z = half
    b.box((0, -0.1, 0), (x + 0.2, 0.1, z + 0.2), floor, shadow=False)
    b.box((0, tall + 0.1, 0), (x + 0.2, 0.1, z + 0.2), stuff(b, "white"), shadow=False)
    for side in (-1, 1):
        b.box((side * (x + 0.1), tall / 2, 0), (0.1, tall / 2, z), wall if side < 0 else other, shadow=False)
    b.box((0, tall / 2, -z - 0.1), (x, tall / 2, 0.1), wall, shadow=False)
    skirting = stuff(b, "white")
    if b.chance(0.6):
        for side in (-1, 1):
            b.box((side * (x - 0.01), 0.05, 0), (0.012, 0.05, z), skirting)
    if b.chance(0.5):
        _window_wall(b, x, z, tall, other)
    else:
        b.box((0, tall / 2, z + 0.1), (x, tall / 2, 0.1), other, shadow=False)
        if b.chance(0.5):
            at = b.uniform(-0.7, 0.7) * x
            b.box((at, 1.02, z), (0.46, 1.04, 0.04), skirting)
            b.box((at, 1.0, z - 0.02), (0.4, 1.0, 0.03), stuff(b, b.pick("wood", "white", "paint")))
            b.ball((at + 0.33, 1.0, z - 0.09), (0.03, 0.03, 0.03), stuff(b, "metal"))
    for _ in range(int(b.rng.integers(0, 6))):
        w, h = b.uniform(0.12, 0.5), b.uniform(0.12, 0.4)
        y = b.uniform(1.3, 1.8)
        frame, art = (
            stuff(b, b.pick("wood", "dark", "white")),
            stuff(b, b.pick("cover", "paper"), texture="picture", size=2 * w / 0.3),
        )
        if b.chance(0.4):
            at_x = b.uniform(-0.8, 0.8) * x
            b.box((at_x, y, z - 0.015), (w, h, 0.015), frame)
            b.box((at_x, y, z - 0.019), (w * 0.9, h * 0.88, 0.014), art)
        else:
            side = 1 if b.chance(0.5) else -1
            wall_x, at_z = side * (x - 0.015), b.uniform(-0.4, 0.9) * z
            b.box((wall_x, y, at_z), (0.015, h, w), frame)
            b.box((wall_x - side * 0.004, y, at_z), (0.014, h * 0.88, w * 0.9), art)


def _window_wall(b: Builder, x: Number, z: Number, tall: Number, wall: int) -> None:
    """The far wall with an opening, a frame, curtains and something outside."""
    w, low, high = b.uniform(0.5, min(1.3, x * 0.7)), b.uniform(0.5, 1.0), min(b.uniform(2.0, 2.4), tall - 0.1)
    at = b.uniform(-0.5, 0.5) * (x - w)
    b.box((0, low / 2, z + 0.1), (x, low / 2, 0.1), wall, shadow=False)
    b.box((0, (high + tall) / 2, z + 0.1), (x, (tall - high) / 2, 0.1), wall, shadow=False)
    left, right = at - w + x, x - at - w
    b.box((-x + left / 2, (low + high) / 2, z + 0.1), (left / 2, (high - low) / 2, 0.1), wall, shadow=False)
    b.box((x - right / 2, (low + high) / 2, z + 0.1), (right / 2, (high - low) / 2, 0.1), wall, shadow=False)
    frame = stuff(b, b.pick("white", "wood", "dark"))
    for k in range(int(b.rng.integers(2, 4)) + 1):
        n = 3
        b.box((at - w + 2 * w * k / n, (low + high) / 2, z + 0.05), (0.025, (high - low) / 2, 0.03), frame)
    b.box((at, (low + high) / 2, z + 0.05), (w, 0.022, 0.03), frame)
    b.box((at, low - 0.02, z - 0.05), (w + 0.1, 0.02, 0.12), frame)
    if b.chance(0.5):
        cloth = stuff(b, "cloth", size=2)
        for side in (-1, 1):
            for k in range(5):
                cx = at + side * (w + 0.05 - 0.07 * k)
                b.limb((cx, 0.2, z - 0.09), (cx, high + 0.1, z - 0.09), 0.045, 0.045, cloth)
    b.quad(
        (at, 0.5, z + b.uniform(8, 25)),
        30,
        4,
        stuff(b, "foliage", cutout="skyline", size=5, repeat=(4.0, 1.0), glow=b.uniform(0.8, 2.5)),
        shadow=False,
    )


def _against_wall(b: Builder, tall: Number) -> None:
    """Furniture along one wall piece of the room, built with its back to +z."""
    kind = b.pick("shelf", "desk", "desk", "cabinet", "cabinet", "sofa", "bed", "kitchen", "wardrobe", "plant", "pile")
    if kind == "shelf":
        bookshelf(b, b.uniform(0.6, 1.4), b.uniform(0.9, min(2.1, tall - 0.2)))
    elif kind == "desk":
        desk(b, b.uniform(1.0, 1.7), int(b.rng.integers(3, 11)))
        if b.chance(0.7):
            with b.placed((b.uniform(-0.3, 0.3), 0, -0.55), b.uniform(140, 220)):
                chair(b, office=b.chance(0.6))
    elif kind == "cabinet":
        cabinet(
            b,
            (b.uniform(0.3, 0.7), b.uniform(0.3, 0.55), 0.22),
            doors=int(b.rng.integers(1, 4)),
            things=int(b.rng.integers(0, 6)),
        )
    elif kind == "sofa":
        sofa(b, b.uniform(0.9, 2.1))
    elif kind == "bed":
        with b.placed((0, 0, -0.8)):
            bed(b)
    elif kind == "kitchen":
        wide = b.uniform(0.8, 1.3)
        cabinet(b, (wide, 0.44, 0.3), doors=4, things=int(b.rng.integers(4, 10)))
        if b.chance(0.7):
            with b.placed((0, 1.45, 0.12)):
                cabinet(b, (wide, 0.34, 0.17), doors=4)
    elif kind == "wardrobe":
        cabinet(
            b, (b.uniform(0.4, 0.9), min(b.uniform(0.9, 1.1), tall / 2 - 0.1), 0.29), doors=int(b.rng.integers(1, 4))
        )
    elif kind == "plant":
        pot_plant(b, b.uniform(0.6, 1.6))
    else:
        for _ in range(int(b.rng.integers(3, 9))):
            half = (b.uniform(0.08, 0.25), b.uniform(0.06, 0.22), b.uniform(0.08, 0.2))
            b.box(
                (b.uniform(-0.5, 0.5), half[1], b.uniform(-0.3, 0.1)),
                half,
                stuff(b, b.pick("cover", "food", "wood", "paint")),
                rotation(b.uniform(-40, 40)),
            )
            with b.placed((b.uniform(-0.5, 0.5), 0.0, b.uniform(-0.7, -0.2)), b.uniform(0, 360), scale=1.4):
                small_thing(b)


def _furnish(b: Builder, x: Number, z: Number, tall: Number) -> None:
    for wall in ("far", "far", "left", "right", "far2"):
        slots = {"far": 1, "far2": 1}.get(wall, int(b.rng.integers(1, 4)))
        for k in range(slots):
            if b.chance(0.15):
                continue
            if wall.startswith("far"):
                with b.placed((b.uniform(-0.85, 0.85) * (x - 0.5), 0, z - 0.45)):
                    _against_wall(b, tall)
            else:
                side = -1 if wall == "left" else 1
                with b.placed((side * (x - 0.45), 0, z - 0.8 - 1.7 * k), side * 90):
                    _against_wall(b, tall)


def _middle(b: Builder, x: Number, z: Number) -> None:
    """A table with things and chairs, and single pieces of furniture."""
    if b.chance(0.65) and x > 1.4:
        with b.placed((b.uniform(-0.4, 0.4) * x, 0, b.uniform(-0.1, 0.45) * z), b.uniform(-30, 30)):
            tall_top = b.uniform(0.4, 0.76)
            size_top = (b.uniform(0.35, 0.85), b.uniform(0.3, 0.55))
            table(b, size_top, tall_top, round_top=b.chance(0.25))
            for _ in range(int(b.rng.integers(2, 10))):
                with b.placed(
                    (b.uniform(-0.75, 0.75) * size_top[0], tall_top, b.uniform(-0.75, 0.75) * size_top[1]),
                    b.uniform(0, 360),
                ):
                    small_thing(b)
            for _ in range(int(b.rng.integers(0, 5))):
                a = b.uniform(0, 360)
                with b.placed(
                    (1.15 * size_top[0] * math.sin(math.radians(a)), 0, 1.4 * size_top[1] * math.cos(math.radians(a))),
                    a,
                ):
                    chair(b)
    for _ in range(int(b.rng.integers(0, 3))):
        with b.placed((b.uniform(-0.7, 0.7) * x, 0, b.uniform(0, 0.7) * z), b.uniform(0, 360)):
            kind = b.pick("chair", "chair", "lamp", "plant", "office")
            if kind == "lamp":
                lamp(b, b.uniform(1.2, 1.7))
            elif kind == "plant":
                pot_plant(b, b.uniform(0.5, 1.4))
            else:
                chair(b, office=kind == "office")


def _inhabitants(b: Builder, x: Number, z: Number) -> Motion:
    """People, pets and things on the floor; returns what moves."""
    moving: Motion = {}
    for _ in range(int(b.rng.choice(4, p=[0.5, 0.3, 0.15, 0.05]))):
        with b.placed((b.uniform(-0.7, 0.7) * x, 0, b.uniform(-0.1, 0.75) * z), b.uniform(-180, 180)):
            if b.chance(0.8):
                person(b, b.pick("stand", "walk", "sit"))
            else:
                animal(b, b.pick("cat", "dog"))
        moving[b.groups] = ((b.uniform(-0.04, 0.04), 0.0, b.uniform(-0.04, 0.04)), b.uniform(-3, 3))
    for _ in range(int(b.rng.integers(0, 8))):
        with b.placed((b.uniform(-0.8, 0.8) * x, 0.0, b.uniform(-0.4, 0.8) * z), b.uniform(0, 360)):
            small_thing(b, b.pick("box", "books", "toy", "bear", "cloth", "basket", "paper"))
    return moving


def room(b: Builder, size: tuple[int, int]) -> Scene:
    """A furnished room, sometimes with people and animals, seen from eye height or close to the furniture."""
    half = (b.uniform(1.5, 3.2), b.uniform(1.8, 4.0))
    if b.chance(0.12):
        half = (b.uniform(0.9, 1.4), b.uniform(4, 8))
    tall = b.uniform(2.3, 3.0)
    lights, env = indoor_light(b, half, tall)
    room_shell(b, half, tall)
    x, z = half
    _furnish(b, x, z, tall)
    if b.chance(0.5):
        b.box(
            (b.uniform(-0.3, 0.3) * x, 0.004, b.uniform(-0.3, 0.4) * z),
            (b.uniform(0.6, 1.2), 0.006, b.uniform(0.5, 1.0)),
            stuff(b, "carpet"),
            rotation(b.uniform(-20, 20)),
            shadow=False,
        )
    _middle(b, x, z)
    moving = _inhabitants(b, x, z)
    if b.chance(0.4):
        lamp_glow = stuff(b, "white", glow=2.0)
        b.drum((lights[0][1], tall - 0.03, lights[0][3]), b.uniform(0.1, 0.3), 0.03, lamp_glow)
    close = b.chance(0.35)
    height = b.uniform(0.8, 1.5) if close else b.uniform(1.1, 1.75)
    back = b.uniform(-0.2, 0.5) * z if close else -z * b.uniform(0.6, 0.95)
    at = (b.uniform(-0.6, 0.6) * x, height, back)
    yaw = b.uniform(-100, 100) if close else math.degrees(math.atan2(-at[0], z - at[2])) + b.uniform(-22, 22)
    camera = look(
        at, yaw, b.uniform(-32, -2) if close else b.uniform(-16, 4), b.uniform(-5, 5), focal(b, 48, 80, size[1]), size
    )
    step = (b.uniform(-0.06, 0.06), b.uniform(-0.03, 0.03), b.uniform(-0.03, 0.08), b.uniform(-2, 2), b.uniform(-1, 1))
    return b.finish(lights, env, camera, "room", motion=moving, step=step)


def table_top(b: Builder, size: tuple[int, int]) -> Scene:
    """A table full of things from close by, the room or garden behind."""
    inside = b.chance(0.8)
    tall = 0.74
    if inside:
        half = (b.uniform(1.6, 3), b.uniform(1.6, 3))
        lights, env = indoor_light(b, half, 2.6, 0.09)
        room_shell(b, half, 2.6)
        for side in (-1, 0, 1):
            if b.chance(0.6):
                with b.placed((side * half[0] * 0.55, 0, half[1] - 0.45)):
                    _against_wall(b, 2.6)
        back = half[1]
    else:
        lights, env = daylight(b, 300, 0.09)
        b.add(Kind.PLANE, (0, 0, 0), (1, 1, 1), stuff(b, b.pick("grass", "paving", "soil")), shadow=False)
        back = 3.0
        for _ in range(8):
            with b.placed((b.uniform(-5, 5), 0, b.uniform(2.2, 9))):
                bush(b, b.uniform(0.5, 1.6)) if b.chance(0.7) else tree(b, b.uniform(3, 6))
    z0 = min(0.5, back - 1.0)
    half_top = (b.uniform(0.5, 1.1), b.uniform(0.4, 0.7))
    with b.placed((0, 0, z0)):
        table(
            b,
            half_top,
            tall,
            stuff(b, b.pick("wood", "wood", "stone", "white", "cloth", "carpet", "tintwall")),
            round_top=b.chance(0.15),
        )
    count = int(b.rng.integers(3, 24))
    for _ in range(count):
        reach = 0.85 if count > 9 else 0.5
        with b.placed(
            (b.uniform(-reach, reach) * half_top[0], tall, z0 + b.uniform(-0.8, 0.8) * half_top[1]),
            b.uniform(-60, 60),
            scale=b.uniform(0.85, 1.25),
        ):
            small_thing(b)
    if b.chance(0.3):
        with b.placed((b.uniform(-0.6, 0.6), -0.02, z0 + half_top[1] + 0.2), b.uniform(-30, 30)):
            person(b, "sit")
    if b.chance(0.12):
        with b.placed((b.uniform(-0.4, 0.4), tall, z0), b.uniform(0, 360)):
            animal(b, "cat")
    distance = b.uniform(0.45, 1.1)
    lift = b.uniform(0.12, 0.85) * distance
    aim_x = b.uniform(-0.25, 0.25)
    at = (aim_x + b.uniform(-0.3, 0.3), tall + lift, z0 - math.sqrt(max(distance**2 - lift**2, 0.02)))
    pitch = -math.degrees(math.atan2(lift - 0.06, z0 - at[2])) + b.uniform(-4, 6)
    yaw = math.degrees(math.atan2(aim_x - at[0], z0 - at[2])) + b.uniform(-8, 8)
    camera = look(at, yaw, pitch, b.uniform(-5, 5), focal(b, 38, 68, size[1]), size)
    step = (b.uniform(-0.02, 0.02), b.uniform(-0.01, 0.01), b.uniform(-0.01, 0.02), b.uniform(-1, 1), b.uniform(-1, 1))
    return b.finish(lights, env, camera, "table", step=step)
