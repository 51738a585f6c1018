"""What a scene is made of, and the builder that collects it: primitives, materials, lights, sky, cameras.

World axes: x to the right, y up, z forward; lengths in metres. A primitive lives in a rigid local frame.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from wheatstone.scenes.textures import Pool

__all__ = ["Builder", "Camera", "Colour", "Kind", "Motion", "Number", "Scene", "Vector", "bound", "look", "rotation"]

Number = float | int
Vector = tuple[Number, Number, Number]
Colour = tuple[Number, Number, Number]
Motion = dict[int, tuple[Vector, Number]]

PRIMITIVE_COLUMNS = 22


class Kind(IntEnum):
    """Primitive kinds and what their three sizes mean."""

    BOX = 0  # half extents
    ELLIPSOID = 1  # half axes
    FRUSTUM = 2  # radius at the bottom, half height, -; `top` = radius at the top / at the bottom
    ROUND_CONE = 3  # radius at the origin, length along y, radius at the end: limbs, trunks, wires
    QUAD = 4  # half width, half height: flat, cut out by the alpha mask of its material
    PLANE = 5  # infinite ground, seen from above


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `rotation` has the rows right, down, forward in world axes, pixel centres are integers."""

    position: Vector
    rotation: np.ndarray
    focal_px: Number
    centre_px: tuple[Number, Number]

    def moved_right(self, metres: Number) -> "Camera":
        """The camera after a step along its own x axis."""
        position = np.asarray(self.position) + metres * self.rotation[0]
        return Camera(tuple(position), self.rotation, self.focal_px, self.centre_px)

    @property
    def intrinsics(self) -> np.ndarray:
        """Camera matrix, float64 `[3,3]`."""
        (x, y), f = self.centre_px, self.focal_px
        return np.array([[f, 0, x], [0, f, y], [0, 0, 1]], float)

    @property
    def pose(self) -> np.ndarray:
        """Camera (right, down, forward) to world, float64 `[4,4]`."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation.T
        pose[:3, 3] = self.position
        return pose

    def packed(self) -> np.ndarray:
        """The 16 numbers the kernels read."""
        tail = [self.focal_px, *self.centre_px, 0.0]
        return np.concatenate([np.asarray(self.position, float), self.rotation.ravel(), tail])


def rotation(yaw: Number = 0.0, pitch: Number = 0.0, roll: Number = 0.0) -> np.ndarray:
    """Local-to-world rotation of an object: roll about z, then pitch about x, then yaw about y (degrees)."""
    cy, sy = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    cx, sx = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    cz, sz = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    return np.array(
        [
            [cy * cz + sy * sx * sz, -cy * sz + sy * sx * cz, sy * cx],
            [cx * sz, cx * cz, -sx],
            [-sy * cz + cy * sx * sz, sy * sz + cy * sx * cz, cy * cx],
        ]
    )


def look(position: Vector, yaw: Number, pitch: Number, roll: Number, focal_px: Number, size: tuple[int, int]) -> Camera:
    """A camera at `position` looking along +z turned by yaw (right positive), pitch (up positive), roll (degrees)."""
    turn = rotation(yaw, -pitch, roll)
    rows = np.stack([turn[:, 0], -turn[:, 1], turn[:, 2]])
    height, width = size
    return Camera(position, rows, focal_px, ((width - 1) / 2, (height - 1) / 2))


@dataclass(frozen=True)
class Scene:
    """A finished scene: the arrays the kernels read, the camera and how objects move.

    Attributes:
        kind, mat: int32 `[N]`.
        prim: float64 `[N, 22]`: centre 0:3, world-to-local rotation rows 3:12, sizes 12:15, top ratio 15, bounding ball
            16:20, casts a shadow 20.
        group: int32 `[N]`, the object a primitive belongs to.
        material: float64 `[M, 25]`.
        lights: float64 `[L, 8]`.
        env: float64 `[32]`.
        camera: the reference camera of frame 0.
        motion: group to (velocity in metres a frame, turn in degrees a frame about the vertical through its middle).
        step: camera motion a frame: (right, up, forward in metres, yaw, pitch in degrees).
        family: which generator made it.
    """

    kind: np.ndarray
    mat: np.ndarray
    prim: np.ndarray
    group: np.ndarray
    material: np.ndarray
    lights: np.ndarray
    env: np.ndarray
    camera: Camera
    motion: Motion
    step: tuple[Number, Number, Number, Number, Number]
    family: str


@dataclass
class Builder:
    """Collects a scene. Things are built around the origin and put in their place by `with builder.placed(...)`."""

    rng: np.random.Generator
    pool: Pool
    count: int = 0
    kind: np.ndarray = field(default_factory=lambda: np.zeros(4096, np.int32))
    mat: np.ndarray = field(default_factory=lambda: np.zeros(4096, np.int32))
    group: np.ndarray = field(default_factory=lambda: np.zeros(4096, np.int32))
    prim: np.ndarray = field(default_factory=lambda: np.zeros((4096, PRIMITIVE_COLUMNS)))
    materials: list[list[float]] = field(default_factory=list)
    groups: int = 0
    depth: int = 0

    def uniform(self, low: Number, high: Number) -> float:
        """A float uniform in [low, high)."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, share: Number) -> bool:
        """True with probability `share`."""
        return bool(self.rng.random() < share)

    def pick(self, *options: str) -> str:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def add(
        self,
        kind: Kind,
        centre: Vector,
        size: Vector,
        material: int,
        turn: np.ndarray | None = None,
        top: Number = 1.0,
        shadow: bool = True,
    ) -> None:
        """Add one primitive; `turn` is its local-to-world rotation."""
        if self.count == len(self.kind):
            for name in ("kind", "mat", "group", "prim"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.zeros_like(array)]))
        k = self.count
        self.count += 1
        self.kind[k], self.mat[k], self.group[k] = kind, material, self.groups
        row = self.prim[k]
        row[0:3] = centre
        row[3:12] = (1, 0, 0, 0, 1, 0, 0, 0, 1) if turn is None else turn.T.ravel()
        row[12:15] = size
        row[15] = top
        row[20] = shadow

    def box(
        self, centre: Vector, half: Vector, material: int, turn: np.ndarray | None = None, shadow: bool = True
    ) -> None:
        """Add a box with half extents `half`."""
        self.add(Kind.BOX, centre, half, material, turn, shadow=shadow)

    def ball(self, centre: Vector, half: Vector, material: int, turn: np.ndarray | None = None) -> None:
        """Add an ellipsoid with half axes `half`."""
        self.add(Kind.ELLIPSOID, centre, half, material, turn)

    def drum(
        self,
        centre: Vector,
        radius: Number,
        half: Number,
        material: int,
        top: Number = 1.0,
        turn: np.ndarray | None = None,
    ) -> None:
        """Add an upright cylinder or cone: `top` is the ratio of the upper to the lower radius."""
        self.add(Kind.FRUSTUM, centre, (radius, half, radius), material, turn, top)

    def limb(self, a: Vector, b: Vector, radius_a: Number, radius_b: Number, material: int) -> None:
        """Add the convex hull of two balls."""
        ax, ay, az = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        length = max(math.sqrt(ax * ax + ay * ay + az * az), 1e-6)
        ax, ay, az = ax / length, ay / length, az / length
        # x = axis x helper, z = x x axis, with the world axis farther from the limb's as helper.
        if abs(ax) < 0.9:
            n = math.sqrt(ay * ay + az * az)
            x0, x1, x2 = 0.0, az / n, -ay / n
        else:
            n = math.sqrt(ax * ax + ay * ay)
            x0, x1, x2 = ay / n, -ax / n, 0.0
        z0, z1, z2 = x1 * az - x2 * ay, x2 * ax - x0 * az, x0 * ay - x1 * ax
        turn = np.array([[x0, ax, z0], [x1, ay, z1], [x2, az, z2]])
        self.add(Kind.ROUND_CONE, a, (radius_a, length, radius_b), material, turn)

    def quad(
        self,
        centre: Vector,
        half_width: Number,
        half_height: Number,
        material: int,
        turn: np.ndarray | None = None,
        shadow: bool = True,
    ) -> None:
        """Add a flat cut-out."""
        self.add(Kind.QUAD, centre, (half_width, half_height, 1.0), material, turn, shadow=shadow)

    @contextmanager
    def placed(
        self, at: Vector = (0, 0, 0), yaw: Number = 0, pitch: Number = 0, roll: Number = 0, scale: Number = 1
    ) -> Iterator[None]:
        """Turn, scale and move everything added inside; the outermost block is one object (group)."""
        start = self.count
        if self.depth == 0:
            self.groups += 1
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            rows = self.prim[start : self.count]
            turn = rotation(yaw, pitch, roll)
            rows[:, 0:3] = scale * rows[:, 0:3] @ turn.T + at
            local = rows[:, 3:12].reshape(-1, 3, 3)
            rows[:, 3:12] = (local @ turn.T).reshape(-1, 9)
            rows[:, 12:15] *= scale

    def finish(
        self,
        lights: list[list[float]],
        env: np.ndarray,
        camera: Camera,
        family: str,
        *,
        motion: Motion | None = None,
        step: tuple[Number, Number, Number, Number, Number] = (0.0, 0.0, 0.0, 0.0, 0.0),
    ) -> Scene:
        """Close the scene: cut the arrays to size and add bounding balls."""
        n = self.count
        prim = self.prim[:n].copy()
        bound(self.kind[:n], prim)
        return Scene(
            kind=self.kind[:n].copy(),
            mat=self.mat[:n].copy(),
            prim=prim,
            group=self.group[:n].copy(),
            material=np.array(self.materials),
            lights=np.array(lights, float),
            env=env,
            camera=camera,
            motion=motion or {},
            step=step,
            family=family,
        )


def bound(kind: np.ndarray, prim: np.ndarray) -> None:
    """Write the bounding balls (columns 16:20) of primitives."""
    size = prim[:, 12:15]
    prim[:, 16:19] = prim[:, 0:3]
    radius = np.linalg.norm(size, axis=1)
    radius[kind == Kind.ELLIPSOID] = size[kind == Kind.ELLIPSOID].max(axis=1)
    quad = kind == Kind.QUAD
    radius[quad] = np.hypot(size[quad, 0], size[quad, 1])
    drum = kind == Kind.FRUSTUM
    radius[drum] = np.hypot(size[drum, 0] * np.maximum(prim[drum, 15], 1), size[drum, 1])
    cone = kind == Kind.ROUND_CONE
    middle = (size[cone, 1] + size[cone, 2] - size[cone, 0]) / 2
    prim[cone, 16:19] += middle[:, None] * prim[cone, 6:9]
    radius[cone] = np.maximum(
        (size[cone, 0] + size[cone, 1] + size[cone, 2]) / 2, np.maximum(size[cone, 0], size[cone, 2])
    )
    prim[:, 19] = np.where(kind == Kind.PLANE, 1e9, radius)
