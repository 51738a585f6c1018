"""Files of public data sets in small: what the tests of the readers write, in true formats and true scales."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

HEIGHT, WIDTH = 6, 10


def picture(path, level, width=WIDTH):
    """A plain picture of one grey level; the format follows the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.full((HEIGHT, width, 3), level, np.uint8))
    image.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def pair(left, right, width=WIDTH):
    """Two pictures that `assert_pair` tells apart."""
    picture(left, 10, width)
    picture(right, 20, width)


def codes(path, values):
    """A grey PNG or PGM of 8 or 16 bits, or an RGB one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values if values.ndim == 2 else values[..., ::-1])


def array(path, values):
    """A .npy file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def pfm(path, values, header="Pf\n{width} {height}\n-1.0\n"):
    """A PFM as the data sets write it: little endian, bottom row first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = header.format(width=values.shape[1], height=values.shape[0])
    path.write_bytes(text.encode() + values[::-1].astype("<f4").tobytes())


def text(path, content):
    """A text file; anything but a string as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def ramp(dtype=np.uint8, width=WIDTH, step=3):
    """Codes from 0 (once) up."""
    values = (np.arange(HEIGHT * width).reshape(HEIGHT, width) * step % 250).astype(dtype)
    values[0, 0] = 0
    values[0, 1:] = np.maximum(values[0, 1:], 1)
    return values


def disparity(low=1.5, high=60.0, width=WIDTH):
    """A smooth map in pixels."""
    return np.linspace(low, high, HEIGHT * width).reshape(HEIGHT, width)


def assert_pair(sample):
    """The views are those of `pair`."""
    assert sample.baselines == {"left": 0.0, "right": 1.0}
    assert float(sample.views["left"].mean()) == pytest.approx(10 / 255, abs=0.004)
    assert float(sample.views["right"].mean()) == pytest.approx(20 / 255, abs=0.004)
    assert sample.provenance["licence"]


def assert_truth(sample, expected, valid=None, within=1e-4):
    """The truth is `expected` where `valid` (everywhere by default), 0 elsewhere, float32."""
    assert_pair(sample)
    valid = np.ones(expected.shape, bool) if valid is None else valid
    assert torch.equal(sample.valid[0], torch.from_numpy(valid))
    assert sample.disparity.dtype == torch.float32
    found = sample.disparity[0].numpy()
    np.testing.assert_allclose(found[valid], expected[valid], rtol=0, atol=within)
    assert (found[~valid] == 0).all()


def assert_right_truth(sample, expected, within=1e-4):
    """The truth of the right view is `expected` everywhere."""
    assert bool(sample.extras["valid_right"].all())
    np.testing.assert_allclose(sample.extras["disparity_right"][0].numpy(), expected, rtol=0, atol=within)


def rendered(near=7, far=2, height=12, width=40):
    """A textured pair, a near block before a far wall: left and right (uint8 RGB) and the disparity of either, pixels."""
    random = np.random.default_rng(7)
    wall, block = (random.integers(0, 256, (height, width + far, 1), np.uint8).repeat(3, 2) for _ in range(2))
    views, truths = [], []
    for shift in (0, 1):  # a thing at disparity d stands d pixels further left in the right view
        image, truth = wall[:, shift * far :][:, :width].copy(), np.full((height, width), float(far))
        columns = slice(15 - shift * near, 25 - shift * near)
        image[:, columns], truth[:, columns] = block[:, 15:25], near
        views.append(image)
        truths.append(truth)
    return *views, *truths


def colours(path, values, alpha=None):
    """An RGB picture; the format follows the suffix. JPEG as exact as it gets; `alpha` (one number) for PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if alpha is not None:
        values = np.dstack([values, np.full(values.shape[:2], alpha, np.uint8)])
    Image.fromarray(values).save(path, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))


def assert_sees(sample):
    """What the truth says of the left view is seen there in the right view, and not on the other side."""
    left, right = (sample.views[side][0].numpy() for side in ("left", "right"))
    rows, columns = np.nonzero(sample.valid[0].numpy())
    shift = np.rint(sample.disparity[0].numpy()[rows, columns]).astype(int)
    assert shift.size
    error = {}
    for sign in (1, -1):
        target = columns - sign * shift
        inside = (target >= 0) & (target < left.shape[1])
        error[sign] = np.median(np.abs(left[rows, columns] - right[rows, target.clip(0, left.shape[1] - 1)])[inside])
    assert error[1] < 0.02 < 0.1 < error[-1], error
