"""What a surface point looks like: texture, direct light with shadows, contact shading, highlights, fog."""

import math
from typing import NamedTuple

import numpy as np

from wheatstone.scenes.compiled import FAR, Vector, World, along, dot, inlined, loop, minus, scaled
from wheatstone.scenes.lookup import texture_at
from wheatstone.scenes.primitives import distance_to, hit, surface_at
from wheatstone.scenes.tracing import misses_ball

__all__ = ["Shadows", "combine", "gather", "gather_near", "shade_point"]


class Shadows(NamedTuple):
    """Who may shade the points of a rectangle of pixels.

    Attributes:
        lists: int32 `[L + 1, N]`, primitives that may stand before light 0, 1, ...; the last row is what is near.
        counts: int64 `[L + 1]`, how many entries of each row count.
    """

    lists: np.ndarray
    counts: np.ndarray


@loop
def gather(world: World, light: int, base: Shadows, centre: Vector, radius: float, out: np.ndarray) -> int:
    """Write to `out` the primitives that may stand between a ball of surface points and a light; returns how many."""
    lights = world.lights
    direction = (lights[light, 1], lights[light, 2], lights[light, 3])
    soft = lights[light, 7]
    lamp = lights[light, 0] > 0.5
    length = 1e9
    if lamp:
        direction = minus(direction, centre)
        length = max(math.sqrt(dot(direction, direction)), 1e-6)
        direction = scaled(direction, 1.0 / length)
    n = 0
    p = world.prim
    for k in range(base.counts[light]):
        i = base.lists[light, k]
        if p[i, 20] < 0.5:
            continue
        w = (p[i, 16] - centre[0], p[i, 17] - centre[1], p[i, 18] - centre[2])
        reach = p[i, 19] + radius
        ahead = dot(w, direction)
        if ahead < -reach or ahead > length + reach:
            continue
        reach += soft if lamp else max(ahead, 0.0) * soft
        if dot(w, w) - ahead * ahead <= reach * reach:
            out[light, n] = i
            n += 1
    return n


@loop
def gather_near(world: World, base: Shadows, centre: Vector, radius: float, out: np.ndarray) -> int:
    """Write to the last row of `out` the primitives less than `radius` from a point; returns how many."""
    last = world.lights.shape[0]
    n = 0
    for k in range(base.counts[last]):
        i = base.lists[last, k]
        kind = world.kind[i]
        if kind == 4 or distance_to(world, i, centre) > radius:
            continue
        out[last, n] = i
        n += 1
    return n


@inlined
def _blocked(
    world: World, shadows: Shadows, light: int, own: int, point: Vector, ray: Vector, low: float, high: float
) -> bool:
    """Whether a primitive of the list cuts the way to the light; the one that does moves to the front of the list.

    The surface's own primitive counts from `low` on, others at once: light must not leak where things touch.
    """
    inverse = 1.0 / dot(ray, ray)
    lists = shadows.lists
    for m in range(shadows.counts[light]):
        i = lists[light, m]
        if misses_ball(world, i, point, ray, inverse):
            continue
        if hit(world, i, point, ray, low if i == own else -1e-5, high, 0.0) < FAR:
            lists[light, m] = lists[light, 0]
            lists[light, 0] = i
            return True
    return False


@inlined
def _to_light(world: World, k: int, point: Vector, jitter: int) -> tuple[Vector, float, float]:
    """Way to a place on a light (chosen by the dither number 0..15), its power there, and where the way ends."""
    light = world.lights
    j1 = (jitter & 3) / 3.0 * 2 - 1
    j2 = ((jitter >> 2) & 3) / 3.0 * 2 - 1
    soft = light[k, 7]
    place = (light[k, 1] + soft * j1, light[k, 2] + soft * 0.5 * (j1 + j2), light[k, 3] + soft * j2)
    if light[k, 0] < 0.5:
        return place, 1.0, 1e9
    way = minus(place, point)
    return way, 1.0 / max(dot(way, way), 0.3), 0.999


@inlined
def _direct(
    world: World, i: int, point: Vector, normal: Vector, view: Vector, shadows: Shadows, jitter: int, out: np.ndarray
) -> None:
    """Add light arriving straight from the lamps at a point of primitive `i` to `out`: 3..5 diffuse, 6..8 highlights."""
    m = world.material
    j = world.mat[i]
    for k in range(world.lights.shape[0]):
        way, power, end = _to_light(world, k, point, jitter)
        norm = 1.0 / math.sqrt(dot(way, way))
        cosine = dot(way, normal) * norm
        if m[j, 23] > 0 and cosine < 0:
            cosine = -cosine * m[j, 23]
        if cosine <= 0:
            continue
        low = 3e-4 * norm
        if _blocked(world, shadows, k, i, point, way, low, end):
            continue
        for c in range(3):
            out[3 + c] += world.lights[k, 4 + c] * cosine * power
        if m[j, 12] > 0:
            half = minus(scaled(way, norm), view)
            facing = max(dot(half, normal) / max(math.sqrt(dot(half, half)), 1e-9), 0.0)
            shine = facing ** max(m[j, 13], 2.0) * m[j, 12] * cosine * power
            for c in range(3):
                out[6 + c] += world.lights[k, 4 + c] * shine


