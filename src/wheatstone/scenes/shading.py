"""Shading passes of the ray caster: textures, lights with soft-edged shadows, contact shading, fog, anti-aliasing."""

import math

import numpy as np

from wheatstone.scenes.kernels import FAR, distance_to, hit, inlined, kernel, loop, sky_colour, surface_at, texture_at
from wheatstone.scenes.tracing import TILE, first_hit

__all__ = ["resolve", "shade"]

BLOCK = 4  # tiles a side of the blocks that shorten the lists of shadow casters first


@loop
def _gather(world, light, base, base_count, cx, cy, cz, radius, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Primitives that may stand between a ball around a tile's points and a light; returns how many."""
    n = 0
    lx = light[1]
    ly = light[2]
    lz = light[3]
    length = 1e9
    if light[0] > 0.5:
        lx -= cx
        ly -= cy
        lz -= cz
        length = max(math.sqrt(lx * lx + ly * ly + lz * lz), 1e-6)
        lx /= length
        ly /= length
        lz /= length
    for k in range(base_count):
        i = base[k]
        p = world.prim
        if p[i, 20] < 0.5:
            continue
        wx = p[i, 16] - cx
        wy = p[i, 17] - cy
        wz = p[i, 18] - cz
        reach = p[i, 19] + radius
        along = wx * lx + wy * ly + wz * lz
        if along < -reach or along > length + reach:
            continue
        reach += max(along, 0.0) * light[7] if light[0] < 0.5 else light[7]
        if wx * wx + wy * wy + wz * wz - along * along <= reach * reach:
            out[n] = i
            n += 1
    return n


@loop
def _gather_near(world, base, base_count, cx, cy, cz, radius, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = 0
    for k in range(base_count):
        i = base[k]
        p = world.prim
        if world.kind[i] == 4 or p[i, 20] < 0.5 and world.kind[i] != 5:
            continue
        if world.kind[i] == 5:
            out[n] = i
            n += 1
            continue
        wx = p[i, 16] - cx
        wy = p[i, 17] - cy
        wz = p[i, 18] - cz
        reach = p[i, 19] + radius
        if wx * wx + wy * wy + wz * wz <= reach * reach and distance_to(world, i, cx, cy, cz) < radius:
            out[n] = i
            n += 1
    return n


@inlined
def _blocked(world, shadow, k, count, x, y, z, lx, ly, lz, eps, far):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether one of the listed primitives cuts the way to the light; the one that does moves to the front of the list."""
    inv = 1.0 / (lx * lx + ly * ly + lz * lz)
    for m in range(count):
        i = shadow[k, m]
        wx = world.prim[i, 16] - x
        wy = world.prim[i, 17] - y
        wz = world.prim[i, 18] - z
        along = wx * lx + wy * ly + wz * lz
        reach = world.prim[i, 19]
        if wx * wx + wy * wy + wz * wz - along * along * inv > reach * reach * 1.0001:
            continue
        if hit(world, i, x, y, z, lx, ly, lz, eps, far, 0.0) < FAR:
            shadow[k, m] = shadow[k, 0]
            shadow[k, 0] = i
            return True
    return False


@inlined
def _direct(world, x, y, z, nx, ny, nz, vx, vy, vz, two_sided, shine, gloss, shadow, counts, jitter, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add light arriving straight from the lamps to `out` (3..5 diffuse, 6..8 specular)."""
    for k in range(world.lights.shape[0]):
        light = world.lights
        lx = light[k, 1]
        ly = light[k, 2]
        lz = light[k, 3]
        # Two independent numbers of the dither pattern move the lamp within its size: soft-edged shadows after `resolve`.
        j1 = (jitter & 3) / 3.0 * 2 - 1
        j2 = ((jitter >> 2) & 3) / 3.0 * 2 - 1
        far = 1e9
        power = 1.0
        lx += light[k, 7] * j1
        ly += light[k, 7] * 0.5 * (j1 + j2)
        lz += light[k, 7] * j2
        if light[k, 0] > 0.5:
            lx -= x
            ly -= y
            lz -= z
            far = 0.999
            power = 1.0 / max(lx * lx + ly * ly + lz * lz, 0.05)
        norm = 1.0 / math.sqrt(lx * lx + ly * ly + lz * lz)
        cosine = (lx * nx + ly * ny + lz * nz) * norm
        if two_sided > 0 and cosine < 0:
            cosine = -cosine * two_sided
        if cosine <= 0:
            continue
        eps = 2e-4 / norm if light[k, 0] < 0.5 else 3e-4
        if _blocked(world, shadow, k, counts[k], x + nx * 1e-4, y + ny * 1e-4, z + nz * 1e-4, lx, ly, lz, eps, far):
            continue
        for c in range(3):
            out[3 + c] += light[k, 4 + c] * cosine * power
        if shine > 0:
            hx = lx * norm - vx
            hy = ly * norm - vy
            hz = lz * norm - vz
            hn = max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-9)
            high = max((hx * nx + hy * ny + hz * nz) / hn, 0.0) ** gloss * shine * cosine
            for c in range(3):
                out[6 + c] += light[k, 4 + c] * high * power


@inlined
def _albedo(world, i, x, y, z, u, v, face, reach, cosine, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    m = world.material
    j = world.mat[i]
    scale = 1.0 / m[j, 10]
    lod = math.log2(max(reach / max(cosine, 0.3) * 256.0 * scale, 1e-6))
    ramp, lum = texture_at(
        world.tex, int(m[j, 9]), u * scale + m[j, 15] + 0.37 * face, v * scale * m[j, 21] + m[j, 16], lod
    )
    if m[j, 14] > 0:
        big, dark = texture_at(
            world.tex, int(m[j, 22]), u * scale * 0.17 + m[j, 16], v * scale * 0.17 + m[j, 15], lod - 2.5
        )
        ramp = min(max(ramp + m[j, 14] * (big - 0.5), 0.0), 1.0)
        lum += m[j, 14] * 0.5 * (dark - 0.5)
    light = max(1.0 + m[j, 11] * (lum - 0.5) * 2.0, 0.05)
    for c in range(3):
        if ramp < 0.5:
            base = m[j, c] + (m[j, 3 + c] - m[j, c]) * ramp * 2
        else:
            base = m[j, 3 + c] + (m[j, 6 + c] - m[j, 3 + c]) * (ramp * 2 - 1)
        out[c] = base * light


@inlined
def _clearance(world, lists, last, near_count, x, y, z, limit):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Distance from a point to the nearest listed primitive, at most `limit`."""
    d = limit
    for k in range(near_count):
        i = lists[last, k]
        wx = world.prim[i, 16] - x
        wy = world.prim[i, 17] - y
        wz = world.prim[i, 18] - z
        reach = world.prim[i, 19] + d
        if wx * wx + wy * wy + wz * wz < reach * reach:
            d = min(d, distance_to(world, i, x, y, z))
    return d


@inlined
def _shade_point(world, i, t, ox, oy, oz, dx, dy, dz, pixel, shadow, counts, jitter, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Fill `out`: 0..2 albedo, 3..5 direct, 6..8 specular, 9..11 ambient, 12..14 emission and fog, 15 fog share; face."""
    for c in range(16):
        out[c] = 0.0
    x = ox + t * dx
    y = oy + t * dy
    z = oz + t * dz
    norm = math.sqrt(dx * dx + dy * dy + dz * dz)
    vx = dx / norm
    vy = dy / norm
    vz = dz / norm
    nx, ny, nz, u, v, face = surface_at(world, i, x, y, z, dx, dy, dz)
    m = world.material
    j = world.mat[i]
    cosine = -(nx * vx + ny * vy + nz * vz)
    _albedo(world, i, x, y, z, u, v, face, t * norm * pixel, cosine, out)
    _direct(world, x, y, z, nx, ny, nz, vx, vy, vz, m[j, 23], m[j, 12], max(m[j, 13], 2.0), shadow, counts, jitter, out)
    occlusion = 1.0
    for step in range(2):
        h = world.env[23] * (0.25 if step == 0 else 1.0)
        d = _clearance(
            world, shadow, counts.shape[0] - 1, counts[counts.shape[0] - 1], x + nx * h, y + ny * h, z + nz * h, h
        )
        occlusion *= 1.0 - 0.6 * (1.0 - max(d, 0.0) / h)
    env = world.env
    up = 0.5 + 0.5 * ny
    for c in range(3):
        out[9 + c] = (env[12 + c] + (env[9 + c] - env[12 + c]) * up) * occlusion
    # A rim of sky light at grazing angles keeps dark, smooth things readable, as a Fresnel term does.
    rim = m[j, 12] * (1.0 - max(cosine, 0.0)) ** 4 * 0.5
    fog = 1.0 - math.exp(-env[15] * t * norm)
    for c in range(3):
        out[6 + c] += rim * env[9 + c] * occlusion
        out[12 + c] = out[c] * m[j, 24]
    out[15] = fog
    return face


@inlined
def _combine(world, s, rgb):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    fog = s[15]
    for c in range(3):
        lit = s[c] * (s[3 + c] + s[9 + c]) + s[6 + c] + s[12 + c]
        rgb[c] = lit + (world.env[27 + c] - lit) * fog


@kernel
def shade(world, cam, start, items, depth, ids, zmap, near, samples):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Radiance of every pixel: edge pixels final (`samples` rays), others as terms that `resolve` filters and joins.

    Returns (terms float32 `[H,W,16]`, face uint8 `[H,W]`, edge bool `[H,W]`); for edges and sky terms 0..2 are radiance.
    """
    height, width = ids.shape
    n = world.kind.shape[0]
    lists = world.lights.shape[0] + 1
    everything = np.empty((lists, n), np.int32)
    for i in range(n):
        everything[:, i] = i
    all_counts = np.full(lists, n)
    base = np.empty((lists, n), np.int32)
    base_counts = np.zeros(lists, np.int64)
    shadow = np.empty((lists, n), np.int32)
    counts = np.zeros(lists, np.int64)
    terms = np.zeros((height, width, 16), np.float32)
    faces = np.zeros((height, width), np.uint8)
    edge = np.zeros((height, width), np.bool_)
    s = np.zeros(16)
    rgb = np.zeros(3)
    size = TILE * BLOCK
    for row0 in range(0, height, size):
        for col0 in range(0, width, size):
            rows = (row0, min(row0 + size, height))
            cols = (col0, min(col0 + size, width))
            _prepare(world, cam, ids, zmap, rows, cols, everything, all_counts, base, base_counts)
            for row in range(row0, rows[1], TILE):
                for col in range(col0, cols[1], TILE):
                    part = (row, min(row + TILE, height), col, min(col + TILE, width))
                    _prepare(world, cam, ids, zmap, part[:2], part[2:], base, base_counts, shadow, counts)
                    _shade_tile(
                        world, cam, start, items, depth, ids, zmap, near, samples,
                        part, shadow, counts, terms, faces, edge, s, rgb,
                    )  # fmt: skip
    return terms, faces, edge


@loop
def _shade_tile(
    world, cam, start, items, depth, ids, zmap, near, samples, part, shadow, counts, terms, faces, edge, s, rgb
):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    tile = (part[0] // TILE) * ((ids.shape[1] + TILE - 1) // TILE) + part[2] // TILE
    pixel = 1.0 / cam[12]
    for row in range(part[0], part[1]):
        for col in range(part[2], part[3]):
            is_edge = samples > 1 and _is_edge(world, ids, zmap, row, col)
            edge[row, col] = is_edge
            jitter = _dither(row, col)
            count = samples if is_edge else 1
            for k in range(count):
                which = ids[row, col]
                t = zmap[row, col]
                a = (col - cam[13]) * pixel
                b = (row - cam[14]) * pixel
                if is_edge:
                    # Samples on a line of slope 1/2: each has a column and a row of its own.
                    a += ((k + 0.5) / count - 0.5) * pixel
                    b += (((2 * k + 1) % count + 0.5) / count - 0.5) * pixel
                dx = cam[9] + a * cam[3] + b * cam[6]
                dy = cam[10] + a * cam[4] + b * cam[7]
                dz = cam[11] + a * cam[5] + b * cam[8]
                if is_edge:
                    which, t = first_hit(
                        world, start, items, depth, tile, cam[0], cam[1], cam[2], dx, dy, dz, near, FAR, pixel
                    )
                if which < 0:
                    s[0], s[1], s[2] = sky_colour(world, dx, dy, dz)
                else:
                    face = _shade_point(
                        world,
                        which,
                        t,
                        cam[0],
                        cam[1],
                        cam[2],
                        dx,
                        dy,
                        dz,
                        pixel,
                        shadow,
                        counts,
                        (jitter + k * 5) & 15,
                        s,
                    )
                    faces[row, col] = face
                if is_edge:
                    if which >= 0:
                        _combine(world, s, rgb)
                    else:
                        rgb[0] = s[0]
                        rgb[1] = s[1]
                        rgb[2] = s[2]
                    for c in range(3):
                        terms[row, col, c] += min(rgb[c], 8.0) / count
                else:
                    for c in range(16):
                        terms[row, col, c] = s[c]


@inlined
def _dither(row, col):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A 4 x 4 pattern of the numbers 0..15, so that any 4 x 4 block holds each once."""
    return ((row & 3) * 4 + (col & 3)) * 7 % 16


@inlined
def _is_edge(world, ids, zmap, row, col):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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


@kernel
def _ball(cam, ids, zmap, row0, row1, col0, col1):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Ball around the surface points of a rectangle of pixels: centre and radius (negative: only sky)."""
    low = np.full(3, 1e18)
    high = np.full(3, -1e18)
    some = False
    for row in range(row0, row1):
        for col in range(col0, col1):
            if ids[row, col] >= 0:
                some = True
                a = (col - cam[13]) / cam[12]
                b = (row - cam[14]) / cam[12]
                for c in range(3):
                    w = cam[c] + zmap[row, col] * (cam[9 + c] + a * cam[3 + c] + b * cam[6 + c])
                    low[c] = min(low[c], w)
                    high[c] = max(high[c], w)
    if not some:
        return 0.0, 0.0, 0.0, -1.0
    radius = math.sqrt((high[0] - low[0]) ** 2 + (high[1] - low[1]) ** 2 + (high[2] - low[2]) ** 2) / 2 * 1.05 + 1e-3
    return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2, radius


@kernel
def _prepare(world, cam, ids, zmap, rows, cols, base, base_counts, out, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Who may shade the points of a rectangle: a list a light, and a last one of near primitives for contact shading."""
    lights = world.lights.shape[0]
    x, y, z, radius = _ball(cam, ids, zmap, rows[0], rows[1], cols[0], cols[1])
    for k in range(lights + 1):
        counts[k] = 0
    if radius < 0:
        return
    for k in range(lights):
        counts[k] = _gather(world, world.lights[k], base[k], base_counts[k], x, y, z, radius, out[k])
    counts[lights] = _gather_near(
        world, base[lights], base_counts[lights], x, y, z, radius + 2 * world.env[23], out[lights]
    )


@kernel
def resolve(world, terms, ids, faces, edge):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Average the dithered direct light over 4 x 4 pixels of the same surface and join all terms: radiance `[H,W,3]`."""
    out = np.empty((ids.shape[0], ids.shape[1], 3), np.float32)
    _resolve_pixels(world, terms, ids, faces, edge, out, np.empty(16), np.empty(3))
    return out


@loop
def _resolve_pixels(world, terms, ids, faces, edge, out, s, rgb):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    height, width = ids.shape
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            if i < 0 or edge[row, col]:
                for c in range(3):
                    out[row, col, c] = terms[row, col, c]
                continue
            for c in range(16):
                s[c] = terms[row, col, c]
            total = 1.0
            for r in range(max(row - 1, 0), min(row + 3, height)):
                for q in range(max(col - 1, 0), min(col + 3, width)):
                    if ids[r, q] != i or edge[r, q] or faces[r, q] != faces[row, col] or (r == row and q == col):
                        continue
                    total += 1.0
                    for c in range(3, 9):
                        s[c] += terms[r, q, c]
            for c in range(3, 9):
                s[c] /= total
            _combine(world, s, rgb)
            for c in range(3):
                out[row, col, c] = rgb[c]
