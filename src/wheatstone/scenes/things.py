"""Furniture and vehicles; each stands on y = 0 around the origin, its front to -z."""

import math

from wheatstone.scenes.materials import stuff
from wheatstone.scenes.small_things import small_thing
from wheatstone.scenes.world import Builder, Number, rotation

__all__ = ["bed", "bicycle", "bookshelf", "cabinet", "car", "chair", "desk", "lamp", "sofa", "table"]


def table(
    b: Builder, half: tuple[Number, Number], tall: Number, top: int | None = None, *, round_top: bool = False
) -> None:
    """A table with four legs (or one)."""
    top = top if top is not None else stuff(b, b.pick("wood", "wood", "white", "stone", "dark", "tintwall"))
    leg = stuff(b, b.pick("wood", "metal", "dark")) if b.chance(0.5) else top
    if round_top:
        b.drum((0, tall - 0.015, 0), half[0], 0.015, top)
        b.limb((0, 0, 0), (0, tall, 0), 0.05, 0.035, leg)
        b.drum((0, 0.015, 0), half[0] * 0.5, 0.015, leg)
        return
    thick = b.uniform(0.012, 0.025)
    b.box((0, tall - thick, 0), (half[0], thick, half[1]), top)
    r = b.uniform(0.018, 0.04)
    for sx in (-1, 1):
        for sz in (-1, 1):
            b.box(
                (sx * (half[0] - r * 1.5), (tall - thick) / 2, sz * (half[1] - r * 1.5)),
                (r, (tall - thick) / 2, r),
                leg,
            )


def desk(b: Builder, wide: Number, things: int) -> None:
    """A desk with a screen, paper and other clutter."""
    half = (wide / 2, b.uniform(0.3, 0.42))
    table(b, half, 0.74)
    names = ["screen", "keyboard", "mug", "books", "paper", "laptop", "pens", "book", "bottle", "plant", "phone", "box"]
    for k in range(things):
        name = names[0] if k == 0 and b.chance(0.7) else names[int(b.rng.integers(1, len(names)))]
        depth = 0.12 if name == "screen" else b.uniform(-half[1] * 0.8, half[1] * 0.7)
        with b.placed((b.uniform(-0.85, 0.85) * half[0], 0.74, depth), b.uniform(-25, 25)):
            small_thing(b, name)


def chair(b: Builder, *, office: bool = False) -> None:
    """A chair facing -z, seat at 0.45 m."""
    seat, frame = stuff(b, b.pick("wood", "cloth", "plastic", "dark")), stuff(b, b.pick("wood", "metal", "dark"))
    b.box((0, 0.45, 0), (0.21, 0.02, 0.21), seat)
    if office:
        b.limb((0, 0.08, 0), (0, 0.44, 0), 0.03, 0.025, frame)
        for k in range(5):
            a = 6.283 * k / 5
            b.limb((0, 0.09, 0), (0.28 * math.cos(a), 0.05, 0.28 * math.sin(a)), 0.022, 0.018, frame)
        b.ball((0, 0.75, 0.21), (0.2, 0.25, 0.04), seat)
        return
    for sx in (-1, 1):
        b.limb((sx * 0.19, 0, -0.19), (sx * 0.18, 0.44, -0.18), 0.017, 0.02, frame)
        b.limb((sx * 0.19, 0, 0.21), (sx * 0.18, 0.92, 0.2), 0.017, 0.018, frame)
    if b.chance(0.5):
        b.box((0, 0.76, 0.2), (0.18, b.uniform(0.08, 0.16), 0.012), seat)
    else:
        for k in range(4):
            b.limb((-0.17, 0.56 + 0.1 * k, 0.2), (0.17, 0.56 + 0.1 * k, 0.2), 0.012, 0.012, frame)


def sofa(b: Builder, wide: Number) -> None:
    """A sofa or armchair with cushions."""
    m = stuff(b, b.pick("cloth", "cloth", "dark", "fur"), size=1.5)
    b.box((0, 0.2, 0), (wide / 2, 0.2, 0.42), m)
    b.box((0, 0.55, 0.32), (wide / 2, 0.28, 0.12), m, rotation(pitch=8))
    for side in (-1, 1):
        b.box((side * (wide / 2 - 0.08), 0.36, 0), (0.1, 0.24, 0.42), m)
        b.limb((side * (wide / 2 - 0.08), 0.6, -0.36), (side * (wide / 2 - 0.08), 0.6, 0.36), 0.1, 0.1, m)
    for k in range(max(int(wide / 0.65), 1)):
        b.ball((-wide / 2 + 0.4 + 0.65 * k, 0.43, -0.05), (0.33, 0.1, 0.38), m)
    for _ in range(int(b.rng.integers(0, 4))):
        at = (b.uniform(-wide / 2 + 0.25, wide / 2 - 0.25), 0.62, 0.12)
        b.ball(at, (0.22, 0.2, 0.09), stuff(b, "cloth"), rotation(b.uniform(-20, 20), 20, b.uniform(-30, 30)))


