"""Table-top things; each stands on y = 0 around the origin, its front to -z."""

import math

from wheatstone.scenes.materials import stuff
from wheatstone.scenes.plants import pot_plant
from wheatstone.scenes.world import Builder, rotation

__all__ = ["SMALL_THINGS", "small_thing"]


_COMMON = "mug bottle books"
_RARE = "bowl book box can fruit plate screen laptop keyboard vase plant jar paper phone toy clock bear cloth glass basket pens"
SMALL_THINGS = (*_COMMON.split(), *_COMMON.split(), *_RARE.split())
"""What `small_thing` draws from; what is common stands twice."""


def small_thing(b: Builder, name: str | None = None) -> float:
    """Something that lies on a table, shelf or floor (a name of `SMALL_THINGS`); returns about its width (m)."""
    return _THINGS[name or b.pick(*SMALL_THINGS)](b)


def _mug(b: Builder) -> float:
    m, r, h = stuff(b, "ceramic"), b.uniform(0.035, 0.05), b.uniform(0.04, 0.06)
    b.drum((0, h, 0), r, h, m, b.uniform(0.95, 1.25))
    b.drum((0, 2 * h, 0), r * 0.88, 0.001, stuff(b, "dark"))
    for k in range(6):
        a0, a1 = math.pi * (k / 6 - 0.5), math.pi * ((k + 1) / 6 - 0.5)
        p = (r + 0.024 * math.cos(a0), h + 0.028 * math.sin(a0), 0.0)
        b.limb(p, (r + 0.024 * math.cos(a1), h + 0.028 * math.sin(a1), 0.0), 0.005, 0.005, m)
    return 0.12


def _bottle(b: Builder) -> float:
    m = stuff(b, b.pick("plastic", "ceramic", "paint", "dark"))
    r, h = b.uniform(0.03, 0.045), b.uniform(0.06, 0.11)
    b.drum((0, h, 0), r, h, m)
    b.drum((0, h, 0), r * 1.01, h * 0.45, stuff(b, "cover", size=0.5))
    b.ball((0, 2 * h, 0), (r, r * 0.8, r), m)
    b.drum((0, 2 * h + r, 0), r * 0.4, r * 0.7, m, 0.85)
    b.drum((0, 2 * h + r * 1.7, 0), r * 0.45, r * 0.25, stuff(b, "plastic"))
    return 0.1


def _bowl(b: Builder) -> float:
    r, h = b.uniform(0.07, 0.14), b.uniform(0.03, 0.06)
    b.drum((0, h, 0), r * 0.55, h, stuff(b, "ceramic"), 1.8)
    food = stuff(b, "food")
    for _ in range(int(b.rng.integers(0, 12))):
        s, a, d = b.uniform(0.018, 0.04), b.uniform(0, 6.28), b.uniform(0, 0.65) * r
        b.ball(
            (d * math.cos(a), 2 * h + s * 0.3, d * math.sin(a)),
            (s, s * b.uniform(0.7, 1), s),
            food if b.chance(0.7) else stuff(b, "food"),
        )
    return 2 * r


def _books(b: Builder) -> float:
    y = 0.0
    for _ in range(int(b.rng.integers(2, 8))):
        t = b.uniform(0.008, 0.028)
        half = (b.uniform(0.06, 0.1), t, b.uniform(0.09, 0.14))
        turn = rotation(b.uniform(-14, 14))
        b.box((b.uniform(-0.015, 0.015), y + t, 0), half, stuff(b, "cover", size=0.8), turn)
        b.box((0.004, y + t, -0.003), (half[0], t * 0.8, half[2]), stuff(b, "white"), turn)
        y += 2 * t
    return 0.26


def _book(b: Builder) -> float:
    page = stuff(b, "paper", size=0.6)
    for side in (-1, 1):
        b.box((side * 0.075, 0.012, 0), (0.075, 0.008, 0.11), page, rotation(roll=side * b.uniform(2, 9)))
    return 0.32


def _crate(b: Builder) -> float:
    half = (b.uniform(0.03, 0.13), b.uniform(0.03, 0.14), b.uniform(0.03, 0.12))
    b.box((0, half[1], 0), half, stuff(b, b.pick("cover", "cover", "wood", "food", "paint"), size=0.6))
    return 2 * half[0]


def _can(b: Builder) -> float:
    b.drum((0, 0.06, 0), 0.033, 0.058, stuff(b, "cover", size=0.5))
    b.drum((0, 0.06, 0), 0.03, 0.061, stuff(b, "metal"))
    return 0.08


