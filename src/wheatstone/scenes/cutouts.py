"""Procedural cut-outs: coverage masks `[256, 256]` in 0..1 of leaves, grass, fences, torn paper and the like."""

from collections.abc import Callable

import cv2
import numpy as np

__all__ = ["CUTOUTS"]

Number = float | int

SIZE = 256


def _canvas() -> np.ndarray:
    return np.zeros((SIZE, SIZE), np.float32)


def _leaf(canvas: np.ndarray, x: Number, y: Number, length: Number, width: Number, angle: Number) -> None:
    """A pointed leaf from (x, y) in direction `angle` (radians)."""
    t = np.linspace(0, 1, 9)
    side = width * np.sin(np.pi * t**0.8)
    points = np.concatenate([np.stack([t * length, side], 1), np.stack([t * length, -side], 1)[::-1]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    cv2.fillPoly(canvas, [np.round(points @ turn.T + (x, y)).astype(np.int32)], 1.0, cv2.LINE_AA)


def _cluster(rng: np.random.Generator) -> np.ndarray:
    """A clump of leaves around the middle with an irregular outline."""
    canvas = _canvas()
    length = rng.uniform(16, 44)
    slim = rng.uniform(0.16, 0.34)
    for _ in range(int(9000 / length**1.35)):
        radius, around = 88 * np.sqrt(rng.uniform(0, 1)), rng.uniform(0, 2 * np.pi)
        x, y = 128 + radius * np.cos(around), 128 + radius * np.sin(around)
        size = length * rng.uniform(0.6, 1.1)
        _leaf(canvas, x, y, size, size * slim, around + rng.normal(0, 0.8))
    return canvas


def _branch(rng: np.random.Generator) -> np.ndarray:
    """A twig with leaves on both sides, from the bottom to the top."""
    canvas = _canvas()
    bend = rng.uniform(-0.5, 0.5)
    n = int(rng.integers(6, 14))
    for k in range(n):
        t = (k + 0.5) / n
        x, y = 128 + bend * 110 * t**2, 250 - 235 * t
        size = rng.uniform(50, 95) * (1 - 0.6 * t)
        cv2.line(
            canvas, (int(x), int(y)), (int(128 + bend * 110 * (t - 1 / n) ** 2), int(250 - 235 * (t - 1 / n))), 1.0, 3
        )
        for side in (-1, 1):
            _leaf(canvas, x, y, size, size * rng.uniform(0.15, 0.28), -np.pi / 2 + side * rng.uniform(0.5, 1.2))
    return canvas


def _grass_tuft(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    for _ in range(int(rng.integers(14, 46))):
        x, tip = rng.uniform(60, 196), rng.normal(0, 42)
        height, width = rng.uniform(90, 250), rng.uniform(2, 7)
        t = np.linspace(0, 1, 8)
        mid = np.stack([x + tip * t**2, 255 - height * t * (1 - 0.12 * t * abs(tip) / 42)], 1)
        half = np.stack([width * (1 - t), np.zeros(8)], 1)
        cv2.fillPoly(
            canvas, [np.round(np.concatenate([mid - half, (mid + half)[::-1]])).astype(np.int32)], 1.0, cv2.LINE_AA
        )
    return canvas


def _fern(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    for _ in range(int(rng.integers(5, 10))):
        angle = -np.pi / 2 + rng.uniform(-1.2, 1.2)
        for k in range(16):
            t = k / 16
            x = 128 + np.cos(angle) * 120 * t
            y = 250 + np.sin(angle) * 220 * t + 40 * t**2 * abs(np.cos(angle))
            for side in (-1, 1):
                _leaf(canvas, x, y, 34 * (1 - t) + 4, 3.5, angle + side * 1.1)
    return canvas


def _bars(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    n = int(rng.integers(2, 6))
    width = int(SIZE / n * rng.uniform(0.12, 0.6))
    for k in range(n):
        x = int((k + 0.2) * SIZE / n)
        cv2.rectangle(canvas, (x, 0), (x + width, SIZE), 1.0, -1)
    for y in (int(rng.integers(10, 70)), int(rng.integers(170, 230))):
        cv2.rectangle(canvas, (0, y), (SIZE, y + int(rng.integers(6, 18))), 1.0, -1)
    return canvas


def _mesh(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    n, thick = int(rng.integers(3, 7)), int(rng.integers(4, 10))
    step = SIZE // n
    diagonal = rng.random() < 0.5
    for k in range(-n, 2 * n + 1):
        a = k * step
        if diagonal:
            cv2.line(canvas, (a, 0), (a + SIZE, SIZE), 1.0, thick, cv2.LINE_AA)
            cv2.line(canvas, (a, SIZE), (a + SIZE, 0), 1.0, thick, cv2.LINE_AA)
        else:
            cv2.line(canvas, (a, 0), (a, SIZE), 1.0, thick)
            cv2.line(canvas, (0, a), (SIZE, a), 1.0, thick)
    return canvas


def _torn(rng: np.random.Generator) -> np.ndarray:
    """A blob with a rough outline: torn paper, cloth, a rock's silhouette."""
    n = 90
    around = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = np.full(n, 96.0)
    for k in range(1, 24):
        radius += rng.normal(0, 22 / k) * np.cos(k * around + rng.uniform(0, 6.3))
    radius = np.clip(radius, 14, 124)
    points = np.stack([128 + radius * np.cos(around), 128 + radius * np.sin(around)], 1)
    canvas = _canvas()
    cv2.fillPoly(canvas, [np.round(points).astype(np.int32)], 1.0, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):
        centre = tuple(int(v) for v in rng.integers(70, 186, 2))
        cv2.ellipse(
            canvas,
            centre,
            (int(rng.integers(6, 26)), int(rng.integers(4, 14))),
            float(rng.uniform(0, 180)),
            0,
            360,
            0.0,
            -1,
        )
    return canvas


def _skyline(rng: np.random.Generator) -> np.ndarray:
    """A far line of hills or tree tops: opaque below a rough curve; tiles sideways."""
    x = np.arange(SIZE) / SIZE * 2 * np.pi
    line = np.full(SIZE, 128.0)
    rough = rng.uniform(0.7, 1.6)
    for k in range(1, 60):
        line += rng.normal(0, 50 / k**rough) * np.cos(k * x + rng.uniform(0, 6.3)) * (0.6 if k == 1 else 1)
    line = np.clip(line, 20, 230)
    return (np.arange(SIZE)[:, None] > line[None]).astype(np.float32)


def _person(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    lean = int(rng.integers(-10, 10))
    cv2.ellipse(canvas, (128 + lean, 30), (17, 22), 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (120 + lean, 44), (136 + lean, 62), 1.0, -1)
    torso = np.array([[90 + lean, 62], [166 + lean, 62], [156, 150], [100, 150]], np.int32)
    cv2.fillPoly(canvas, [torso], 1.0, cv2.LINE_AA)
    for side in (-1, 1):
        hip, foot = 128 + side * 14, 128 + side * int(rng.integers(8, 34))
        cv2.line(canvas, (hip, 140), (hip + side * 3, 195), 1.0, 27, cv2.LINE_AA)
        cv2.line(canvas, (hip + side * 3, 195), (foot, 250), 1.0, 20, cv2.LINE_AA)
        hand = (128 + side * int(rng.integers(44, 72)), int(rng.integers(70, 160)))
        elbow = (128 + side * 54 + lean, int(rng.integers(96, 118)))
        cv2.line(canvas, (128 + side * 34 + lean, 70), elbow, 1.0, 18, cv2.LINE_AA)
        cv2.line(canvas, elbow, hand, 1.0, 14, cv2.LINE_AA)
    return canvas


def _tree(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()
    cv2.line(canvas, (128, 255), (128 + int(rng.integers(-12, 12)), 110), 1.0, int(rng.integers(8, 18)))
    for _ in range(int(rng.integers(120, 300))):
        x, y = 128 + rng.normal(0, 40), 105 + rng.normal(0, 38)
        cv2.circle(canvas, (int(x), int(np.clip(y, 8, 190))), int(rng.integers(4, 11)), 1.0, -1)
    return canvas


def _bare_twigs(rng: np.random.Generator) -> np.ndarray:
    canvas = _canvas()

    def grow(x: Number, y: Number, angle: Number, length: Number, width: Number) -> None:
        tip = (x + np.cos(angle) * length, y + np.sin(angle) * length)
        cv2.line(canvas, (int(x), int(y)), (int(tip[0]), int(tip[1])), 1.0, max(int(width), 1), cv2.LINE_AA)
        if length > 13:
            for _ in range(2):
                grow(*tip, angle + rng.normal(0, 0.55), length * rng.uniform(0.62, 0.85), width * 0.66)

    grow(128.0, 256.0, -np.pi / 2, 62.0, 9.0)
    return canvas


# name -> (drawer, how many in a pool)
CUTOUTS: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], int]] = {
    "cluster": (_cluster, 8), "branch": (_branch, 5), "grass": (_grass_tuft, 6), "fern": (_fern, 3), "bars": (_bars, 4),
    "mesh": (_mesh, 4), "torn": (_torn, 8), "skyline": (_skyline, 6), "person": (_person, 4), "tree": (_tree, 5),
    "twigs": (_bare_twigs, 4),
}  # fmt: skip
