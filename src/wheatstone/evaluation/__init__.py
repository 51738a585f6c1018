"""Metrics, benchmark protocols, reports."""

from wheatstone.evaluation.benchmark import evaluate, validate_matcher
from wheatstone.evaluation.consistency import pair_consistency
from wheatstone.evaluation.controls import ConstantDepth, ConstantDisparity, IdentityView
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
from wheatstone.evaluation.perceptual import Lpips, load_lpips
from wheatstone.evaluation.protocols import DepthProtocol
from wheatstone.evaluation.report import Column, Report, Row
from wheatstone.evaluation.scale_fit import ScaleFit, fit_scale
from wheatstone.evaluation.synthesis_presets import SYNTHESIS_PROTOCOLS, synthesis_protocol
from wheatstone.evaluation.synthesis_protocol import SynthesisProtocol
from wheatstone.evaluation.view_metrics import (
    border_holes,
    gradient_energy,
    hole_rim,
    masked_psnr,
    mixed_colours,
    pooled_ssim,
    synthesis_metrics,
)

__all__ = [
    "MATCHER_PROTOCOLS",
    "SYNTHESIS_PROTOCOLS",
    "AffineFit",
    "Column",
    "ConstantDepth",
    "ConstantDisparity",
    "DepthProtocol",
    "Gallery",
    "IdentityView",
    "Lpips",
    "MatcherProtocol",
    "Report",
    "Row",
    "ScaleFit",
    "SynthesisProtocol",
    "align_affine",
    "border_holes",
    "depth_edge_metrics",
    "depth_metrics",
    "disparity_metrics",
    "evaluate",
    "fit_affine",
    "fit_scale",
    "gradient_energy",
    "hole_rim",
    "inverse_depth_metrics",
    "load_lpips",
    "masked_psnr",
    "matcher_protocol",
    "mixed_colours",
    "pair_consistency",
    "pooled_ssim",
    "synthesis_metrics",
    "synthesis_protocol",
    "validate_matcher",
    "write_page",
]
