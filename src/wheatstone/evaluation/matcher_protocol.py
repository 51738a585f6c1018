"""How the disparity of a matcher is scored: every switch that published protocols set differently, in one value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.evaluation.disparity_metrics import disparity_metrics
from wheatstone.evaluation.framing import resized_view
from wheatstone.evaluation.protocols import SkippedItem
from wheatstone.evaluation.report import Column
from wheatstone.geometry import background_fill, near_steps, pad_to_multiple, resize_disparity
from wheatstone.matching import StereoMatcher
from wheatstone.matching.consistency import left_right_consistency
from wheatstone.samples import StereoSample

__all__ = ["REGIONS", "MatcherProtocol", "MatcherTruth"]

REGIONS = {"all": "all pixels", "noc": "pixels that both views see", "occ": "occluded pixels"}
"""Where a matcher can be scored, and what the tables call it."""

_OUTLIERS = ("bad_", "d1")


@dataclass(frozen=True)
class MatcherTruth:
    """Truth of one pair.

    Attributes:
        left, right: the views, 0..1.
        disparity: pixels of this width, 0 where unknown.
        known: where it is known.
        areas: what is scored, by name: the protocol's regions, `edge` and `surface`.
        notes: what a reader of the figures must know about this item.
    """

    left: Float[Tensor, "1 3 H W"]
    right: Float[Tensor, "1 3 H W"]
    disparity: Float[Tensor, "1 1 H W"]
    known: Bool[Tensor, "1 1 H W"]
    areas: Mapping[str, Bool[Tensor, "1 1 H W"]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatcherProtocol:
    """Disparity against truth, at the truth's own size. The default is the house's; `matcher_protocol` has the published ones.

    A pixel without a finite answer counts as bad in every bad-k and in D1 (`missing="bad"`); the end-point error can only be
    taken over answered pixels, so read `density` beside it.

    Attributes:
        name: what to call it in a table.
        regions: `all`, `noc` (non-occluded), `occ`. The first is the main one: an item that lacks it is left out. The
            others are scored where they exist.
        thresholds: the k of bad-k, in pixels.
        inclusive: an error of exactly k is bad too (">=" instead of ">").
        d1: also KITTI's share of errors above 3 px and above 5 % of the truth.
        epe_average: mean over `images` (each weighs the same) or over all `pixels` of all images.
        outlier_average: the same for bad-k, D1 and density.
        max_disparity: truth at or above this many pixels is left out, or held there: see `beyond`.
        beyond: `exclude` leaves such pixels out; `clamp` replaces larger values of truth and prediction by the maximum.
        valid: which truth counts: all that is `known`, or only what is `positive`.
        missing: what a pixel without answer is: `bad`, or left out (`skip`).
        resolution: 1 for the images' own size; a factor; or (height, width) into which images are squashed. The
            prediction is brought back to the size of the truth, multiplied by the ratio of the widths.
        padding: (multiple, `split` or `bottom`) to pad images to before the matcher sees them; None leaves it to the matcher.
        iterations: refinement steps; None leaves it to the matcher.
        occlusion: where `noc` comes from: the data set's `mask` alone; or, where there is none, a `left-right` check of
            the left truth against the right one (1 px).
        edge_radius: figures at edges take pixels at most this far from a step of the true disparity; 0 leaves them out.
        edge_step: difference of neighbours that is a step, in pixels. Below 2, truth in whole pixels has steps everywhere.
        edge_density: edge figures need this share of known truth: LiDAR loses edges.
        view: name of the second view; it must be at baseline 1.
    """

    name: str = "wheatstone"
    regions: tuple[str, ...] = ("all", "noc", "occ")
    thresholds: tuple[float | int, ...] = (0.5, 1, 2, 3, 4)
    inclusive: bool = False
    d1: bool = True
    epe_average: Literal["images", "pixels"] = "images"
    outlier_average: Literal["images", "pixels"] = "images"
    max_disparity: float | int | None = None
    beyond: Literal["exclude", "clamp"] = "exclude"
    valid: Literal["known", "positive"] = "known"
    missing: Literal["bad", "skip"] = "bad"
    resolution: float | int | tuple[int, int] = 1
    padding: tuple[int, Literal["split", "bottom"]] | None = None
    iterations: int | None = None
    occlusion: Literal["mask", "left-right"] = "mask"
    edge_radius: int = 5
    edge_step: float | int = 2
    edge_density: float = 0.5
    view: str = field(default="right", repr=False)

    def __post_init__(self) -> None:
        """Refuse switches that mean nothing.

        Raises:
            InputError: see the message.
        """
        if not self.regions or not set(self.regions) <= set(REGIONS) or len(set(self.regions)) < len(self.regions):
            raise InputError(
                f"regions are some of {', '.join(REGIONS)}, each once; got {', '.join(self.regions) or 'none'}"
            )
        usable = all(0 < k < math.inf for k in self.thresholds) and len(set(self.thresholds)) == len(self.thresholds)
        if not self.thresholds or not usable:
            given = ", ".join(f"{k:g}" for k in self.thresholds) or "none"
            raise InputError(f"thresholds are positive numbers of pixels, each once; got {given}")
        if self.max_disparity is not None and not self.max_disparity > 0:
            raise InputError(f"the maximum disparity must be positive, got {self.max_disparity:g}")
        sides = self.resolution if isinstance(self.resolution, tuple) else (self.resolution,)
        if not all(0 < side < math.inf for side in sides) or len(sides) > 2:
            raise InputError(f"resolution is a positive factor or (height, width), got {self.resolution}")
        if self.iterations is not None and self.iterations < 1:
            raise InputError(f"a matcher needs at least one iteration, got {self.iterations}")
        if self.edge_radius < 0 or not self.edge_step > 0:
            raise InputError("the band at edges needs a radius of 0 or more and a positive step")

    @property
    def headline(self) -> float | int:
        """The k that stands for all: 2 px if it is among the thresholds, else their largest."""
        return 2 if 2 in self.thresholds else max(self.thresholds)

    @property
    def ranking(self) -> tuple[str, int]:
        """The figure that tells good items from bad ones, and +1 because it grows with the error."""
        return f"bad_{self.headline:g}", 1

    @property
    def columns(self) -> tuple[Column, ...]:
        """The figures: one table a region, then one each for the band at edges and for everything else."""
        main = self.regions[0]
        title = "" if main == "all" else REGIONS[main]
        columns = self._columns("", title, d1=self.d1, main=True)
        columns.append(Column("seconds", "s/pair", digits=3, repeatable=False, group=title))
        for region in self.regions[1:]:
            columns += self._columns(f"{region}/", REGIONS[region], d1=self.d1)
        if self.edge_radius:
            near = f"within {self.edge_radius} px of a step of the true disparity of {self.edge_step:g} px or more"
            columns += self._columns("edge/", near)
            columns += self._columns("surface/", "everywhere else")
        return tuple(columns)

    def _columns(self, prefix: str, group: str, *, d1: bool = False, main: bool = False) -> list[Column]:
        def column(name: str, label: str, better: str = "low", **rest: object) -> Column:
            return Column(prefix + name, label, better, group=group, **rest)  # type: ignore[arg-type]

        columns = [column("epe", "EPE px", digits=2, per_item=main)]
        for k in self.thresholds:
            per_item = main and k == self.headline
            columns.append(column(f"bad_{k:g}", f"bad-{k:g}", percent=True, digits=2, per_item=per_item))
        if d1:
            columns.append(column("d1", "D1", percent=True, digits=2))
        columns.append(column("density", "answered", "", percent=True, digits=1))
        return [*columns, column("share", "scored", "", percent=True, digits=1)]

    def truth(self, sample: StereoSample) -> MatcherTruth:
        """Find the truth of a pair and what of it counts.

        Raises:
            SkippedItem: no disparity, no second view at baseline 1, or nothing to score in the main region.
        """
        if sample.disparity is None or self.view not in sample.views:
            raise SkippedItem(f"needs true disparity and a view {self.view!r}")
        if sample.reference != "left" or sample.baselines.get(self.view) != 1.0:
            raise SkippedItem(f"its view {self.view!r} is not at baseline 1 of the left view")
        known = torch.isfinite(sample.disparity)
        known = known if sample.valid is None else known & sample.valid
        disparity = torch.where(known, sample.disparity, 0.0)[None].float()
        known = known[None]
        areas, notes = self._areas(sample, disparity, known)
        if self.regions[0] not in areas:
            raise SkippedItem(
                "no mask of what both views see: score region 'all', or with occlusion 'left-right' the truth of both views"
            )
        if not bool(areas[self.regions[0]].any()):
            raise SkippedItem("no pixel with known truth" + (" to score" if known.any() else ""))
        if self.max_disparity is not None and self.beyond == "clamp":
            disparity = disparity.clamp_max(self.max_disparity)
        views = sample.views
        return MatcherTruth(views["left"][None], views[self.view][None], disparity, known, areas, notes)

    def _areas(
        self, sample: StereoSample, disparity: Tensor, known: Tensor
    ) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        scored = known
        if self.valid == "positive":
            scored = scored & (disparity > 0)
        if self.max_disparity is not None and self.beyond == "exclude":
            scored = scored & (disparity < self.max_disparity)
        found, notes = {"all": scored}, []
        visible = None if sample.visible is None else sample.visible[None]
        if visible is None and self.occlusion == "left-right" and "disparity_right" in sample.extras:
            visible = _visible_by_truth(sample, disparity)
            notes.append("what both views see comes from a left-right check of the truth")
        if visible is not None:
            found |= {"noc": scored & visible, "occ": scored & ~visible}
        areas = {name: found[name] for name in self.regions if name in found}
        if self.edge_radius and areas and float(known.float().mean()) >= self.edge_density:
            # gaps of the truth lie right at its edges, so they are bridged
            filled = background_fill(disparity, known)
            band = near_steps(filled, step_px=float(self.edge_step), radius=self.edge_radius)
            main = areas.get(self.regions[0], scored)
            areas |= {"edge": main & band, "surface": main & ~band}
        if "right" in sample.provenance.get("synthetic_views", ()):
            notes.append("the second view was synthesised from the disparity it is scored against")
        if float(sample.provenance.get("truth_step_px", 0)) >= 1:
            notes.append(f"the truth of {sample.key} is in whole pixels: trust bad-2 and coarser, not EPE")
        return areas, tuple(notes)

    def predict(self, matcher: StereoMatcher, truth: MatcherTruth) -> Float[Tensor, "1 1 H W"]:
        """Disparity at the size of the truth, by the protocol's resolution, padding and iterations.

        Resizing is bilinear, antialiased for the images.
        """
        left, right = truth.left, truth.right
        height, width = left.shape[-2:]
        size = self._size(height, width)
        if size != (height, width):
            left, right = (resized_view(view, size) for view in (left, right))
        crop = None
        if self.padding is not None:
            left, crop = pad_to_multiple(left, *self.padding)
            right = crop.pad(right)
        # a matcher without refinement steps has none to be told
        steps = self.iterations if matcher.iterations else None
        found = matcher(left, right, steps).disparity.float().cpu()
        if crop is not None:
            found = crop.crop(found)
        return found if size == (height, width) else resize_disparity(found, (height, width), mode="bilinear")[0]

    def input_disparity(self, truth: MatcherTruth) -> Float[Tensor, "1 1 H W"]:
        """The truth in pixels of the images that the matcher sees, at the truth's own size."""
        height, width = truth.disparity.shape[-2:]
        return truth.disparity * (self._size(height, width)[1] / width)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.resolution, tuple):
            return self.resolution
        return max(1, round(height * self.resolution)), max(1, round(width * self.resolution))

    def score(self, prediction: Float[Tensor, "1 1 H W"], truth: MatcherTruth) -> dict[str, float]:
        """All figures of one pair; those of the main region have plain names, others `noc/epe`, `edge/bad_1`, ..."""
        if self.max_disparity is not None and self.beyond == "clamp":
            prediction = prediction.clamp_max(self.max_disparity)
        figures: dict[str, Tensor] = {}
        for number, (name, area) in enumerate(truth.areas.items()):
            own = disparity_metrics(
                prediction,
                truth.disparity,
                area,
                thresholds=self.thresholds,
                d1=self.d1,
                missing=self.missing,
                inclusive=self.inclusive,
            )
            figures |= {f"{name}/{key}" if number else key: value for key, value in own.items()}
        size = truth.disparity.numel()
        counts = {key: value for key, value in figures.items() if key.endswith("pixels")}
        shares = {key.replace("pixels", "share"): value / size for key, value in counts.items()}
        return {name: float(value) for name, value in (figures | shares).items()}

    def pooled(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Figures that are means over the pixels of all images, not over images."""
        found: dict[str, float] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            prefix, _, figure = name.rpartition("/")
            outlier = figure.startswith(_OUTLIERS) or figure == "density"
            wanted = self.outlier_average if outlier else self.epe_average if figure in ("epe", "rmse") else "images"
            if wanted == "pixels":
                answered_only = figure in ("epe", "rmse") or (self.missing == "skip" and figure != "density")
                found[name] = _pooled_mean(rows, f"{prefix}/" if prefix else "", figure, answered_only=answered_only)
        return found


def _pooled_mean(rows: Sequence[Mapping[str, float]], prefix: str, figure: str, *, answered_only: bool) -> float:
    """Sum over all pixels divided by their number; from the means of the images and the pixels behind each."""
    power = 2 if figure == "rmse" else 1
    total = count = 0.0
    for row in rows:
        value, pixels = row.get(prefix + figure, torch.nan), row.get(prefix + "pixels", 0.0)
        weight = pixels * row[prefix + "density"] if answered_only and pixels else pixels
        if weight > 0 and value == value:
            total += weight * value**power
            count += weight
    return (total / count) ** (1 / power) if count else torch.nan


def _visible_by_truth(sample: StereoSample, disparity: Tensor) -> Tensor:
    """Left pixels whose partner has the same disparity in the truth of the right view."""
    other = sample.extras["disparity_right"]
    known = sample.extras.get("valid_right", torch.isfinite(other))
    return left_right_consistency(disparity, torch.where(known.bool(), other, torch.nan)[None].float())
