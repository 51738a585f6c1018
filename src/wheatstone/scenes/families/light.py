"""Light and cameras shared by the families: daylight with sky and clouds, indoor lamps, focal lengths."""

import math

import numpy as np

from wheatstone.scenes.materials import hsv, linear
from wheatstone.scenes.world import Builder, Colour, Number

__all__ = ["backdrop_light", "daylight", "focal", "indoor_light"]


def focal(b: Builder, low_deg: Number, high_deg: Number, width: int) -> float:
    """Focal length in pixels of a horizontal field of view drawn between two angles."""
    return width / 2 / math.tan(math.radians(b.uniform(low_deg, high_deg)) / 2)


def _light(colour: Colour) -> np.ndarray:
    return np.array(linear(colour))


def daylight(b: Builder, fog_m: Number = 400.0, reach: Number = 1.0) -> tuple[list[list[float]], np.ndarray]:
    """Sun and sky: clear, hazy, overcast or low evening sun. `reach` is the radius of contact shading in metres."""
    env = np.zeros(32)
    mood = b.pick("clear", "clear", "cloudy", "cloudy", "overcast", "evening")
    azimuth = math.radians(b.uniform(0, 360))
    height = math.radians(b.uniform(8, 25) if mood == "evening" else b.uniform(25, 70))
    sun = (math.cos(height) * math.cos(azimuth), math.sin(height), math.cos(height) * math.sin(azimuth))
    blue = b.uniform(205, 218)
    zenith = _light(hsv(blue, b.uniform(0.3, 0.55), b.uniform(0.6, 0.85)))
    horizon = _light(hsv(blue - 5, b.uniform(0.04, 0.22), b.uniform(0.82, 0.97)))
    strength, soft, ambient = b.uniform(1.8, 3.2), 0.02, b.uniform(0.5, 0.8)
    warm = np.array([1.0, b.uniform(0.9, 0.97), b.uniform(0.78, 0.92)])
    if mood == "overcast":
        zenith = _light(hsv(blue, b.uniform(0.0, 0.12), b.uniform(0.7, 0.9)))
        horizon = _light(hsv(blue, b.uniform(0.0, 0.08), b.uniform(0.8, 0.95)))
        strength, soft, ambient = b.uniform(0.2, 0.7), 0.25, b.uniform(0.9, 1.3)
    elif mood == "evening":
        warm = np.array([1.0, b.uniform(0.68, 0.85), b.uniform(0.45, 0.68)])
        horizon = _light(hsv(b.uniform(22, 42), b.uniform(0.15, 0.4), b.uniform(0.85, 1.0)))
    ground = _light(hsv(b.uniform(25, 80), 0.2, b.uniform(0.3, 0.5)))
    env[0:3], env[3:6], env[6:9] = zenith, horizon, ground
    env[9:12] = (0.6 * zenith + 0.4 * horizon) * ambient
    env[12:15] = ground * ambient * 0.7
    env[15] = 1.0 / (fog_m * math.exp(b.uniform(-0.8, 1.2)))
    env[16] = (
        b.uniform(0.25, 0.6)
        if mood == "cloudy"
        else (b.uniform(0.3, 0.7) if mood == "overcast" else b.uniform(-0.2, 0.35))
    )
    coarse = b.pool.texture_names["rough"]
    env[17] = coarse[int(b.rng.integers(len(coarse)))]
    env[18] = b.uniform(0.06, 0.16)
    env[19:22] = sun
    env[22] = 0.0 if mood == "overcast" else b.uniform(0.1, 0.6)
    env[23] = reach
    env[25:27] = b.uniform(0, 1), b.uniform(0, 1)
    env[27:30] = horizon * 0.95
    return [[0.0, *sun, *(warm * strength), soft]], env


def indoor_light(
    b: Builder, half: tuple[Number, Number], tall: Number, reach: Number = 0.4
) -> tuple[list[list[float]], np.ndarray]:
    """A lamp under the ceiling and often light from a window side; `half` are the half sizes of the room."""
    _, env = daylight(b, 900.0, reach)
    warm = np.array([1.0, b.uniform(0.82, 0.97), b.uniform(0.6, 0.92)])
    area = tall * tall
    lights = [
        [
            1.0,
            b.uniform(-0.4, 0.4) * half[0],
            tall - 0.15,
            b.uniform(-0.5, 0.4) * half[1],
            *(warm * area * b.uniform(0.35, 0.9)),
            b.uniform(0.08, 0.3),
        ]
    ]
    if b.chance(0.6):
        side = 1.0 if b.chance(0.5) else -1.0
        cool = np.array([b.uniform(0.85, 1.0), 0.95, 1.0]) * area * b.uniform(0.5, 1.4)
        lights.append(
            [1.0, side * (half[0] - 0.25), tall * 0.62, b.uniform(-0.6, 0.6) * half[1], *cool, b.uniform(0.2, 0.5)]
        )
    grey = np.array([1.0, b.uniform(0.92, 1.0), b.uniform(0.82, 1.0)])
    env[9:12] = grey * b.uniform(0.25, 0.5)
    env[12:15] = grey * b.uniform(0.15, 0.3)
    env[15] = 1e-5
    # Outside is far brighter than inside.
    env[0:6] *= b.uniform(1.5, 4.0)
    return lights, env


def backdrop_light(b: Builder, reach: Number) -> tuple[list[list[float]], np.ndarray]:
    """Studio-like light for close-ups: a large key light and a fill, no visible sky."""
    lights, env = daylight(b, 1e5, reach)
    if b.chance(0.6):
        side = 1.0 if b.chance(0.5) else -1.0
        warm = np.array([1.0, b.uniform(0.88, 1.0), b.uniform(0.72, 1.0)])
        lights = [
            [
                1.0,
                side * b.uniform(0.6, 2.0),
                b.uniform(1.8, 2.8),
                b.uniform(-1.4, 0.4),
                *(warm * b.uniform(1.8, 4.0)),
                b.uniform(0.1, 0.4),
            ]
        ]
        env[9:12] = np.array([1, 0.97, 0.94]) * b.uniform(0.3, 0.6)
        env[12:15] = env[9:12] * b.uniform(0.4, 0.8)
        env[15] = 1e-6
    return lights, env
