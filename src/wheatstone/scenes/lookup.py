"""Lookups in textures and cut-outs, and the colour of the sky."""

import math

import numpy as np

from wheatstone.scenes.compiled import Vector, World, dot, inlined, scaled

__all__ = ["alpha_at", "sky_colour", "texture_at"]


@inlined
def alpha_at(alpha: np.ndarray, a: int, u: float, v: float, lod: float) -> float:
    """Coverage 0..255 of cut-out `a` at (u, v) in 0..1 (repeating), from mip level `lod`."""
    level = int(min(max(lod, 0.0), 5.0))
    size = 256 >> level
    offset = 0
    for k in range(level):
        offset += (256 >> k) * (256 >> k)
    x = (u - math.floor(u)) * size - 0.5
    y = (v - math.floor(v)) * size - 0.5
    x0 = math.floor(x)
    y0 = math.floor(y)
    fx = x - x0
    fy = y - y0
    xa = max(x0, 0)
    xb = min(x0 + 1, size - 1)
    ya = offset + max(y0, 0) * size
    yb = offset + min(y0 + 1, size - 1) * size
    top = alpha[a, ya + xa] * (1 - fx) + alpha[a, ya + xb] * fx
    low = alpha[a, yb + xa] * (1 - fx) + alpha[a, yb + xb] * fx
    return top * (1 - fy) + low * fy


@inlined
def texture_at(tex: np.ndarray, number: int, u: float, v: float, lod: float) -> tuple[float, float]:
    """Trilinear lookup of (ramp, luminance), each 0..1, in a texture at (u, v), repeating."""
    lod = min(max(lod, 0.0), 6.999)
    level = int(lod)
    share = lod - level
    ramp = 0.0
    lum = 0.0
    u -= math.floor(u)
    v -= math.floor(v)
    offset = 0
    for k in range(level):
        offset += (256 >> k) * (256 >> k)
    for step in range(2):
        size = 256 >> (level + step)
        weight = share if step == 1 else 1.0 - share
        x = u * size - 0.5
        y = v * size - 0.5
        x0 = math.floor(x)
        y0 = math.floor(y)
        fx = x - x0
        fy = (y - y0) * weight
        gy = weight - fy
        xa = x0 & (size - 1)
        xb = (x0 + 1) & (size - 1)
        ya = offset + (y0 & (size - 1)) * size
        yb = offset + ((y0 + 1) & (size - 1)) * size
        ramp += gy * ((1 - fx) * tex[number, ya + xa, 0] + fx * tex[number, ya + xb, 0])
        ramp += fy * ((1 - fx) * tex[number, yb + xa, 0] + fx * tex[number, yb + xb, 0])
        lum += gy * ((1 - fx) * tex[number, ya + xa, 1] + fx * tex[number, ya + xb, 1])
        lum += fy * ((1 - fx) * tex[number, yb + xa, 1] + fx * tex[number, yb + xb, 1])
        offset += size * size
    return ramp / 255.0, lum / 255.0


@inlined
def sky_colour(world: World, ray: Vector) -> Vector:
    """Radiance of the sky in a direction: gradient, haze, clouds and the glow around the sun."""
    env = world.env
    d = scaled(ray, 1.0 / math.sqrt(dot(ray, ray)))
    up = max(d[1], 0.0)
    share = 1.0 - (1.0 - min(up, 1.0)) ** 3.0
    r = env[3] + (env[0] - env[3]) * share
    g = env[4] + (env[1] - env[4]) * share
    b = env[5] + (env[2] - env[5]) * share
    if env[16] > 0:
        scale = env[18] / (up + 0.18)
        ramp, lum = texture_at(world.tex, int(env[17]), d[0] * scale + env[25], d[2] * scale + env[26], 1.0)
        cloud = min(max((ramp - (1.0 - env[16])) * 3.0, 0.0), 1.0) * min(up * 6.0, 1.0)
        white = max(env[3], env[4], env[5]) * (0.75 + 0.5 * lum)
        r += (white - r) * cloud
        g += (white - g) * cloud
        b += (white - b) * cloud
    facing = max(d[0] * env[19] + d[1] * env[20] + d[2] * env[21], 0.0)
    glow = env[22] * (0.25 * facing**8 + facing**64)
    return r + glow, g + glow * 0.92, b + glow * 0.78
