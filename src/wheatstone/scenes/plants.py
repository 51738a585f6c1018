"""Trees, bushes, grass, rocks and pot plants; each grows from the origin upwards."""

import math

from wheatstone.scenes.materials import stuff
from wheatstone.scenes.world import Builder, Number, rotation

__all__ = ["bush", "flower", "pot_plant", "rock", "tree", "tuft"]


def _leaf_stuff(b: Builder, cutout: str) -> int:
    name = "autumn" if b.chance(0.12) else "foliage"
    return stuff(b, name, cutout=cutout, two_sided=0.6, texture="rough" if b.chance(0.5) else "leaves")


def tree(b: Builder, tall: Number, *, clusters: int = 60) -> None:
    """A tree `tall` metres high: round, conical (fir) or bare."""
    style = b.pick("round", "round", "round", "fir", "bare", "tall")
    bark = stuff(b, "bark")
    trunk = tall * b.uniform(0.018, 0.035)
    if style == "fir":
        leaf = _leaf_stuff(b, "branch" if b.chance(0.5) else "cluster")
        b.limb((0, 0, 0), (0, tall * 0.95, 0), trunk, trunk * 0.3, bark)
        for _ in range(clusters):
            t = b.uniform(0, 1) ** 0.8
            a, r = b.uniform(0, 360), tall * 0.24 * (1 - t) * b.uniform(0.5, 1.05)
            at = (r * math.cos(math.radians(a)), tall * (0.14 + 0.84 * t), r * math.sin(math.radians(a)))
            size = tall * 0.13 * (1.15 - t)
            b.quad(
                at,
                size,
                size * 0.7,
                leaf,
                rotation(90 - a + b.uniform(-40, 40), b.uniform(-65, -15), b.uniform(-30, 30)),
            )
        return
    crown = tall * (0.62 if style != "tall" else 0.55)
    wide = tall * (b.uniform(0.22, 0.36) if style != "tall" else 0.14)
    high = tall - crown if style != "tall" else tall * 0.42
    bend = (b.uniform(-0.06, 0.06) * tall, tall * 0.38, b.uniform(-0.06, 0.06) * tall)
    b.limb((0, 0, 0), bend, trunk, trunk * 0.8, bark)
    tips = []
    for _ in range(int(b.rng.integers(3, 7)) if style != "bare" else 14):
        a = b.uniform(0, 6.28)
        tip = (
            bend[0] + wide * b.uniform(0.3, 0.9) * math.cos(a),
            tall * b.uniform(0.55, 0.95),
            bend[2] + wide * b.uniform(0.3, 0.9) * math.sin(a),
        )
        b.limb(bend, tip, trunk * 0.6, trunk * 0.2, bark)
        tips.append(tip)
    if style == "bare":
        twig = stuff(b, "bark", cutout="twigs", texture="bark")
        for tip in tips:
            size = tall * 0.13
            b.quad(
                (tip[0], tip[1] + size * 0.5, tip[2]),
                size,
                size,
                twig,
                rotation(b.uniform(0, 360), b.uniform(-20, 20), b.uniform(-40, 40)),
            )
        return
    leaf, leaf2 = _leaf_stuff(b, "cluster"), _leaf_stuff(b, "branch" if b.chance(0.3) else "cluster")
    size = wide * 3.4 / math.sqrt(clusters)
    for k in range(clusters):
        u, a = b.uniform(-1, 1), b.uniform(0, 6.28)
        r = wide * math.sqrt(1 - u * u) * b.uniform(0.55, 1.0)
        at = (
            bend[0] + r * math.cos(a),
            high + (tall - high) * (0.5 + 0.5 * u * b.uniform(0.7, 1)),
            bend[2] + r * math.sin(a),
        )
        s = size * b.uniform(0.7, 1.3)
        b.quad(at, s, s, leaf if k % 3 else leaf2, rotation(b.uniform(0, 360), b.uniform(-50, 50), b.uniform(0, 360)))


