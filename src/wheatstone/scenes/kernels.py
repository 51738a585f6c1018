"""The ray caster's inner functions, compiled by numba: intersection, distance, texture lookup and shading.

A primitive is a row of `World.prim` (see `wheatstone.scenes.world.PrimitiveColumn` for its columns) in a rigid local
frame, so that ray parameters and distances are metric. Rays are not normalised: a camera ray has unit length along the
optical axis, hence its parameter is the depth z.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from wheatstone.errors import require

__all__ = [
    "FAR",
    "World",
    "alpha_at",
    "distance_to",
    "hit",
    "inlined",
    "kernel",
    "sky_colour",
    "surface_at",
    "texture_at",
]

_numba = require("numba", "scenes", "Rendering scenes")

FAR = 1e30


_OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "arcp", "nsz", "reassoc"}}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, cached on disk. Run-time type checkers wrap functions when tests are on: those are undone."""
    return _numba.njit(**_OPTIONS)(inspect.unwrap(function))


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for functions of inner loops: inlined, and without reference counts, so they must not make arrays."""
    return _numba.njit(forceinline=True, _nrt=False, **_OPTIONS)(inspect.unwrap(function))


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for loops over pixels that only write into arrays they are given: no reference counts, not inlined."""
    return _numba.njit(_nrt=False, **_OPTIONS)(inspect.unwrap(function))


class World(NamedTuple):
    """All arrays of a scene as the kernels see them.

    Attributes:
        kind: int32 `[N]`, a `Kind` a primitive.
        mat: int32 `[N]`, its row in `material`.
        prim: float64 `[N, 22]`, geometry.
        material: float64 `[M, 24]`.
        tex: uint8 `[T, P, 2]`, mip pyramids of (ramp, luminance), 256 x 256 first.
        alpha: uint8 `[A, P]`, mip pyramids of cut-outs.
        lights: float64 `[L, 8]`: type (0 sun, 1 lamp), direction or position, colour, softness.
        env: float64 `[32]`: sky, ambient light, fog.
    """

    kind: Any
    mat: Any
    prim: Any
    material: Any
    tex: Any
    alpha: Any
    lights: Any
    env: Any


@inlined
def alpha_at(alpha, a, u, v, lod):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Coverage 0..255 of cut-out `a` at (u, v) in 0..1 (repeating), from mip level `lod`."""
    level = int(min(max(lod, 0.0), 5.0))
    size = 256 >> level
    offset = 0
    for k in range(level):
        offset += (256 >> k) * (256 >> k)
    u -= math.floor(u)
    v -= math.floor(v)
    x = u * size - 0.5
    y = v * size - 0.5
    x0 = int(math.floor(x))
    y0 = int(math.floor(y))
    fx = x - x0
    fy = y - y0
    xa = max(x0, 0)
    ya = max(y0, 0)
    xb = min(x0 + 1, size - 1)
    yb = min(y0 + 1, size - 1)
    top = alpha[a, offset + ya * size + xa] * (1 - fx) + alpha[a, offset + ya * size + xb] * fx
    low = alpha[a, offset + yb * size + xa] * (1 - fx) + alpha[a, offset + yb * size + xb] * fx
    return top * (1 - fy) + low * fy


@inlined
def texture_at(tex, k, u, v, lod):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Trilinear lookup of (ramp, luminance), each 0..1, in texture `k` at (u, v), repeating."""
    lod = min(max(lod, 0.0), 6.999)
    level = int(lod)
    share = lod - level
    ramp = 0.0
    lum = 0.0
    u -= math.floor(u)
    v -= math.floor(v)
    offset = 0
    for j in range(level):
        offset += (256 >> j) * (256 >> j)
    for step in range(2):
        size = 256 >> (level + step)
        weight = share if step == 1 else 1.0 - share
        x = u * size - 0.5
        y = v * size - 0.5
        x0 = int(math.floor(x))
        y0 = int(math.floor(y))
        fx = x - x0
        fy = y - y0
        xa = x0 & (size - 1)
        xb = (x0 + 1) & (size - 1)
        ya = offset + (y0 & (size - 1)) * size
        yb = offset + ((y0 + 1) & (size - 1)) * size
        w00 = (1 - fx) * (1 - fy) * weight
        w01 = fx * (1 - fy) * weight
        w10 = (1 - fx) * fy * weight
        w11 = fx * fy * weight
        ramp += (
            w00 * tex[k, ya + xa, 0] + w01 * tex[k, ya + xb, 0] + w10 * tex[k, yb + xa, 0] + w11 * tex[k, yb + xb, 0]
        )
        lum += w00 * tex[k, ya + xa, 1] + w01 * tex[k, ya + xb, 1] + w10 * tex[k, yb + xa, 1] + w11 * tex[k, yb + xb, 1]
        offset += size * size
    return ramp / 255.0, lum / 255.0


