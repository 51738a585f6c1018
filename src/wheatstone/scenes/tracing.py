"""Geometry passes of the ray caster: lists of primitives a tile, tracing, and what one view sees of another."""

import math

import numpy as np

from wheatstone.scenes.kernels import FAR, hit, inlined, kernel, loop

__all__ = ["TILE", "bin_primitives", "first_hit", "occlusion", "trace"]

TILE = 8


@inlined
def _bounds(world, i, cam, near, corners):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Pixel rectangle and nearest depth of primitive `i`, from its bounding box clipped at the near plane."""
    p = world.prim
    kind = world.kind[i]
    if kind == 5:
        return -1e9, 1e9, -1e9, 1e9, 0.0, True
    z_low = 1e9
    for k in range(8):
        sx = 1.0 if k & 1 else -1.0
        sy = 1.0 if k & 2 else -1.0
        sz = 1.0 if k & 4 else -1.0
        if kind == 3:
            r = max(p[i, 12], p[i, 14])
            lx = sx * r
            lz = sz * r
            ly = -p[i, 12] if sy < 0 else p[i, 13] + p[i, 14]
        elif kind == 2:
            r = p[i, 12] * max(1.0, p[i, 15])
            lx = sx * r
            ly = sy * p[i, 13]
            lz = sz * r
        else:
            lx = sx * p[i, 12]
            ly = sy * p[i, 13]
            lz = sz * p[i, 14] if kind != 4 else 0.0
        wx = p[i, 0] + p[i, 3] * lx + p[i, 6] * ly + p[i, 9] * lz - cam[0]
        wy = p[i, 1] + p[i, 4] * lx + p[i, 7] * ly + p[i, 10] * lz - cam[1]
        wz = p[i, 2] + p[i, 5] * lx + p[i, 8] * ly + p[i, 11] * lz - cam[2]
        corners[k, 0] = cam[3] * wx + cam[4] * wy + cam[5] * wz
        corners[k, 1] = cam[6] * wx + cam[7] * wy + cam[8] * wz
        corners[k, 2] = cam[9] * wx + cam[10] * wy + cam[11] * wz
        z_low = min(z_low, corners[k, 2])
    x_low = 1e9
    x_high = -1e9
    y_low = 1e9
    y_high = -1e9
    for k in range(8):
        for step in range(4):
            other = k if step == 3 else k ^ (1 << step)
            if other < k:
                continue
            # Corners in front (step 3) and the points where edges cross the near plane span the projection.
            za = corners[k, 2]
            zb = corners[other, 2]
            if step == 3:
                if za < near:
                    continue
                share = 0.0
            else:
                if (za < near) == (zb < near):
                    continue
                share = (near - za) / (zb - za)
            z = max(za + (zb - za) * share, near)
            x = cam[12] * (corners[k, 0] + (corners[other, 0] - corners[k, 0]) * share) / z + cam[13]
            y = cam[12] * (corners[k, 1] + (corners[other, 1] - corners[k, 1]) * share) / z + cam[14]
            x_low = min(x_low, x)
            x_high = max(x_high, x)
            y_low = min(y_low, y)
            y_high = max(y_high, y)
    return x_low, x_high, y_low, y_high, max(z_low, 0.0), x_low <= x_high


@kernel
def bin_primitives(world, cam, height, width, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Lists of primitives a tile, front to back: (start `[tiles+1]`, items, nearest depth `[N]`)."""
    n = world.kind.shape[0]
    rows = (height + TILE - 1) // TILE
    cols = (width + TILE - 1) // TILE
    rect = np.zeros((n, 4), np.int64)
    depth = np.zeros(n)
    corners = np.empty((8, 3))
    count = np.zeros(rows * cols + 1, np.int64)
    for i in range(n):
        xl, xh, yl, yh, z, seen = _bounds(world, i, cam, near, corners)
        depth[i] = z
        xl = min(max(xl - 1, 0.0), width)
        xh = min(max(xh + 1, -1.0), width - 1.0)
        yl = min(max(yl - 1, 0.0), height)
        yh = min(max(yh + 1, -1.0), height - 1.0)
        c0 = int(xl) // TILE
        c1 = int(xh) // TILE + 1 if xh >= 0 else 0
        r0 = int(yl) // TILE
        r1 = int(yh) // TILE + 1 if yh >= 0 else 0
        if not seen:
            c1 = 0
            r1 = 0
        rect[i, 0] = r0
        rect[i, 1] = r1
        rect[i, 2] = c0
        rect[i, 3] = c1
        for r in range(r0, r1):
            for c in range(c0, c1):
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
    return start, items, depth