def _fruit(b: Builder) -> float:
    m, r = stuff(b, "food"), b.uniform(0.025, 0.045)
    for _ in range(int(b.rng.integers(1, 7))):
        s = r * b.uniform(0.85, 1.15)
        b.ball(
            (b.uniform(-0.07, 0.07), s * 0.95, b.uniform(-0.07, 0.07)),
            (s, s * b.uniform(0.85, 1.05), s * b.uniform(0.9, 1.5)),
            m,
            rotation(b.uniform(0, 360)),
        )
    return 0.18


def _plate(b: Builder) -> float:
    r = b.uniform(0.09, 0.14)
    b.drum((0, 0.008, 0), r * 0.65, 0.008, stuff(b, "ceramic"), 1.5)
    for _ in range(int(b.rng.integers(1, 9))):
        s, a, d = b.uniform(0.015, 0.05), b.uniform(0, 6.28), b.uniform(0, 0.6) * r
        half = (s, s * b.uniform(0.3, 0.8), s * b.uniform(0.5, 1))
        b.ball(
            (d * math.cos(a), 0.016 + half[1] * 0.6, d * math.sin(a)),
            half,
            stuff(b, "food"),
            rotation(b.uniform(0, 360)),
        )
    return 2 * r


def _screen(b: Builder) -> float:
    w = b.uniform(0.2, 0.34)
    dark, tilt = stuff(b, "dark"), b.uniform(-8, 4)
    b.box((0, 0.16 + w * 0.35, 0), (w, w * 0.6, 0.015), dark, rotation(pitch=tilt))
    glow = {"glow": b.uniform(0.3, 1.0)} if b.chance(0.5) else {"shine": 0.5}
    b.box(
        (0, 0.16 + w * 0.35, -0.004),
        (w * 0.95, w * 0.55, 0.013),
        stuff(b, "cover" if b.chance(0.6) else "dark", size=1.5, **glow),
        rotation(pitch=tilt),
    )
    b.box((0, 0.1, 0.02), (0.03, 0.1, 0.01), dark)
    b.box((0, 0.006, 0), (w * 0.4, 0.006, 0.08), dark)
    return 2 * w


def _laptop(b: Builder) -> float:
    body = stuff(b, b.pick("metal", "dark", "plastic"))
    b.box((0, 0.008, 0), (0.16, 0.008, 0.11), body)
    b.box((0, 0.009, 0.02), (0.14, 0.0085, 0.05), stuff(b, "dark", texture="tiles", size=0.12, contrast=0.6))
    turn = rotation(pitch=b.uniform(5, 30))
    b.box((0, 0.12, 0.14), (0.16, 0.11, 0.005), body, turn)
    b.box((0, 0.12, 0.137), (0.15, 0.1, 0.005), stuff(b, "cover", size=1.2, glow=b.uniform(0.2, 0.9)), turn)
    return 0.34


def _keyboard(b: Builder) -> float:
    b.box((0, 0.01, 0), (0.21, 0.01, 0.07), stuff(b, b.pick("dark", "white")))
    b.box(
        (0, 0.012, 0), (0.2, 0.012, 0.06), stuff(b, b.pick("dark", "white"), texture="tiles", size=0.12, contrast=0.7)
    )
    return 0.44


def _vase(b: Builder) -> float:
    m, r, h = stuff(b, "ceramic"), b.uniform(0.05, 0.1), b.uniform(0.1, 0.2)
    b.ball((0, h, 0), (r, h, r), m)
    b.drum((0, h * 1.95, 0), r * 0.4, h * 0.2, m, b.uniform(1.0, 1.6))
    return 2 * r


def _plant(b: Builder) -> float:
    pot_plant(b, b.uniform(0.2, 0.5))
    return 0.25


def _jar(b: Builder) -> float:
    r, h = b.uniform(0.03, 0.06), b.uniform(0.04, 0.09)
    b.drum((0, h, 0), r, h, stuff(b, b.pick("ceramic", "food", "plastic")))
    b.drum((0, 2 * h + 0.008, 0), r * 1.03, 0.01, stuff(b, b.pick("metal", "plastic", "wood")))
    return 2 * r


def _paper(b: Builder) -> float:
    for _ in range(int(b.rng.integers(1, 5))):
        b.box(
            (b.uniform(-0.08, 0.08), 0.002, b.uniform(-0.08, 0.08)),
            (0.105, b.uniform(0.001, 0.003), 0.148),
            stuff(b, "paper"),
            rotation(b.uniform(0, 360)),
        )
    return 0.3


def _phone(b: Builder) -> float:
    b.box((0, 0.005, 0), (0.036, 0.005, 0.075), stuff(b, "dark"), rotation(b.uniform(0, 360)))
    return 0.12


def _toy(b: Builder) -> float:
    for _ in range(int(b.rng.integers(3, 10))):
        s = b.uniform(0.012, 0.035)
        at = (b.uniform(-0.1, 0.1), s, b.uniform(-0.1, 0.1))
        turn = rotation(b.uniform(0, 360))
        m = stuff(b, "plastic")
        if b.chance(0.5):
            b.box(at, (s, s, s * b.uniform(0.6, 2)), m, turn)
        else:
            b.drum(at, s, s, m, b.uniform(0.05, 1.0))
    return 0.24


