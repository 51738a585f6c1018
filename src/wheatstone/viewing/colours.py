"""Numbers as colours: turbo for disparity and depth, grey for confidence, one flat colour for each origin of a pixel."""

from functools import cache

import numpy as np
from jaxtyping import UInt8
from scipy.interpolate import CubicSpline
from torch import Tensor

from wheatstone.errors import InputError, ShapeError
from wheatstone.samples import Origin

__all__ = [
    "ERROR_COLOURS",
    "INVALID_COLOUR",
    "NO_ANSWER_COLOUR",
    "ORIGIN_COLOURS",
    "REGION_COLOURS",
    "colour_errors",
    "colour_map",
    "colour_origins",
    "colour_table",
    "error_limits",
]

INVALID_COLOUR = (112, 112, 112)
"""Neutral grey: no colour of turbo looks like it, and it reads as "nothing here" on a light and on a dark page."""

NO_ANSWER_COLOUR = (0, 0, 0)
"""Where an answer was wanted and none was given."""

# Ten classes from blue (right) over pale to red (wrong), each twice as wide as the one before, with the change of hue at the
# error that counts as wrong, as in KITTI's error pictures. The colours are ColorBrewer's RdYlBu (C. Brewer, Apache-2.0 style).
ERROR_COLOURS = (
    (49, 54, 149), (69, 117, 180), (116, 173, 209), (171, 217, 233), (224, 243, 248),
    (254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39), (165, 0, 38),
)  # fmt: skip
"""Colours (RGB, 0..255) of error classes, smallest first; see `error_limits`."""

# The Okabe-Ito palette, which people with any colour vision tell apart.
ORIGIN_COLOURS = {
    Origin.CRACK: (240, 228, 66),
    Origin.DISOCCLUSION: (213, 94, 0),
    Origin.BORDER: (0, 114, 178),
    Origin.CONTAMINATED_RIM: (0, 158, 115),
    Origin.GENERATED: (204, 121, 167),
}
"""Colour (RGB, 0..255) of every origin but `WARPED`, whose pixels keep their picture."""

REGION_COLOURS = {"occ": (213, 94, 0), "edge": (0, 114, 178)}
"""Colours (RGB, 0..255, of the same palette) of occluded pixels and of the band at steps of disparity."""

# Every fifteenth colour of the published turbo map (A. Mikhailov, "Turbo, an improved rainbow colormap for visualization",
# Google AI blog, 2019). A cubic spline through them stays within 2 of 255 of all 256, far closer than its degree-5 polynomial.
_TURBO_KNOTS = (
    (48, 18, 59), (63, 62, 156), (70, 102, 221), (69, 140, 253), (47, 178, 244), (26, 212, 208), (34, 235, 170),
    (82, 250, 122), (139, 255, 75), (183, 247, 53), (219, 226, 54), (245, 197, 58), (254, 161, 48), (249, 117, 29),
    (232, 75, 12), (206, 45, 4), (169, 22, 1), (122, 4, 3),
)  # fmt: skip


@cache
def colour_table(name: str = "turbo") -> UInt8[np.ndarray, "256 3"]:
    """The 256 colours of a map, lowest value first (RGB, 0..255, read-only).

    `turbo` runs from dark blue over green to dark red and suits disparity (red = near); `grey` from black to white.

    Raises:
        InputError: no such map.
    """
    if name == "turbo":
        knots = np.array(_TURBO_KNOTS, np.float64)
        colours = CubicSpline(np.arange(0, 256, 15), knots)(np.arange(256))
    elif name == "grey":
        colours = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    else:
        raise InputError(f"unknown colour map {name!r}: use turbo or grey")
    table = np.rint(colours.clip(0, 255)).astype(np.uint8)
    table.setflags(write=False)
    return table


