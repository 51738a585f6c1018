"""Geometry passes of the ray caster: lists of primitives a tile, tracing, and what one view sees of another."""

import math

import numpy as np

from wheatstone.scenes.compiled import (
    FAR,
    Bins,
    Vector,
    World,
    along,
    camera_ray,
    dot,
    inlined,
    kernel,
    local_point,
    loop,
    minus,
    world_direction,
)
from wheatstone.scenes.primitives import hit

__all__ = ["NEAR", "TILE", "bin_primitives", "first_hit", "misses_ball", "occlusion", "trace"]

TILE = 8
NEAR = 0.03


@inlined
def _corners(world: World, i: int, cam: np.ndarray, corners: np.ndarray) -> float:
    """Corners of a primitive's bounding box in camera axes; returns the smallest depth."""
    p = world.prim
    kind = world.kind[i]
    z_low = 1e9
    for k in range(8):
        sx = 1.0 if k & 1 else -1.0
        sy = 1.0 if k & 2 else -1.0
        sz = 1.0 if k & 4 else -1.0
        local = (sx * p[i, 12], sy * p[i, 13], sz * p[i, 14] * (kind != 4))
        if kind == 3:
            r = max(p[i, 12], p[i, 14])
            local = (sx * r, -p[i, 12] if sy < 0 else p[i, 13] + p[i, 14], sz * r)
        elif kind == 2:
            r = p[i, 12] * max(1.0, p[i, 15])
            local = (sx * r, sy * p[i, 13], sz * r)
        w = world_direction(p, i, local)
        w = (w[0] + p[i, 0] - cam[0], w[1] + p[i, 1] - cam[1], w[2] + p[i, 2] - cam[2])
        for c in range(3):
            corners[k, c] = cam[3 + 3 * c] * w[0] + cam[4 + 3 * c] * w[1] + cam[5 + 3 * c] * w[2]
        z_low = min(z_low, corners[k, 2])
    return z_low


@inlined
def _rectangle(cam: np.ndarray, corners: np.ndarray) -> tuple[float, float, float, float]:
    """Pixel rectangle of a box clipped at the near plane: of its corners in front and where its edges cross the plane."""
    x_low = 1e9
    x_high = -1e9
    y_low = 1e9
    y_high = -1e9
    for k in range(8):
        for step in range(4):
            other = k if step == 3 else k ^ (1 << step)
            za = corners[k, 2]
            zb = corners[other, 2]
            crosses = (za < NEAR) != (zb < NEAR)
            if other < k or (step == 3 and za < NEAR) or (step < 3 and not crosses):
                continue
            share = (NEAR - za) / (zb - za) if crosses else 0.0
            z = max(za + (zb - za) * share, NEAR)
            x = cam[12] * (corners[k, 0] + (corners[other, 0] - corners[k, 0]) * share) / z + cam[13]
            y = cam[12] * (corners[k, 1] + (corners[other, 1] - corners[k, 1]) * share) / z + cam[14]
            x_low = min(x_low, x)
            x_high = max(x_high, x)
            y_low = min(y_low, y)
            y_high = max(y_high, y)
    return x_low, x_high, y_low, y_high


@kernel
def bin_primitives(world: World, cam: np.ndarray, height: int, width: int) -> Bins:
    """For every tile of the picture the primitives whose bounding box may show in it, front to back."""
    n = world.kind.shape[0]
    rows = (height + TILE - 1) // TILE
    cols = (width + TILE - 1) // TILE
    rect = np.zeros((n, 4), np.int64)
    depth = np.zeros(n)
    corners = np.empty((8, 3))
    count = np.zeros(rows * cols + 1, np.int64)
    for i in range(n):
        _tiles_of(world, i, cam, height, width, corners, rect, depth)
        for r in range(rect[i, 0], rect[i, 1]):
            for c in range(rect[i, 2], rect[i, 3]):
                count[r * cols + c + 1] += 1
    for k in range(rows * cols):
        count[k + 1] += count[k]
    start = count.copy()
    items = np.empty(count[-1], np.int32)
    for i in np.argsort(depth, kind="mergesort"):
        for r in range(rect[i, 0], rect[i, 1]):
            for c in range(rect[i, 2], rect[i, 3]):
                k = r * cols + c
                items[count[k]] = i
                count[k] += 1
    return Bins(start, items, depth)


@loop
def _tiles_of(
    world: World,
    i: int,
    cam: np.ndarray,
    height: int,
    width: int,
    corners: np.ndarray,
    rect: np.ndarray,
    depth: np.ndarray,
) -> None:
    """Write the tile rectangle (row from, to, column from, to) and the nearest depth of primitive `i`."""
    rows = (height + TILE - 1) // TILE
    cols = (width + TILE - 1) // TILE
    if world.kind[i] == 5:
        rect[i, 1] = rows
        rect[i, 3] = cols
        return
    z_low = _corners(world, i, cam, corners)
    x_low, x_high, y_low, y_high = _rectangle(cam, corners)
    depth[i] = max(z_low, 0.0)
    # One pixel of margin, for the samples of an edge pixel and for lookups between pixel centres.
    if x_low - 1 > width or y_low - 1 > height or x_high + 1 < 0 or y_high + 1 < 0:
        return
    rect[i, 0] = int(max(y_low - 1, 0.0)) // TILE
    rect[i, 1] = int(min(y_high + 1, height - 1.0)) // TILE + 1
    rect[i, 2] = int(max(x_low - 1, 0.0)) // TILE
    rect[i, 3] = int(min(x_high + 1, width - 1.0)) // TILE + 1


