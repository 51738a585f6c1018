"""Procedural texture pools: two-channel patterns (a colour ramp's position, a luminance) with mip pyramids.

A texture holds no colour: a material maps its ramp onto three colours of its own, so one pattern serves as many
surfaces. A pool is made from a seed and kept by the process that made it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from wheatstone.scenes.cutouts import CUTOUTS
from wheatstone.seeding import numpy_generator_for

__all__ = ["SIZE", "TEXTURES", "Pool", "pool"]

SIZE = 256
Pattern = tuple[np.ndarray, np.ndarray]


def _noise(rng: np.random.Generator, slope: float, stretch: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Tiling noise with amplitude spectrum 1/f^slope, mean 0.5, most values within 0..1."""
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE * stretch[0]
    fx = np.fft.rfftfreq(SIZE)[None, :] * SIZE * stretch[1]
    radius = np.sqrt(fy**2 + fx**2)
    radius[0, 0] = 1
    phase = rng.uniform(0, 2 * np.pi, radius.shape)
    spectrum = radius**-slope * np.exp(1j * phase)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (SIZE, SIZE))
    return 0.5 + field / (field.std() * 5 + 1e-12)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64) / SIZE
    return x, y


def _cells(rng: np.random.Generator, rows: int, cols: int, shift: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random value a cell of a (brick) grid, and the distance to the joint in x and y (cell widths)."""
    x, y = _grid()
    r = np.floor(y * rows).astype(int)
    u = x * cols + (0.5 * (r % 2) if shift else 0)
    c = np.floor(u).astype(int) % cols
    value = rng.uniform(0, 1, (rows, cols))[r % rows, c]
    return value, 0.5 - np.abs(u - np.floor(u) - 0.5), 0.5 - np.abs(y * rows - r - 0.5)


def _plain(rng: np.random.Generator) -> Pattern:
    fine = _noise(rng, rng.uniform(0.6, 1.4))
    return 0.5 + 0.3 * (_noise(rng, 1.6) - 0.5), 0.5 + 0.25 * (fine - 0.5)


def _rough(rng: np.random.Generator) -> Pattern:
    return _noise(rng, rng.uniform(0.9, 1.6)), _noise(rng, rng.uniform(0.6, 1.2))


def _wood(rng: np.random.Generator) -> Pattern:
    x, _ = _grid()
    wobble = _noise(rng, 2.0, (1.0, 3.0)) - 0.5
    rings = np.sin(2 * np.pi * (x * rng.integers(2, 7) + wobble * rng.uniform(0.5, 1.6)))
    fibre = _noise(rng, 0.7, (8.0, 0.6)) - 0.5
    return 0.5 + 0.25 * rings + 0.6 * fibre, 0.5 + 0.5 * fibre + 0.08 * rings


def _planks(rng: np.random.Generator) -> Pattern:
    ramp, lum = _wood(rng)
    value, _, joint = _cells(rng, int(rng.integers(4, 9)), int(rng.integers(1, 3)), True)
    _, along, _ = _cells(rng, 1, 2, False)
    gap = (joint < 0.03) | (along < 0.004)
    return np.clip(0.5 * ramp + 0.6 * value - 0.05, 0, 1), np.where(gap, 0.1, lum + 0.2 * (value - 0.5))


def _brick(rng: np.random.Generator) -> Pattern:
    rows = 2 * int(rng.integers(4, 8))
    value, gx, gy = _cells(rng, rows, rows // 2, True)
    rough = _noise(rng, 1.0)
    joint = (gx < 0.03) | (gy < 0.07)
    return np.where(joint, 0.98, 0.15 + 0.5 * value + 0.3 * (rough - 0.5)), np.where(joint, 0.55, 0.3 + 0.4 * rough)


def _tiles(rng: np.random.Generator) -> Pattern:
    n = int(rng.integers(2, 7))
    value, gx, gy = _cells(rng, n, n, False)
    joint = np.minimum(gx, gy) < 0.02
    spread = rng.uniform(0.05, 0.5)
    return np.where(joint, 0.95, 0.35 + spread * (value - 0.5) + 0.2 * (_noise(rng, 1.5) - 0.5)), np.where(
        joint, 0.3, 0.5
    )


def _checks(rng: np.random.Generator) -> Pattern:
    x, y = _grid()
    n = int(rng.integers(2, 6))
    check = (np.floor(x * 2 * n) + np.floor(y * 2 * n)) % 2
    return 0.15 + 0.7 * check + 0.2 * (_noise(rng, 1.3) - 0.5), 0.3 + 0.4 * _noise(rng, 0.8)


def _plaid(rng: np.random.Generator) -> Pattern:
    x, y = _grid()
    lines = np.zeros(SIZE)
    for _ in range(rng.integers(2, 5)):
        a, w = rng.uniform(0, 1), rng.uniform(0.02, 0.16)
        lines += np.where(np.abs((_grid()[0][0] - a + 0.5) % 1 - 0.5) < w, rng.uniform(0.2, 0.6), 0)
    weave = 0.5 + 0.2 * np.sin(2 * np.pi * 64 * x) * np.sin(2 * np.pi * 64 * y)
    return np.clip(0.1 + 0.5 * (lines[None] + lines[:, None]), 0, 1), weave + 0.2 * (_noise(rng, 1.0) - 0.5)


def _stripes(rng: np.random.Generator) -> Pattern:
    x, _ = _grid()
    n = int(rng.integers(3, 14))
    wave = np.sin(2 * np.pi * n * x) > rng.uniform(-0.5, 0.5)
    return np.where(wave, 0.85, 0.15) + 0.15 * (_noise(rng, 1.2) - 0.5), 0.4 + 0.2 * _noise(rng, 0.8)


def _fabric(rng: np.random.Generator) -> Pattern:
    x, y = _grid()
    n = int(rng.integers(24, 64))
    weave = np.sin(2 * np.pi * n * x) * np.sin(2 * np.pi * n * y)
    folds = _noise(rng, 2.2)
    return 0.5 + 0.5 * (folds - 0.5) + 0.12 * weave, 0.5 + 0.15 * weave + 0.9 * (folds - 0.5)


def _marble(rng: np.random.Generator) -> Pattern:
    x, y = _grid()
    a, b = rng.integers(-3, 4, 2)
    veins = np.abs(np.sin(np.pi * (a * x + b * y + 2.5 * (_noise(rng, 2.0) - 0.5))))
    return veins**0.6 * 0.8 + 0.1, 0.5 + 0.3 * (_noise(rng, 1.3) - 0.5)


def _grass(rng: np.random.Generator) -> Pattern:
    blades = _noise(rng, 0.55, (0.5, 1.6))
    clumps = _noise(rng, 1.5)
    return np.clip(0.5 * blades + 0.9 * clumps - 0.2, 0, 1), 0.1 + 0.8 * blades


def _leaves(rng: np.random.Generator) -> Pattern:
    canvas = np.zeros((SIZE, SIZE, 2), np.float32)
    for k in range(900):
        centre = tuple(int(v) for v in rng.integers(0, SIZE, 2))
        depth = k / 900
        size = rng.uniform(4, 9)
        axes = (int(size), max(int(size * rng.uniform(0.3, 0.6)), 1))
        colour = (float(rng.uniform(0.1, 0.9)), 0.15 + 0.7 * depth + float(rng.normal(0, 0.06)))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    return canvas[..., 0], canvas[..., 1]


def _pebbles(rng: np.random.Generator) -> Pattern:
    canvas = np.full((SIZE, SIZE, 2), 0.15, np.float32)
    small, large = (2, 5) if rng.random() < 0.5 else (5, 13)
    for _ in range(int(9000 / (small + large))):
        centre = tuple(int(v) for v in rng.integers(0, SIZE, 2))
        size = rng.uniform(small, large)
        axes = (int(size), max(int(size * rng.uniform(0.6, 1)), 1))
        ramp = float(rng.uniform(0, 1))
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(canvas, centre, axes, angle, 0, 360, (ramp, 0.28), -1)
        inner = (max(axes[0] - 2, 1), max(axes[1] - 2, 1))
        cv2.ellipse(canvas, centre, inner, angle, 0, 360, (ramp, float(rng.uniform(0.45, 0.7))), -1)
    return canvas[..., 0], canvas[..., 1]


def _speckle(rng: np.random.Generator) -> Pattern:
    dots = _noise(rng, 0.15) > rng.uniform(0.68, 0.85)
    return np.where(dots, rng.uniform(0.6, 1), 0.3 + 0.3 * (_noise(rng, 1.5) - 0.5)), 0.5 + 0.2 * (
        _noise(rng, 0.9) - 0.5
    )


def _fur(rng: np.random.Generator) -> Pattern:
    hairs = _noise(rng, 0.6, (0.35, 2.2))
    blotch = _noise(rng, 2.0)
    sharp = 1 / (1 + np.exp(-(blotch - 0.5) * rng.choice([4.0, 12.0, 40.0])))
    return np.clip(sharp * 0.8 + 0.5 * (hairs - 0.5) + 0.1, 0, 1), 0.1 + 0.8 * hairs


def _bark(rng: np.random.Generator) -> Pattern:
    ridges = np.abs(_noise(rng, 1.0, (0.35, 1.8)) - 0.5) * 4
    return np.clip(ridges * 0.6 + 0.5 * _noise(rng, 1.4) - 0.1, 0, 1), np.clip(0.15 + 0.7 * ridges, 0, 1)


def _text(rng: np.random.Generator) -> Pattern:
    page = np.full((SIZE, SIZE), 26, np.uint8)
    y = int(rng.integers(10, 40))
    alphabet = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIKLMNOPRSTUVW0123456789 "))
    while y < SIZE - 8:
        size = float(rng.choice([0.35, 0.5, 0.8, 1.4], p=[0.4, 0.3, 0.2, 0.1]))
        line = "".join(rng.choice(alphabet, int(rng.integers(4, 30))))
        tone = int(rng.choice([240, 140]))
        place, face = (int(rng.integers(4, 40)), y), int(rng.integers(0, 4))
        cv2.putText(page, line, place, face, size, tone, 1 + int(size > 0.7), cv2.LINE_AA)
        y += int(12 + 26 * size)
    if rng.random() < 0.5:
        x0, y0 = (int(v) for v in rng.integers(0, 160, 2))
        cv2.rectangle(page, (x0, y0), (x0 + int(rng.integers(40, 96)), y0 + int(rng.integers(40, 96))), 150, -1)
    return page / 255, 0.5 + 0.15 * (_noise(rng, 1.5) - 0.5)


def _picture(rng: np.random.Generator) -> Pattern:
    """Something like a painting or a photograph on a wall, a screen or a book's cover."""
    ramp = cv2.GaussianBlur(_noise(rng, 1.8).astype(np.float32), (0, 0), 2)
    for _ in range(rng.integers(3, 12)):
        points = rng.integers(0, SIZE, (int(rng.integers(3, 7)), 2)) // 2 + rng.integers(0, SIZE // 2, 2)
        cv2.fillPoly(ramp, [cv2.convexHull(points.astype(np.int32))], float(rng.uniform(0, 1)), cv2.LINE_AA)
        centre = tuple(int(v) for v in rng.integers(0, SIZE, 2))
        cv2.circle(ramp, centre, int(rng.integers(6, 50)), float(rng.uniform(0, 1)), -1, cv2.LINE_AA)
    return ramp, 0.2 + 0.6 * _noise(rng, 1.4)


def _blotches(rng: np.random.Generator) -> Pattern:
    field = _noise(rng, rng.uniform(1.5, 2.2))
    levels = int(rng.integers(2, 5))
    return np.floor(np.clip(field, 0, 0.999) * levels) / max(levels - 1, 1), 0.3 + 0.4 * _noise(rng, 1.0)


def _floral(rng: np.random.Generator) -> Pattern:
    ramp = np.full((SIZE, SIZE), 0.08, np.float32)
    for _ in range(rng.integers(6, 26)):
        cx, cy = rng.uniform(0, SIZE, 2)
        size, petals = rng.uniform(6, 24), int(rng.integers(4, 8))
        tone, turn = float(rng.uniform(0.4, 1)), rng.uniform(0, 6)
        for k in range(petals):
            a = turn + 2 * np.pi * k / petals
            centre = (int(cx + np.cos(a) * size * 0.6), int(cy + np.sin(a) * size * 0.6))
            cv2.ellipse(
                ramp, centre, (int(size * 0.5), int(size * 0.28)), float(np.degrees(a)), 0, 360, tone, -1, cv2.LINE_AA
            )
        cv2.circle(ramp, (int(cx), int(cy)), int(size * 0.25), 0.25, -1, cv2.LINE_AA)
    return ramp, 0.5 + 0.2 * (_noise(rng, 1.3) - 0.5)


def _cracks(rng: np.random.Generator) -> Pattern:
    lines = np.abs(_noise(rng, 1.5) - 0.5) < 0.006
    rough = _noise(rng, 1.1)
    return 0.4 + 0.5 * (rough - 0.5), np.where(lines, 0.12, 0.3 + 0.4 * rough)


# name -> (maker, how many in a pool)
TEXTURES: dict[str, tuple[Callable[[np.random.Generator], Pattern], int]] = {
    "plain": (_plain, 6), "rough": (_rough, 10), "wood": (_wood, 6), "planks": (_planks, 5), "brick": (_brick, 4),
    "tiles": (_tiles, 4), "checks": (_checks, 2), "plaid": (_plaid, 4), "stripes": (_stripes, 4), "fabric": (_fabric, 6),
    "marble": (_marble, 4), "grass": (_grass, 4), "leaves": (_leaves, 5), "pebbles": (_pebbles, 4),
    "speckle": (_speckle, 4), "fur": (_fur, 8), "bark": (_bark, 4), "text": (_text, 8), "picture": (_picture, 12),
    "blotches": (_blotches, 6), "floral": (_floral, 4), "cracks": (_cracks, 4),
}  # fmt: skip


@dataclass(frozen=True)
class Pool:
    """Textures and cut-outs of one pool.

    Attributes:
        textures: uint8 `[T, P, 2]`, mip levels 256, 128, ..., 1 one after the other.
        cutouts: uint8 `[A, P]`, the same for coverage.
        texture_names: name to the rows that hold it.
        cutout_names: the same for cut-outs.
    """

    textures: np.ndarray
    cutouts: np.ndarray
    texture_names: dict[str, range]
    cutout_names: dict[str, range]


def _pyramid(image: np.ndarray) -> np.ndarray:
    levels = []
    level = np.clip(image, 0, 1).astype(np.float32)
    while True:
        levels.append((level.reshape(level.shape[0] ** 2, -1) * 255 + 0.5).astype(np.uint8))
        if level.shape[0] == 1:
            return np.concatenate(levels)
        level = (level[::2, ::2] + level[1::2, ::2] + level[::2, 1::2] + level[1::2, 1::2]) / 4


@lru_cache(maxsize=2)
def pool(number: int) -> Pool:
    """Make pool `number` (about a second), or return it from memory."""
    textures: list[np.ndarray] = []
    texture_names: dict[str, range] = {}
    for name, (maker, count) in TEXTURES.items():
        texture_names[name] = range(len(textures), len(textures) + count)
        for k in range(count):
            rng = numpy_generator_for(number, f"{name}/{k}", "texture")
            textures.append(_pyramid(np.stack(maker(rng), axis=-1)))
    cutouts: list[np.ndarray] = []
    cutout_names: dict[str, range] = {}
    for name, (draw, count) in CUTOUTS.items():
        cutout_names[name] = range(len(cutouts), len(cutouts) + count)
        for k in range(count):
            rng = numpy_generator_for(number, f"{name}/{k}", "cutout")
            cutouts.append(_pyramid(draw(rng))[:, 0])
    return Pool(np.stack(textures), np.stack(cutouts), texture_names, cutout_names)
