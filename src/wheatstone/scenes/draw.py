"""From a seed to a scene, and from a scene to pixels: the numpy side of the ray caster."""

import math
from dataclasses import replace

import numpy as np

from wheatstone.scenes.compiled import World
from wheatstone.scenes.families import FAMILIES, draw_family
from wheatstone.scenes.shading import resolve, shade
from wheatstone.scenes.textures import Pool, pool
from wheatstone.scenes.tracing import bin_primitives, occlusion, trace
from wheatstone.scenes.world import Builder, Camera, Scene, bound, rotation
from wheatstone.seeding import numpy_generator_for

__all__ = ["HELD_OUT", "Rendered", "RenderedView", "build_scene", "pool_number"]

HELD_OUT = 1_000_000_000
"""Seeds from here on are for tests and evaluation only: their texture pools are never drawn for training seeds."""

SCENES_A_POOL = 4000
ATTEMPTS = 12
EDGE_SAMPLES = 3


def pool_number(seed: int) -> int:
    """The texture pool of a seed: neighbouring seeds share one, held-out seeds have pools of their own."""
    return seed // SCENES_A_POOL


def build_scene(seed: int, size: tuple[int, int], family: str | None = None) -> tuple[Scene, Pool, float, dict]:
    """Draw a scene that shows something: not empty, not inside an object, not one flat wall.

    Returns the scene, its texture pool, the baseline in metres and the look of the picture (exposure, white balance).
    """
    textures = pool(pool_number(seed))
    for attempt in range(ATTEMPTS):
        rng = numpy_generator_for(seed, str(attempt), "scene")
        name = family or draw_family(rng)
        scene = FAMILIES[name][0](Builder(rng, textures), size)
        coarse = _coarse_depth(scene, textures, size)
        inverse = np.where(coarse[1] < 1e29, 1.0 / coarse[1], 0.0)
        near = float(np.percentile(inverse, 98))
        if attempt == ATTEMPTS - 1 or _worth_showing(coarse[0], inverse, near):
            break
    target = math.exp(float(rng.uniform(math.log(8), math.log(80)))) * size[1] / 320
    baseline_m = target / (scene.camera.focal_px * max(near, 1e-3))
    picture = {
        "key": float(rng.uniform(0.13, 0.24)), "contrast": float(rng.uniform(0.9, 1.25)),
        "saturation": float(rng.uniform(0.75, 1.1)), "vignette": float(rng.uniform(0, 0.35)) * float(rng.random() < 0.6),
        "balance": np.exp(rng.normal(0, 0.05, 3) + np.array([1, 0, -1]) * rng.normal(0.0, 0.06)),
    }  # fmt: skip
    return scene, textures, baseline_m, picture


def _worth_showing(ids: np.ndarray, inverse: np.ndarray, near: float) -> bool:
    counts = np.bincount(ids.ravel() + 1)
    largest = counts[1:].max(initial=0) / ids.size
    spread = np.percentile(inverse, 90) - np.percentile(inverse, 10)
    return bool(
        0.0 < near < 8.0
        and largest < 0.72
        and (counts > 0).sum() >= 6
        and counts[0] < 0.8 * ids.size
        and spread > 0.22 * near
    )


def world_of(scene: Scene, textures: Pool) -> World:
    """The arrays the kernels read."""
    return World(
        scene.kind, scene.mat, scene.prim, scene.material, textures.textures, textures.cutouts, scene.lights, scene.env
    )