@inlined
def misses_ball(world: World, i: int, origin: Vector, ray: Vector, inverse: float) -> bool:
    """Whether a ray passes beside the bounding ball of a primitive; `inverse` is 1 / |ray|^2."""
    p = world.prim
    w = (p[i, 16] - origin[0], p[i, 17] - origin[1], p[i, 18] - origin[2])
    ahead = dot(w, ray)
    return dot(w, w) - ahead * ahead * inverse > p[i, 19] * p[i, 19] * 1.0001


@inlined
def first_hit(
    world: World, bins: Bins, tile: int, origin: Vector, ray: Vector, far: float, pixel: float
) -> tuple[int, float]:
    """Primitive (-1: none) and parameter of the first hit before `far` among those of a tile."""
    best = far
    which = -1
    inverse = 1.0 / dot(ray, ray)
    for k in range(bins.start[tile], bins.start[tile + 1]):
        i = bins.items[k]
        if bins.depth[i] > best:
            break
        if misses_ball(world, i, origin, ray, inverse):
            continue
        t = hit(world, i, origin, ray, NEAR, best, pixel)
        if t < best:
            best = t
            which = i
    return which, best


@kernel
def trace(
    world: World, cam: np.ndarray, bins: Bins, height: int, width: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Primitive (int32, -1 = sky) and depth z of every pixel centre, every `stride`-th in both directions."""
    h = (height + stride - 1) // stride
    w = (width + stride - 1) // stride
    ids = np.empty((h, w), np.int32)
    z = np.empty((h, w))
    _trace_pixels(world, cam, bins, (width + TILE - 1) // TILE, stride, ids, z)
    return ids, z


@loop
def _trace_pixels(
    world: World, cam: np.ndarray, bins: Bins, tiles: int, stride: int, ids: np.ndarray, z: np.ndarray
) -> None:
    h, w = ids.shape
    origin = (cam[0], cam[1], cam[2])
    for row in range(h):
        for col in range(w):
            y = row * stride
            x = col * stride
            tile = (y // TILE) * tiles + x // TILE
            ids[row, col], z[row, col] = first_hit(world, bins, tile, origin, camera_ray(cam, x, y), FAR, 1.0 / cam[12])


@kernel
def occlusion(
    worlds: tuple[World, World], cams: tuple[np.ndarray, np.ndarray], bins: Bins, ids: np.ndarray, zmap: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of view a lands in view b and whether it is seen there.

    The surface point travels with its primitive (objects may have moved between the views). It is seen if it lands
    inside the frame of b (half a pixel of margin) and no primitive cuts the straight line to camera b before 99.9 % of
    the way. `worlds` and `cams` are of a and b, `bins` of b, `ids` and `zmap` of a.
    Returns (seen bool `[H,W]`, target float32 `[H,W,2]`, pixels in b, NaN behind camera b).
    """
    seen = np.zeros(ids.shape, np.bool_)
    target = np.full((ids.shape[0], ids.shape[1], 2), np.nan, np.float32)
    _follow_pixels(worlds, cams, bins, ids, zmap, seen, target)
    return seen, target


@inlined
def _carried(worlds: tuple[World, World], i: int, point: Vector) -> Vector:
    """A world point of primitive `i` after it moved from the first world to the second."""
    moved = worlds[1].prim
    w = world_direction(moved, i, local_point(worlds[0].prim, i, point))
    return w[0] + moved[i, 0], w[1] + moved[i, 1], w[2] + moved[i, 2]


@loop
def _follow_pixels(
    worlds: tuple[World, World],
    cams: tuple[np.ndarray, np.ndarray],
    bins: Bins,
    ids: np.ndarray,
    zmap: np.ndarray,
    seen: np.ndarray,
    target: np.ndarray,
) -> None:
    height, width = ids.shape
    a, b = cams
    camera_a = (a[0], a[1], a[2])
    camera_b = (b[0], b[1], b[2])
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            d = camera_ray(a, col, row)
            if i >= 0:
                d = minus(_carried(worlds, i, along(camera_a, d, zmap[row, col])), camera_b)
            z = b[9] * d[0] + b[10] * d[1] + b[11] * d[2]
            if z <= NEAR:
                continue
            x = b[12] * (b[3] * d[0] + b[4] * d[1] + b[5] * d[2]) / z + b[13]
            y = b[12] * (b[6] * d[0] + b[7] * d[1] + b[8] * d[2]) / z + b[14]
            target[row, col, 0] = x
            target[row, col, 1] = y
            if x < -0.5 or x > width - 0.5 or y < -0.5 or y > height - 0.5:
                continue
            tile_x = min(max(math.floor(x + 0.5), 0), width - 1) // TILE
            tile = min(max(math.floor(y + 0.5), 0), height - 1) // TILE * ((width + TILE - 1) // TILE) + tile_x
            limit = z * (1.0 - 1e-3) if i >= 0 else FAR
            ray = (d[0] / z, d[1] / z, d[2] / z)
            which, _ = first_hit(worlds[1], bins, tile, camera_b, ray, limit, 1.0 / b[12])
            seen[row, col] = which < 0
