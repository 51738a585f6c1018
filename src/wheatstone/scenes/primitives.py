"""The primitives: where a ray enters them, how far a point is from them, their normals and texture coordinates.

All maths is done in a primitive's rigid local frame, so that ray parameters and distances stay metric.
"""

import math

from wheatstone.scenes.compiled import (
    FAR,
    Vector,
    World,
    along,
    dot,
    inlined,
    local_direction,
    local_point,
    scaled,
    world_direction,
)
from wheatstone.scenes.lookup import alpha_at

__all__ = ["distance_to", "hit", "surface_at"]

Surface = tuple[Vector, float, float, int]


@inlined
def _box(o: Vector, d: Vector, size: Vector) -> float:
    ix = 1.0 / d[0] if d[0] != 0 else 1e18
    iy = 1.0 / d[1] if d[1] != 0 else 1e18
    iz = 1.0 / d[2] if d[2] != 0 else 1e18
    hx = abs(ix) * size[0]
    hy = abs(iy) * size[1]
    hz = abs(iz) * size[2]
    near = max(-o[0] * ix - hx, -o[1] * iy - hy, -o[2] * iz - hz)
    far = min(-o[0] * ix + hx, -o[1] * iy + hy, -o[2] * iz + hz)
    return near if near <= far else FAR


@inlined
def _ball(o: Vector, d: Vector, radius: float) -> float:
    """The closest point of the ray first: the discriminant keeps its digits for small, far balls."""
    a = dot(d, d)
    b = -dot(o, d) / a
    p = along(o, d, b)
    gap = radius * radius - dot(p, p)
    return b - math.sqrt(gap / a) if gap >= 0 else FAR


@inlined
def _ellipsoid(o: Vector, d: Vector, size: Vector) -> float:
    return _ball(
        (o[0] / size[0], o[1] / size[1], o[2] / size[2]), (d[0] / size[0], d[1] / size[1], d[2] / size[2]), 1.0
    )


@inlined
def _frustum(o: Vector, d: Vector, radius: float, half: float, top: float) -> float:
    """Capped cone along y, radius `radius` at -half and `radius * top` at +half."""
    slope = radius * (top - 1.0) / (2 * half)
    at_ray = radius * (1.0 + top) / 2 + slope * o[1]
    best = FAR
    a = d[0] * d[0] + d[2] * d[2] - slope * slope * d[1] * d[1]
    b = o[0] * d[0] + o[2] * d[2] - slope * d[1] * at_ray
    c = o[0] * o[0] + o[2] * o[2] - at_ray * at_ray
    disc = b * b - a * c
    if disc > 0 and a != 0:
        square = math.sqrt(disc)
        for sign in (-1.0, 1.0):
            t = (-b + sign * square) / a
            # The second crossing is an entry only if the ray is steeper than the side.
            if (a < 0 or sign < 0) and abs(o[1] + t * d[1]) <= half and t > 0 and t < best:
                best = t
    if d[1] != 0:
        t = (-half - o[1]) / d[1] if d[1] > 0 else (half - o[1]) / d[1]
        limit = radius if d[1] > 0 else radius * top
        x = o[0] + t * d[0]
        z = o[2] + t * d[2]
        if x * x + z * z <= limit * limit and t < best:
            best = t
    return best


@inlined
def _round_cone(o: Vector, d: Vector, ra: float, length: float, rb: float) -> float:
    """Convex hull of two balls at y = 0 and y = length: the balls, and between them a cone c * q = ra - s * y."""
    best = min(_ball(o, d, ra), _ball((o[0], o[1] - length, o[2]), d, rb))
    s = (ra - rb) / length
    if abs(s) >= 1:
        return best
    c = math.sqrt(1 - s * s)
    k = ra - s * o[1]
    m = -s * d[1]
    a = c * c * (d[0] * d[0] + d[2] * d[2]) - m * m
    b = c * c * (o[0] * d[0] + o[2] * d[2]) - k * m
    disc = b * b - a * (c * c * (o[0] * o[0] + o[2] * o[2]) - k * k)
    if disc > 0 and a > 0:
        t = (-b - math.sqrt(disc)) / a
        y = o[1] + t * d[1]
        q = (ra - s * y) / c
        height = y * c - q * s
        if q >= 0 and height >= 0 and height <= length * c and t < best:
            best = t
    return best


