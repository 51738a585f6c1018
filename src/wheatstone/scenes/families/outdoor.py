"""Outdoor scenes: streets with cars, people and trees; nature; and a soup of floating things for plain variety."""

import math

from wheatstone.scenes.creatures import animal, person
from wheatstone.scenes.families.light import daylight, focal
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import bush, flower, rock, tree, tuft
from wheatstone.scenes.things import bicycle, car, small_thing
from wheatstone.scenes.world import Builder, Kind, Scene, look, rotation

__all__ = ["nature", "soup", "street"]


def _building(b: Builder, half: tuple[float, float, float]) -> None:
    """A house front towards -x and -z with rows of windows, sills, a door and perhaps balconies."""
    wall, trim = (
        stuff(b, b.pick("brick", "plaster", "plaster", "stone", "tintwall")),
        stuff(b, b.pick("white", "stone", "plaster")),
    )
    glass = stuff(b, "dark", shine=0.9, macro=0.3)
    b.box((0, half[1], 0), half, wall)
    if b.chance(0.4):
        b.box((0, 2 * half[1] + 0.2, 0), (half[0] + 0.25, 0.2, half[2] + 0.25), trim)
    storey, bay = b.uniform(2.8, 3.6), b.uniform(1.8, 3.6)
    w, h = b.uniform(0.4, 0.62) * bay / 2, b.uniform(0.55, 0.85)
    balcony = b.chance(0.25)
    for level in range(max(int(2 * half[1] / storey), 1)):
        y = level * storey + 1.7
        for k in range(min(max(int(2 * half[2] / bay), 1), 9)):
            z = -half[2] + bay * (k + 0.6)
            b.box((-half[0], y, z), (0.03, h, w), glass)
            b.box((-half[0] - 0.05, y - h - 0.06, z), (0.1, 0.05, w * 1.15), trim)
            if balcony and level and k % 2 == 0:
                b.box((-half[0] - 0.5, y - h - 0.4, z), (0.5, 0.06, w * 1.3), trim)
                b.quad(
                    (-half[0] - 1.0, y - h + 0.1, z),
                    w * 1.3,
                    0.5,
                    stuff(b, "dark", cutout="bars", repeat=(2.0, 1.0)),
                    rotation(90),
                )
        for k in range(min(max(int(2 * half[0] / bay), 1), 5)):
            b.box((-half[0] + bay * (k + 0.6), y, -half[2]), (w, h, 0.03), glass)
    b.box((-half[0], 1.1, b.uniform(-0.6, 0.6) * half[2]), (0.05, 1.1, 0.55), stuff(b, b.pick("wood", "paint", "dark")))


def _row_of_houses(b: Builder, side: float, distance: float) -> None:
    z = -12.0
    while z < 90:
        half = (b.uniform(3, 7), b.uniform(2.5, 8) if b.chance(0.8) else b.uniform(8, 16), b.uniform(3, 8))
        if b.chance(0.85):
            with b.placed((side * (distance + half[0]), 0, z + half[2]), 0 if side > 0 else 180):
                _building(b, half)
        elif b.chance(0.7):
            with b.placed((side * (distance + 3), 0, z + half[2])):
                tree(b, b.uniform(5, 10), clusters=40)
        z += 2 * half[2] + (b.uniform(0, 6) if b.chance(0.4) else 0.0)


def _pole(b: Builder, tall: float) -> None:
    m = stuff(b, b.pick("metal", "dark", "wood"))
    r = b.uniform(0.035, 0.09)
    b.limb((0, 0, 0), (0, tall, 0), r, r * 0.7, m)
    kind = b.pick("lamp", "sign", "light", "plain")
    if kind == "lamp":
        b.limb((0, tall, 0), (-1.2, tall + 0.15, 0), r * 0.6, r * 0.6, m)
        b.ball((-1.3, tall + 0.1, 0), (0.3, 0.08, 0.14), stuff(b, "white"))
    elif kind == "sign":
        b.drum((0, min(tall, 2.5), -0.08), 0.33, 0.01, stuff(b, "cover"), 1.0, rotation(pitch=90))
    elif kind == "light":
        b.box((0, min(tall, 3.0), -0.1), (0.15, 0.42, 0.12), stuff(b, "dark"))