def _coarse_depth(scene: Scene, textures: Pool, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    world, cam = world_of(scene, textures), scene.camera.packed()
    bins = bin_primitives(world, cam, size[0], size[1])
    return trace(world, cam, bins, size[0], size[1], max(size[1] // 80, 1))


def at_frame(scene: Scene, frame: int) -> Scene:
    """The scene `frame` frames later: camera and moving objects in their new places."""
    if frame == 0:
        return scene
    prim = scene.prim.copy()
    for group, (velocity, turn) in scene.motion.items():
        chosen = scene.group == group
        if not chosen.any():
            continue
        middle = prim[chosen, 0:3].mean(axis=0)
        spin = rotation(turn * frame)
        prim[chosen, 0:3] = (prim[chosen, 0:3] - middle) @ spin.T + middle + np.asarray(velocity) * frame
        local = prim[chosen, 3:12].reshape(-1, 3, 3)
        prim[chosen, 3:12] = (local @ spin.T).reshape(-1, 9)
    bound(scene.kind, prim)
    right, up, forward, yaw, pitch = (v * frame for v in scene.step)
    camera = scene.camera
    position = (
        np.asarray(camera.position)
        + right * camera.rotation[0]
        - up * camera.rotation[1]
        + forward * camera.rotation[2]
    )
    turn_by = rotation(yaw, -pitch)
    # rows are right, down, forward in world axes: turn about the camera's own axes (y down there)
    flip = np.diag([1.0, -1.0, 1.0])
    camera = Camera(tuple(position), (flip @ turn_by @ flip).T @ camera.rotation, camera.focal_px, camera.centre_px)
    return replace(scene, prim=prim, camera=camera)


class RenderedView:
    """One view traced and shaded: depth, primitive ids, radiance.

    Attributes:
        world: the arrays of the scene.
        camera: where it was taken from.
        ids: int32 `[H,W]`, primitive at every pixel centre, -1 in the sky.
        z: float64 `[H,W]`, depth along the optical axis, `FAR` in the sky.
        radiance: float32 `[H,W,3]`, linear light.
    """

    def __init__(
        self, scene: Scene, textures: Pool, camera: Camera, size: tuple[int, int], antialias: bool = True
    ) -> None:
        """Render `scene` from `camera` at (height, width) `size`."""
        self.world, self.camera = world_of(scene, textures), camera
        self._cam = camera.packed()
        self._bins = bin_primitives(self.world, self._cam, size[0], size[1])
        self.ids, self.z = trace(self.world, self._cam, self._bins, size[0], size[1], 1)
        shaded = shade(self.world, self._cam, self._bins, self.ids, self.z, EDGE_SAMPLES if antialias else 1)
        self.radiance: np.ndarray = resolve(self.world, self.ids, shaded)

    def seen_from(self, other: "RenderedView") -> tuple[np.ndarray, np.ndarray]:
        """(bool `[H,W]` seen in the other view, float32 `[H,W,2]` where) for every pixel of this view."""
        return occlusion((self.world, other.world), (self._cam, other._cam), other._bins, self.ids, self.z)


Rendered = list[list[RenderedView]]


def exposure_of(radiance: np.ndarray, picture: dict) -> float:
    """Gain that brings the picture's typical brightness to the drawn key, limited so that highlights survive."""
    light = radiance @ np.array([0.25, 0.6, 0.15], np.float32)
    typical = math.exp(float(np.log(light + 0.01).mean()))
    return min(picture["key"] / typical, 1.6 / max(float(np.percentile(light, 97)), 1e-3))


def develop(radiance: np.ndarray, gain: float, picture: dict) -> np.ndarray:
    """Radiance to an 8-bit sRGB picture: white balance, vignetting, a soft shoulder, a little less colour."""
    height, width = radiance.shape[:2]
    colour = radiance * (gain * picture["balance"]).astype(np.float32)
    if picture["vignette"] > 0:
        y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / width
        x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / width
        colour *= (1 - picture["vignette"] * 1.4 * (x[None] ** 2 + y[:, None] ** 2))[..., None]
    grey = (colour @ np.array([0.25, 0.6, 0.15], np.float32))[..., None]
    colour = grey + (colour - grey) * np.float32(picture["saturation"])
    np.clip(colour, 0, None, out=colour)
    # Shoulder: linear in the shadows, 1 reached at four times white.
    colour = colour * (1 + colour / 16) / (1 + colour) * 1.35
    index = np.sqrt(np.clip(colour, 0, 1)) * 1023
    table = _tone_table(picture["contrast"])
    return table[index.astype(np.int32)]


def _tone_table(contrast: float) -> np.ndarray:
    linear = (np.arange(1024) / 1023) ** 2
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    curve = 0.5 + (srgb - 0.5) * contrast
    soft = np.clip(curve, 0, 1) * 0.7 + 0.3 * srgb
    return np.clip(soft * 255 + 0.5, 0, 255).astype(np.uint8)