def _clock(b: Builder) -> float:
    r = b.uniform(0.06, 0.1)
    b.drum((0, r, 0), r, 0.02, stuff(b, b.pick("wood", "metal", "plastic")), 1.0, rotation(pitch=90))
    b.drum((0, r, -0.004), r * 0.88, 0.02, stuff(b, "white"), 1.0, rotation(pitch=90))
    hand = stuff(b, "dark")
    for length in (0.5, 0.75):
        a = b.uniform(0, 6.28)
        b.limb((0, r, -0.026), (r * length * math.cos(a), r + r * length * math.sin(a), -0.026), 0.004, 0.002, hand)
    return 2 * r


def _bear(b: Builder) -> float:
    m, s = stuff(b, "fur", size=0.4), b.uniform(0.8, 1.6)
    dark = stuff(b, "dark")
    for at, r in (
        ((0, 0.1, 0), 0.085),
        ((0, 0.22, -0.01), 0.062),
        ((0, 0.2, -0.06), 0.026),
        ((-0.05, 0.27, 0), 0.024),
        ((0.05, 0.27, 0), 0.024),
    ):
        b.ball((at[0] * s, at[1] * s, at[2] * s), (r * s, r * s, r * s), m)
    for side in (-1, 1):
        b.limb((side * 0.06 * s, 0.15 * s, 0), (side * 0.12 * s, 0.08 * s, -0.06 * s), 0.03 * s, 0.026 * s, m)
        b.limb((side * 0.05 * s, 0.04 * s, 0), (side * 0.08 * s, 0.035 * s, -0.12 * s), 0.036 * s, 0.032 * s, m)
        b.ball((side * 0.022 * s, 0.235 * s, -0.062 * s), (0.007 * s, 0.007 * s, 0.006 * s), dark)
    b.ball((0, 0.208 * s, -0.085 * s), (0.011 * s, 0.008 * s, 0.008 * s), dark)
    return 0.26 * s


def _cloth(b: Builder) -> float:
    m = stuff(b, "cloth")
    for _ in range(int(b.rng.integers(3, 9))):
        half = (b.uniform(0.04, 0.12), b.uniform(0.015, 0.05), b.uniform(0.04, 0.1))
        b.ball(
            (b.uniform(-0.1, 0.1), half[1] * 0.6, b.uniform(-0.1, 0.1)),
            half,
            m,
            rotation(b.uniform(0, 360), b.uniform(-15, 15), b.uniform(-15, 15)),
        )
    return 0.3


def _glass(b: Builder) -> float:
    m = stuff(b, "metal", shine=0.9)
    b.drum((0, 0.004, 0), 0.035, 0.004, m)
    b.limb((0, 0, 0), (0, 0.09, 0), 0.005, 0.005, m)
    b.drum((0, 0.13, 0), 0.022, 0.045, stuff(b, b.pick("food", "metal", "water"), shine=0.9), 1.6)
    return 0.08


def _basket(b: Builder) -> float:
    r = b.uniform(0.1, 0.2)
    b.drum((0, r * 0.5, 0), r, r * 0.5, stuff(b, "wood", texture="checks", size=0.3), 1.2)
    m = stuff(b, b.pick("food", "cloth", "foliage"))
    for _ in range(12):
        s, a, d = r * b.uniform(0.2, 0.34), b.uniform(0, 6.28), b.uniform(0, 0.8) * r
        b.ball((d * math.cos(a), r + s * 0.4, d * math.sin(a)), (s, s, s), m)
    return 2.4 * r


def _pens(b: Builder) -> float:
    b.drum((0, 0.05, 0), 0.04, 0.05, stuff(b, "ceramic"))
    for _ in range(int(b.rng.integers(3, 9))):
        a = b.uniform(0, 6.28)
        tip = (0.05 * math.cos(a), b.uniform(0.14, 0.2), 0.05 * math.sin(a))
        b.limb((0, 0.06, 0), tip, 0.004, 0.004, stuff(b, "plastic"))
    return 0.12


_THINGS = {
    "mug": _mug, "bottle": _bottle, "bowl": _bowl, "books": _books, "book": _book, "box": _crate, "can": _can,
    "fruit": _fruit, "plate": _plate, "screen": _screen, "laptop": _laptop, "keyboard": _keyboard, "vase": _vase,
    "plant": _plant, "jar": _jar, "paper": _paper, "phone": _phone, "toy": _toy, "clock": _clock, "bear": _bear,
    "cloth": _cloth, "glass": _glass, "basket": _basket, "pens": _pens,
}  # fmt: skip