@inlined
def first_hit(world, start, items, depth, tile, ox, oy, oz, dx, dy, dz, near, far, pixel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    best = far
    which = -1
    inv = 1.0 / (dx * dx + dy * dy + dz * dz)
    for k in range(start[tile], start[tile + 1]):
        i = items[k]
        if depth[i] > best:
            break
        # Does the ray pass the bounding ball at all?
        wx = world.prim[i, 16] - ox
        wy = world.prim[i, 17] - oy
        wz = world.prim[i, 18] - oz
        along = wx * dx + wy * dy + wz * dz
        reach = world.prim[i, 19]
        if wx * wx + wy * wy + wz * wz - along * along * inv > reach * reach * 1.0001:
            continue
        t = hit(world, i, ox, oy, oz, dx, dy, dz, near, best, pixel)
        if t < best:
            best = t
            which = i
    return which, best


@kernel
def trace(world, cam, start, items, depth, height, width, near, stride):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Primitive (-1 = sky) and depth z of every pixel centre, every `stride`-th in both directions."""
    h = (height + stride - 1) // stride
    w = (width + stride - 1) // stride
    ids = np.empty((h, w), np.int32)
    z = np.empty((h, w))
    _trace_pixels(world, cam, start, items, depth, width, near, stride, ids, z)
    return ids, z


@loop
def _trace_pixels(world, cam, start, items, depth, width, near, stride, ids, z):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    cols = (width + TILE - 1) // TILE
    h, w = ids.shape
    pixel = 1.0 / cam[12]
    for row in range(h):
        for col in range(w):
            y = row * stride
            x = col * stride
            a = (x - cam[13]) / cam[12]
            b = (y - cam[14]) / cam[12]
            dx = cam[9] + a * cam[3] + b * cam[6]
            dy = cam[10] + a * cam[4] + b * cam[7]
            dz = cam[11] + a * cam[5] + b * cam[8]
            tile = (y // TILE) * cols + x // TILE
            i, t = first_hit(world, start, items, depth, tile, cam[0], cam[1], cam[2], dx, dy, dz, near, FAR, pixel)
            ids[row, col] = i
            z[row, col] = t


@kernel
def occlusion(world_a, world_b, cam_a, cam_b, start, items, depth, ids, zmap, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Where each pixel of view a lands in view b and whether it is seen there.

    The surface point travels with its primitive (objects may have moved between the views). It is seen if it lands
    inside the frame of b (half a pixel of margin) and no primitive cuts the straight line to camera b.
    Returns (seen bool `[H,W]`, target float32 `[H,W,2]`, pixels in b).
    """
    seen = np.zeros(ids.shape, np.bool_)
    target = np.empty((ids.shape[0], ids.shape[1], 2), np.float32)
    _follow_pixels(
        world_a, world_b, cam_a, cam_b, start, items, depth, ids, zmap, near, seen, target, np.empty(3), np.empty(3)
    )
    return seen, target


@loop
def _follow_pixels(  # type: ignore[no-untyped-def]  # noqa: ANN202
    world_a,
    world_b,
    cam_a,
    cam_b,
    start,
    items,
    depth,
    ids,
    zmap,
    near,
    seen,
    target,
    d,
    q,  # noqa: ANN001
):
    height, width = ids.shape
    cols = (width + TILE - 1) // TILE
    pixel = 1.0 / cam_b[12]
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            a = (col - cam_a[13]) / cam_a[12]
            b = (row - cam_a[14]) / cam_a[12]
            for c in range(3):
                d[c] = cam_a[9 + c] + a * cam_a[3 + c] + b * cam_a[6 + c]
            if i >= 0:
                p = world_a.prim
                o = world_b.prim
                for c in range(3):
                    d[c] = cam_a[c] + zmap[row, col] * d[c] - p[i, c]
                for c in range(3):
                    q[c] = p[i, 3 + 3 * c] * d[0] + p[i, 4 + 3 * c] * d[1] + p[i, 5 + 3 * c] * d[2]
                for c in range(3):
                    d[c] = o[i, c] + o[i, 3 + c] * q[0] + o[i, 6 + c] * q[1] + o[i, 9 + c] * q[2] - cam_b[c]
            z = cam_b[9] * d[0] + cam_b[10] * d[1] + cam_b[11] * d[2]
            if z <= near:
                target[row, col, 0] = np.nan
                target[row, col, 1] = np.nan
                continue
            x = cam_b[12] * (cam_b[3] * d[0] + cam_b[4] * d[1] + cam_b[5] * d[2]) / z + cam_b[13]
            y = cam_b[12] * (cam_b[6] * d[0] + cam_b[7] * d[1] + cam_b[8] * d[2]) / z + cam_b[14]
            target[row, col, 0] = x
            target[row, col, 1] = y
            if x < -0.5 or x > width - 0.5 or y < -0.5 or y > height - 0.5:
                continue
            tx = min(max(int(math.floor(x + 0.5)), 0), width - 1) // TILE
            ty = min(max(int(math.floor(y + 0.5)), 0), height - 1) // TILE
            limit = z * (1.0 - 1e-3) if i >= 0 else FAR
            which, _t = first_hit(
                world_b, start, items, depth, ty * cols + tx,
                cam_b[0], cam_b[1], cam_b[2], d[0] / z, d[1] / z, d[2] / z, near, limit, pixel,
            )  # fmt: skip
            seen[row, col] = which < 0