@inlined
def _albedo(world: World, j: int, u: float, v: float, face: int, reach: float, cosine: float, out: np.ndarray) -> None:
    """Write the colour of material `j` to `out` 0..2; `reach` is the width of a pixel on the surface in metres."""
    m = world.material
    scale = 1.0 / m[j, 10]
    lod = math.log2(max(reach / max(cosine, 0.3) * 256.0 * scale, 1e-6))
    u *= scale
    v *= scale
    ramp, lum = texture_at(world.tex, int(m[j, 9]), u + m[j, 15] + 0.37 * face, v * m[j, 21] + m[j, 16], lod)
    if m[j, 14] > 0:
        stain, dark = texture_at(world.tex, int(m[j, 22]), u * 0.17 + m[j, 16], v * 0.17 + m[j, 15], lod - 2.5)
        ramp = min(max(ramp + m[j, 14] * (stain - 0.5), 0.0), 1.0)
        lum += m[j, 14] * 0.5 * (dark - 0.5)
    light = max(1.0 + m[j, 11] * (lum - 0.5) * 2.0, 0.05)
    first = 0 if ramp < 0.5 else 3
    share = ramp * 2 if ramp < 0.5 else ramp * 2 - 1
    for c in range(3):
        out[c] = (m[j, first + c] + (m[j, first + 3 + c] - m[j, first + c]) * share) * light


@inlined
def _clearance(world: World, shadows: Shadows, point: Vector, limit: float) -> float:
    """Distance from a point to the nearest primitive of the last list, at most `limit`."""
    d = limit
    p = world.prim
    last = world.lights.shape[0]
    for k in range(shadows.counts[last]):
        i = shadows.lists[last, k]
        w = (p[i, 16] - point[0], p[i, 17] - point[1], p[i, 18] - point[2])
        if dot(w, w) < (p[i, 19] + d) * (p[i, 19] + d):
            d = min(d, distance_to(world, i, point))
    return d


@inlined
def shade_point(
    world: World, i: int, t: float, camera: Vector, ray: Vector, pixel: float, shadows: Shadows, jitter: int, out: np.ndarray
) -> int:  # fmt: skip
    """Shade the point at ray parameter `t` on primitive `i`; returns its face.

    Fills `out`: 0..2 albedo, 3..5 direct light, 6..8 highlights, 9..11 ambient light, 12..14 own light, 15 share of fog.
    """
    for c in range(16):
        out[c] = 0.0
    env = world.env
    m = world.material
    j = world.mat[i]
    point = along(camera, ray, t)
    norm = math.sqrt(dot(ray, ray))
    view = scaled(ray, 1.0 / norm)
    normal, u, v, face = surface_at(world, i, point, ray)
    cosine = -dot(normal, view)
    _albedo(world, j, u, v, face, t * norm * pixel, cosine, out)
    _direct(world, i, point, normal, view, shadows, jitter, out)
    open_share = 1.0
    for step in range(2):
        h = env[23] * (0.25 if step == 0 else 1.0)
        d = _clearance(world, shadows, along(point, normal, h), h)
        open_share *= 1.0 - 0.6 * (1.0 - max(d, 0.0) / h)
    up = 0.5 + 0.5 * normal[1]
    # A rim of sky light at grazing angles keeps dark, smooth things readable, as a Fresnel term does.
    rim = m[j, 12] * (1.0 - max(cosine, 0.0)) ** 4 * 0.5
    for c in range(3):
        out[9 + c] = (env[12 + c] + (env[9 + c] - env[12 + c]) * up) * open_share
        out[6 + c] += rim * env[9 + c] * open_share
        out[12 + c] = out[c] * m[j, 24]
    out[15] = 1.0 - math.exp(-env[15] * t * norm)
    return face


@inlined
def combine(world: World, s: np.ndarray) -> Vector:
    """Radiance of the terms `shade_point` made."""
    fog = s[15]
    keep = 1.0 - fog
    env = world.env
    return (
        (s[0] * (s[3] + s[9]) + s[6] + s[12]) * keep + env[27] * fog,
        (s[1] * (s[4] + s[10]) + s[7] + s[13]) * keep + env[28] * fog,
        (s[2] * (s[5] + s[11]) + s[8] + s[14]) * keep + env[29] * fog,
    )
