"""What there is to see: two students of one seed on three fresh scenes."""

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


def picture(path: Path, scenes: Any, sparse: Path, taught: Path, *, enlarge: int = 1) -> None:
    """Draw the left view, the scan, both students and the truth, a row a scene.

    The scenes are not the best ones: ordered by what the teacher gained in the edge band they stand at nine tenths, in the
    middle, and at one tenth.
    """
    answers = [_answers(weights, scenes) for weights in (sparse, taught)]
    gains = [
        _edge_error(answers[0][index], scenes[index]) - _edge_error(answers[1][index], scenes[index])
        for index in range(len(scenes))
    ]
    order = np.argsort(gains)
    chosen = [int(order[round(share * (len(order) - 1))]) for share in _PLACES]
    rows = [_row(scenes[index], [found[index] for found in answers]) for index in chosen]
    write_image(path, contact_sheet(rows, enlarge=enlarge))


@torch.no_grad()
def _answers(weights: Path, scenes: Any) -> list[Tensor]:
    matcher = load_matcher(str(weights))
    samples = (scenes[index] for index in range(len(scenes)))
    return [matcher(sample.views["left"][None], sample.views["right"][None]).disparity for sample in samples]


def _edge_error(answer: Tensor, sample: StereoSample) -> float:
    truth = sample.disparity[None]
    band = near_steps(truth, step_px=STEP_PX, radius=EDGE_PX) & ~sample.extras["sky"][None]
    return float((answer - truth).abs()[band].mean()) if band.any() else 0.0


def _row(sample: StereoSample, answers: list[Tensor]) -> list[np.ndarray]:
    truth = sample.disparity[None]
    high = float(torch.quantile(truth, _HIGHEST))
    scan = torch.where(sample.valid, sample.disparity, torch.zeros_like(sample.disparity))
    grown = torch.from_numpy(cv2.dilate(scan[0].numpy(), np.ones((2, 2), np.uint8)))  # a pixel is hardly seen
    maps = [colour_map(grown, grown > 0, low=0.0, high=high)]
    maps += [colour_map(values, low=0.0, high=high) for values in (*answers, truth)]
    return [to_uint8(sample.views["left"]), *maps]