@inlined
def _quad(world: World, i: int, o: Vector, d: Vector, high: float, pixel: float) -> float:
    t = -o[2] / d[2] if d[2] != 0 else FAR
    half_x = world.prim[i, 12]
    half_y = world.prim[i, 13]
    x = (o[0] + t * d[0]) / half_x
    y = (o[1] + t * d[1]) / half_y
    if abs(x) > 1 or abs(y) > 1 or t <= 0 or t >= high:
        return FAR
    m = world.material
    j = world.mat[i]
    if m[j, 17] >= 0:
        lod = 1.0
        if pixel > 0:
            lod = math.log2(max(t * pixel * 128.0 * m[j, 19] / max(min(half_x, half_y), 1e-6), 1.0))
        u = (x * 0.5 + 0.5) * m[j, 19] + m[j, 15] * (m[j, 19] > 1.5)
        if alpha_at(world.alpha, int(m[j, 17]), u, (0.5 - y * 0.5) * m[j, 20], lod) < m[j, 18]:
            return FAR
    return t


@inlined
def hit(world: World, i: int, origin: Vector, ray: Vector, low: float, high: float, pixel: float) -> float:
    """Ray parameter in (low, high) where the ray enters primitive `i`, else `FAR`.

    `pixel` is the angle of a pixel (for the mip level of cut-outs), 0 for shadow rays.
    """
    o = local_point(world.prim, i, origin)
    d = local_direction(world.prim, i, ray)
    kind = world.kind[i]
    a = world.prim[i, 12]
    b = world.prim[i, 13]
    c = world.prim[i, 14]
    if kind == 0:
        t = _box(o, d, (a, b, c))
    elif kind == 1:
        t = _ellipsoid(o, d, (a, b, c))
    elif kind == 2:
        t = _frustum(o, d, a, b, world.prim[i, 15])
    elif kind == 3:
        t = _round_cone(o, d, a, b, c)
    elif kind == 4:
        t = _quad(world, i, o, d, high, pixel)
    else:
        t = -o[1] / d[1] if d[1] < 0 else FAR
    return t if t > low and t < high else FAR


@inlined
def _beyond(x: float, y: float, z: float) -> float:
    """Distance from a box, of which x, y, z are how far a point is beyond its faces."""
    outside = (max(x, 0.0), max(y, 0.0), max(z, 0.0))
    return math.sqrt(dot(outside, outside)) + min(max(x, y, z), 0.0)


@inlined
def distance_to(world: World, i: int, point: Vector) -> float:
    """Signed distance (approximate for ellipsoids and cones) from a point to primitive `i`; cut-outs count as far."""
    p = local_point(world.prim, i, point)
    kind = world.kind[i]
    a = world.prim[i, 12]
    b = world.prim[i, 13]
    c = world.prim[i, 14]
    if kind == 0:
        return _beyond(abs(p[0]) - a, abs(p[1]) - b, abs(p[2]) - c)
    if kind == 1:
        unit = (p[0] / a, p[1] / b, p[2] / c)
        slope = (unit[0] / a, unit[1] / b, unit[2] / c)
        k = math.sqrt(dot(unit, unit))
        return k * (k - 1.0) / max(math.sqrt(dot(slope, slope)), 1e-9)
    if kind == 2:
        top = world.prim[i, 15]
        radius = a * (1 + top) / 2 + a * (top - 1) * min(max(p[1], -b), b) / (2 * b)
        return _beyond(math.sqrt(p[0] * p[0] + p[2] * p[2]) - radius, abs(p[1]) - b, -1e9)
    if kind == 3:
        share = min(max(p[1] / b, 0.0), 1.0)
        rest = (p[0], p[1] - share * b, p[2])
        return math.sqrt(dot(rest, rest)) - (a + (c - a) * share)
    if kind == 5:
        return p[1]
    return 1e9


