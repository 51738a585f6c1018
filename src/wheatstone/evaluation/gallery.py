"""Small pictures of the worst items of an evaluation, made while it runs, so that no prediction has to be kept."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from wheatstone.evaluation.depth_metrics import fit_affine
from wheatstone.evaluation.matcher_protocol import MatcherProtocol, MatcherTruth
from wheatstone.evaluation.protocols import DepthProtocol, DepthTruth
from wheatstone.evaluation.synthesis_protocol import SynthesisProtocol, ViewTruth
from wheatstone.evaluation.view_metrics import border_holes
from wheatstone.samples import View, to_uint8
from wheatstone.viewing.colours import REGION_COLOURS, colour_errors, colour_map, error_limits
from wheatstone.viewing.report.charts import pixels, short
from wheatstone.viewing.report.pictures import Cell
from wheatstone.viewing.thumbnails import encode_webp, thumbnail

__all__ = ["REGIONS", "Gallery", "Sheet", "error_limit"]

REGIONS = "Regions"
"""Name of the picture of what is scored apart."""

_DEPTH_LIMIT = 0.25  # the factor of the figure "δ<1.25"
_VIEW_LIMIT = 8.0  # grey levels; what light and noise alone make
_SPARSE = 0.6
_PLAIN = ("constant", "warp", "identity")  # controls whose pictures say nothing


@dataclass(frozen=True)
class Sheet:
    """One item: its key, how bad the first part is on it, and rows of four pictures (None leaves a place empty)."""

    key: str
    badness: float
    rows: Sequence[Sequence[Cell | None]]


class Gallery:
    """Keeps sheets of the worst items; hand it to `evaluate` as `watch`, then `sheets` has them, the worst first."""

    def __init__(
        self, protocol: DepthProtocol | SynthesisProtocol | MatcherProtocol, *, limit: int = 24, width: int = 360
    ) -> None:
        """Start empty.

        Args:
            protocol: the one that is evaluated; its `ranking` says what is worst.
            limit: largest number of sheets.
            width: largest width of a picture in pixels.
        """
        self.protocol, self.limit, self.width = protocol, limit, width
        self._heap: list[tuple[float, int, Sheet]] = []
        self._seen = 0

    def __call__(
        self, key: str, truth: Any, outputs: Mapping[str, Any], figures: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Look at one item; pictures are made only if it is among the worst so far."""
        figure, sign = self.protocol.ranking
        badness = sign * next(iter(figures.values())).get(figure, float("nan"))
        badness = -float("inf") if badness != badness else badness
        self._seen += 1
        # of equally bad items the earlier ones stay
        if self.limit < 1 or (len(self._heap) >= self.limit and badness <= self._heap[0][0]):
            return
        sheet = Sheet(key, badness, self._rows(key, truth, outputs))
        push = heapq.heappush if len(self._heap) < self.limit else heapq.heapreplace
        push(self._heap, (badness, -self._seen, sheet))

    @property
    def sheets(self) -> list[Sheet]:
        """The worst items, the worst first."""
        return [entry[2] for entry in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]

    def _rows(self, key: str, truth: Any, outputs: Mapping[str, Any]) -> list[list[Cell | None]]:
        shown = {
            name: output for number, (name, output) in enumerate(outputs.items()) if not number or name not in _PLAIN
        }
        makers: dict[type, Any] = {MatcherTruth: _matcher_cells, DepthTruth: _depth_cells, ViewTruth: _view_cells}
        make = makers[type(truth)]
        leads, pairs = make(key, truth, shown, error_limit(self.protocol), self.width)
        count = max(len(pairs), (len(leads) + 1) // 2)
        places = [*leads, *[None] * (2 * count - len(leads))]
        answers = [*pairs, *[[None, None]] * (count - len(pairs))]
        return [[*places[2 * n : 2 * n + 2], *answers[n]] for n in range(count)]


def error_limit(protocol: Any) -> float:
    """Largest error that is not wrong, where the error maps change from blue to red: px, relative depth, grey levels."""
    if isinstance(protocol, MatcherProtocol):
        return float(protocol.headline)
    return _DEPTH_LIMIT if isinstance(protocol, DepthProtocol) else _VIEW_LIMIT


_Made = tuple[list[Cell | None], list[list[Cell | None]]]


def _matcher_cells(key: str, truth: MatcherTruth, outputs: Mapping[str, Tensor], limit: float, width: int) -> _Made:
    scored = next(iter(truth.areas.values()))
    disparity, known = _plane(truth.disparity), _plane(truth.known)
    low, high = _ends(disparity[known])
    ends = (pixels(low), pixels(high))
    leads: list[Cell | None] = [
        _photo("Left", f"Left view of {key}", truth.left, width),
        _map("Truth", f"True disparity of {key}", disparity, known, (low, high), ends, width),
        _photo("Right", f"Right view of {key}", truth.right, width),
        _regions(key, truth, width),
    ]
    pairs: list[list[Cell | None]] = []
    for name, output in outputs.items():
        found = _plane(output)
        answered = np.isfinite(found)
        error = np.abs(found - disparity)
        alt = f"Disparity of {key} by {name}"
        pairs.append(
            [
                _map(name, alt, found, answered, (low, high), ends, width),
                _errors(f"{name}, error", f"Error of {name} on {key}", error, _plane(scored), limit, width, pixels),
            ]
        )
    return leads, pairs


def _depth_cells(key: str, truth: DepthTruth, outputs: Mapping[str, Tensor], limit: float, width: int) -> _Made:
    inverse, known = _plane(truth.inverse_depth), _plane(truth.valid)
    low, high = _ends(inverse[known])
    ends = ("far", "near")
    leads: list[Cell | None] = [
        _photo("Photo", f"Photo {key}", truth.image, width),
        _map("Truth", f"True inverse depth of {key}", inverse, known, (low, high), ends, width),
    ]
    pairs: list[list[Cell | None]] = []
    for name, output in outputs.items():
        aligned = _plane(fit_affine(output.float(), truth.inverse_depth, truth.valid)(output.float()))
        held = np.maximum(aligned, 1e-6)
        true = np.where(known, inverse, 1)
        error = np.maximum(held / true, true / held) - 1
        everywhere = np.isfinite(aligned)
        pairs.append(
            [
                _map(name, f"Inverse depth of {key} by {name}", aligned, everywhere, (low, high), ends, width),
                _errors(f"{name}, error", f"Relative error of {name} on {key}", error, known, limit, width, _per_cent),
            ]
        )
    return leads, pairs


def _view_cells(key: str, truth: ViewTruth, outputs: Mapping[str, View], limit: float, width: int) -> _Made:
    asked, known = _plane(truth.disparity), _plane(truth.valid)
    low, high = _ends(asked[known])
    holes = {"occ": truth.hole & truth.scored, "edge": truth.hole & truth.scored & border_holes(truth.hole)}
    places = {name: area for name, area in holes.items() if bool(area.any())}
    leads: list[Cell | None] = [
        _photo("Left", f"Left view of {key}", truth.left, width),
        _photo("Real right", f"Real right view of {key}", truth.real, width),
        _map(
            "Asked for", f"Disparity asked for of {key}", asked, known, (low, high), (pixels(low), pixels(high)), width
        ),
        _marked("Holes", f"Holes of the warp of {key}", truth.real, places, width),
    ]
    pairs: list[list[Cell | None]] = []
    for name, output in outputs.items():
        error = 255 * (output.image.float().clamp(0, 1) - truth.real).abs().mean(1, keepdim=True)
        alt = f"Difference of {name} and the real right view of {key}"
        pairs.append(
            [
                _photo(name, f"Right view of {key} by {name}", output.image, width),
                _errors(f"{name}, error", alt, _plane(error), _plane(truth.scored), limit, width, short),
            ]
        )
    return leads, pairs


def _regions(key: str, truth: MatcherTruth, width: int) -> Cell | None:
    """The left view in grey under what is scored apart."""
    # occlusion last: it lies inside the band at edges
    words = {"edge": "the band at edges", "occ": "occluded pixels"}
    found = {name: truth.areas[name] for name in words if name in truth.areas and bool(truth.areas[name].any())}
    alt = f"Where {' and '.join(words[name] for name in found)} of {key} lie"
    return _marked(REGIONS, alt, truth.left, found, width) if found else None


def _marked(name: str, alt: str, view: Tensor, areas: Mapping[str, Tensor], width: int) -> Cell:
    """A view in grey under areas in their colours, later ones over earlier ones."""
    photo = to_uint8(view[0]).astype(np.float32)
    shown = np.repeat(150 + 0.35 * photo.mean(-1, keepdims=True), 3, axis=-1)
    for area, where in areas.items():
        shown[_plane(where)] = REGION_COLOURS[area]
    return _picture(name, alt, thumbnail(shown.astype(np.uint8), width), 80)


def _photo(name: str, alt: str, image: Tensor, width: int) -> Cell:
    return _picture(name, alt, thumbnail(to_uint8(image[0]), width), 72)


def _map(
    name: str,
    alt: str,
    values: np.ndarray,
    known: np.ndarray,
    limits: tuple[float, float],
    ends: tuple[str, str],
    width: int,
) -> Cell:
    small, there = _small(values, known, width)
    picture = colour_map(small, there, low=limits[0], high=limits[1])
    return _picture(name, alt, picture, 80, scale=ends, bar="turbo")


def _errors(
    name: str,
    alt: str,
    error: np.ndarray,
    scored: np.ndarray,
    limit: float,
    width: int,
    say: Any,
) -> Cell:
    answered = np.isfinite(error)
    small, there = _small(error, scored & answered, width)
    wanted = _small(answered.astype(np.float32), scored, width)[1]
    picture = colour_errors(np.where(there, small, np.nan), wanted, limit=limit)
    ends = ("0", f"{say(error_limits(limit)[-1])}")
    return _picture(name, alt, picture, 85, scale=ends, bar="errors")


def _picture(
    name: str,
    alt: str,
    picture: np.ndarray,
    quality: int,
    *,
    scale: tuple[str, str] | None = None,
    bar: str = "grey",
) -> Cell:
    size = (picture.shape[1], picture.shape[0])
    return Cell(name, alt, encode_webp(picture, quality), "image/webp", size, scale=scale, bar=bar)


def _small(values: np.ndarray, known: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the known values behind each pixel of a thumbnail, and where there is any; sparse maps get thicker dots."""
    weight: np.ndarray = known.astype(np.float32)
    total: np.ndarray = np.where(known, values, 0).astype(np.float32)
    wide = known.shape[1]
    if wide > width:
        size = (width, max(1, round(known.shape[0] * width / wide)))
        total, weight = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (total, weight))
    if weight.size and known.mean() < _SPARSE:
        total, weight = (cv2.blur(plane, (3, 3)) for plane in (total, weight))
    there = weight > 1e-6
    return np.where(there, total / np.where(there, weight, 1), 0), there


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Nearly the whole range; single wild pixels shall not take all the colours."""
    if not values.size:
        return 0.0, 1.0
    low, high = (float(end) for end in np.quantile(values, (0.002, 0.998)))
    return low, max(high, low + 1e-6)


def _plane(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = (
        tensor[0, 0].detach().cpu().to(torch.float32 if tensor.is_floating_point() else tensor.dtype).numpy()
    )
    return array


def _per_cent(value: float) -> str:
    return f"{100 * value:.0f}\u00a0%"
