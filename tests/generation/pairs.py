"""Small stereo pairs that semi-global matching solves, for the tests of `match` and of label agreement."""

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH, WALL, BOX = 72, 128, 6, 14


def texture(seed, width=WIDTH + 40):
    """Noise at two sizes, RGB, 0..255."""
    random = np.random.default_rng(seed)
    fine, coarse = random.random((HEIGHT, width, 3)), random.random((HEIGHT // 6, width // 6, 3))
    mixed = 0.5 * fine + 0.5 * cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (mixed * 255).clip(0, 255).astype(np.uint8)


def make_pair(seed=0):
    """Left and right picture and the disparity: a wall at 6 px with a box at 14 px."""
    wall, box = texture(seed), texture(seed + 100)
    left, right = wall[:, :WIDTH].copy(), wall[:, WALL : WALL + WIDTH].copy()
    left[20:50, 60:100] = box[20:50, 60:100]
    right[20:50, 60 - BOX : 100 - BOX] = box[20:50, 60:100]
    disparity = np.full((HEIGHT, WIDTH), float(WALL), np.float32)
    disparity[20:50, 60:100] = BOX
    return left, right, disparity


def save_pair(left_path, right_path, seed=0):
    """Write the pair as two files; the suffix says how."""
    left, right, _ = make_pair(seed)
    for path, picture in ((left_path, left), (right_path, right)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
