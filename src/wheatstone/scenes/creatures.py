"""People and animals out of ellipsoids and limbs, around the origin, standing on y = 0, facing -z (towards the camera)."""

import math

from wheatstone.scenes.materials import hsv, material, stuff
from wheatstone.scenes.world import Builder, Number, rotation

__all__ = ["animal", "bird", "head", "person"]


def head(b: Builder, skin: int, hair: int, *, detail: bool = True) -> None:
    """A head about 0.24 m high with its chin's base at the origin, facing -z."""
    wide, long = b.uniform(0.068, 0.08), b.uniform(0.105, 0.122)
    b.ball((0, 0.125, 0), (wide, long, 0.092), skin)
    b.ball((0, 0.06, -0.022), (wide * 0.78, 0.062, 0.066), skin)
    b.limb((0, 0.125, -0.085), (0, 0.095, -0.104), 0.008, b.uniform(0.01, 0.0145), skin)
    for side in (-1, 1):
        b.ball((side * wide, 0.115, 0.005), (0.012, 0.03, 0.018), skin)
        b.ball((side * 0.036, 0.085, -0.062), (0.024, 0.027, 0.019), skin)
    if detail:
        _face(b, hair)
    style = b.pick("short", "short", "long", "bald", "curly", "cap", "bun")
    if style != "bald":
        b.ball((0, 0.165, 0.022), (wide * 1.12, 0.09, 0.098), hair)
        b.ball((0, 0.2, -0.025), (wide * 1.0, 0.042, 0.07), hair)
    if style == "long":
        for side in (-1, 1):
            b.limb((side * wide, 0.17, 0.03), (side * (wide + 0.02), -0.08, 0.03), 0.035, 0.028, hair)
        b.ball((0, 0.05, 0.07), (wide * 1.2, 0.17, 0.05), hair)
    if style == "curly":
        for _ in range(26):
            a, e = b.uniform(0, 6.28), b.uniform(0.1, 1.5)
            r = b.uniform(0.022, 0.036)
            x, y, z = (
                math.cos(a) * math.cos(e) * 0.088,
                0.16 + 0.088 * math.sin(e),
                0.03 + 0.095 * math.sin(a) * math.cos(e),
            )
            b.ball((x, y, z), (r, r, r), hair)
    if style == "bun":
        b.ball((0, 0.25, 0.06), (0.045, 0.04, 0.045), hair)
    if style == "cap":
        hat = stuff(b, "cloth")
        b.ball((0, 0.19, 0.0), (wide * 1.2, 0.07, 0.11), hat)
        b.ball((0, 0.195, -0.09), (wide, 0.012, 0.075), hat)


def _face(b: Builder, hair: int) -> None:
    white = material(b, ((0.85, 0.83, 0.8),) * 3, "plain", 0.2, contrast=0.0, shine=0.4, gloss=60)
    iris = material(b, (hsv(b.uniform(15, 220), 0.4, 0.25),) * 3, "plain", 0.2, contrast=0.0, shine=0.8, gloss=80)
    lips = material(b, (hsv(b.uniform(-5, 14), 0.45, b.uniform(0.4, 0.7)),) * 3, "plain", 0.2, contrast=0.05, shine=0.2)
    for side in (-1, 1):
        b.ball((side * 0.031, 0.128, -0.079), (0.0155, 0.0085, 0.009), white)
        b.ball((side * 0.031, 0.128, -0.085), (0.0072, 0.0072, 0.005), iris)
        b.limb((side * 0.018, 0.15, -0.086), (side * 0.047, 0.152, -0.074), 0.0045, 0.003, hair)
    b.ball((0, 0.058, -0.082), (0.024, 0.0048, 0.008), lips)
    b.ball((0, 0.05, -0.081), (0.02, 0.005, 0.008), lips)
    if b.chance(0.25):
        rim = stuff(b, "dark")
        for side in (-1, 1):
            for k in range(8):
                a0, a1 = k * math.pi / 4, (k + 1) * math.pi / 4
                x = side * 0.033
                p = (x + 0.023 * math.cos(a0), 0.126 + 0.019 * math.sin(a0), -0.1)
                q = (x + 0.023 * math.cos(a1), 0.126 + 0.019 * math.sin(a1), -0.1)
                b.limb(p, q, 0.0018, 0.0018, rim)
            b.limb((side * 0.055, 0.13, -0.1), (side * 0.075, 0.13, 0.0), 0.0018, 0.0018, rim)
    if b.chance(0.2):
        b.ball((0, 0.035, -0.052), (0.05, 0.04, 0.045), hair)


