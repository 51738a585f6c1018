"""How a synthesised second view is scored: every switch that published protocols set differently, in one value."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.depth import DepthEstimator
from wheatstone.errors import CheckpointError, InputError
from wheatstone.evaluation.consistency import judged_by, pair_consistency
from wheatstone.evaluation.framing import as_saved, centre_square, compared_at, in_8_bits, resized_view
from wheatstone.evaluation.perceptual import Lpips, LpipsNet, load_lpips
from wheatstone.evaluation.protocols import SkippedItem
from wheatstone.evaluation.report import Column
from wheatstone.evaluation.scale_fit import fit_affine, fit_scale, scaled_disparity
from wheatstone.evaluation.siou import stereo_iou, wrapped_psnr
from wheatstone.evaluation.view_metrics import border_holes, gradient_energy, pooled_ssim, synthesis_metrics
from wheatstone.geometry import forward_warp, hole_ends, open_mask, resize_disparity
from wheatstone.matching import StereoMatcher
from wheatstone.matching.sgbm import Sgbm
from wheatstone.samples import StereoSample, View

__all__ = ["SynthesisProtocol", "ViewTruth", "cells_of_unknown"]


@dataclass(frozen=True)
class ViewTruth:
    """Truth of one pair.

    Attributes:
        left: what the synthesizer gets, 0..1.
        disparity: what it is asked for, pixels of this width, 0 where unknown.
        valid: where it is known.
        real: the real second view.
        scored: pixels of it that may count.
        hole: frame of the second view, where the protocol's own warp leaves nothing: the same for all synthesizers.
        visible: frame of the left view, what the second view shares by that warp.
        share: where the disparity is an estimate, the scale that was found for it.
        notes: what a reader of the figures must know about this item.
    """

    left: Float[Tensor, "1 3 H W"]
    disparity: Float[Tensor, "1 1 H W"]
    valid: Bool[Tensor, "1 1 H W"]
    real: Float[Tensor, "1 3 H W"]
    scored: Bool[Tensor, "1 1 H W"]
    hole: Bool[Tensor, "1 1 H W"]
    visible: Bool[Tensor, "1 1 H W"]
    share: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SynthesisProtocol:
    """A real second view against the one made of the left view and a disparity. `synthesis_protocol` has named ones.

    The default is the house's: the disparity is the true one, so every method starts from the same correct pixels and is judged
    by what it paints into the holes of the warp; images keep their size.

    Attributes:
        name: what to call it in a table.
        depth: take the disparity from this estimator instead of the truth, which is then not looked at: inverse depth between 0
            (farthest) and 1 (nearest pixel), edges cleaned as `generate` does, times one scale a pair (`fit_scale`).
        fit: what is found for a pair's estimated depth: its `scale`, or for films scale and offset (`affine`, `fit_affine`).
        min_density: leave out pairs with less known truth: their holes are gaps of the truth.
        count_unknown: also score cells where pixels of unknown disparity may belong. By default a hole counts only if no
            pixel of unknown truth would land there with the disparity of its nearest known neighbour in the row, left or right.
        square: side to which both views are resized (bilinear, aspect not kept; disparity to the nearest pixel) and rounded to
            8 bits before anything else; None keeps them.
        crop: first cut the square in the middle out.
        warp: which warp says what a hole is.
        opening: what landed in a run of fewer columns than this (odd) counts as hole too; 1 leaves the warp alone. It decides
            where figures are taken, not what a synthesizer paints.
        compare_at: PSNR and SSIM of the whole view are those of the view as saved (8 bits, cut off and not rounded), both resized
            to a square of this side (bicubic); SSIM averages blocks of pixels until about 256 are left a side. None: as it is.
        lpips: network of LPIPS, or None to leave it out.
        matcher: a frozen matcher that looks for the disparity asked for in (left, generated right), or None. Semi-global
            matching whatever the library's default is: it learned nothing that a synthesizer learned too. What it does
            where that disparity is negative: see `judged_by`.
        official: the slips of published scripts. GenStereo's, where `crop` is on: the disparity is cut one column further left
            than the views where the margin is odd, and unknown truth counts as known and 0. Mono2Stereo's: SIoU by
            differences that wrap at 256, and the PSNR of such differences in a column of its own.
        view: name of the view to compare with.
    """

    name: str = "wheatstone"
    depth: DepthEstimator | None = None
    fit: str = "scale"
    min_density: float = 0.9
    count_unknown: bool = False
    square: int | None = None
    crop: bool = False
    warp: Literal["two-tap", "nearest"] = "two-tap"
    opening: int = 1
    compare_at: int | None = None
    lpips: LpipsNet | None = "alex"
    matcher: StereoMatcher | None = field(default_factory=Sgbm)
    official: bool = False
    view: str = "right"

    def __post_init__(self) -> None:
        """Refuse switches that mean nothing.

        Raises:
            InputError: see the message.
        """
        if min(self.square or 16, self.compare_at or 16) < 16:
            raise InputError(f"views need sides of at least 16 px, got {self.square} and {self.compare_at}")
        if self.fit not in ("scale", "affine"):
            raise InputError(f"unknown fit {self.fit!r}: use scale or affine")
        if self.fit == "affine" and self.depth is None:
            raise InputError("fit 'affine' finds scale and offset of an estimator's depth: give one as depth")
        if not 0 <= self.min_density <= 1 or self.opening % 2 != 1:
            raise InputError(f"needs min_density in 0..1 and an odd opening: {self.min_density}, {self.opening}")

    @property
    def ranking(self) -> tuple[str, int]:
        """The figure that tells good items from bad ones, +1 if it grows with the error."""
        holes_alone = self.depth is None and self.compare_at is None
        return ("psnr_inside" if holes_alone else "psnr"), -1

    @property
    def columns(self) -> tuple[Column, ...]:
        """The figures; LPIPS only where it can be measured, the table of the matcher only with one."""
        holes_alone = self.ranking[0] == "psnr_inside"
        columns = [
            Column("psnr_inside", "PSNR inside", "high", digits=2, per_item=holes_alone),
            Column("psnr_holes", "PSNR holes", "high", digits=2, per_item=True),
            Column("gradient_inside", "gradient inside", digits=2, per_item=holes_alone),
            Column("psnr_outside", "PSNR outside", "high", digits=2),
            Column("psnr", "PSNR", "high", digits=2, per_item=not holes_alone),
            Column("ssim", "SSIM", "high", per_item=not holes_alone),
            Column("ssim_holes", "SSIM holes", "high"),
            Column("ssim_outside", "SSIM outside", "high"),
        ]
        if not holes_alone:
            columns = [*columns[4:6], *columns[:4], *columns[6:]]
        columns.append(Column("siou", "SIoU, wrapped" if self.official else "SIoU", "high"))
        if self.official:
            columns.append(Column("psnr_wrapped", "PSNR, wrapped", "high", digits=2))
        if isinstance(self._perceptual, Lpips):
            columns.append(Column("lpips", f"LPIPS {self.lpips}", "low"))
        columns.append(Column("seconds", "s/image", digits=3, repeatable=False))
        if self.matcher is not None:
            group = f"the disparity that was asked for, as the matcher {self.matcher.name} finds it"
            columns += [
                Column("consistency/epe", "EPE px", "low", digits=2, group=group),
                Column("consistency/bad", "bad-1", "low", percent=True, digits=1, group=group),
                Column("consistency/density", "answered", percent=True, digits=1, group=group),
            ]
        return tuple(columns)

    @cached_property
    def _perceptual(self) -> Lpips | str:
        """LPIPS, or why there is none."""
        if self.lpips is None:
            return ""
        try:
            return load_lpips(self.lpips)
        except CheckpointError as error:
            return f"no LPIPS: {error}"

    def truth(self, sample: StereoSample) -> ViewTruth:
        """Find what the synthesizers get and what they are compared with.

        Raises:
            SkippedItem: no real second view; no disparity, or too little of it, where it is needed.
        """
        if self.view not in sample.views:
            raise SkippedItem(f"needs a real view {self.view!r}")
        if self.view in sample.provenance.get("synthetic_views", ()):
            raise SkippedItem(f"its view {self.view!r} was synthesised, so it is no truth")
        if sample.reference != "left" or sample.baselines.get(self.view) != 1.0:
            raise SkippedItem(f"its view {self.view!r} is not at baseline 1 of the left view")
        left, real = sample.views["left"][None], sample.views[self.view][None]
        if self.depth is None:
            disparity, valid = self._known(sample)
            return self._framed(left, real, disparity, valid)
        with torch.inference_mode():
            inverse = self.depth(left.to(self.depth.device)).inverse_depth.float().cpu()
        try:
            disparity, valid, share, notes = self._estimated(left, real, inverse)
        except InputError as error:
            raise SkippedItem(str(error)) from error
        return self._framed(left, real, disparity, valid, share, notes)

    def _estimated(self, left: Tensor, real: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor, float, tuple[str, ...]]:
        """Disparity of relative inverse depth and its validity, the share of the width that was found, what to say about it."""
        if self.fit == "affine":
            found = fit_affine(left, real, inverse)
            return found.disparity, found.disparity.isfinite(), found.share, ()
        scale = fit_scale(left, real, inverse)
        made = scaled_disparity(inverse, scale.share)
        end = "the scale found lies at an end of the range searched: a better one may lie beyond"
        return made.disparity, made.valid, scale.share, (end,) if scale.at_end else ()

    def _known(self, sample: StereoSample) -> tuple[Tensor, Tensor]:
        if sample.disparity is None:
            raise SkippedItem("needs true disparity; the protocols leak-free and mono2stereo do without")
        valid = torch.isfinite(sample.disparity) if sample.valid is None else sample.valid
        density = float(valid.float().mean())
        if density < self.min_density:
            raise SkippedItem(f"truth covers only {100 * density:.0f} % of the image")
        if not density:
            raise SkippedItem("no pixel with known truth")
        return torch.where(valid, sample.disparity, 0.0)[None], valid[None]

    def _framed(
        self,
        left: Tensor,
        real: Tensor,
        disparity: Tensor,
        valid: Tensor,
        share: float | None = None,
        notes: tuple[str, ...] = (),
    ) -> ViewTruth:
        """Crop and resize everything alike, then warp."""
        if self.crop:
            left, real = centre_square(left), centre_square(real)
            disparity, valid = (centre_square(values, further_left=self.official) for values in (disparity, valid))
            if self.official:
                valid = torch.ones_like(valid)
        if self.square is not None:
            size = (self.square, self.square)
            left, real = (in_8_bits(resized_view(view, size)) for view in (left, real))
            disparity, valid = resize_disparity(disparity, size, valid)
        scored = torch.ones_like(valid)
        if not (self.count_unknown or self.depth is not None):
            scored = ~cells_of_unknown(disparity, valid)
        warped = forward_warp(torch.zeros_like(disparity), disparity, valid, self.warp)
        hole = ~open_mask(~warped.hole, (1, self.opening))
        visible = valid & warped.visible
        if self.matcher is not None and (note := judged_by(self.matcher, disparity, visible).note):
            notes = (*notes, note)
        return ViewTruth(left, disparity, valid, real, scored, hole, visible, share, notes)

    def score(self, view: View, truth: ViewTruth) -> dict[str, float]:
        """All figures of one pair, and the gradient energies that `pooled` adds up."""
        image = view.image.float().clamp(0, 1)
        if self.compare_at is not None:
            image = as_saved(image)
        figures = synthesis_metrics(image, truth.real, truth.hole, scored=truth.scored)
        if self.compare_at is not None:
            pair = compared_at(image, self.compare_at), compared_at(truth.real, self.compare_at)
            figures["psnr"] = -10 * (pair[0] - pair[1]).double().square().mean(dim=(1, 2, 3)).log10()
            figures["ssim"] = pooled_ssim(*pair)
        inside = truth.hole & truth.scored & ~border_holes(truth.hole)
        figures["energy_inside"] = gradient_energy(image, inside)
        figures["true_energy_inside"] = gradient_energy(truth.real, inside)
        result = {name: float(value) for name, value in figures.items()}
        result["siou"] = float(stereo_iou(image, truth.real, truth.left, official=self.official))
        if self.official:
            result["psnr_wrapped"] = float(wrapped_psnr(image, truth.real))
        if isinstance(self._perceptual, Lpips):
            result["lpips"] = self._perceptual(image, truth.real)
        if self.matcher is not None:
            found = pair_consistency(self.matcher, truth.left, image, truth.disparity, truth.visible)
            result |= {f"consistency/{name}": value for name, value in found.items()}
        return result | ({} if truth.share is None else {"share": truth.share})

    def pooled(self, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Gradient energy of all pairs together: a mean of ratios would follow the one hole that is almost flat."""
        total = sum(row["true_energy_inside"] for row in rows)
        return {"gradient_inside": sum(row["energy_inside"] for row in rows) / total if total > 0 else math.nan}

    def remarks(self, rows: Sequence[Mapping[str, float]]) -> list[str]:
        """Where the disparity comes from, and why there is no LPIPS; from the figures of one part."""
        said = []
        shares = [row["share"] for row in rows if "share" in row]
        if self.depth is not None and shares:
            span = f"{100 * min(shares):.1f} to {100 * max(shares):.1f} %"
            how = {
                "scale": "between 0 (farthest) and 1 (nearest pixel) times one scale a pair, that which makes semi-global "
                "matching of (left, warped left with row fill) agree best, in root mean square, with that of (left, real right)",
                "affine": "with one scale and one offset a pair, fitted to semi-global matching of (left, real right)",
            }
            said.append(
                f"no true geometry: the disparity is the inverse depth of {self.depth.name} {how[self.fit]}; found {span} of the "
                f"width from the farthest to the nearest pixel, mean {100 * sum(shares) / len(shares):.1f} %"
            )
        return [*said, *([self._perceptual] if isinstance(self._perceptual, str) and self._perceptual else [])]


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
