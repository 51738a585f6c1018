"""How the depth of one photo is scored: which truth, which region, which switches. The words of a table of results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.evaluation.depth_metrics import FAR_LIMIT, depth_edge_metrics, inverse_depth_metrics
from wheatstone.evaluation.report import Column
from wheatstone.samples import StereoSample

__all__ = ["DepthProtocol", "DepthTruth", "SkippedItem"]


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