def bed(b: Builder) -> None:
    """A bed along z with its head at +z."""
    frame, sheet = stuff(b, b.pick("wood", "cloth", "dark")), stuff(b, b.pick("white", "cloth"))
    b.box((0, 0.16, 0), (0.82, 0.16, 1.05), frame)
    b.box((0, 0.42, 0), (0.8, 0.12, 1.0), sheet)
    b.box((0, 0.47, -0.25), (0.83, 0.1, 0.76), stuff(b, b.pick("cloth", "carpet"), size=2))
    b.box((0, 0.6, 1.05), (0.85, 0.45, 0.04), frame)
    for side in (-1, 1):
        b.ball(
            (side * 0.38, 0.6, 0.72),
            (0.32, 0.1, 0.22),
            stuff(b, b.pick("white", "cloth")),
            rotation(b.uniform(-12, 12), -15),
        )
    for _ in range(int(b.rng.integers(0, 4))):
        with b.placed((b.uniform(-0.6, 0.6), 0.57, b.uniform(-0.9, 0.4)), b.uniform(0, 360)):
            small_thing(b, b.pick("cloth", "books", "bear", "box", "laptop"))


def bookshelf(b: Builder, wide: Number, tall: Number) -> None:
    """A shelf against +z, filled with books and things."""
    m, deep = stuff(b, b.pick("wood", "white", "dark")), 0.15
    for side in (-1, 1):
        b.box((side * wide / 2, tall / 2, 0), (0.012, tall / 2, deep), m)
    b.box((0, tall / 2, deep), (wide / 2, tall / 2, 0.008), m)
    rows = max(int(tall / 0.36), 1)
    for k in range(rows + 1):
        y = tall * k / rows
        b.box((0, y, 0), (wide / 2, 0.012, deep), m)
        if k == rows:
            break
        x = -wide / 2 + 0.03
        while x < wide / 2 - 0.06:
            if b.chance(0.06):
                with b.placed((min(x + 0.1, wide / 2 - 0.1), y + 0.012, 0), b.uniform(-30, 30)):
                    small_thing(b, b.pick("vase", "box", "clock", "bear", "plant", "jar", "can", "basket"))
                x += 0.24
                continue
            t, h = b.uniform(0.008, 0.028), b.uniform(0.08, 0.15)
            b.box(
                (x + t, y + 0.012 + h, -0.02),
                (t, h, b.uniform(0.08, 0.12)),
                stuff(b, "cover", size=0.5),
                rotation(roll=b.uniform(-4, 4) if b.chance(0.1) else 0),
            )
            x += 2 * t + (b.uniform(0, 0.25) if b.chance(0.08) else 0.001)


def cabinet(b: Builder, half: tuple[Number, Number, Number], *, doors: int = 2, things: int = 0) -> None:
    """A cupboard, drawer chest or kitchen counter with doors and things on top."""
    m = stuff(b, b.pick("wood", "white", "paint", "wood", "tintwall"))
    knob = stuff(b, "metal")
    b.box((0, half[1], 0), half, m)
    b.box(
        (0, 2 * half[1] + 0.012, 0),
        (half[0] + 0.012, 0.014, half[2] + 0.012),
        m if b.chance(0.5) else stuff(b, b.pick("stone", "wood", "white")),
    )
    for k in range(doors):
        w = half[0] / doors
        x = -half[0] + w * (2 * k + 1)
        b.box((x, half[1], -half[2] - 0.006), (w * 0.95, half[1] * 0.93, 0.008), m)
        b.ball((x + w * 0.7, half[1] * 1.2, -half[2] - 0.025), (0.014, 0.014, 0.014), knob)
    for _ in range(things):
        with b.placed(
            (b.uniform(-0.85, 0.85) * half[0], 2 * half[1] + 0.026, b.uniform(-0.5, 0.5) * half[2]), b.uniform(-40, 40)
        ):
            small_thing(b)


