"""How the ray caster is compiled, the arrays it reads, and vectors of three numbers.

Rays are not normalised: a camera ray has unit length along the optical axis, hence its parameter is the depth z.
"""

import inspect
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wheatstone.errors import require

__all__ = [
    "FAR",
    "Bins",
    "Vector",
    "World",
    "along",
    "camera_ray",
    "dot",
    "inlined",
    "kernel",
    "local_direction",
    "local_point",
    "loop",
    "minus",
    "scaled",
    "world_direction",
]

_numba = require("numba", "scenes", "Rendering scenes")

FAR = 1e30
Vector = tuple[float, float, float]
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "arcp", "nsz", "reassoc"}}


_SOURCES = ("compiled", "lighting", "lookup", "primitives", "shading", "tracing")


def _cache_folder() -> str:
    """A folder for compiled code that belongs to exactly these sources.

    numba looks at the file of a function only, not at the files of what is inlined into it: with one folder for all
    versions, changing one file would leave old code in the functions of the others.
    """
    digest = sha256()
    for name in _SOURCES:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    base = Path(_numba.config.CACHE_DIR or Path(__file__).parent / "__pycache__")
    return str(base / f"kernels-{digest.hexdigest()[:16]}")


_CACHE_FOLDER = _cache_folder()


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile a function. Run-time type checkers wrap functions when tests are on: those are undone.

    Where the cache folder cannot be made, numba falls back to the user's own; where neither can, every process compiles.
    """
    plain = inspect.unwrap(function)
    before = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = _CACHE_FOLDER
    try:
        return _numba.njit(cache=True, **options, **_OPTIONS)(plain)
    except RuntimeError:  # numba's word for "no folder to write to"
        return _numba.njit(**options, **_OPTIONS)(plain)
    finally:
        _numba.config.CACHE_DIR = before


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba, cached on disk."""
    return _compiled(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for functions of inner loops: inlined, and without reference counts, so they must not make arrays."""
    return _compiled(function, forceinline=True, _nrt=False)


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for loops over pixels that only write into arrays they are given: no reference counts, not inlined.

    Counting references to the arrays of `World` at every use costs ten times the work itself.
    """
    return _compiled(function, _nrt=False)


class World(NamedTuple):
    """All arrays of a scene as the kernels see them; `wheatstone.scenes.world` says what their columns mean.

    Attributes:
        kind: int32 `[N]`, a `Kind` a primitive.
        mat: int32 `[N]`, its row in `material`.
        prim: float64 `[N, 22]`, geometry.
        material: float64 `[M, 25]`.
        tex: uint8 `[T, P, 2]`, mip pyramids of (ramp, luminance), 256 x 256 first.
        alpha: uint8 `[A, P]`, mip pyramids of cut-outs.
        lights: float64 `[L, 8]`: type (0 sun, 1 lamp), direction or position, colour, softness.
        env: float64 `[32]`: sky, ambient light, fog.
    """

    kind: np.ndarray
    mat: np.ndarray
    prim: np.ndarray
    material: np.ndarray
    tex: np.ndarray
    alpha: np.ndarray
    lights: np.ndarray
    env: np.ndarray


class Bins(NamedTuple):
    """Which primitives a tile of the picture may show, front to back.

    Attributes:
        start: int64 `[tiles + 1]`, where the list of a tile begins.
        items: int32, the lists.
        depth: float64 `[N]`, nearest depth of each primitive.
    """

    start: np.ndarray
    items: np.ndarray
    depth: np.ndarray


@inlined
def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def minus(a: Vector, b: Vector) -> Vector:
    """Difference."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@inlined
def scaled(a: Vector, s: float) -> Vector:
    """Product with a number."""
    return a[0] * s, a[1] * s, a[2] * s


@inlined
def along(origin: Vector, direction: Vector, t: float) -> Vector:
    """Origin + t * direction."""
    return origin[0] + t * direction[0], origin[1] + t * direction[1], origin[2] + t * direction[2]


@inlined
def local_direction(prim: np.ndarray, i: int, v: Vector) -> Vector:
    """A world direction in the frame of primitive `i`."""
    return (
        prim[i, 3] * v[0] + prim[i, 4] * v[1] + prim[i, 5] * v[2],
        prim[i, 6] * v[0] + prim[i, 7] * v[1] + prim[i, 8] * v[2],
        prim[i, 9] * v[0] + prim[i, 10] * v[1] + prim[i, 11] * v[2],
    )


@inlined
def local_point(prim: np.ndarray, i: int, p: Vector) -> Vector:
    """A world point in the frame of primitive `i`."""
    return local_direction(prim, i, (p[0] - prim[i, 0], p[1] - prim[i, 1], p[2] - prim[i, 2]))


@inlined
def world_direction(prim: np.ndarray, i: int, v: Vector) -> Vector:
    """A direction in the frame of primitive `i` in world axes."""
    return (
        prim[i, 3] * v[0] + prim[i, 6] * v[1] + prim[i, 9] * v[2],
        prim[i, 4] * v[0] + prim[i, 7] * v[1] + prim[i, 10] * v[2],
        prim[i, 5] * v[0] + prim[i, 8] * v[1] + prim[i, 11] * v[2],
    )


@inlined
def camera_ray(cam: np.ndarray, x: float, y: float) -> Vector:
    """Direction of the ray through pixel position (x, y), of unit length along the optical axis."""
    a = (x - cam[13]) / cam[12]
    b = (y - cam[14]) / cam[12]
    return (
        cam[9] + a * cam[3] + b * cam[6],
        cam[10] + a * cam[4] + b * cam[7],
        cam[11] + a * cam[5] + b * cam[8],
    )
