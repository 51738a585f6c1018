"""Edge-aware generation: what `verify` promises holds, labels are sharpened where they are made, and the data set says so."""

import json

import numpy as np
import pytest
import torch
from tests.diffusion.tiny import write_pipeline
from tests.generation.parts import make_photo, make_photos
from torch.nn import functional

from wheatstone.cli import main
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.depth.base import DepthEstimator
from wheatstone.disparity import UniformPixels
from wheatstone.errors import InputError
from wheatstone.generation import CleanUp, DisparityFolder, StereoGenerator, generate
from wheatstone.geometry import clean_disparity, sharpen_disparity
from wheatstone.samples import Depth, Origin, image_batch
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.edge_aware import EdgeAware


class Block(DepthEstimator):
    """A block before a wall, with soft edges."""

    name = "block"

    def __init__(self):
        self.config = {}

    def __call__(self, image, *, confidence=False):
        inverse = torch.zeros_like(image_batch(image)[:, :1])
        inverse[..., 20:50, 30:60] = 1.0
        return Depth(functional.avg_pool2d(inverse, 5, 1, 2))


@pytest.mark.parametrize("side", ["right", "left", "both"])
def test_what_is_generated_passes_verify(tmp_path, side):
    photos = make_photos(tmp_path / "photos", 2)
    part = load_synthesizer("edge-aware", mixture=0.0)
    generator = StereoGenerator(Block(), UniformPixels(20.0, 21.0), part, synthetic_view=side)
    generate(photos, tmp_path / "out", generator, report_samples=0)
    assert verify_dataset(tmp_path / "out").ok
    header = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert header["config"]["clean_up"] == {"dilate": 1, "threshold": 1.0, "method": "edge-aware"}
    kinds = [s.origin if side != "left" else s.extras["origin_left"] for s in load_dataset(tmp_path / "out")]
    assert all((kind == Origin.CONTAMINATED_RIM).any() for kind in kinds)


def test_soft_depth_becomes_two_levels_of_disparity(tmp_path):
    photo = make_photo(tmp_path / "cat.png")
    sharp = StereoGenerator(Block(), UniformPixels(20.0, 21.0), "edge-aware")(photo)
    assert len(sharp.disparity.unique()) == 2
    soft = StereoGenerator(Block(), UniformPixels(20.0, 21.0), "edge-aware", clean_up=CleanUp(0, 0.0))(photo)
    assert len(soft.disparity.unique()) > 5


@pytest.mark.parametrize("side", ["right", "both"])
def test_sparse_disparity_passes_verify_and_is_left_as_it_is(tmp_path, side):
    make_photo(tmp_path / "photos" / "cat.png")
    disparity = torch.full((72, 96), 6.0)
    disparity[20:50, 30:60] = 14.0
    sparse = torch.where(torch.rand(72, 96, generator=torch.Generator().manual_seed(0)) < 0.4, disparity, torch.nan)
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "cat.npy", sparse.numpy())
    generator = StereoGenerator(
        synthesizer=load_synthesizer("edge-aware", mixture=0.0),
        disparities=DisparityFolder(tmp_path / "maps"),
        synthetic_view=side,
    )
    assert generator.clean_up == CleanUp(0, 0.0)
    generate(tmp_path / "photos", tmp_path / "out", generator, report_samples=0)
    assert verify_dataset(tmp_path / "out").ok
    sample = load_dataset(tmp_path / "out")[0]
    if side == "right":
        assert torch.equal(sample.disparity[sample.valid], sparse[None][sample.valid])
    assert (sample.origin == Origin.CONTAMINATED_RIM).any()
    assert sample.hole[sample.origin == Origin.CONTAMINATED_RIM].all()


def _run(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_the_command_line_names_back_end_and_clean_up(tmp_path, capsys):
    make_photo(tmp_path / "photos" / "cat.png")
    call = ["generate", str(tmp_path / "photos"), "--depth", "row-prior", "--report-samples", "0"]
    assert _run(*call, tmp_path / "a", "--synthesizer", "edge-aware=classical", "--edge-dilate", "0") == 0
    header = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert header["config"]["clean_up"] == {"dilate": 0, "threshold": 1.0, "method": "edge-aware"}
    assert header["parts"]["synthesizer"]["backend"]["part"] == "classical"
    assert _run(*call, tmp_path / "b", "--synthesizer", "rows", "--edge-method", "edge-aware") == 0
    header = json.loads((tmp_path / "b" / "dataset.json").read_text())
    assert header["config"]["clean_up"] == {"dilate": 1, "threshold": 1.0, "method": "edge-aware"}
    assert _run(*call, tmp_path / "c", "--synthesizer", "edge-aware=warp") == 2
    assert "warp" in capsys.readouterr().err
    assert _run(*call, tmp_path / "c", "--synthesizer", "edge-aware", "--steps", "3") == 2
    assert "--steps" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["embedded", "inpainting"])
def test_the_licence_is_that_of_the_painter(tmp_path, backend):
    weights = None
    if backend == "inpainting":
        write_pipeline(tmp_path / "pipeline")
        weights = tmp_path / "pipeline"
    plain = load_synthesizer(backend, weights=weights)
    plain.source = {"inpainting": "stereogen"}.get(backend, plain.source)  # as fetched from its address
    expected = StereoGenerator("row-prior", UniformPixels(20.0, 21.0), plain).parts["synthesizer"]["licence"]
    assert expected
    part = StereoGenerator("row-prior", UniformPixels(20.0, 21.0), EdgeAware(plain)).parts["synthesizer"]
    assert (part["part"], part["licence"]) == ("edge-aware", expected)


def test_clean_up_is_one_of_two_methods():
    rows, aware = load_synthesizer("rows"), load_synthesizer("edge-aware")
    assert CleanUp.fitting(rows) == CleanUp()
    assert CleanUp().config == {"dilate": 1, "threshold": 3.0}
    assert CleanUp.fitting(aware) == CleanUp(1, 1.0, "edge-aware")
    assert CleanUp.fitting(aware, method="slope") == CleanUp()
    assert CleanUp.fitting(aware, given=True) == CleanUp(0, 0.0)
    assert CleanUp.fitting(aware, given=True, threshold=2) == CleanUp(0, 2.0, "edge-aware")
    assert CleanUp.fitting(rows, given=True, method="edge-aware") == CleanUp(0, 1.0, "edge-aware")
    assert CleanUp.fitting(rows, given=True, threshold=2) == CleanUp(0, 2.0)
    disparity = 30 * torch.rand(1, 1, 9, 20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(CleanUp()(disparity), clean_disparity(disparity))
    assert torch.equal(CleanUp(1, 1.0, "edge-aware")(disparity), sharpen_disparity(disparity, dilate=1))
    assert CleanUp(0, 0.0, "edge-aware")(disparity) is disparity
    with pytest.raises(InputError, match="slope"):
        CleanUp(method="soft")
