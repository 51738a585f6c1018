"""Metrics, benchmark protocols, reports."""

from wheatstone.evaluation.benchmark import evaluate, validate_matcher
from wheatstone.evaluation.controls import ConstantDepth, ConstantDisparity
from wheatstone.evaluation.depth_metrics import (
    AffineFit,
    align_affine,
    depth_edge_metrics,
    depth_metrics,
    fit_affine,
    inverse_depth_metrics,
)
from wheatstone.evaluation.disparity_metrics import disparity_metrics
from wheatstone.evaluation.gallery import Gallery
from wheatstone.evaluation.matcher_presets import MATCHER_PROTOCOLS, matcher_protocol
from wheatstone.evaluation.matcher_protocol import MatcherProtocol
from wheatstone.evaluation.page import write_page
from wheatstone.evaluation.protocols import DepthProtocol, SynthesisProtocol
from wheatstone.evaluation.report import Column, Report, Row
from wheatstone.evaluation.view_metrics import border_holes, gradient_energy, masked_psnr, synthesis_metrics

__all__ = [
    "MATCHER_PROTOCOLS",
    "AffineFit",
    "Column",
    "ConstantDepth",
    "ConstantDisparity",
    "DepthProtocol",
    "Gallery",
    "MatcherProtocol",
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
    "matcher_protocol",
    "synthesis_metrics",
    "validate_matcher",
    "write_page",
]