def street(b: Builder, size: tuple[int, int]) -> Scene:
    """A road with pavements, houses, cars, people, trees, poles and wires."""
    lights, env = daylight(b, b.uniform(150, 600), 0.9)
    b.add(Kind.PLANE, (0, -0.02, 0), (1, 1, 1), stuff(b, b.pick("grass", "soil", "asphalt", "paving")), shadow=False)
    road, walk = b.uniform(2.8, 5.5), b.uniform(1.5, 4.0)
    b.box((0, -0.08, 60), (road, 0.085, 120), stuff(b, "asphalt", size=2), shadow=False)
    pave = stuff(b, b.pick("paving", "stone", "asphalt"))
    for side in (-1, 1):
        b.box((side * (road + walk / 2), 0.0, 60), (walk / 2, 0.13, 120), pave)
    if b.chance(0.7):
        paint = stuff(b, "white", contrast=0.3)
        for k in range(14):
            b.box((0, 0.0, -4 + 6.0 * k), (0.07, 0.008, 1.4 if b.chance(0.95) else 0.2), paint, shadow=False)
    open_side = b.chance(0.25)
    for side in (-1, 1):
        if open_side and side == 1:
            for _ in range(10):
                with b.placed((road + walk + b.uniform(1, 22), 0, b.uniform(3, 70))):
                    tree(b, b.uniform(4, 10), clusters=36) if b.chance(0.5) else bush(b, b.uniform(0.6, 2.0))
        else:
            _row_of_houses(b, side, road + walk + b.uniform(0, 3))
    kerb = road - 1.05
    for _ in range(int(b.rng.integers(0, 9))):
        side = 1 if b.chance(0.6) else -1
        with b.placed((side * kerb, 0.005, b.uniform(5, 50)), 180 if side < 0 else 0):
            car(b)
    moving: dict = {}
    for _ in range(int(b.rng.integers(0, 3))):
        lane = 1 if b.chance(0.5) else -1
        with b.placed((lane * road * 0.3, 0.005, b.uniform(7, 45)), 0 if lane < 0 else 180):
            car(b)
        moving[b.groups] = ((0.0, 0.0, (-0.5 if lane < 0 else 0.4) * b.uniform(0.5, 1)), 0.0)
    for _ in range(int(b.rng.integers(1, 9))):
        x = (1 if b.chance(0.5) else -1) * (road + b.uniform(0.2, walk)) if b.chance(0.8) else b.uniform(-road, road)
        with b.placed(
            (x, 0.13 if abs(x) > road else 0.0, b.uniform(2.5, 26)), b.uniform(0, 360), scale=b.uniform(0.92, 1.08)
        ):
            person(b, b.pick("walk", "walk", "stand"))
        if b.chance(0.6):
            moving[b.groups] = ((b.uniform(-0.04, 0.04), 0.0, b.uniform(-0.05, 0.05)), b.uniform(-2, 2))
    tall = b.uniform(3, 8)
    gap = b.uniform(7, 16)
    side = 1 if b.chance(0.5) else -1
    for k in range(6):
        with b.placed((side * (road + 0.4), 0.1, 4 + gap * k), 0 if side > 0 else 180):
            _pole(b, tall)
        if b.chance(0.5):
            with b.placed((-side * (road + 0.6), 0.1, 5 + gap * k)):
                tree(b, b.uniform(3.5, 7), clusters=44) if b.chance(0.6) else _pole(b, b.uniform(1, 3))
    if b.chance(0.4):
        wire = stuff(b, "dark")
        for dx in (-0.25, 0.25):
            for k in range(6):
                a = (side * (road + 0.4) + dx, tall, 4 + gap * k)
                mid = (a[0], tall - 0.35, a[2] + gap / 2)
                b.limb(a, mid, 0.014, 0.014, wire)
                b.limb(mid, (a[0], tall, a[2] + gap), 0.014, 0.014, wire)
    for _ in range(int(b.rng.integers(0, 3))):
        with b.placed((side * (road + b.uniform(0.5, walk)), 0.13, b.uniform(3, 14)), b.uniform(0, 360)):
            choice = b.pick("bike", "bin", "dog", "bush", "bench")
            if choice == "bike":
                bicycle(b)
            elif choice == "bin":
                b.drum((0, 0.45, 0), 0.25, 0.45, stuff(b, "paint"), 1.15)
            elif choice == "dog":
                animal(b, "dog")
            elif choice == "bush":
                bush(b, b.uniform(0.5, 1.2))
            else:
                wood = stuff(b, "wood")
                b.box((0, 0.45, 0), (0.8, 0.03, 0.22), wood)
                b.box((0, 0.7, 0.2), (0.8, 0.14, 0.02), wood)
                b.box((-0.6, 0.22, 0), (0.04, 0.22, 0.2), wood)
                b.box((0.6, 0.22, 0), (0.04, 0.22, 0.2), wood)
    on_walk = b.chance(0.3)
    x = (1 if b.chance(0.5) else -1) * (road + walk * b.uniform(0.2, 0.6)) if on_walk else b.uniform(-0.5, 0.5) * road
    height = b.uniform(1.3, 2.0) if b.chance(0.85) else b.uniform(2.5, 6)
    yaw = b.uniform(-12, 12) if b.chance(0.7) else b.uniform(-55, 55)
    camera = look(
        (x, height, 0.0),
        yaw,
        b.uniform(-7, 5) - (height > 2.4) * 8,
        b.uniform(-2.5, 2.5),
        focal(b, 45, 88, size[1]),
        size,
    )
    step = (b.uniform(-0.05, 0.05), b.uniform(-0.01, 0.01), b.uniform(0.1, 0.6), b.uniform(-1, 1), b.uniform(-0.2, 0.2))
    return b.finish(lights, env, camera, "street", motion=moving, step=step)


def _hills(b: Builder, near: float, far: float) -> None:
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
    if kind in ("path", "garden", "wood") and b.chance(0.7):
        trail = stuff(b, b.pick("soil", "sand", "drygrass"))
        for k in range(16):
            b.ball((math.sin(k * 0.5) * 1.2, 0.0, 2.2 * k), (b.uniform(0.9, 1.3), 0.04, 2.0), trail)
    for _ in range(int(b.rng.integers(6, 16))):
        r = b.uniform(1, 5)
        b.ball(
            (b.uniform(-12, 12), -r * 0.06, r + b.uniform(2.5, 32)), (r, r * b.uniform(0.08, 0.16), r), stuff(b, ground)
        )
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
    moving: dict = {}
    for _ in range(int(b.rng.integers(0, 4))):
        z = b.uniform(2.5, 16)
        with b.placed((b.uniform(-0.5, 0.5) * z, 0, z), b.uniform(0, 360)):
            person(b, b.pick("walk", "stand", "stand")) if b.chance(0.45) else animal(b)
        moving[b.groups] = ((b.uniform(-0.05, 0.05), 0.0, b.uniform(-0.05, 0.05)), b.uniform(-2, 2))
    if b.chance(0.25):
        with b.placed((b.uniform(-14, 14), 0, b.uniform(16, 45)), b.uniform(20, 150)):
            _building(b, (b.uniform(2.5, 5), b.uniform(1.6, 3), b.uniform(3, 6)))
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
    moving: dict = {}
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