def colour_map(
    values: Tensor | np.ndarray,
    valid: Tensor | np.ndarray | None = None,
    name: str = "turbo",
    low: float | None = None,
    high: float | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """Paint a map of numbers.

    Args:
        values: `[H,W]`, `[1,H,W]` or `[1,1,H,W]`, any number type and unit.
        valid: same shape, True where the value is usable (default: where it is finite); the rest becomes `INVALID_COLOUR`.
        name: `"turbo"` or `"grey"`.
        low: value of the first colour (default: the smallest usable value).
        high: value of the last colour (default: the largest usable value). Values outside the range take its end colours;
            a range of zero width paints everything with the middle colour.

    Returns:
        RGB, 0..255.

    Raises:
        ShapeError: more than one map, or a mask of another shape.
        InputError: unknown map name, or `low` above `high`.
    """
    numbers = _plane(values, "values").astype(np.float64)
    usable = np.isfinite(numbers)
    if valid is not None:
        mask = _plane(valid, "valid")
        if mask.shape != numbers.shape:
            raise ShapeError(f"`valid` has shape {list(mask.shape)}, `values` has {list(numbers.shape)}")
        usable &= mask.astype(bool)
    if low is not None and high is not None and low > high:
        raise InputError(f"`low` ({low:g}) must not be above `high` ({high:g})")
    known = numbers[usable] if usable.any() else np.zeros(1)
    bottom = min(float(known.min()), np.inf if high is None else high) if low is None else low
    top = max(float(known.max()), bottom) if high is None else high
    if top > bottom:
        share = ((np.where(usable, numbers, bottom) - bottom) / (top - bottom)).clip(0, 1)
    else:
        share = np.full(numbers.shape, 0.5)
    painted = colour_table(name)[np.rint(share * 255).astype(np.uint8)]
    painted[~usable] = INVALID_COLOUR
    return painted


def error_limits(limit: float | int) -> list[float]:
    """The nine borders between the classes of `ERROR_COLOURS`: limit / 16, ..., limit / 2, limit, 2 limit, ..., 16 limit."""
    return [limit * 2.0**power for power in range(-4, 5)]


def colour_errors(
    errors: Tensor | np.ndarray, valid: Tensor | np.ndarray | None = None, *, limit: float | int
) -> UInt8[np.ndarray, "H W 3"]:
    """Paint a map of errors: blue up to `limit`, red beyond it, each class twice as wide as the one before.

    Args:
        errors: `[H,W]`, `[1,H,W]` or `[1,1,H,W]`, 0 or more, any unit; not finite means that there was no answer.
        valid: same shape, where the truth is known (default everywhere); the rest becomes `INVALID_COLOUR`.
        limit: largest error that is not wrong.

    Returns:
        RGB, 0..255; `NO_ANSWER_COLOUR` where truth is known and the answer is not.

    Raises:
        ShapeError: more than one map, or a mask of another shape.
        InputError: a limit that is not positive.
    """
    if not limit > 0:
        raise InputError(f"`limit` must be positive, got {limit:g}")
    numbers = _plane(errors, "errors").astype(np.float64)
    answered = np.isfinite(numbers)
    # the upper border belongs to its class: an error of exactly `limit` is not wrong yet
    classes = np.searchsorted(error_limits(limit), np.where(answered, numbers, 0.0), side="left")
    painted = np.array(ERROR_COLOURS, np.uint8)[classes]
    painted[~answered] = NO_ANSWER_COLOUR
    if valid is not None:
        mask = _plane(valid, "valid")
        if mask.shape != numbers.shape:
            raise ShapeError(f"`valid` has shape {list(mask.shape)}, `errors` has {list(numbers.shape)}")
        painted[~mask.astype(bool)] = INVALID_COLOUR
    return painted


def colour_origins(
    view: UInt8[np.ndarray, "H W 3"], origin: UInt8[np.ndarray, "H W"], strength: float = 1.0
) -> UInt8[np.ndarray, "H W 3"]:
    """Show where the pixels of a synthesised view come from: its warped pixels in faint grey, all others in flat colours.

    Args:
        view: the synthesised view, RGB, 0..255.
        origin: an `Origin` code for each pixel.
        strength: how much of the flat colour covers the picture, 0..1.

    Raises:
        ShapeError: sizes that differ.
    """
    if view.shape[:2] != origin.shape:
        raise ShapeError(f"`view` has size {list(view.shape[:2])}, `origin` has {list(origin.shape)}")
    grey = view.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    # Paler and of less contrast than the photo, so that the colours of the holes are what the eye finds.
    shown = np.repeat((150 + grey * 0.35)[..., None], 3, axis=-1)
    for code, colour in ORIGIN_COLOURS.items():
        where = origin == int(code)
        shown[where] = shown[where] * (1 - strength) + np.array(colour, np.float32) * strength
    return np.rint(shown).clip(0, 255).astype(np.uint8)


def _plane(values: Tensor | np.ndarray, name: str) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    shape = list(array.shape)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise ShapeError(f"`{name}` must be one map, [H,W], [1,H,W] or [1,1,H,W], got {shape}")
    return array
