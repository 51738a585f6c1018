"""What the report shows: the lines of the data set, the figures of its samples, and which samples get a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheatstone.datasets import layout
from wheatstone.datasets.own import OwnDataset
from wheatstone.errors import DatasetError
from wheatstone.seeding import numpy_generator_for

__all__ = ["FIGURES", "Chosen", "Figure", "ReportData", "Store", "choose", "gather", "suspicion"]

LARGEST_DRAW = 48
"""Samples whose pixels make the disparity histogram."""
FEWEST_TO_COMPARE = 5
"""With fewer samples there is no usual sample to compare with."""
SUSPICIOUS_FROM = 2.5
"""A figure this many robust standard deviations on its bad side makes a sample suspicious."""


@dataclass(frozen=True)
class Figure:
    """One quality figure of the manifest.

    Attributes:
        label: what it is called on the page.
        unit: `"%"` for a share 0..1, `"px"`, or nothing.
        bad: +1 when large values are suspicious, -1 when small ones are, 0 when neither.
        least_spread: spread below which differences mean nothing, so that an even data set has no false outliers.
        complaint: what to say about a suspicious sample.
    """

    label: str
    unit: str = ""
    bad: int = 0
    least_spread: float = 0.0
    complaint: str = ""


FIGURES = {
    "scale_px": Figure("disparity scale", "px"),
    "hole_share": Figure("holes", "%", +1, 0.02, "large holes"),
    "mean_confidence": Figure("mean confidence", "%", -1, 0.03, "low confidence"),
    "label_agreement": Figure("labels a matcher confirms", "%", -1, 0.03, "few labels confirmed"),
    "visible_share": Figure("seen in both views", "%", -1, 0.02, "little is seen in both views"),
    "edge_share": Figure("depth edges", "%", +1, 0.01, "many depth edges"),
}


@dataclass(frozen=True)
class Store:
    """A data set as the page sees it: its files, not its samples.

    Attributes:
        name: name of the data set.
        header: content of `dataset.json`.
        lines: manifest lines by key.
        decode: decodes one file: `(manifest line, folder)` to an array as it is stored.
    """

    name: str
    header: Mapping[str, Any]
    lines: Mapping[str, Mapping[str, Any]]
    decode: Callable[[Mapping[str, Any], str], np.ndarray]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class Chosen:
    """A sample that gets a row, its figures, and why it is suspicious (nothing for a sample of the random draw)."""

    key: str
    line: Mapping[str, Any]
    figures: Mapping[str, float]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """Everything the sections of the page are made of.

    Attributes:
        store: the data set.
        rejected: lines of what gave no sample.
        figures: quality figures by name, one array over the samples that have them.
        disparity_px: disparities of some pixels of a random draw of samples, each sample with the same weight.
        disparity_weights: weight of each of them.
        drawn: how many samples that draw took.
        chosen: the rows, suspicious ones first.
        suspicious: how many samples are suspicious, with a row or without.
    """

    store: Store
    rejected: tuple[Mapping[str, Any], ...]
    figures: Mapping[str, np.ndarray]
    disparity_px: np.ndarray
    disparity_weights: np.ndarray
    drawn: int
    chosen: tuple[Chosen, ...]
    suspicious: int

    @property
    def header(self) -> Mapping[str, Any]:
        """Content of `dataset.json`."""
        return self.store.header


def gather(folder: str | Path, samples: int) -> ReportData:
    """Read what the page needs: the manifest whole, pictures of at most `samples` + 48 samples.

    Raises:
        DatasetError: the folder is no data set of ours.
    """
    dataset = OwnDataset(folder)
    store = Store(dataset.name, dataset.header, {key: dataset.lines[key] for key in dataset.keys}, dataset.decode)
    torn = "error" if dataset.header.get("complete") else "drop"
    seed = int(dataset.header["seed"])
    rejected = tuple(line for line in layout.read_lines(dataset.folder / layout.REJECTED, torn=torn))
    figures = {key: _numbers(store.lines[key].get("quality", {})) for key in store.lines}
    chosen, suspicious = choose(figures, samples, seed)
    draw = _draw(list(store.lines), LARGEST_DRAW, seed, "histogram")
    pixels = [found for key in draw if (found := _some_disparities(store, key)).size]
    names = sorted({name for entry in figures.values() for name in entry}, key=_figure_order)
    return ReportData(
        store=store,
        rejected=rejected,
        figures={name: values for name in names if not _says_nothing(name, values := _column(figures, name))},
        disparity_px=np.concatenate(pixels) if pixels else np.zeros(0),
        disparity_weights=np.concatenate([np.full(p.size, 1 / p.size) for p in pixels]) if pixels else np.zeros(0),
        drawn=len(pixels),
        chosen=tuple(Chosen(key, store.lines[key], figures[key], reasons) for key, reasons in chosen),
        suspicious=suspicious,
    )


def choose(
    figures: Mapping[str, Mapping[str, float]], samples: int, seed: int
) -> tuple[list[tuple[str, tuple[str, ...]]], int]:
    """Choose the samples that get a row: the most suspicious for at most half of the rows, then a random draw.

    Args:
        figures: quality figures by key.
        samples: number of rows.
        seed: of the draw; the same data set gives the same rows.

    Returns:
        Keys with the reasons for suspicion (none for drawn ones), and how many samples are suspicious in all. When every
        sample gets a row, those without suspicion stand in the order of their names.
    """
    found = suspicion(figures)
    ranked = sorted(found, key=lambda key: (-found[key][0], key))
    first = ranked[: samples if len(figures) <= samples else samples // 2]
    rest = _draw([key for key in figures if key not in first], samples - len(first), seed, "rows")
    return [(key, found[key][1]) for key in first] + [(key, ()) for key in rest], len(found)


def suspicion(figures: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[float, tuple[str, ...]]]:
    """Samples with a figure that is far on its bad side compared with this data set: score and reasons by key.

    The distance is counted in robust standard deviations (1.4826 times the median absolute deviation) from the median.
    """
    found: dict[str, tuple[float, list[str]]] = {}
    for name, figure in FIGURES.items():
        values = {key: entry[name] for key, entry in figures.items() if name in entry}
        if not figure.bad or len(values) < FEWEST_TO_COMPARE:
            continue
        numbers = np.array(list(values.values()))
        middle = float(np.median(numbers))
        spread = max(1.4826 * float(np.median(np.abs(numbers - middle))), figure.least_spread)
        for key, value in values.items():
            score = figure.bad * (value - middle) / spread
            if score >= SUSPICIOUS_FROM:
                entry = found.setdefault(key, (0.0, []))
                reason = f"{figure.complaint}: {value:.0%}, the median is {middle:.0%}"
                found[key] = (max(entry[0], score), [*entry[1], reason])
    return {key: (score, tuple(reasons)) for key, (score, reasons) in found.items()}


def _numbers(quality: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in sorted(quality.items(), key=lambda item: _figure_order(item[0]))
        if isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    }


def _column(figures: Mapping[str, Mapping[str, float]], name: str) -> np.ndarray:
    return np.array([entry[name] for entry in figures.values() if name in entry])


def _says_nothing(name: str, values: np.ndarray) -> bool:
    """Whether a figure is not worth a chart: a confidence of 1 everywhere belongs to exact truth."""
    return name == "mean_confidence" and bool((values == 1).all())


def _figure_order(name: str) -> tuple[int, str]:
    known = list(FIGURES)
    return (known.index(name) if name in known else len(known), name)


def _draw(keys: Sequence[str], count: int, seed: int, stream: str) -> list[str]:
    """A deterministic random choice, in the order of the names."""
    keys = sorted(keys)
    if len(keys) <= count:
        return keys
    picked = numpy_generator_for(seed, "report", stream).choice(len(keys), size=max(count, 0), replace=False)
    return [keys[index] for index in sorted(picked.tolist())]


def _some_disparities(store: Store, key: str) -> np.ndarray:
    """Every n-th known disparity of a sample, in pixels: at most some 20 thousand."""
    line = store.lines[key]
    if "disparity" not in line["files"]:
        return np.zeros(0)
    try:
        codes = store.decode(line, "disparity")
    except DatasetError:
        return np.zeros(0)  # the row of a damaged sample says so; a histogram of the others is still true
    step = max(1, int((codes.size / 20_000) ** 0.5))
    some = codes[::step, ::step]
    return some[some > 0] / float(line["disparity_scale"])