def person(b: Builder, pose: str = "stand", *, detail: bool = True) -> None:
    """A person of about 1.7 m: `"stand"`, `"walk"`, `"sit"` (seat height 0.45 m) or `"bust"` (from the waist up)."""
    skin, hair = stuff(b, "skin"), stuff(b, "hair")
    shirt = stuff(b, "cloth")
    trousers = stuff(b, b.pick("cloth", "denim", "denim", "dark"))
    shoes = stuff(b, b.pick("dark", "plastic", "cloth"))
    sleeve = skin if b.chance(0.4) else shirt
    build = b.uniform(0.85, 1.25)
    hip = 0.52 if pose == "sit" else 0.92
    _legs(b, pose, hip, build, trousers, shoes)
    lean = b.uniform(-0.04, 0.1) * (1 if pose != "bust" else 0.4)
    chest, neck = hip + 0.36, hip + 0.52
    b.ball((0, hip + 0.05, 0), (0.165 * build, 0.14, 0.125 * build), trousers)
    b.ball((0, hip + 0.2, -lean * 0.3), (0.15 * build, 0.2, 0.115 * build), shirt)
    b.ball((0, chest, -lean * 0.7), (0.175 * build, 0.175, 0.12 * build), shirt)
    b.limb((-0.14 * build, neck - 0.06, -lean), (0.14 * build, neck - 0.06, -lean), 0.07, 0.07, shirt)
    b.limb((0, neck - 0.05, -lean), (0, neck + 0.06, -lean - 0.015), 0.058, 0.05, skin)
    for side in (-1, 1):
        _arm(b, side, neck, lean, build, shirt, sleeve, skin, pose)
    with b.placed((0, neck + 0.02, -lean - 0.02), b.uniform(-35, 35), b.uniform(-14, 14), b.uniform(-10, 10)):
        head(b, skin, hair, detail=detail)
    if b.chance(0.25):
        bag = stuff(b, "cloth")
        b.ball((0, chest, 0.16), (0.15, 0.22, 0.1), bag)
    if b.chance(0.3):
        b.limb((-0.05, neck - 0.02, -lean - 0.075), (0.02, chest - 0.2, -0.135 * build), 0.02, 0.03, stuff(b, "cloth"))


def _arm(
    b: Builder, side: int, neck: Number, lean: Number, build: Number, shirt: int, sleeve: int, skin: int, pose: str
) -> None:
    shoulder = (side * 0.18 * build, neck - 0.07, -lean)
    out, front = b.uniform(0.02, 0.16), b.uniform(-0.12, 0.12)
    elbow = (shoulder[0] + side * out, shoulder[1] - 0.27, shoulder[2] - front)
    if pose == "sit" or b.chance(0.45):
        hand = (
            elbow[0] - side * b.uniform(0.0, 0.22),
            elbow[1] + b.uniform(-0.1, 0.22),
            elbow[2] - b.uniform(0.12, 0.24),
        )
    else:
        hand = (elbow[0] + side * b.uniform(-0.06, 0.06), elbow[1] - 0.24, elbow[2] - b.uniform(0, 0.12))
    b.limb(shoulder, elbow, 0.06, 0.046, shirt)
    b.limb(elbow, hand, 0.044, 0.03, sleeve)
    step = [hand[k] + (hand[k] - elbow[k]) * 0.3 for k in range(3)]
    b.limb(hand, (step[0], step[1], step[2]), 0.034, 0.026, skin)


def _legs(b: Builder, pose: str, hip: Number, build: Number, trousers: int, shoes: int) -> None:
    if pose == "bust":
        return
    stride = b.uniform(0.12, 0.3) if pose == "walk" else b.uniform(0, 0.06)
    for side in (-1, 1):
        x = side * 0.095 * build
        if pose == "sit":
            knee, ankle = (x + side * 0.05, hip + 0.02, -0.42), (x + side * 0.06, 0.09, -0.44 + b.uniform(-0.12, 0.1))
        else:
            knee, ankle = (x + side * 0.02, 0.5, -0.05 - side * stride * 0.5), (x + side * 0.03, 0.09, side * -stride)
        b.limb((x, hip, 0), knee, 0.088 * build, 0.062, trousers)
        b.limb(knee, ankle, 0.06, 0.045, trousers)
        b.limb(
            (ankle[0], 0.045, ankle[2] + 0.04), (ankle[0] + side * 0.02, 0.035, ankle[2] - 0.16), 0.045, 0.036, shoes
        )


