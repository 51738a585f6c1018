"""Muted, photograph-like materials: what a surface is made of draws its colours, pattern, size of pattern and gloss."""

import colorsys
from typing import Any, NamedTuple

from wheatstone.scenes.world import Builder, Colour, Number

__all__ = ["hsv", "linear", "material", "stuff"]


def linear(colour: Colour) -> Colour:
    """SRGB 0..1 to linear light."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return r, g, b


def hsv(hue: Number, saturation: Number, value: Number) -> Colour:
    """An sRGB colour from hue (degrees), saturation and value."""
    return colorsys.hsv_to_rgb(hue / 360 % 1, min(max(saturation, 0), 1), min(max(value, 0.02), 1))


def material(
    b: Builder,
    colours: tuple[Colour, Colour, Colour],
    texture: str,
    scale: Number,
    *,
    contrast: Number = 0.4,
    shine: Number = 0.0,
    gloss: Number = 20.0,
    macro: Number = 0.15,
    cutout: str | None = None,
    repeat: tuple[Number, Number] = (1.0, 1.0),
    two_sided: Number = 0.0,
    glow: Number = 0.0,
    stretch: Number = 1.0,
) -> int:
    """Add a material.

    Args:
        b: the scene being built.
        colours: sRGB colours at the ends and the middle of the texture's ramp.
        texture: name of a pattern of the pool.
        scale: metres one repetition of the pattern covers.
        contrast: how much the pattern's luminance shows, 0..1.
        shine: strength of the highlight.
        gloss: exponent of the highlight.
        macro: strength of slow variation (stains, wear).
        cutout: name of a cut-out of the pool, for quads.
        repeat: repetitions of the cut-out sideways and downwards.
        two_sided: share of light that comes through from behind, for leaves and paper.
        glow: light the surface gives by itself, in units of its colour.
        stretch: vertical squeeze of the pattern.
    """
    row: list[float] = []
    for colour in colours:
        row += linear(colour)
    textures = b.pool.texture_names[texture]
    coarse = b.pool.texture_names["rough"]
    alpha = -1.0
    if cutout is not None:
        names = b.pool.cutout_names[cutout]
        alpha = float(names[int(b.rng.integers(len(names)))])
    row += [
        textures[int(b.rng.integers(len(textures)))], max(scale, 1e-4), contrast, shine, gloss, macro,
        b.uniform(0, 1), b.uniform(0, 1), alpha, 128.0, repeat[0], repeat[1], stretch,
        coarse[int(b.rng.integers(len(coarse)))], two_sided, glow,
    ]  # fmt: skip
    b.materials.append(row)
    return len(b.materials) - 1


class _Recipe(NamedTuple):
    """Ranges a material is drawn from: hue (degrees), saturation, value; spread of the value along the ramp; patterns;
    metres a repetition; contrast of the pattern, strength and exponent of the highlight.
    """

    hue: tuple[Number, Number]
    saturation: tuple[Number, Number]
    value: tuple[Number, Number]
    spread: Number
    textures: str
    scale: tuple[Number, Number]
    contrast: Number
    shine: Number
    gloss: Number


_STUFF = {
    "wood": _Recipe((14, 38), (0.25, 0.6), (0.25, 0.75), 0.14, "wood wood planks", (0.3, 1.2), 0.35, 0.15, 20),
    "floorwood": _Recipe((16, 36), (0.25, 0.55), (0.3, 0.75), 0.12, "planks", (0.7, 1.6), 0.4, 0.2, 40),
    "wall": _Recipe((20, 60), (0.02, 0.2), (0.6, 0.92), 0.05, "plain plain plain rough stripes floral", (1.0, 3.0), 0.08, 0, 9),
    "tintwall": _Recipe((0, 360), (0.08, 0.35), (0.45, 0.85), 0.05, "plain plain rough", (1.0, 3.0), 0.1, 0, 9),
    "stone": _Recipe(
        (20, 50), (0.02, 0.22), (0.3, 0.75), 0.16,
        "rough cracks marble speckle rough", (0.5, 3.0), 0.45, 0.04, 10
    ),
    "brick": _Recipe((5, 30), (0.25, 0.55), (0.35, 0.65), 0.14, "brick", (1.0, 2.2), 0.4, 0, 9),
    "plaster": _Recipe((20, 55), (0.03, 0.3), (0.5, 0.9), 0.07, "rough plain cracks", (1.5, 5.0), 0.2, 0, 9),
    "asphalt": _Recipe((20, 230), (0.0, 0.08), (0.28, 0.48), 0.05, "rough speckle cracks", (1.0, 4.0), 0.3, 0.05, 8),
    "paving": _Recipe((20, 45), (0.02, 0.15), (0.4, 0.7), 0.08, "tiles tiles brick cracks", (1.2, 2.5), 0.35, 0.04, 10),
    "soil": _Recipe((18, 38), (0.25, 0.5), (0.25, 0.5), 0.12, "rough pebbles leaves", (0.6, 2.5), 0.55, 0, 9),
    "grass": _Recipe((62, 105), (0.3, 0.6), (0.25, 0.5), 0.14, "grass grass leaves", (0.5, 2.0), 0.6, 0, 9),
    "drygrass": _Recipe((38, 65), (0.25, 0.5), (0.4, 0.65), 0.12, "grass", (0.5, 2.0), 0.55, 0, 9),
    "sand": _Recipe((28, 45), (0.15, 0.4), (0.55, 0.85), 0.08, "rough pebbles", (0.8, 3.0), 0.35, 0, 9),
    "snow": _Recipe((200, 230), (0.0, 0.08), (0.85, 0.98), 0.03, "rough", (1.5, 4.0), 0.12, 0.1, 20),
    "foliage": _Recipe((60, 125), (0.3, 0.65), (0.22, 0.5), 0.16, "leaves rough", (0.15, 0.5), 0.5, 0.05, 12),
    "autumn": _Recipe((15, 55), (0.4, 0.75), (0.4, 0.7), 0.16, "leaves rough", (0.15, 0.5), 0.5, 0.05, 12),
    "bark": _Recipe((15, 40), (0.1, 0.35), (0.2, 0.5), 0.14, "bark", (0.3, 1.0), 0.6, 0, 9),
    "skin": _Recipe((14, 28), (0.28, 0.52), (0.35, 0.95), 0.05, "plain rough", (0.08, 0.3), 0.08, 0.12, 14),
    "hair": _Recipe((15, 40), (0.15, 0.55), (0.06, 0.55), 0.08, "fur", (0.06, 0.2), 0.6, 0.25, 22),
    "fur": _Recipe((15, 42), (0.1, 0.55), (0.15, 0.9), 0.25, "fur", (0.15, 0.7), 0.5, 0.06, 12),
    "cloth": _Recipe(
        (0, 360), (0.05, 0.5), (0.15, 0.85), 0.12,
        "fabric fabric plaid stripes rough floral plain", (0.2, 0.8), 0.35, 0.0, 9
    ),
    "denim": _Recipe((205, 230), (0.2, 0.5), (0.2, 0.5), 0.08, "fabric rough", (0.2, 0.6), 0.35, 0.0, 9),
    "carpet": _Recipe(
        (0, 360), (0.08, 0.45), (0.25, 0.65), 0.14,
        "rough floral plaid fabric speckle blotches", (0.3, 1.8), 0.4, 0, 9
    ),
    "plastic": _Recipe((0, 360), (0.05, 0.65), (0.2, 0.9), 0.04, "plain", (0.3, 0.8), 0.05, 0.3, 40),
    "dark": _Recipe((200, 260), (0.0, 0.15), (0.05, 0.2), 0.03, "plain", (0.3, 0.8), 0.08, 0.3, 40),
    "metal": _Recipe((200, 230), (0.0, 0.12), (0.35, 0.75), 0.1, "plain rough", (0.2, 1.0), 0.15, 0.6, 50),
    "paint": _Recipe((0, 360), (0.1, 0.6), (0.2, 0.85), 0.04, "plain plain rough", (0.6, 2.0), 0.08, 0.35, 60),
    "ceramic": _Recipe(
        (20, 230), (0.0, 0.4), (0.45, 0.95), 0.05,
        "plain plain stripes floral speckle", (0.1, 0.4), 0.08, 0.45, 70
    ),
    "white": _Recipe((30, 60), (0.0, 0.1), (0.75, 0.95), 0.03, "plain", (0.5, 2.0), 0.06, 0.1, 20),
    "paper": _Recipe((25, 60), (0.02, 0.25), (0.6, 0.95), 0.3, "text text picture", (0.2, 0.4), 0.2, 0.03, 12),
    "cover": _Recipe((0, 360), (0.1, 0.6), (0.2, 0.8), 0.35, "picture text plain", (0.2, 0.35), 0.2, 0.12, 25),
    "food": _Recipe((8, 60), (0.35, 0.75), (0.4, 0.85), 0.15, "rough speckle blotches plain", (0.05, 0.2), 0.3, 0.2, 25),
    "water": _Recipe((190, 220), (0.2, 0.4), (0.3, 0.55), 0.08, "grass rough", (1.5, 4.0), 0.25, 0.6, 80),
    "rock": _Recipe((20, 45), (0.03, 0.22), (0.3, 0.65), 0.16, "rough cracks marble", (0.8, 3.0), 0.6, 0.03, 9),
    "anything": _Recipe(
        (0, 360), (0.05, 0.55), (0.2, 0.9), 0.3,
        "rough picture fabric marble wood floral text blotches checks plain pebbles", (0.1, 1.0), 0.3, 0.1, 20
    ),
}  # fmt: skip


def stuff(b: Builder, name: str, *, size: Number = 1.0, **options: Any) -> int:
    """Draw a material of a kind (`"wood"`, `"skin"`, ...); `size` scales its pattern, options override `material`'s."""
    kind = _STUFF[name]
    h, s, v = b.uniform(*kind.hue), b.uniform(*kind.saturation), b.uniform(*kind.value)
    colours = []
    for k in (-1, 0, 1):
        shift = k * kind.spread * b.uniform(0.5, 1.3)
        turn = b.uniform(-8, 8) if kind.spread < 0.2 else b.uniform(-25, 25)
        if kind.spread > 0.28 and b.chance(0.4):
            turn = b.uniform(-180, 180)
        colours.append(hsv(h + turn, s * b.uniform(0.7, 1.15), v + shift))
    if b.chance(0.5):
        colours.reverse()
    settings: dict[str, Any] = {
        "contrast": kind.contrast * b.uniform(0.5, 1.3),
        "shine": kind.shine * b.uniform(0.3, 1.2),
        "gloss": kind.gloss * b.uniform(0.6, 1.5),
        "macro": 0.3 * b.uniform(0, 1),
    }
    settings.update(options)
    texture = settings.pop("texture", None) or b.pick(*kind.textures.split())
    return material(b, (colours[0], colours[1], colours[2]), texture, b.uniform(*kind.scale) * size, **settings)
