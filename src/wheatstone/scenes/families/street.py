"""Streets with houses, cars, people and trees."""

from wheatstone.scenes.buildings import bench, building, pole
from wheatstone.scenes.creatures import animal, person
from wheatstone.scenes.families.light import daylight, focal
from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import bush, tree
from wheatstone.scenes.things import bicycle, car
from wheatstone.scenes.world import Builder, Kind, Motion, Number, Scene, look

__all__ = ["street"]


def _row_of_houses(b: Builder, side: Number, distance: Number) -> None:
    z = -12.0
    while z < 90:
        half = (b.uniform(3, 7), b.uniform(2.5, 8) if b.chance(0.8) else b.uniform(8, 16), b.uniform(3, 8))
        if b.chance(0.85):
            with b.placed((side * (distance + half[0]), 0, z + half[2]), 0 if side > 0 else 180):
                building(b, half)
        elif b.chance(0.7):
            with b.placed((side * (distance + 3), 0, z + half[2])):
                tree(b, b.uniform(5, 10), clusters=40)
        z += 2 * half[2] + (b.uniform(0, 6) if b.chance(0.4) else 0.0)


def _road(b: Builder, road: Number, walk: Number) -> None:
    """Road, pavements, markings, and houses or green on both sides."""
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


def _traffic(b: Builder, road: Number, walk: Number) -> Motion:
    """Parked and moving cars, people on the pavement and on the road; returns what moves."""
    kerb = road - 1.05
    for _ in range(int(b.rng.integers(0, 9))):
        side = 1 if b.chance(0.6) else -1
        with b.placed((side * kerb, 0.005, b.uniform(5, 50)), 180 if side < 0 else 0):
            car(b)
    moving: Motion = {}
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
    return moving


def _roadside(b: Builder, road: Number, walk: Number) -> None:
    """Poles, wires, trees, bicycles, bins, benches."""
    tall = b.uniform(3, 8)
    gap = b.uniform(7, 16)
    side = 1 if b.chance(0.5) else -1
    for k in range(6):
        with b.placed((side * (road + 0.4), 0.1, 4 + gap * k), 0 if side > 0 else 180):
            pole(b, tall)
        if b.chance(0.5):
            with b.placed((-side * (road + 0.6), 0.1, 5 + gap * k)):
                tree(b, b.uniform(3.5, 7), clusters=44) if b.chance(0.6) else pole(b, b.uniform(1, 3))
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
                bench(b)


def street(b: Builder, size: tuple[int, int]) -> Scene:
    """A road with pavements, houses, cars, people, trees, poles and wires."""
    lights, env = daylight(b, b.uniform(150, 600), 0.9)
    b.add(Kind.PLANE, (0, -0.02, 0), (1, 1, 1), stuff(b, b.pick("grass", "soil", "asphalt", "paving")), shadow=False)
    road, walk = b.uniform(2.8, 5.5), b.uniform(1.5, 4.0)
    _road(b, road, walk)
    moving = _traffic(b, road, walk)
    _roadside(b, road, walk)
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
