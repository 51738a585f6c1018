"""Histograms as inline SVG: axes with units, readable on a light and a dark page, described in words for those who cannot see."""

import math
from collections.abc import Sequence

import numpy as np

from wheatstone.viewing.report.markup import Markup, element, join

__all__ = ["histogram", "nice_ticks", "percent", "pixels", "quantiles", "short"]

NO_BREAK = "\u00a0"  # a number is not torn from its unit
_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 14, 44


def histogram(
    values: np.ndarray,
    *,
    title: str,
    label: str,
    count_label: str,
    unit: str = "",
    bins: int = 30,
    limits: tuple[float, float] | None = None,
    weights: np.ndarray | None = None,
) -> Markup:
    """One histogram with its axes and one sentence of figures.

    Args:
        values: the numbers, any shape; those that are not finite are left out.
        title: what the chart shows.
        label: name of the horizontal axis, with its unit.
        count_label: name of the vertical axis, for example `"samples"`; with `weights` it is a share in per cent.
        unit: unit of the values, for the figures below the chart (`"px"`, or `"%"` for shares, which are shown times 100).
        bins: number of bars.
        limits: ends of the horizontal axis (default: from the values; what lies outside counts in the end bars).
        weights: how much each value counts; by default each is one.
    """
    values = np.asarray(values, np.float64).ravel()
    finite = np.isfinite(values)
    values = values[finite]
    if values.size == 0:
        return element("figure", element("figcaption", element("strong", title), " There are no figures to show."))
    weights = np.ones_like(values) if weights is None else np.asarray(weights, np.float64).ravel()[finite]
    low, high = limits or _limits(values)
    counts, edges = np.histogram(values.clip(low, high), bins=bins, range=(low, high), weights=weights)
    if count_label.endswith("%"):
        counts = counts * 100 / max(counts.sum(), 1e-12)
    caption = _figures(values, weights, unit)
    drawing = element(
        "svg",
        element("title", f"{title}: histogram"),
        element("desc", caption),
        _axes(float(counts.max()), (low, high), label, count_label, percent_axis=unit == "%"),
        _bars(counts, edges, unit, count_label),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        class_="chart",
    )
    return element("figure", element("h3", title), drawing, element("figcaption", caption), class_="plot")


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two limits, at most about `count` of them (steps of 1, 2 or 5 times a power of ten)."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def short(value: float) -> str:
    """A number with about three significant digits and no needless zeros."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "-"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = f"{value:.{min(digits, 6)}f}"
    return rounded.rstrip("0").rstrip(".") if "." in rounded else rounded


def percent(share: float) -> str:
    """A share 0..1 as per cent with one decimal."""
    return f"{share * 100:.1f}".removesuffix(".0") + f"{NO_BREAK}%"


def pixels(value: float) -> str:
    """A disparity as text: one decimal below 10 px, none above."""
    return f"{value:.1f}".removesuffix(".0") + f"{NO_BREAK}px" if abs(value) < 9.95 else f"{value:.0f}{NO_BREAK}px"


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = min(0.0, float(values.min())), float(values.max())
    if high <= low:
        return low, low + 1.0
    ticks = nice_ticks(low, high)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    return math.floor(low / step) * step, math.ceil(high / step - 1e-9) * step


def quantiles(values: np.ndarray, shares: Sequence[float], weights: np.ndarray | None = None) -> list[float]:
    """The values below which these shares of the (weighted) numbers lie; always one of the numbers themselves."""
    order = np.argsort(values)
    climbing = np.cumsum(np.ones(values.size) if weights is None else weights[order])
    # The last digit of a running sum must not decide which number is the median.
    at = np.searchsorted(climbing, np.array(shares) * climbing[-1] * (1 - 1e-9)).clip(max=values.size - 1)
    return values[order][at].tolist()


def _figures(values: np.ndarray, weights: np.ndarray, unit: str) -> str:
    low, middle, high = quantiles(values, (0.05, 0.5, 0.95), weights)

    def shown(value: float) -> str:
        return {"%": percent, "px": pixels}.get(unit, short)(value)

    return f"Median {shown(middle)}; nine in ten lie between {shown(low)} and {shown(high)}."


def _x(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _y(count: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - count / top * (_HEIGHT - _TOP - _BOTTOM)


def _bars(counts: np.ndarray, edges: np.ndarray, unit: str, count_label: str) -> Markup:
    limits, top, factor = (float(edges[0]), float(edges[-1])), float(counts.max()) or 1.0, 100 if unit == "%" else 1
    bars = []
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count <= 0:
            continue
        x, y = _x(start, limits), _y(count, top)
        name = f"{short(start * factor)} to {short(end * factor)} {unit}: {short(count)} {count_label}"
        bars.append(
            element(
                "rect",
                element("title", name),
                x=f"{x + 0.5:.1f}",
                y=f"{y:.1f}",
                width=f"{max(_x(end, limits) - x - 1, 1):.1f}",
                height=f"{max(_HEIGHT - _BOTTOM - y, 1):.1f}",
            )
        )
    return element("g", *bars, class_="bars")


def _tick(value: float) -> str:
    """A label that fits beside the axis."""
    return f"{short(value / 1000)}k" if value >= 10_000 else short(value)


def _axes(top: float, limits: tuple[float, float], label: str, count_label: str, *, percent_axis: bool) -> Markup:
    base, parts = _HEIGHT - _BOTTOM, []
    ticks = nice_ticks(0.0, top or 1.0, 4)
    if not count_label.endswith("%"):
        ticks = [tick for tick in ticks if tick == int(tick)]  # there is no half sample
    for tick in ticks:
        y = f"{_y(tick, top or 1.0):.1f}"
        parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid" if tick else "axis"))
        parts.append(element("text", _tick(tick), x=_LEFT - 6, y=y, dy="0.32em", text_anchor="end"))
    for tick in nice_ticks(*limits, 6):
        x = f"{_x(tick, limits):.1f}"
        parts.append(element("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
        parts.append(
            element("text", short(tick * 100 if percent_axis else tick), x=x, y=base + 17, text_anchor="middle")
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(element("text", label, x=middle, y=_HEIGHT - 6, text_anchor="middle", class_="name"))
    turn = f"translate(11 {(_TOP + base) / 2}) rotate(-90)"
    parts.append(element("text", count_label, transform=turn, text_anchor="middle", class_="name"))
    return element("g", join(parts), class_="axes")
