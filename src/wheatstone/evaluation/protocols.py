"""How one item is scored: which truth, which region, which switches. The words of a table of results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.evaluation.depth_metrics import FAR_LIMIT, depth_edge_metrics, inverse_depth_metrics
from wheatstone.evaluation.report import Column
from wheatstone.evaluation.view_metrics import border_holes, gradient_energy, synthesis_metrics
from wheatstone.geometry import forward_warp, hole_ends
from wheatstone.samples import StereoSample, View

__all__ = ["DepthProtocol", "DepthTruth", "SkippedItem", "SynthesisProtocol", "ViewTruth", "cells_of_unknown"]


class SkippedItem(Exception):  # noqa: N818 (no error: the item is left out and named in the report)
    """An item that a protocol cannot score; the message says why."""


@dataclass(frozen=True)
class DepthTruth:
    """Truth of one photo: inverse depth `[1,1,H,W]` in `unit` (`1/m` or `px`), where it is known, whether it is dense."""

    image: Float[Tensor, "1 3 H W"]
    inverse_depth: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]
    unit: str
    dense: bool


@dataclass(frozen=True)
class DepthProtocol:
    """Relative inverse depth against truth: one scale and one shift an image by least squares, then errors of depth.

    Truth is `1 / metric depth` where a sample has it, else its disparity (inverse depth up to a constant that the shift
    absorbs). Every known pixel counts, at the size of the truth. Means weigh every image the same.

    `ranking` is the figure that tells good items from bad ones, +1 if it grows with the error.

    Attributes:
        far_limit: aligned inverse depth is held above this share of the image's largest true one.
        robust: least absolute deviations instead of least squares.
        edge_density: edge figures need this share of known pixels and disparity truth (range sensors lose edges).
    """

    name: ClassVar[str] = "affine-inverse-depth"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("abs_rel", "AbsRel", "low", per_item=True),
        Column("delta_1", "δ<1.25", "high", percent=True, digits=1, per_item=True),
        Column("delta_2", "δ<1.25²", "high", percent=True, digits=1),
        Column("rmse_log", "RMSE log", "low"),
        Column("edge_f", "edge F", "high", percent=True, digits=1),
        Column("edge_sharpness", "edge sharpness", "high", digits=2),
        Column("seconds", "s/image", digits=3, repeatable=False),
    )

    ranking: ClassVar[tuple[str, int]] = ("abs_rel", 1)

    far_limit: float = FAR_LIMIT
    robust: bool = False
    edge_density: float = 0.9

    def truth(self, sample: StereoSample) -> DepthTruth:
        """Find the truth of a sample.

        Raises:
            SkippedItem: the sample has neither disparity nor metric depth, no known pixel, or labels instead of truth.
        """
        if sample.provenance.get("synthetic_views"):
            raise SkippedItem("its disparity was made by a depth estimator, so it is no truth")
        image = sample.views[sample.reference][None]
        metres = sample.extras.get("metric_depth_m")
        if metres is not None:
            valid = metres > 0 if sample.valid is None else sample.valid & (metres > 0)
            inverse = torch.where(valid, 1 / torch.where(valid, metres, 1.0), 0.0)
            unit = "1/m"
        elif sample.disparity is not None:
            known = torch.isfinite(sample.disparity) if sample.valid is None else sample.valid
            valid = known & (sample.disparity > 0)
            inverse, unit = torch.where(valid, sample.disparity, 0.0), "px"
        else:
            raise SkippedItem("no true disparity or depth")
        if not bool(valid.any()):
            raise SkippedItem("no pixel with known truth")
        dense = unit == "px" and float(valid.float().mean()) >= self.edge_density
        return DepthTruth(image, inverse[None], valid[None], unit, dense)

    def score(self, prediction: Float[Tensor, "1 1 H W"], truth: DepthTruth) -> dict[str, float]:
        """All figures of one image; no edge figures where the truth does not allow them."""
        prediction = prediction.float()
        figures = inverse_depth_metrics(
            prediction, truth.inverse_depth, truth.valid, far_limit=self.far_limit, robust=self.robust
        )
        if truth.dense:
            figures |= depth_edge_metrics(prediction, truth.inverse_depth, truth.valid)
        return {name: float(value) for name, value in figures.items()}

    def pooled(self, rows: list[Mapping[str, float]]) -> dict[str, float]:  # noqa: ARG002 (all means weigh images the same)
        """Figures that are not means over images: none here."""
        return {}


@dataclass(frozen=True)
class ViewTruth:
    """Truth of one pair: what the synthesizer gets, the real second view, and the pixels of it that may count."""

    left: Float[Tensor, "1 3 H W"]
    disparity: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]
    real: Float[Tensor, "1 3 H W"]
    scored: Bool[Tensor, "1 1 H W"]


@dataclass(frozen=True)
class SynthesisProtocol:
    """A real second view against the one made from the left view and the true disparity.

    The left view is warped by the truth, so every method starts from the same correct pixels and is judged by what it paints
    into the holes: PSNR over the holes inside the image (runs that do not reach the image border in their row), over all
    holes, outside (the residual of light, noise and rounding that even perfect painting leaves), and gradient energy in
    the holes against the real view's, which tells blur (below 1) from streaks and noise (above 1).

    `ranking` is the figure that tells good items from bad ones, +1 if it grows with the error.

    Attributes:
        min_density: leave out pairs with less known truth: their holes are gaps of the truth.
        count_unknown: also score cells where pixels of unknown disparity may belong. By default a hole counts only if no
            pixel of unknown truth would land there with the disparity of its nearest known neighbour in the row, left or right.
        view: name of the view to compare with.
    """

    name: ClassVar[str] = "true-disparity-holes"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("psnr_inside", "PSNR inside", "high", digits=2, per_item=True),
        Column("psnr_holes", "PSNR holes", "high", digits=2, per_item=True),
        Column("gradient_inside", "gradient inside", digits=2, per_item=True),
        Column("psnr_outside", "PSNR outside", "high", digits=2),
        Column("psnr", "PSNR", "high", digits=2),
        Column("ssim", "SSIM", "high"),
        Column("ssim_holes", "SSIM holes", "high"),
        Column("seconds", "s/image", digits=3, repeatable=False),
    )

    ranking: ClassVar[tuple[str, int]] = ("psnr_inside", -1)

    min_density: float = 0.9
    count_unknown: bool = False
    view: str = "right"

    def truth(self, sample: StereoSample) -> ViewTruth:
        """Find the truth of a pair.

        Raises:
            SkippedItem: no disparity, no real second view, or too little known truth.
        """
        if sample.disparity is None or self.view not in sample.views:
            raise SkippedItem(f"needs true disparity and a real view {self.view!r}")
        if self.view in sample.provenance.get("synthetic_views", ()):
            raise SkippedItem(f"its view {self.view!r} was synthesised, so it is no truth")
        if sample.baselines.get(self.view) != 1.0:
            raise SkippedItem(f"its view {self.view!r} is not at baseline 1")
        valid = torch.isfinite(sample.disparity) if sample.valid is None else sample.valid
        density = float(valid.float().mean())
        if density < self.min_density:
            raise SkippedItem(f"truth covers only {100 * density:.0f} % of the image")
        disparity = torch.where(valid, sample.disparity, 0.0)[None]
        valid = valid[None]
        scored = torch.ones_like(valid) if self.count_unknown else ~cells_of_unknown(disparity, valid)
        return ViewTruth(sample.views[sample.reference][None], disparity, valid, sample.views[self.view][None], scored)

    def score(self, view: View, truth: ViewTruth) -> dict[str, float]:
        """All figures of one pair, and the gradient energies that `pooled` adds up."""
        image = view.image.float()
        figures = synthesis_metrics(image, truth.real, view.hole, scored=truth.scored)
        inside = view.hole & truth.scored & ~border_holes(view.hole)
        figures["energy_inside"] = gradient_energy(image, inside)
        figures["true_energy_inside"] = gradient_energy(truth.real, inside)
        return {name: float(value) for name, value in figures.items()}

    def pooled(self, rows: list[Mapping[str, float]]) -> dict[str, float]:
        """Gradient energy of all pairs together: a mean of ratios would follow the one hole that is almost flat."""
        total = sum(row["true_energy_inside"] for row in rows)
        return {"gradient_inside": sum(row["energy_inside"] for row in rows) / total if total > 0 else float("nan")}


def cells_of_unknown(disparity: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """Cells of the second view that pixels of unknown disparity may cover.

    Each gets the disparity of its nearest known neighbour of the row, once from the left and once from the right.
    """
    ends = hole_ends(~valid)
    width = valid.shape[-1]
    from_left = disparity.gather(-1, ends.left.clamp(min=0))
    from_right = disparity.gather(-1, ends.right.clamp(max=width - 1))
    from_left, from_right = (
        torch.where(ends.left < 0, from_right, from_left),
        torch.where(ends.right >= width, from_left, from_right),
    )
    nothing = torch.zeros_like(disparity)
    reached = [~forward_warp(nothing, guess, ~valid).hole for guess in (from_left, from_right)]
    return reached[0] | reached[1]
