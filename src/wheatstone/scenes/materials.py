"""Muted, photograph-like materials: what a surface is made of draws its colours, pattern, size of pattern and gloss."""

import colorsys

from wheatstone.scenes.world import Builder, Colour

__all__ = ["hsv", "linear", "material", "stuff"]


def linear(colour: Colour) -> Colour:
    """sRGB 0..1 to linear light."""
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
    return r, g, b


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """An sRGB colour from hue (degrees), saturation and value."""
    return colorsys.hsv_to_rgb(hue / 360 % 1, min(max(saturation, 0), 1), min(max(value, 0.02), 1))


def material(
    b: Builder,
    colours: tuple[Colour, Colour, Colour],
    texture: str,
    scale: float,
    *,
    contrast: float = 0.4,
    shine: float = 0.0,
    gloss: float = 20.0,
    macro: float = 0.15,
    cutout: str | None = None,
    repeat: tuple[float, float] = (1.0, 1.0),
    two_sided: float = 0.0,
    glow: float = 0.0,
    stretch: float = 1.0,
) -> int:
    """Add a material.

    Args:
        b: the scene being built.
        colours: sRGB colours at the ends and the middle of the texture's ramp.
        texture: name of a pattern of the pool.
        scale: metres one repetition of the pattern covers.
        contrast: how much the pattern's luminance shows, 0..1.
        shine, gloss: strength and exponent of the highlight.
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


# kind: hue range, saturation range, value range, spread of value, textures, scale range (m), contrast, shine, gloss
_STUFF: dict[str, tuple] = {
    "wood": ((14, 38), (0.25, 0.6), (0.25, 0.75), 0.14, ("wood", "wood", "planks"), (0.3, 1.2), 0.35, 0.15, 20),
    "floorwood": ((16, 36), (0.25, 0.55), (0.3, 0.75), 0.12, ("planks",), (0.7, 1.6), 0.4, 0.2, 40),
    "wall": ((20, 60), (0.02, 0.2), (0.6, 0.92), 0.05, ("plain", "plain", "plain", "rough", "stripes", "floral"), (1.0, 3.0), 0.08, 0, 9),
    "tintwall": ((0, 360), (0.08, 0.35), (0.45, 0.85), 0.05, ("plain", "plain", "rough"), (1.0, 3.0), 0.1, 0, 9),
    "stone": ((20, 50), (0.02, 0.22), (0.3, 0.75), 0.16, ("rough", "cracks", "marble", "speckle", "rough"), (0.5, 3.0), 0.45, 0.04, 10),
    "brick": ((5, 30), (0.25, 0.55), (0.35, 0.65), 0.14, ("brick",), (1.0, 2.2), 0.4, 0, 9),
    "plaster": ((20, 55), (0.03, 0.3), (0.5, 0.9), 0.07, ("rough", "plain", "cracks"), (1.5, 5.0), 0.2, 0, 9),
    "asphalt": ((20, 230), (0.0, 0.08), (0.28, 0.48), 0.05, ("rough", "speckle", "cracks"), (1.0, 4.0), 0.3, 0.05, 8),
    "paving": ((20, 45), (0.02, 0.15), (0.4, 0.7), 0.08, ("tiles", "tiles", "brick", "cracks"), (1.2, 2.5), 0.35, 0.04, 10),
    "soil": ((18, 38), (0.25, 0.5), (0.25, 0.5), 0.12, ("rough", "pebbles", "leaves"), (0.6, 2.5), 0.55, 0, 9),
    "grass": ((62, 105), (0.3, 0.6), (0.25, 0.5), 0.14, ("grass", "grass", "leaves"), (0.5, 2.0), 0.6, 0, 9),
    "drygrass": ((38, 65), (0.25, 0.5), (0.4, 0.65), 0.12, ("grass",), (0.5, 2.0), 0.55, 0, 9),
    "sand": ((28, 45), (0.15, 0.4), (0.55, 0.85), 0.08, ("rough", "pebbles"), (0.8, 3.0), 0.35, 0, 9),
    "snow": ((200, 230), (0.0, 0.08), (0.85, 0.98), 0.03, ("rough",), (1.5, 4.0), 0.12, 0.1, 20),
    "foliage": ((60, 125), (0.3, 0.65), (0.22, 0.5), 0.16, ("leaves", "rough"), (0.15, 0.5), 0.5, 0.05, 12),
    "autumn": ((15, 55), (0.4, 0.75), (0.4, 0.7), 0.16, ("leaves", "rough"), (0.15, 0.5), 0.5, 0.05, 12),
    "bark": ((15, 40), (0.1, 0.35), (0.2, 0.5), 0.14, ("bark",), (0.3, 1.0), 0.6, 0, 9),
    "skin": ((14, 28), (0.28, 0.52), (0.35, 0.95), 0.05, ("plain", "rough"), (0.08, 0.3), 0.08, 0.12, 14),
    "hair": ((15, 40), (0.15, 0.55), (0.06, 0.55), 0.08, ("fur",), (0.06, 0.2), 0.6, 0.25, 22),
    "fur": ((15, 42), (0.1, 0.55), (0.15, 0.9), 0.25, ("fur",), (0.15, 0.7), 0.5, 0.06, 12),
    "cloth": ((0, 360), (0.05, 0.5), (0.15, 0.85), 0.12, ("fabric", "fabric", "plaid", "stripes", "rough", "floral", "plain"), (0.2, 0.8), 0.35, 0.0, 9),
    "denim": ((205, 230), (0.2, 0.5), (0.2, 0.5), 0.08, ("fabric", "rough"), (0.2, 0.6), 0.35, 0.0, 9),
    "carpet": ((0, 360), (0.08, 0.45), (0.25, 0.65), 0.14, ("rough", "floral", "plaid", "fabric", "speckle", "blotches"), (0.3, 1.8), 0.4, 0, 9),
    "plastic": ((0, 360), (0.05, 0.65), (0.2, 0.9), 0.04, ("plain",), (0.3, 0.8), 0.05, 0.3, 40),
    "dark": ((200, 260), (0.0, 0.15), (0.05, 0.2), 0.03, ("plain",), (0.3, 0.8), 0.08, 0.3, 40),
    "metal": ((200, 230), (0.0, 0.12), (0.35, 0.75), 0.1, ("plain", "rough"), (0.2, 1.0), 0.15, 0.6, 50),
    "paint": ((0, 360), (0.1, 0.6), (0.2, 0.85), 0.04, ("plain", "plain", "rough"), (0.6, 2.0), 0.08, 0.35, 60),
    "ceramic": ((20, 230), (0.0, 0.4), (0.45, 0.95), 0.05, ("plain", "plain", "stripes", "floral", "speckle"), (0.1, 0.4), 0.08, 0.45, 70),
    "white": ((30, 60), (0.0, 0.1), (0.75, 0.95), 0.03, ("plain",), (0.5, 2.0), 0.06, 0.1, 20),
    "paper": ((25, 60), (0.02, 0.25), (0.6, 0.95), 0.3, ("text", "text", "picture"), (0.2, 0.4), 0.2, 0.03, 12),
    "cover": ((0, 360), (0.1, 0.6), (0.2, 0.8), 0.35, ("picture", "text", "plain"), (0.2, 0.35), 0.2, 0.12, 25),
    "food": ((8, 60), (0.35, 0.75), (0.4, 0.85), 0.15, ("rough", "speckle", "blotches", "plain"), (0.05, 0.2), 0.3, 0.2, 25),
    "water": ((190, 220), (0.2, 0.4), (0.3, 0.55), 0.08, ("grass", "rough"), (1.5, 4.0), 0.25, 0.6, 80),
    "rock": ((20, 45), (0.03, 0.22), (0.3, 0.65), 0.16, ("rough", "cracks", "marble"), (0.8, 3.0), 0.6, 0.03, 9),
    "anything": ((0, 360), (0.05, 0.55), (0.2, 0.9), 0.3, ("rough", "picture", "fabric", "marble", "wood", "floral", "text", "blotches", "checks", "plain", "pebbles"), (0.1, 1.0), 0.3, 0.1, 20),
}  # fmt: skip


def stuff(b: Builder, name: str, *, size: float = 1.0, **options: object) -> int:
    """Draw a material of a kind (`"wood"`, `"skin"`, ...); `size` scales its pattern, options override `material`'s."""
    hue, saturation, value, spread, textures, scale, contrast, shine, gloss = _STUFF[name]
    h, s, v = b.uniform(*hue), b.uniform(*saturation), b.uniform(*value)
    colours = []
    for k in (-1, 0, 1):
        shift = k * spread * b.uniform(0.5, 1.3)
        turn = b.uniform(-8, 8) if spread < 0.2 else b.uniform(-25, 25)
        if spread > 0.28 and b.chance(0.4):
            turn = b.uniform(-180, 180)
        colours.append(hsv(h + turn, s * b.uniform(0.7, 1.15), v + shift))
    if b.chance(0.5):
        colours.reverse()
    settings: dict = {
        "contrast": contrast * b.uniform(0.5, 1.3), "shine": shine * b.uniform(0.3, 1.2), "gloss": gloss * b.uniform(0.6, 1.5),
        "macro": 0.3 * b.uniform(0, 1),
    }  # fmt: skip
    settings.update(options)
    texture = settings.pop("texture", None) or b.pick(*textures)
    return material(b, (colours[0], colours[1], colours[2]), texture, b.uniform(*scale) * size, **settings)
