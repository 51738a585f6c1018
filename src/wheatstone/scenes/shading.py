"""Shading passes over the picture: who may cast shadows where, anti-aliased edges, smooth shadow borders."""

import math
from typing import NamedTuple

import numpy as np

from wheatstone.scenes.compiled import FAR, Bins, Vector, World, along, camera_ray, inlined, kernel, loop
from wheatstone.scenes.lighting import Shadows, combine, gather, gather_near, shade_point
from wheatstone.scenes.lookup import sky_colour
from wheatstone.scenes.tracing import TILE, first_hit

__all__ = ["Shaded", "resolve", "shade"]

BLOCK = 4  # tiles a side of the blocks that shorten the lists of shadow casters first


class Shaded(NamedTuple):
    """What `shade` makes of a picture.

    Attributes:
        terms: float32 `[H,W,16]`, see `shade_point`; for edges and sky 0..2 are the final radiance.
        faces: uint8 `[H,W]`, the face of the primitive.
        edge: bool `[H,W]`, where objects or faces meet.
    """

    terms: np.ndarray
    faces: np.ndarray
    edge: np.ndarray


class Picture(NamedTuple):
    """A traced picture: camera, tile lists, primitive and depth of every pixel."""

    cam: np.ndarray
    bins: Bins
    ids: np.ndarray
    zmap: np.ndarray


@inlined
def _dither(row: int, col: int) -> int:
    """A 4 x 4 pattern of the numbers 0..15, so that any 4 x 4 block holds each once."""
    return ((row & 3) * 4 + (col & 3)) * 7 % 16


@inlined
def _is_edge(world: World, ids: np.ndarray, zmap: np.ndarray, row: int, col: int) -> bool:
    """Whether a neighbour shows another primitive, or the same box from another face (the depth bends)."""
    height, width = ids.shape
    i = ids[row, col]
    for k in range(4):
        r = row + (0, 0, -1, 1)[k]
        c = col + (-1, 1, 0, 0)[k]
        if r >= 0 and r < height and c >= 0 and c < width and ids[r, c] != i:
            return True
    if i >= 0 and world.kind[i] == 0 and row > 0 and row < height - 1 and col > 0 and col < width - 1:
        z = 2.0 / zmap[row, col]
        bend = abs(1.0 / zmap[row, col - 1] + 1.0 / zmap[row, col + 1] - z)
        bend += abs(1.0 / zmap[row - 1, col] + 1.0 / zmap[row + 1, col] - z)
        return bend > 1e-6 * z
    return False


@loop
def _ball_around(picture: Picture, rows: tuple[int, int], cols: tuple[int, int]) -> tuple[Vector, float]:
    """Ball around the surface points of a rectangle of pixels: centre and radius (negative: only sky)."""
    cam, _, ids, zmap = picture
    camera = (cam[0], cam[1], cam[2])
    low = (1e18, 1e18, 1e18)
    high = (-1e18, -1e18, -1e18)
    for row in range(rows[0], rows[1]):
        for col in range(cols[0], cols[1]):
            if ids[row, col] >= 0:
                p = along(camera, camera_ray(cam, col, row), zmap[row, col])
                low = (min(low[0], p[0]), min(low[1], p[1]), min(low[2], p[2]))
                high = (max(high[0], p[0]), max(high[1], p[1]), max(high[2], p[2]))
    centre = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2)
    if low[0] > high[0]:
        return centre, -1.0
    size = math.sqrt((high[0] - low[0]) ** 2 + (high[1] - low[1]) ** 2 + (high[2] - low[2]) ** 2)
    return centre, size / 2 * 1.05 + 1e-3


@loop
def _prepare(
    world: World, picture: Picture, rows: tuple[int, int], cols: tuple[int, int], base: Shadows, out: Shadows
) -> None:
    """Choose from `base` who may shade the points of a rectangle of pixels."""
    lights = world.lights.shape[0]
    for k in range(lights + 1):
        out.counts[k] = 0
    centre, radius = _ball_around(picture, rows, cols)
    if radius < 0:
        return
    for k in range(lights):
        out.counts[k] = gather(world, k, base, centre, radius, out.lists)
    out.counts[lights] = gather_near(world, base, centre, radius + 2 * world.env[23], out.lists)


