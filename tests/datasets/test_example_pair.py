"""The pair inside scikit-image: read as it lies, never downloaded, and named when it is missing."""

import importlib.util

import pytest
import torch

from wheatstone.datasets import example_pair, load_dataset
from wheatstone.errors import DatasetError
from wheatstone.files import parse_calibration


def test_the_pair_with_its_truth():
    pytest.importorskip("skimage", reason="the pair comes with the extra [demo]")
    (sample,) = load_dataset("motorcycle")
    assert sample.views["left"].shape == sample.views["right"].shape == (3, 500, 741)
    known = sample.disparity[sample.valid]
    assert float(sample.valid.float().mean()) == pytest.approx(0.9265, abs=1e-4)
    assert (float(known.min()), float(known.max())) == pytest.approx((7.19, 59.9), abs=0.1)
    assert torch.isfinite(sample.disparity).all()
    camera = parse_calibration(sample.provenance["calib"])
    assert (camera.width, camera.height, camera.doffs_px) == (741, 500, 31.086)


def test_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="scikit-image is not installed"):
        load_dataset("motorcycle")


def test_a_scikit_image_without_the_pair(monkeypatch):
    pytest.importorskip("skimage", reason="the pair comes with the extra [demo]")
    monkeypatch.setattr(example_pair, "FILES", ("motorcycle_left.png", "bicycle.png"))
    with pytest.raises(DatasetError, match=r"comes without bicycle\.png"):
        load_dataset("motorcycle")