@inlined
def _box(ox, oy, oz, dx, dy, dz, sx, sy, sz):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    ix = 1.0 / dx if dx != 0 else 1e18
    iy = 1.0 / dy if dy != 0 else 1e18
    iz = 1.0 / dz if dz != 0 else 1e18
    nx = -ox * ix - abs(ix) * sx
    ny = -oy * iy - abs(iy) * sy
    nz = -oz * iz - abs(iz) * sz
    near = max(nx, ny, nz)
    far = min(-ox * ix + abs(ix) * sx, -oy * iy + abs(iy) * sy, -oz * iz + abs(iz) * sz)
    return near if near <= far else FAR


@inlined
def _ellipsoid(ox, oy, oz, dx, dy, dz, sx, sy, sz):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    ox /= sx
    oy /= sy
    oz /= sz
    dx /= sx
    dy /= sy
    dz /= sz
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    # The closest point of the ray first: the discriminant keeps its digits for small, far objects.
    px = ox - b / a * dx
    py = oy - b / a * dy
    pz = oz - b / a * dz
    gap = 1.0 - (px * px + py * py + pz * pz)
    if gap < 0:
        return FAR
    return (-b / a) - math.sqrt(gap / a)


@inlined
def _frustum(ox, oy, oz, dx, dy, dz, radius, half, top):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Capped cone along y, radius `radius` at -half and `radius * top` at +half."""
    slope = radius * (top - 1.0) / (2 * half)
    mid = radius * (1.0 + top) / 2
    best = FAR
    r0 = mid + slope * oy
    a = dx * dx + dz * dz - slope * slope * dy * dy
    b = ox * dx + oz * dz - slope * dy * r0
    c = ox * ox + oz * oz - r0 * r0
    disc = b * b - a * c
    if disc > 0 and a != 0:
        root = math.sqrt(disc)
        t = (-b - root) / a if a > 0 else (-b + root) / a
        y = oy + t * dy
        if a > 0 and abs(y) <= half:
            best = t
        elif a < 0:
            for sign in (-1.0, 1.0):
                t = (-b + sign * root) / a
                y = oy + t * dy
                if abs(y) <= half and t > 0 and t < best:
                    best = t
    if dy != 0:
        t = (-half - oy) / dy if dy > 0 else (half - oy) / dy
        limit = radius if dy > 0 else radius * top
        x = ox + t * dx
        z = oz + t * dz
        if x * x + z * z <= limit * limit and t < best:
            best = t
    return best


@inlined
def _ball(ox, oy, oz, dx, dy, dz, r):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    a = dx * dx + dy * dy + dz * dz
    b = (ox * dx + oy * dy + oz * dz) / a
    px = ox - b * dx
    py = oy - b * dy
    pz = oz - b * dz
    gap = r * r - (px * px + py * py + pz * pz)
    return -b - math.sqrt(gap / a) if gap >= 0 else FAR


@inlined
def _round_cone(ox, oy, oz, dx, dy, dz, ra, length, rb):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Convex hull of two balls at y = 0 and y = length."""
    best = min(_ball(ox, oy, oz, dx, dy, dz, ra), _ball(ox, oy - length, oz, dx, dy, dz, rb))
    s = (ra - rb) / length
    if abs(s) >= 1:
        return best
    c = math.sqrt(1 - s * s)
    # Side: c * q = ra - s * y with q the distance from the axis.
    k = ra - s * oy
    m = -s * dy
    a = c * c * (dx * dx + dz * dz) - m * m
    b = c * c * (ox * dx + oz * dz) - k * m
    e = c * c * (ox * ox + oz * oz) - k * k
    disc = b * b - a * e
    if disc > 0 and a > 0:
        t = (-b - math.sqrt(disc)) / a
        y = oy + t * dy
        w = (ra - s * y) / c
        along = y * c - w * s
        if w >= 0 and along >= 0 and along <= length * c and t < best:
            best = t
    return best