def lamp(b: Builder, tall: Number) -> None:
    """A standard or table lamp."""
    m = stuff(b, "metal")
    b.drum((0, 0.015 * tall, 0), tall * 0.11, 0.015 * tall, m)
    b.limb((0, 0, 0), (0, tall * 0.8, 0), tall * 0.012, tall * 0.01, m)
    b.drum(
        (0, tall * 0.86, 0), tall * 0.17, tall * 0.12, stuff(b, b.pick("white", "cloth"), glow=b.uniform(0, 1.2)), 0.65
    )


def car(b: Builder) -> None:
    """A car of about 4.3 m along z, its front to -z."""
    paint, glass, tyre = stuff(b, "paint"), stuff(b, "dark", shine=0.9), stuff(b, "dark", shine=0.05)
    chrome, light = stuff(b, "metal"), stuff(b, "white", shine=0.8)
    long, wide = b.uniform(1.9, 2.3), b.uniform(0.84, 0.95)
    tall = b.uniform(0.5, 0.7) if b.chance(0.7) else b.uniform(0.8, 1.1)
    b.box((0, 0.55, 0), (wide, 0.28, long), paint)
    b.limb((-wide * 0.8, 0.62, -long * 0.93), (wide * 0.8, 0.62, -long * 0.93), 0.22, 0.22, paint)
    b.limb((-wide * 0.8, 0.62, long * 0.93), (wide * 0.8, 0.62, long * 0.93), 0.22, 0.22, paint)
    cabin = 0.2 * long
    b.box((0, 0.8 + tall / 2, cabin), (wide * 0.86, tall / 2, long * 0.42), glass)
    b.box((0, 0.8 + tall, cabin), (wide * 0.84, 0.04, long * 0.4), paint)
    for z in (-0.42, 0.0, 0.44):
        for side in (-1, 1):
            b.box((side * wide * 0.85, 0.8 + tall / 2, cabin + z * long * 0.94), (0.03, tall / 2, 0.05), paint)
    b.box((0, 0.8 + tall * 0.42, cabin - long * 0.52), (wide * 0.8, 0.02, tall * 0.62), glass, rotation(pitch=-42))
    for side in (-1, 1):
        for z in (-0.6, 0.62):
            b.drum((side * wide * 0.92, 0.33, z * long), 0.33, 0.11, tyre, 1.0, rotation(roll=90))
            b.drum((side * wide * 0.94, 0.33, z * long), 0.2, 0.115, chrome, 1.0, rotation(roll=90))
        b.ball((side * wide * 0.68, 0.66, -long * 1.03), (0.16, 0.08, 0.06), light)
        b.ball((side * wide * 0.75, 0.7, long * 1.03), (0.12, 0.09, 0.05), stuff(b, "food"))
        b.box((side * wide * 1.08, 0.92, -long * 0.22), (0.09, 0.06, 0.05), paint)
    b.box((0, 0.46, -long * 1.04), (wide * 0.5, 0.1, 0.02), tyre)
    b.box((0, 0.42, long * 1.05), (0.26, 0.06, 0.01), light)


def bicycle(b: Builder) -> None:
    """A bicycle along x: thin curved tubes and spokes."""
    frame, tyre = stuff(b, "paint"), stuff(b, "dark")
    for x in (-0.5, 0.5):
        for k in range(14):
            a0, a1 = 6.2832 * k / 14, 6.2832 * (k + 1) / 14
            p = (x + 0.32 * math.cos(a0), 0.34 + 0.32 * math.sin(a0), 0.0)
            b.limb(p, (x + 0.32 * math.cos(a1), 0.34 + 0.32 * math.sin(a1), 0.0), 0.02, 0.02, tyre)
            if k % 2 == 0:
                b.limb((x, 0.34, 0), p, 0.003, 0.003, tyre)
    tubes = (
        ((-0.5, 0.34), (-0.16, 0.78)),
        ((-0.16, 0.78), (0.36, 0.8)),
        ((-0.05, 0.33), (0.38, 0.74)),
        ((-0.05, 0.33), (-0.18, 0.88)),
        ((0.5, 0.34), (0.34, 0.98)),
        ((-0.5, 0.34), (-0.05, 0.33)),
    )
    for low, high in tubes:
        b.limb((low[0], low[1], 0), (high[0], high[1], 0), 0.016, 0.016, frame)
    b.ball((-0.2, 0.92, 0), (0.13, 0.035, 0.07), tyre)
    b.limb((0.34, 0.98, -0.25), (0.34, 0.98, 0.25), 0.013, 0.013, tyre)
