"""A small data set on disk, made with the real writer and real warps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from wheatstone.datasets.writer import DatasetWriter
from wheatstone.geometry import forward_warp
from wheatstone.samples import Origin, StereoSample
from wheatstone.viewing import write_report

PARTS = {
    "depth": {"part": "embedded", "config": {}, "weights_sha256": "ab" * 32},
    "rule": {"part": "adaptive", "config": {"center": 0.1}},
    "synthesizer": {"part": "rows", "config": {}, "weights_sha256": None},
}


def build_sample(key: str, seed: int, *, size: tuple[int, int] = (48, 64), largest: float = 9.0) -> StereoSample:
    """A textured plane with a square in front of it, and its warp; holes stay black."""
    height, width = size
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((1, 3, 6, 8), dtype=np.float32))
    left = torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
    left = (left * 255).round() / 255
    disparity = torch.full((1, 1, height, width), 2.0)
    disparity[..., height // 4 : height // 2, width // 3 : 2 * width // 3] = largest
    warp = forward_warp(left, disparity)
    origin = warp.hole.to(torch.uint8) * int(Origin.DISOCCLUSION)
    origin[..., -2:] = torch.where(warp.hole[..., -2:], int(Origin.BORDER), origin[..., -2:])
    return StereoSample(
        key=key,
        views={"left": left[0], "right": warp.image[0]},
        baselines={"left": 0.0, "right": 1.0},
        disparity=disparity[0],
        valid=torch.ones(1, height, width, dtype=torch.bool),
        confidence=torch.linspace(0, 1, width).expand(1, height, width).contiguous(),
        visible=warp.visible[0],
        hole=warp.hole[0],
        origin=origin[0],
        provenance={"source_sha256": "00", "synthetic_views": ["right"], "disparity_max_px": 40.0, "focal_px": 712.0},
    )


def build_dataset(folder: Path, keys: list[str], *, parts=PARTS, odd: str | None = None, finish: bool = True) -> Path:
    """Write samples of these keys; `odd` gets a large share of holes. Two photos are rejected."""
    with DatasetWriter(folder, {"rule": "adaptive"}, seed=3, parts=parts) as writer:
        for number, key in enumerate(keys):
            quality = {"scale_px": 9.0 + number, "hole_share": 0.05 + 0.001 * number, "mean_confidence": 0.5}
            if key == odd:
                quality["hole_share"] = 0.6
            writer.write(build_sample(key, number), quality)
        writer.reject("broken <b>&.jpg", "the file is empty")
        writer.reject("dark.jpg", "mean confidence 0.1 is below 0.2", kind="quality")
        if finish:
            writer.finish()
    return folder


@pytest.fixture
def make_dataset():
    """The function that writes a data set."""
    return build_dataset


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Text of the page of a data set of three samples, one with an awkward name."""
    folder = build_dataset(
        tmp_path_factory.mktemp("page") / "set", ["a/one.jpg", "b & <i>two</i> \"'.png", "three.png"]
    )
    return write_report(folder).read_text()