@inlined
def hit(world, i, ox, oy, oz, dx, dy, dz, low, high, pixel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Ray parameter in (low, high) where the ray enters primitive `i`, else `FAR`.

    `pixel` is the angle of a pixel (for the mip level of cut-outs), 0 for shadow rays.
    """
    p = world.prim
    rx = ox - p[i, 0]
    ry = oy - p[i, 1]
    rz = oz - p[i, 2]
    lx = p[i, 3] * rx + p[i, 4] * ry + p[i, 5] * rz
    ly = p[i, 6] * rx + p[i, 7] * ry + p[i, 8] * rz
    lz = p[i, 9] * rx + p[i, 10] * ry + p[i, 11] * rz
    ex = p[i, 3] * dx + p[i, 4] * dy + p[i, 5] * dz
    ey = p[i, 6] * dx + p[i, 7] * dy + p[i, 8] * dz
    ez = p[i, 9] * dx + p[i, 10] * dy + p[i, 11] * dz
    kind = world.kind[i]
    if kind == 0:
        t = _box(lx, ly, lz, ex, ey, ez, p[i, 12], p[i, 13], p[i, 14])
    elif kind == 1:
        t = _ellipsoid(lx, ly, lz, ex, ey, ez, p[i, 12], p[i, 13], p[i, 14])
    elif kind == 2:
        t = _frustum(lx, ly, lz, ex, ey, ez, p[i, 12], p[i, 13], p[i, 15])
    elif kind == 3:
        t = _round_cone(lx, ly, lz, ex, ey, ez, p[i, 12], p[i, 13], p[i, 14])
    elif kind == 4:
        t = -lz / ez if ez != 0 else FAR
        x = lx + t * ex
        y = ly + t * ey
        if abs(x) > p[i, 12] or abs(y) > p[i, 13] or t <= low or t >= high:
            return FAR
        m = world.material
        j = world.mat[i]
        if m[j, 17] >= 0:
            lod = 1.0
            if pixel > 0:
                lod = math.log2(max(t * pixel * 128.0 * m[j, 19] / max(min(p[i, 12], p[i, 13]), 1e-6), 1.0))
            u = (x / p[i, 12] * 0.5 + 0.5) * m[j, 19] + m[j, 15] * (m[j, 19] > 1.5)
            v = (0.5 - y / p[i, 13] * 0.5) * m[j, 20]
            if alpha_at(world.alpha, int(m[j, 17]), u, v, lod) < m[j, 18]:
                return FAR
    else:
        t = -ly / ey if ey < 0 else FAR
    return t if t > low and t < high else FAR


@inlined
def distance_to(world, i, x, y, z):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Signed distance (approximate for ellipsoids and cones) from a point to primitive `i`; cut-outs count as far."""
    p = world.prim
    rx = x - p[i, 0]
    ry = y - p[i, 1]
    rz = z - p[i, 2]
    lx = p[i, 3] * rx + p[i, 4] * ry + p[i, 5] * rz
    ly = p[i, 6] * rx + p[i, 7] * ry + p[i, 8] * rz
    lz = p[i, 9] * rx + p[i, 10] * ry + p[i, 11] * rz
    kind = world.kind[i]
    if kind == 0:
        qx = abs(lx) - p[i, 12]
        qy = abs(ly) - p[i, 13]
        qz = abs(lz) - p[i, 14]
        ax = max(qx, 0.0)
        ay = max(qy, 0.0)
        az = max(qz, 0.0)
        return math.sqrt(ax * ax + ay * ay + az * az) + min(max(qx, qy, qz), 0.0)
    if kind == 1:
        ux = lx / p[i, 12]
        uy = ly / p[i, 13]
        uz = lz / p[i, 14]
        k0 = math.sqrt(ux * ux + uy * uy + uz * uz)
        vx = ux / p[i, 12]
        vy = uy / p[i, 13]
        vz = uz / p[i, 14]
        k1 = math.sqrt(vx * vx + vy * vy + vz * vz)
        return k0 * (k0 - 1.0) / max(k1, 1e-9)
    if kind == 2:
        half = p[i, 13]
        radius = p[i, 12] * (1 + p[i, 15]) / 2 + p[i, 12] * (p[i, 15] - 1) * min(max(ly, -half), half) / (2 * half)
        qx = math.sqrt(lx * lx + lz * lz) - radius
        qy = abs(ly) - half
        ax = max(qx, 0.0)
        ay = max(qy, 0.0)
        return math.sqrt(ax * ax + ay * ay) + min(max(qx, qy), 0.0)
    if kind == 3:
        share = min(max(ly / p[i, 13], 0.0), 1.0)
        qy = ly - share * p[i, 13]
        return math.sqrt(lx * lx + qy * qy + lz * lz) - (p[i, 12] + (p[i, 14] - p[i, 12]) * share)
    if kind == 5:
        return ly
    return 1e9


@inlined
def surface_at(world, i, x, y, z, dx, dy, dz):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """World normal (facing the ray), texture coordinates in metres and face number of a point on primitive `i`."""
    p = world.prim
    rx = x - p[i, 0]
    ry = y - p[i, 1]
    rz = z - p[i, 2]
    lx = p[i, 3] * rx + p[i, 4] * ry + p[i, 5] * rz
    ly = p[i, 6] * rx + p[i, 7] * ry + p[i, 8] * rz
    lz = p[i, 9] * rx + p[i, 10] * ry + p[i, 11] * rz
    kind = world.kind[i]
    nx = 0.0
    ny = 0.0
    nz = 0.0
    u = lx
    v = ly
    face = 0
    if kind == 0:
        qx = abs(lx) - p[i, 12]
        qy = abs(ly) - p[i, 13]
        qz = abs(lz) - p[i, 14]
        if qx >= qy and qx >= qz:
            nx = 1.0 if lx > 0 else -1.0
            u = lz
            face = 1 if lx > 0 else 2
        elif qy >= qz:
            ny = 1.0 if ly > 0 else -1.0
            v = lz
            face = 3 if ly > 0 else 4
        else:
            nz = 1.0 if lz > 0 else -1.0
            face = 5 if lz > 0 else 6
    elif kind == 1:
        nx = lx / (p[i, 12] * p[i, 12])
        ny = ly / (p[i, 13] * p[i, 13])
        nz = lz / (p[i, 14] * p[i, 14])
        if ny * ny > nx * nx + nz * nz:
            u = lx
            v = lz
        else:
            u = math.atan2(lz / p[i, 14], lx / p[i, 12]) * max(p[i, 12], p[i, 14])
            v = ly * 1.2
    elif kind == 2:
        half = p[i, 13]
        if abs(ly) > half * (1 - 1e-6) - 1e-7:
            ny = 1.0 if ly > 0 else -1.0
            v = lz
            face = 1 if ly > 0 else 2
        else:
            q = max(math.sqrt(lx * lx + lz * lz), 1e-9)
            nx = lx / q
            nz = lz / q
            ny = -p[i, 12] * (p[i, 15] - 1.0) / (2 * half)
            u = math.atan2(lz, lx) * p[i, 12]
    elif kind == 3:
        s = (p[i, 12] - p[i, 14]) / p[i, 13]
        c = math.sqrt(max(1 - s * s, 0.0))
        q = math.sqrt(lx * lx + lz * lz)
        along = ly * c - q * s
        if along <= 0 or abs(s) >= 1:
            nx = lx
            ny = ly
            nz = lz
        elif along >= p[i, 13] * c:
            nx = lx
            ny = ly - p[i, 13]
            nz = lz
        else:
            q = max(q, 1e-9)
            nx = lx / q * c
            ny = s
            nz = lz / q * c
        u = math.atan2(lz, lx) * max(p[i, 12], p[i, 14])
    elif kind == 4:
        nz = 1.0
    else:
        ny = 1.0
        v = lz
    norm = 1.0 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
    wx = (p[i, 3] * nx + p[i, 6] * ny + p[i, 9] * nz) * norm
    wy = (p[i, 4] * nx + p[i, 7] * ny + p[i, 10] * nz) * norm
    wz = (p[i, 5] * nx + p[i, 8] * ny + p[i, 11] * nz) * norm
    if kind == 4 and wx * dx + wy * dy + wz * dz > 0:
        wx = -wx
        wy = -wy
        wz = -wz
    return wx, wy, wz, u, v, face


@inlined
def sky_colour(world, dx, dy, dz):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Radiance of the sky in a direction: gradient, haze, clouds and the glow around the sun."""
    env = world.env
    norm = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
    dx *= norm
    dy *= norm
    dz *= norm
    up = max(dy, 0.0)
    share = 1.0 - (1.0 - min(up, 1.0)) ** 3.0
    r = env[3] + (env[0] - env[3]) * share
    g = env[4] + (env[1] - env[4]) * share
    b = env[5] + (env[2] - env[5]) * share
    if env[16] > 0:
        scale = env[18] / (up + 0.18)
        ramp, lum = texture_at(world.tex, int(env[17]), dx * scale + env[25], dz * scale + env[26], 1.0)
        cloud = min(max((ramp - (1.0 - env[16])) * 3.0, 0.0), 1.0) * min(up * 6.0, 1.0)
        white = max(env[3], env[4], env[5]) * (0.75 + 0.5 * lum)
        r += (white - r) * cloud
        g += (white - g) * cloud
        b += (white - b) * cloud
    glow = max(dx * env[19] + dy * env[20] + dz * env[21], 0.0)
    glow = env[22] * (0.25 * glow**8 + glow**64)
    return r + glow, g + glow * 0.92, b + glow * 0.78