@inlined
def _box_surface(p: Vector, size: Vector) -> Surface:
    x = abs(p[0]) - size[0]
    y = abs(p[1]) - size[1]
    z = abs(p[2]) - size[2]
    if x >= y and x >= z:
        return (1.0 if p[0] > 0 else -1.0, 0.0, 0.0), p[2], p[1], 1 if p[0] > 0 else 2
    if y >= z:
        return (0.0, 1.0 if p[1] > 0 else -1.0, 0.0), p[0], p[2], 3 if p[1] > 0 else 4
    return (0.0, 0.0, 1.0 if p[2] > 0 else -1.0), p[0], p[1], 5 if p[2] > 0 else 6


@inlined
def _ellipsoid_surface(p: Vector, a: float, b: float, c: float) -> Surface:
    n = (p[0] / (a * a), p[1] / (b * b), p[2] / (c * c))
    if n[1] * n[1] > n[0] * n[0] + n[2] * n[2]:
        return n, p[0], p[2], 0
    return n, math.atan2(p[2] / c, p[0] / a) * max(a, c), p[1] * 1.2, 0


@inlined
def _frustum_surface(p: Vector, radius: float, half: float, top: float) -> Surface:
    if abs(p[1]) > half * (1 - 1e-6) - 1e-7:
        return (0.0, 1.0 if p[1] > 0 else -1.0, 0.0), p[0], p[2], 1 if p[1] > 0 else 2
    q = max(math.sqrt(p[0] * p[0] + p[2] * p[2]), 1e-9)
    slope = -radius * (top - 1.0) / (2 * half)
    return (p[0] / q, slope, p[2] / q), math.atan2(p[2], p[0]) * radius, p[1], 0


@inlined
def _round_cone_surface(p: Vector, ra: float, length: float, rb: float) -> Surface:
    s = (ra - rb) / length
    c = math.sqrt(max(1 - s * s, 0.0))
    q = max(math.sqrt(p[0] * p[0] + p[2] * p[2]), 1e-9)
    height = p[1] * c - q * s
    if height <= 0 or abs(s) >= 1:
        n = (p[0], p[1], p[2])
    elif height >= length * c:
        n = (p[0], p[1] - length, p[2])
    else:
        n = (p[0] / q * c, s, p[2] / q * c)
    return n, math.atan2(p[2], p[0]) * max(ra, rb), p[1], 0


@inlined
def surface_at(world: World, i: int, point: Vector, ray: Vector) -> Surface:
    """Unit normal in world axes (a cut-out's faces the ray), texture coordinates in metres, face number."""
    p = local_point(world.prim, i, point)
    kind = world.kind[i]
    a = world.prim[i, 12]
    b = world.prim[i, 13]
    c = world.prim[i, 14]
    if kind == 0:
        n, u, v, face = _box_surface(p, (a, b, c))
    elif kind == 1:
        n, u, v, face = _ellipsoid_surface(p, a, b, c)
    elif kind == 2:
        n, u, v, face = _frustum_surface(p, a, b, world.prim[i, 15])
    elif kind == 3:
        n, u, v, face = _round_cone_surface(p, a, b, c)
    elif kind == 4:
        n, u, v, face = (0.0, 0.0, 1.0), p[0], p[1], 0
    else:
        n, u, v, face = (0.0, 1.0, 0.0), p[0], p[2], 0
    normal = scaled(world_direction(world.prim, i, n), 1.0 / max(math.sqrt(dot(n, n)), 1e-12))
    if kind == 4 and dot(normal, ray) > 0:
        normal = scaled(normal, -1.0)
    return normal, u, v, face
