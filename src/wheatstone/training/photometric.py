"""What cameras do to pictures, as augmentation of rendered ones: exposure, colour, blur, noise, compression."""

import cv2
import numpy as np

__all__ = ["camera_like"]


def camera_like(image: np.ndarray, generator: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Draw a camera and take the picture again.

    Args:
        image: uint8 `[H,W,3]`, RGB.
        generator: source of every draw.
        strength: 0 leaves the picture alone, 1 is the full range.

    Returns:
        float32 `[H,W,3]` in 0..1.
    """
    picture: np.ndarray = image.astype(np.float32) / 255
    if strength <= 0:
        return picture
    picture = _colours(picture, generator, strength)
    if generator.random() < 0.35 * strength:
        picture = cv2.GaussianBlur(picture, (0, 0), generator.uniform(0.3, 1.0))
    if generator.random() < 0.15 * strength:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
        picture = picture + generator.uniform(0.3, 1.2) * (picture - soft)
    if generator.random() < 0.5 * strength:
        noise = generator.standard_normal(picture.shape, dtype=np.float32)
        if generator.random() < 0.3:
            noise = noise[..., :1]
        picture = picture + generator.uniform(0.004, 0.035) * noise
    picture = np.clip(picture, 0, 1)
    if generator.random() < 0.4 * strength:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(35, 95))]
        _, packed = cv2.imencode(".jpg", (picture[..., ::-1] * 255).astype(np.uint8), quality)
        unpacked = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        picture = unpacked[..., ::-1].astype(np.float32) / 255
    return np.ascontiguousarray(picture)


def _colours(picture: np.ndarray, generator: np.random.Generator, strength: float) -> np.ndarray:
    """White balance, saturation, exposure, contrast, gamma, vignette; now and then grey or a swap of channels."""
    picture = picture * np.exp(generator.normal(0, 0.10 * strength, 3)).astype(np.float32)
    if generator.random() < 0.10 * strength:
        picture = picture[..., generator.permutation(3)]
    grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    saturation = 0.0 if generator.random() < 0.10 * strength else float(np.exp(generator.normal(0, 0.35 * strength)))
    picture = grey[..., None] + saturation * (picture - grey[..., None])
    middle = float(grey.mean())
    picture = (picture - middle) * float(np.exp(generator.normal(0, 0.25 * strength))) + middle
    picture = picture * float(np.exp(generator.normal(0, 0.22 * strength)))
    picture = np.clip(picture, 1e-4, 1) ** float(np.exp(generator.normal(0, 0.22 * strength)))
    if generator.random() < 0.25 * strength:
        H, W = grey.shape
        rows, columns = np.linspace(-1, 1, H, dtype=np.float32), np.linspace(-1, 1, W, dtype=np.float32)
        radius = rows[:, None] ** 2 + columns[None] ** 2
        picture = picture * (1 - generator.uniform(0.05, 0.3) * radius)[..., None]
    return picture.astype(np.float32)
