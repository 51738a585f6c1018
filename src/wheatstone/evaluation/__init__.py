"""Metrics, benchmark protocols, reports."""

from wheatstone.evaluation.benchmark import evaluate
from wheatstone.evaluation.controls import ConstantDepth
from wheatstone.evaluation.depth_metrics import (
    AffineFit,
    align_affine,
    depth_edge_metrics,
    depth_metrics,
    fit_affine,
    inverse_depth_metrics,
)
from wheatstone.evaluation.disparity_metrics import disparity_metrics
from wheatstone.evaluation.protocols import DepthProtocol, SynthesisProtocol
from wheatstone.evaluation.report import Column, Report, Row
from wheatstone.evaluation.view_metrics import border_holes, gradient_energy, masked_psnr, synthesis_metrics

__all__ = [
    "AffineFit",
    "Column",
    "ConstantDepth",
    "DepthProtocol",
    "Report",
    "Row",
    "SynthesisProtocol",
    "align_affine",
    "border_holes",
    "depth_edge_metrics",
    "depth_metrics",
    "disparity_metrics",
    "evaluate",
    "fit_affine",
    "gradient_energy",
    "inverse_depth_metrics",
    "masked_psnr",
    "synthesis_metrics",
]