def bush(b: Builder, tall: Number, *, clusters: int = 24) -> None:
    """A bush with an irregular outline."""
    leaf, core = _leaf_stuff(b, b.pick("cluster", "cluster", "branch")), stuff(b, "foliage", texture="leaves")
    for _ in range(3):
        r = tall * b.uniform(0.28, 0.42)
        b.ball((b.uniform(-0.3, 0.3) * tall, r * 0.8, b.uniform(-0.3, 0.3) * tall), (r, r, r), core)
    for _ in range(clusters):
        u, a = b.uniform(0, 1), b.uniform(0, 6.28)
        r = tall * 0.62 * math.sqrt(1 - u * u * 0.8)
        s = tall * b.uniform(0.2, 0.34)
        b.quad(
            (r * math.cos(a), tall * (0.15 + 0.75 * u), r * math.sin(a)),
            s,
            s,
            leaf,
            rotation(b.uniform(0, 360), b.uniform(-40, 40), b.uniform(-60, 60)),
        )


def tuft(b: Builder, tall: Number, leaf: int | None = None) -> None:
    """A tuft of grass or fern: two or three crossed cut-outs."""
    leaf = (
        leaf
        if leaf is not None
        else stuff(b, b.pick("grass", "grass", "drygrass"), cutout=b.pick("grass", "grass", "fern"), two_sided=0.7)
    )
    yaw = b.uniform(0, 180)
    for k in range(2):
        b.quad(
            (0, tall * 0.48, 0),
            tall * b.uniform(0.35, 0.6),
            tall * 0.5,
            leaf,
            rotation(yaw + 80 * k, b.uniform(-15, 15)),
        )


def flower(b: Builder, tall: Number, stem: int, petal: int, heart: int) -> None:
    """A flower with round petals."""
    top = (b.uniform(-0.12, 0.12) * tall, tall, b.uniform(-0.12, 0.12) * tall)
    b.limb((0, 0, 0), top, tall * 0.012, tall * 0.01, stem)
    n, r = int(b.rng.integers(5, 9)), tall * b.uniform(0.08, 0.15)
    with b.placed(top, b.uniform(0, 360), b.uniform(-80, 10)):
        for k in range(n):
            a = 6.283 * k / n
            b.ball(
                (math.cos(a) * r, 0, math.sin(a) * r), (r * 0.75, r * 0.16, r * 0.4), petal, rotation(-math.degrees(a))
            )
        b.ball((0, r * 0.06, 0), (r * 0.42, r * 0.25, r * 0.42), heart)


def rock(b: Builder, size: Number, material: int | None = None) -> None:
    """A rock of two or three ellipsoids, or a boulder with flat faces."""
    material = material if material is not None else stuff(b, "rock", size=size)
    for _ in range(int(b.rng.integers(1, 4))):
        r = size * b.uniform(0.5, 1)
        half = (r * b.uniform(0.6, 1), r * b.uniform(0.4, 0.8), r * b.uniform(0.6, 1))
        at = (b.uniform(-0.4, 0.4) * size, r * 0.25, b.uniform(-0.4, 0.4) * size)
        turn = rotation(b.uniform(0, 360), b.uniform(-25, 25), b.uniform(-25, 25))
        if b.chance(0.7):
            b.ball(at, half, material, turn)
        else:
            b.box(at, (half[0] * 0.7, half[1] * 0.7, half[2] * 0.7), material, turn)


def pot_plant(b: Builder, tall: Number) -> None:
    """A plant in a pot."""
    pot = stuff(b, b.pick("ceramic", "food", "stone"))
    soil, leaf = stuff(b, "soil", size=0.2), _leaf_stuff(b, b.pick("branch", "branch", "fern", "cluster", "grass"))
    r = tall * b.uniform(0.14, 0.22)
    b.drum((0, r, 0), r * 0.75, r, pot, 1.35)
    b.drum((0, r * 2.0, 0), r * 0.92, r * 0.05, soil)
    stem = stuff(b, "foliage", size=0.3)
    for _ in range(int(b.rng.integers(5, 14))):
        a, out = b.uniform(0, 360), b.uniform(0.05, 0.35) * tall
        top = (
            out * math.sin(math.radians(a)),
            2 * r + b.uniform(0.25, 0.8) * (tall - 2 * r),
            out * math.cos(math.radians(a)),
        )
        b.limb((0, 2 * r, 0), top, tall * 0.008, tall * 0.005, stem)
        s = tall * b.uniform(0.14, 0.26)
        b.quad(top, s * 0.8, s, leaf, rotation(a + b.uniform(-30, 30), b.uniform(-60, 30), b.uniform(-30, 30)))