@kernel
def shade(
    world: World, cam: np.ndarray, bins: Bins, ids: np.ndarray, zmap: np.ndarray, samples: int
) -> Shaded:  # fmt: skip
    """Shade a traced picture; edge pixels take `samples` rays (1: no anti-aliasing) and are final, `resolve` does the rest."""
    height, width = ids.shape
    n = world.kind.shape[0]
    lists = world.lights.shape[0] + 1
    everything = Shadows(np.empty((lists, n), np.int32), np.full(lists, n))
    everything.lists[:] = np.arange(n)
    base = Shadows(np.empty((lists, n), np.int32), np.zeros(lists, np.int64))
    shadows = Shadows(np.empty((lists, n), np.int32), np.zeros(lists, np.int64))
    picture = Picture(cam, bins, ids, zmap)
    out = Shaded(
        np.zeros((height, width, 16), np.float32), np.zeros(ids.shape, np.uint8), np.zeros(ids.shape, np.bool_)
    )
    _shade_blocks(world, picture, samples, everything, base, shadows, out, np.zeros(16))
    return out


@loop
def _shade_blocks(
    world: World,
    picture: Picture,
    samples: int,
    everything: Shadows,
    base: Shadows,
    shadows: Shadows,
    out: Shaded,
    s: np.ndarray,
) -> None:
    height, width = picture.ids.shape
    size = TILE * BLOCK
    for row0 in range(0, height, size):
        for col0 in range(0, width, size):
            row1 = min(row0 + size, height)
            col1 = min(col0 + size, width)
            _prepare(world, picture, (row0, row1), (col0, col1), everything, base)
            for row in range(row0, row1, TILE):
                for col in range(col0, col1, TILE):
                    rows = (row, min(row + TILE, height))
                    cols = (col, min(col + TILE, width))
                    _prepare(world, picture, rows, cols, base, shadows)
                    _shade_tile(world, picture, samples, rows, cols, shadows, out, s)


@loop
def _shade_tile(
    world: World,
    picture: Picture,
    samples: int,
    rows: tuple[int, int],
    cols: tuple[int, int],
    shadows: Shadows,
    out: Shaded,
    s: np.ndarray,
) -> None:
    cam, bins, ids, zmap = picture
    tile = (rows[0] // TILE) * ((ids.shape[1] + TILE - 1) // TILE) + cols[0] // TILE
    pixel = 1.0 / cam[12]
    camera = (cam[0], cam[1], cam[2])
    for row in range(rows[0], rows[1]):
        for col in range(cols[0], cols[1]):
            is_edge = samples > 1 and _is_edge(world, ids, zmap, row, col)
            out.edge[row, col] = is_edge
            count = samples if is_edge else 1
            for k in range(count):
                which = ids[row, col]
                t = zmap[row, col]
                # Samples of an edge pixel: each has a column and a row of its own; the first of one is the centre.
                x = col + (k + 0.5) / count - 0.5
                y = row + ((2 * k + 1) % count + 0.5) / count - 0.5
                ray = camera_ray(cam, x, y)
                if is_edge:
                    which, t = first_hit(world, bins, tile, camera, ray, FAR, pixel)
                if which < 0:
                    radiance = sky_colour(world, ray)
                else:
                    # Edge pixels are not smoothed: the same three places on the lamps for all of them, around the middle.
                    jitter = (2, 8, 15)[k % 3] if is_edge else _dither(row, col)
                    out.faces[row, col] = shade_point(world, which, t, camera, ray, pixel, shadows, jitter, s)
                    radiance = combine(world, s)
                if which >= 0 and not is_edge:
                    for c in range(16):
                        out.terms[row, col, c] = s[c]
                else:
                    for c in range(3):
                        out.terms[row, col, c] += min(radiance[c], 8.0) / count


@kernel
def resolve(world: World, ids: np.ndarray, shaded: Shaded) -> np.ndarray:
    """Average the dithered light over 4 x 4 pixels of the same surface and join all terms: radiance float32 `[H,W,3]`."""
    out = np.empty((ids.shape[0], ids.shape[1], 3), np.float32)
    _resolve_pixels(world, ids, shaded, out, np.empty(16))
    return out


@loop
def _resolve_pixels(world: World, ids: np.ndarray, shaded: Shaded, out: np.ndarray, s: np.ndarray) -> None:
    terms, faces, edge = shaded
    height, width = ids.shape
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            for c in range(16):
                s[c] = terms[row, col, c]
            radiance = (s[0], s[1], s[2])
            if i >= 0 and not edge[row, col]:
                total = 1.0
                for r in range(max(row - 1, 0), min(row + 3, height)):
                    for q in range(max(col - 1, 0), min(col + 3, width)):
                        same = ids[r, q] == i and not edge[r, q] and faces[r, q] == faces[row, col]
                        if same and (r != row or q != col):
                            total += 1.0
                            for c in range(3, 9):
                                s[c] += terms[r, q, c]
                for c in range(3, 9):
                    s[c] /= total
                radiance = combine(world, s)
            for c in range(3):
                out[row, col, c] = radiance[c]