def animal(b: Builder, species: str | None = None) -> float:
    """A four-legged animal facing -z; returns its shoulder height (m)."""
    species = species or b.pick("cat", "dog", "dog", "horse", "cow", "sheep")
    tall = {"cat": 0.26, "dog": 0.5, "horse": 1.45, "cow": 1.3, "sheep": 0.65}[species] * b.uniform(0.85, 1.15)
    slim = {"cat": 0.3, "dog": 0.26, "horse": 0.2, "cow": 0.27, "sheep": 0.36}[species] * b.uniform(0.9, 1.1)
    coat = stuff(b, "fur", size=max(tall, 0.3))
    dark, nose = stuff(b, "fur", size=tall), stuff(b, "dark")
    length = tall * b.uniform(0.95, 1.25)
    r = tall * slim
    belly = tall * {"cat": 0.68, "dog": 0.7, "horse": 0.76, "cow": 0.68, "sheep": 0.66}[species]
    b.limb((0, belly, -length / 2), (0, belly, length / 2), r * 1.05, r * 0.95, coat)
    b.ball((0, belly - r * 0.1, 0), (r * 1.0, r * 1.08, length * 0.52), coat)
    for front in (-1, 1):
        for side in (-1, 1):
            z, x = front * length * 0.46, side * r * 0.62
            knee = (x, tall * 0.36, z + b.uniform(-0.1, 0.1) * tall)
            b.limb((x, belly, z), knee, r * 0.46, r * 0.26, coat)
            b.limb(
                knee,
                (x, tall * 0.05, z + b.uniform(-0.07, 0.05) * tall),
                r * 0.24,
                r * 0.2,
                coat if b.chance(0.7) else dark,
            )
    sit = b.uniform(-0.2, 1.0) if species in ("horse", "cow", "sheep") else b.uniform(0.1, 0.9)
    neck = (0.0, belly + r * 0.5, -length * 0.52)
    skull = (b.uniform(-0.1, 0.1) * tall, tall * (0.72 + 0.42 * sit), -length * 0.52 - tall * b.uniform(0.2, 0.4))
    b.limb(neck, skull, r * 0.75, r * 0.46, coat)
    with b.placed(skull, b.uniform(-40, 40), b.uniform(-10, 25)):
        animal_head(b, species, r * (0.8 if species == "cat" else 0.66), coat, dark, nose)
    tip = (b.uniform(-0.3, 0.3) * tall, belly + b.uniform(-0.4, 0.5) * tall, length * 0.55 + tall * 0.4)
    b.limb((0, belly + r * 0.5, length / 2), tip, r * 0.2, r * (0.14 if species != "horse" else 0.3), dark)
    return tall


def animal_head(b: Builder, species: str, r: Number, coat: int, dark: int, nose: int) -> None:
    """An animal's head of radius about `r` around the origin, facing -z."""
    snout = {"cat": 0.55, "dog": 1.2, "horse": 1.9, "cow": 1.4, "sheep": 1.2}[species]
    b.ball((0, 0, 0), (r * 0.92, r * 0.9, r * 1.05), coat)
    b.limb(
        (0, -r * 0.15, -r * 0.4), (0, -r * 0.36, -r * (0.5 + snout)), r * 0.58, r * 0.4, coat if b.chance(0.6) else dark
    )
    b.ball((0, -r * 0.24, -r * (0.84 + snout)), (r * 0.19, r * 0.14, r * 0.12), nose)
    amber = material(b, (hsv(b.uniform(25, 95), 0.6, 0.5),) * 3, "plain", 0.2, contrast=0.0, shine=0.9, gloss=80)
    for side in (-1, 1):
        b.ball((side * r * 0.44, r * 0.24, -r * 0.76), (r * 0.16, r * 0.16, r * 0.12), amber)
        b.ball((side * r * 0.45, r * 0.24, -r * 0.86), (r * 0.08, r * 0.12, r * 0.05), nose)
        if species == "dog" and b.chance(0.5):
            b.ball((side * r * 0.85, -r * 0.1, r * 0.1), (r * 0.2, r * 0.6, r * 0.36), dark, rotation(roll=side * 18))
        else:
            b.drum((side * r * 0.6, r * 1.05, r * 0.05), r * 0.36, r * 0.42, coat, 0.08, rotation(roll=-side * 16))
            b.drum((side * r * 0.6, r * 1.0, -r * 0.08), r * 0.24, r * 0.34, dark, 0.08, rotation(roll=-side * 16))
    if species == "cat":
        whisker = stuff(b, "white")
        for side in (-1, 1):
            for k in (-1, 0, 1):
                b.limb(
                    (side * r * 0.2, -r * 0.35, -r * 0.9),
                    (side * r * 1.5, -r * (0.35 - 0.22 * k), -r * 0.85),
                    0.001,
                    0.0006,
                    whisker,
                )


def bird(b: Builder) -> None:
    """A small bird of about 0.15 m standing on the origin."""
    body, wing, beak = stuff(b, "fur", size=0.3), stuff(b, "fur", size=0.3), stuff(b, "food")
    b.ball((0, 0.09, 0.01), (0.04, 0.045, 0.075), body, rotation(pitch=20))
    b.ball((0, 0.15, -0.05), (0.028, 0.028, 0.03), body)
    b.drum((0, 0.145, -0.09), 0.008, 0.014, beak, 0.1, rotation(pitch=-90))
    b.limb((0, 0.09, 0.07), (0, 0.07, 0.16), 0.02, 0.008, wing)
    for side in (-1, 1):
        b.ball((side * 0.034, 0.095, 0.03), (0.012, 0.032, 0.066), wing, rotation(pitch=20))
        b.limb((side * 0.015, 0.06, 0.02), (side * 0.018, 0.0, 0.01), 0.004, 0.004, beak)
        b.ball((side * 0.022, 0.157, -0.065), (0.005, 0.006, 0.005), stuff(b, "dark"))
