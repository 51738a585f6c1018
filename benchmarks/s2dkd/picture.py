"""What there is to see: two students of one seed on three fresh scenes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from measures import EDGE_PX, STEP_PX
from torch import Tensor

from wheatstone.files import write_image
from wheatstone.geometry import near_steps
from wheatstone.matching import load_matcher
from wheatstone.samples import StereoSample, to_uint8
from wheatstone.viewing import colour_map, contact_sheet

_PLACES = (0.9, 0.5, 0.1)
_HIGHEST = 0.98  # quantile of the true disparity that gets the last colour: a near thing must not take all of them


def picture(path: Path, scenes: Any, sparse: Path, taught: Path) -> None:
    """Draw the left view, the scan, both students and the truth, a row a scene.

    The scenes are not the best ones: ordered by what the teacher gained in the edge band they stand at nine tenths, in the
    middle, and at one tenth.
    """
    samples = [scenes[index] for index in range(len(scenes))]
    before, after = (_answers(weights, samples) for weights in (sparse, taught))
    triples = list(zip(samples, before, after, strict=True))
    gains = [_edge_error(old, sample) - _edge_error(new, sample) for sample, old, new in triples]
    order = np.argsort(gains)
    chosen = [int(order[round(share * (len(order) - 1))]) for share in _PLACES]
    rows = [_row(*triples[index]) for index in chosen]
    write_image(path, contact_sheet(rows))


@torch.no_grad()
def _answers(weights: Path, samples: Sequence[StereoSample]) -> list[Tensor]:
    matcher = load_matcher(str(weights))
    return [matcher(sample.views["left"][None], sample.views["right"][None]).disparity for sample in samples]


def _edge_error(answer: Tensor, sample: StereoSample) -> float:
    truth = sample.disparity[None]
    band = near_steps(truth, step_px=STEP_PX, radius=EDGE_PX) & ~sample.extras["sky"][None]
    return float((answer - truth).abs()[band].mean()) if band.any() else 0.0


def _row(sample: StereoSample, *answers: Tensor) -> list[np.ndarray]:
    truth = sample.disparity[None]
    high = float(torch.quantile(truth, _HIGHEST))
    scan = torch.where(sample.valid, sample.disparity, torch.zeros_like(sample.disparity))
    grown = torch.from_numpy(cv2.dilate(scan[0].numpy(), np.ones((2, 2), np.uint8)))  # a pixel is hardly seen
    maps = [colour_map(grown, grown > 0, low=0.0, high=high)]
    maps += [colour_map(values, low=0.0, high=high) for values in (*answers, truth)]
    return [to_uint8(sample.views["left"]), *maps]
