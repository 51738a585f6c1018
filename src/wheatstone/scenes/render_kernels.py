"""Whole-image passes of the ray caster: binning, tracing, shading with shadows, anti-aliasing, occlusion between views."""

import math

import numpy as np

from wheatstone.scenes.kernels import FAR, distance_to, hit, inlined, kernel, sky_colour, surface_at, texture_at

__all__ = ["TILE", "bin_primitives", "occlusion", "resolve", "shade", "trace"]

TILE = 8


@kernel
def _bounds(world, i, cam, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Pixel rectangle and nearest depth of primitive `i`; the whole plane if it reaches behind the camera."""
    p = world.prim[i]
    kind = world.kind[i]
    if kind == 5:
        return -1e9, 1e9, -1e9, 1e9, 0.0, 1
    x_low = 1e9
    x_high = -1e9
    y_low = 1e9
    y_high = -1e9
    z_low = 1e9
    z_high = -1e9
    for corner in range(8):
        sx = 1.0 if corner & 1 else -1.0
        sy = 1.0 if corner & 2 else -1.0
        sz = 1.0 if corner & 4 else -1.0
        if kind == 3:
            r = p[12] if sy < 0 else p[14]
            lx = sx * r
            lz = sz * r
            ly = -r if sy < 0 else p[13] + r
        elif kind == 2:
            r = p[12] * max(1.0, p[15])
            lx = sx * r
            ly = sy * p[13]
            lz = sz * r
        else:
            lx = sx * p[12]
            ly = sy * p[13]
            lz = sz * p[14] if kind != 4 else 0.0
        wx = p[0] + p[3] * lx + p[6] * ly + p[9] * lz - cam[0]
        wy = p[1] + p[4] * lx + p[7] * ly + p[10] * lz - cam[1]
        wz = p[2] + p[5] * lx + p[8] * ly + p[11] * lz - cam[2]
        z = cam[9] * wx + cam[10] * wy + cam[11] * wz
        z_low = min(z_low, z)
        z_high = max(z_high, z)
        if z > near:
            x = cam[12] * (cam[3] * wx + cam[4] * wy + cam[5] * wz) / z + cam[13]
            y = cam[12] * (cam[6] * wx + cam[7] * wy + cam[8] * wz) / z + cam[14]
            x_low = min(x_low, x)
            x_high = max(x_high, x)
            y_low = min(y_low, y)
            y_high = max(y_high, y)
    if z_high <= near:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0
    if z_low <= near:
        return -1e9, 1e9, -1e9, 1e9, 0.0, 1
    return x_low, x_high, y_low, y_high, z_low, 1


@kernel
def bin_primitives(world, cam, height, width, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Lists of primitives a tile, front to back: (start `[tiles+1]`, items, nearest depth `[N]`)."""
    n = world.kind.shape[0]
    rows = (height + TILE - 1) // TILE
    cols = (width + TILE - 1) // TILE
    rect = np.zeros((n, 4), np.int64)
    depth = np.zeros(n)
    count = np.zeros(rows * cols + 1, np.int64)
    for i in range(n):
        xl, xh, yl, yh, z, seen = _bounds(world, i, cam, near)
        depth[i] = z
        c0 = max(int(max(xl - 1, 0.0)) // TILE, 0)
        c1 = min(int(min(max(xh + 1, -1.0), width - 1.0)) // TILE + 1, cols) if xh + 1 >= 0 else 0
        r0 = max(int(max(yl - 1, 0.0)) // TILE, 0)
        r1 = min(int(min(max(yh + 1, -1.0), height - 1.0)) // TILE + 1, rows) if yh + 1 >= 0 else 0
        if seen == 0:
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
def _first_hit(world, start, items, depth, tile, ox, oy, oz, dx, dy, dz, near, far, pixel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
    cols = (width + TILE - 1) // TILE
    h = (height + stride - 1) // stride
    w = (width + stride - 1) // stride
    ids = np.empty((h, w), np.int32)
    z = np.empty((h, w))
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
            i, t = _first_hit(world, start, items, depth, tile, cam[0], cam[1], cam[2], dx, dy, dz, near, FAR, pixel)
            ids[row, col] = i
            z[row, col] = t
    return ids, z


@kernel
def _gather(world, light, cx, cy, cz, radius, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
    for i in range(world.kind.shape[0]):
        p = world.prim[i]
        if p[20] < 0.5:
            continue
        wx = p[16] - cx
        wy = p[17] - cy
        wz = p[18] - cz
        reach = p[19] + radius
        along = wx * lx + wy * ly + wz * lz
        if along < -reach or along > length + reach:
            continue
        reach += max(along, 0.0) * light[7] if light[0] < 0.5 else light[7]
        if wx * wx + wy * wy + wz * wz - along * along <= reach * reach:
            out[n] = i
            n += 1
    return n


@kernel
def _gather_near(world, cx, cy, cz, radius, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    n = 0
    for i in range(world.kind.shape[0]):
        p = world.prim[i]
        if world.kind[i] == 4 or p[20] < 0.5 and world.kind[i] != 5:
            continue
        if world.kind[i] == 5:
            out[n] = i
            n += 1
            continue
        wx = p[16] - cx
        wy = p[17] - cy
        wz = p[18] - cz
        reach = p[19] + radius
        if wx * wx + wy * wy + wz * wz <= reach * reach and distance_to(world, i, cx, cy, cz) < radius:
            out[n] = i
            n += 1
    return n


@kernel
def _blocked(world, shadow, count, x, y, z, lx, ly, lz, eps, far):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether one of the listed primitives cuts the way to the light; the one that does moves to the front of the list."""
    inv = 1.0 / (lx * lx + ly * ly + lz * lz)
    for m in range(count):
        i = shadow[m]
        wx = world.prim[i, 16] - x
        wy = world.prim[i, 17] - y
        wz = world.prim[i, 18] - z
        along = wx * lx + wy * ly + wz * lz
        reach = world.prim[i, 19]
        if wx * wx + wy * wy + wz * wz - along * along * inv > reach * reach * 1.0001:
            continue
        if hit(world, i, x, y, z, lx, ly, lz, eps, far, 0.0) < FAR:
            shadow[m] = shadow[0]
            shadow[0] = i
            return True
    return False


@kernel
def _direct(world, x, y, z, nx, ny, nz, vx, vy, vz, two_sided, shine, gloss, shadow, counts, jitter, rgb):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add light arriving straight from the lamps to `rgb` (0..2 diffuse, 3..5 specular)."""
    for k in range(world.lights.shape[0]):
        light = world.lights[k]
        lx = light[1]
        ly = light[2]
        lz = light[3]
        # Two independent numbers of the dither pattern move the lamp within its size: soft-edged shadows after `resolve`.
        j1 = (jitter & 3) / 3.0 * 2 - 1
        j2 = ((jitter >> 2) & 3) / 3.0 * 2 - 1
        far = 1e9
        power = 1.0
        lx += light[7] * j1
        ly += light[7] * 0.5 * (j1 + j2)
        lz += light[7] * j2
        if light[0] > 0.5:
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
        eps = 2e-4 / norm if light[0] < 0.5 else 3e-4
        if _blocked(world, shadow[k], counts[k], x + nx * 1e-4, y + ny * 1e-4, z + nz * 1e-4, lx, ly, lz, eps, far):
            continue
        for c in range(3):
            rgb[c] += light[4 + c] * cosine * power
        if shine > 0:
            hx = lx * norm - vx
            hy = ly * norm - vy
            hz = lz * norm - vz
            hn = max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-9)
            high = max((hx * nx + hy * ny + hz * nz) / hn, 0.0) ** gloss * shine * cosine
            for c in range(3):
                rgb[3 + c] += light[4 + c] * high * power


@kernel
def _albedo(world, i, x, y, z, u, v, face, reach, cosine, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    m = world.material[world.mat[i]]
    scale = 1.0 / m[10]
    lod = math.log2(max(reach / max(cosine, 0.3) * 256.0 * scale, 1e-6))
    ramp, lum = texture_at(world.tex, int(m[9]), u * scale + m[15] + 0.37 * face, v * scale * m[21] + m[16], lod)
    if m[14] > 0:
        big, dark = texture_at(world.tex, int(m[22]), u * scale * 0.17 + m[16], v * scale * 0.17 + m[15], lod - 2.5)
        ramp = min(max(ramp + m[14] * (big - 0.5), 0.0), 1.0)
        lum += m[14] * 0.5 * (dark - 0.5)
    light = max(1.0 + m[11] * (lum - 0.5) * 2.0, 0.05)
    for c in range(3):
        if ramp < 0.5:
            base = m[c] + (m[3 + c] - m[c]) * ramp * 2
        else:
            base = m[3 + c] + (m[6 + c] - m[3 + c]) * (ramp * 2 - 1)
        out[c] = base * light


@kernel
def _clearance(world, near_list, near_count, x, y, z, limit):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Distance from a point to the nearest listed primitive, at most `limit`."""
    d = limit
    for k in range(near_count):
        i = near_list[k]
        wx = world.prim[i, 16] - x
        wy = world.prim[i, 17] - y
        wz = world.prim[i, 18] - z
        reach = world.prim[i, 19] + d
        if wx * wx + wy * wy + wz * wz < reach * reach:
            d = min(d, distance_to(world, i, x, y, z))
    return d


@kernel
def _shade_point(world, i, t, ox, oy, oz, dx, dy, dz, pixel, near_list, near_count, shadow, counts, jitter, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
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
    m = world.material[world.mat[i]]
    cosine = -(nx * vx + ny * vy + nz * vz)
    _albedo(world, i, x, y, z, u, v, face, t * norm * pixel, cosine, out[0:3])
    _direct(world, x, y, z, nx, ny, nz, vx, vy, vz, m[23], m[12], max(m[13], 2.0), shadow, counts, jitter, out[3:9])
    occlusion = 1.0
    for step in range(2):
        h = world.env[23] * (0.25 if step == 0 else 1.0)
        d = _clearance(world, near_list, near_count, x + nx * h, y + ny * h, z + nz * h, h)
        occlusion *= 1.0 - 0.6 * (1.0 - max(d, 0.0) / h)
    env = world.env
    up = 0.5 + 0.5 * ny
    for c in range(3):
        out[9 + c] = (env[12 + c] + (env[9 + c] - env[12 + c]) * up) * occlusion
    # A rim of sky light at grazing angles keeps dark, smooth things readable, as a Fresnel term does.
    rim = m[12] * (1.0 - max(cosine, 0.0)) ** 4 * 0.5
    fog = 1.0 - math.exp(-env[15] * t * norm)
    for c in range(3):
        out[6 + c] += rim * env[9 + c] * occlusion
        out[12 + c] = out[c] * m[24]
    out[15] = fog
    return face


@kernel
def _combine(world, s, rgb):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    fog = s[15]
    for c in range(3):
        lit = s[c] * (s[3 + c] + s[9 + c]) + s[6 + c] + s[12 + c]
        rgb[c] = lit + (world.env[27 + c] - lit) * fog


@kernel
def shade(world, cam, start, items, depth, ids, zmap, near, aa):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Radiance of every pixel: edge pixels final (4 samples), others as terms that `resolve` filters and joins.

    Returns (terms float32 `[H,W,16]`, face uint8 `[H,W]`, edge bool `[H,W]`); for edges and sky terms 0..2 are radiance.
    """
    height, width = ids.shape
    cols = (width + TILE - 1) // TILE
    pixel = 1.0 / cam[12]
    n = world.kind.shape[0]
    lights = world.lights.shape[0]
    near_list = np.empty(n, np.int32)
    shadow = np.empty((lights, n), np.int32)
    counts = np.zeros(lights, np.int64)
    terms = np.zeros((height, width, 16), np.float32)
    faces = np.zeros((height, width), np.uint8)
    edge = np.zeros((height, width), np.bool_)
    s = np.zeros(16)
    rgb = np.zeros(3)
    for row0 in range(0, height, TILE):
        for col0 in range(0, width, TILE):
            row1 = min(row0 + TILE, height)
            col1 = min(col0 + TILE, width)
            tile = (row0 // TILE) * cols + col0 // TILE
            near_count = _prepare_tile(world, cam, ids, zmap, row0, row1, col0, col1, near_list, shadow, counts)
            for row in range(row0, row1):
                for col in range(col0, col1):
                    i = ids[row, col]
                    a = (col - cam[13]) / cam[12]
                    b = (row - cam[14]) / cam[12]
                    is_edge = aa and _is_edge(world, ids, zmap, row, col)
                    samples = 4 if is_edge else 1
                    edge[row, col] = is_edge
                    jitter = _dither(row, col)
                    for k in range(samples):
                        ax = a
                        by = b
                        which = i
                        t = zmap[row, col]
                        if is_edge:
                            ax += (0.125, 0.375, -0.375, -0.125)[k] * pixel
                            by += (-0.375, 0.125, -0.125, 0.375)[k] * pixel
                        dx = cam[9] + ax * cam[3] + by * cam[6]
                        dy = cam[10] + ax * cam[4] + by * cam[7]
                        dz = cam[11] + ax * cam[5] + by * cam[8]
                        if is_edge:
                            which, t = _first_hit(
                                world, start, items, depth, tile, cam[0], cam[1], cam[2], dx, dy, dz, near, FAR, pixel
                            )
                        if which < 0:
                            rgb[0], rgb[1], rgb[2] = sky_colour(world, dx, dy, dz)
                            if not is_edge:
                                for c in range(3):
                                    terms[row, col, c] = rgb[c]
                        else:
                            face = _shade_point(
                                world, which, t, cam[0], cam[1], cam[2], dx, dy, dz, pixel,
                                near_list, near_count, shadow, counts, (jitter + k * 5) & 15, s,
                            )  # fmt: skip
                            if not is_edge:
                                faces[row, col] = face
                                for c in range(16):
                                    terms[row, col, c] = s[c]
                            else:
                                _combine(world, s, rgb)
                        if is_edge:
                            for c in range(3):
                                terms[row, col, c] += min(rgb[c], 8.0) * 0.25
    return terms, faces, edge


@kernel
def _dither(row, col):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A 4 x 4 pattern of the numbers 0..15, so that any 4 x 4 block holds each once."""
    return ((row & 3) * 4 + (col & 3)) * 7 % 16


@kernel
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
def _prepare_tile(world, cam, ids, zmap, row0, row1, col0, col1, near_list, shadow, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Ball around the points of a tile; who may shade it goes to `shadow`, `counts` and `near_list` (count returned)."""
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
    for k in range(counts.shape[0]):
        counts[k] = 0
    if not some:
        return 0
    cx = (low[0] + high[0]) / 2
    cy = (low[1] + high[1]) / 2
    cz = (low[2] + high[2]) / 2
    radius = math.sqrt((high[0] - low[0]) ** 2 + (high[1] - low[1]) ** 2 + (high[2] - low[2]) ** 2) / 2 * 1.05 + 1e-3
    for k in range(counts.shape[0]):
        counts[k] = _gather(world, world.lights[k], cx, cy, cz, radius, shadow[k])
    return _gather_near(world, cx, cy, cz, radius + 2 * world.env[23], near_list)


@kernel
def resolve(world, terms, ids, faces, edge):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Average the dithered direct light over 4 x 4 pixels of the same surface and join all terms: radiance `[H,W,3]`."""
    height, width = ids.shape
    out = np.empty((height, width, 3), np.float32)
    s = np.empty(16)
    rgb = np.empty(3)
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            if i < 0 or edge[row, col]:
                for c in range(3):
                    out[row, col, c] = terms[row, col, c]
                continue
            for c in range(16):
                s[c] = terms[row, col, c]
            total = 0.0
            light0 = 0.0
            light1 = 0.0
            light2 = 0.0
            for r in range(max(row - 1, 0), min(row + 3, height)):
                for q in range(max(col - 1, 0), min(col + 3, width)):
                    if ids[r, q] == i and not edge[r, q] and faces[r, q] == faces[row, col]:
                        total += 1.0
                        light0 += terms[r, q, 3]
                        light1 += terms[r, q, 4]
                        light2 += terms[r, q, 5]
            s[3] = light0 / total
            s[4] = light1 / total
            s[5] = light2 / total
            _combine(world, s, rgb)
            for c in range(3):
                out[row, col, c] = rgb[c]
    return out


@kernel
def occlusion(world_a, world_b, cam_a, cam_b, start, items, depth, ids, zmap, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Where each pixel of view a lands in view b and whether it is seen there.

    The surface point travels with its primitive (objects may have moved between the views). It is seen if it lands
    inside the frame of b (half a pixel of margin) and no primitive cuts the straight line to camera b.
    Returns (seen bool `[H,W]`, target float32 `[H,W,2]`, pixels in b).
    """
    height, width = ids.shape
    cols = (width + TILE - 1) // TILE
    seen = np.zeros((height, width), np.bool_)
    target = np.empty((height, width, 2), np.float32)
    pixel = 1.0 / cam_b[12]
    d = np.empty(3)
    q = np.empty(3)
    for row in range(height):
        for col in range(width):
            i = ids[row, col]
            a = (col - cam_a[13]) / cam_a[12]
            b = (row - cam_a[14]) / cam_a[12]
            for c in range(3):
                d[c] = cam_a[9 + c] + a * cam_a[3 + c] + b * cam_a[6 + c]
            if i >= 0:
                p = world_a.prim[i]
                o = world_b.prim[i]
                for c in range(3):
                    d[c] = cam_a[c] + zmap[row, col] * d[c] - p[c]
                for c in range(3):
                    q[c] = p[3 + 3 * c] * d[0] + p[4 + 3 * c] * d[1] + p[5 + 3 * c] * d[2]
                for c in range(3):
                    d[c] = o[c] + o[3 + c] * q[0] + o[6 + c] * q[1] + o[9 + c] * q[2] - cam_b[c]
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
            which, _t = _first_hit(
                world_b, start, items, depth, ty * cols + tx,
                cam_b[0], cam_b[1], cam_b[2], d[0] / z, d[1] / z, d[2] / z, near, limit, pixel,
            )  # fmt: skip
            seen[row, col] = which < 0
    return seen, target
