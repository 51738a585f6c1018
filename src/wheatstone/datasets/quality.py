"""The figures of a sample that tell a good one from a suspicious one."""

import torch
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import nearest_refill, relative_edges
from wheatstone.samples import StereoSample

__all__ = ["quality_figures"]


def quality_figures(sample: StereoSample) -> dict[str, float]:
    """Figures of the manifest, computed from what is stored.

    Returns:
        `scale_px`, the scale drawn by the rule, else the largest disparity; `hole_share`, painted pixels of the right view (of
        the left one where that is synthetic, of both where both are); `mean_confidence`; `visible_share`, pixels of the left
        view seen in the right one; `edge_share`, pixels on depth edges (`geometry.relative_edges`; unknown disparity is
        taken to be that of the nearest known pixel). Shares are 0..1.

    Raises:
        InputError: a map that is missing.
    """
    disparity, hole, visible, confidence = sample.disparity, sample.hole, sample.visible, sample.confidence
    if disparity is None or hole is None or visible is None or confidence is None:
        raise InputError(f"{sample.key}: quality figures need disparity, hole, visible and confidence")
    painted = [sample.extras["origin_left"] > 0] if "origin_left" in sample.extras else []
    if not painted or "right" in sample.provenance.get("synthetic_views", ()):
        painted.append(hole)
    known = disparity if sample.valid is None else nearest_refill(disparity[None], ~sample.valid[None])[0]
    return {
        "scale_px": round(float(sample.provenance.get("scale_px") or disparity.amax()), 4),
        "hole_share": _share(torch.stack(painted)),
        "mean_confidence": round(float(confidence.double().mean()), 4),
        "visible_share": _share(visible),
        "edge_share": _share(relative_edges(known[None])),
    }


def _share(mask: Tensor) -> float:
    return round(float(mask.to(torch.float64).mean()), 6)
