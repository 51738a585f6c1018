"""One photo: what is promised of the sample, and on what it depends."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from tests.generation.parts import TinyDepth, make_photo, tiny_generator

from wheatstone.datasets.quality import quality_figures
from wheatstone.disparity import FixedShare, UniformPixels
from wheatstone.errors import FileFormatError, InputError
from wheatstone.files import read_photo
from wheatstone.generation import CleanUp, StereoGenerator
from wheatstone.geometry import forward_warp
from wheatstone.samples import Depth, Origin, to_uint8
from wheatstone.synthesis import load_synthesizer


@pytest.fixture
def path(tmp_path):
    return make_photo(tmp_path / "cat.png")


def _same(one, two):
    names = ("disparity", "valid", "confidence", "visible", "hole", "origin")
    same_maps = all(torch.equal(getattr(one, name), getattr(two, name)) for name in names)
    return same_maps and all(torch.equal(one.views[name], two.views[name]) for name in one.views)


def test_the_sample_of_a_photo(path):
    sample = tiny_generator()(path)
    assert sample.key == "cat.png"
    assert sample.baselines == {"left": 0.0, "right": 1.0}
    np.testing.assert_array_equal(to_uint8(sample.views["left"]), read_photo(path).image)
    for name in ("disparity", "valid", "confidence", "visible", "hole", "origin"):
        assert getattr(sample, name).shape == (1, 72, 96), name
    assert sample.provenance["source_sha256"] == read_photo(path).sha256
    assert 0 <= sample.confidence.min() < sample.confidence.max() <= 1
    assert 0.01 * 96 <= sample.provenance["scale_px"] <= 0.2 * 96


def test_right_is_exactly_the_warp_by_the_rounded_disparity(path):
    sample = tiny_generator()(path)
    codes = sample.disparity * 256
    assert torch.equal(codes, codes.round())
    assert codes.min() >= 1
    warp = forward_warp(sample.views["left"][None], sample.disparity[None], sample.valid[None])
    known = ~sample.hole[0].numpy()
    np.testing.assert_array_equal(to_uint8(warp.image[0])[known], to_uint8(sample.views["right"])[known])
    assert torch.equal(warp.visible[0], sample.visible)
    assert torch.equal(sample.hole, sample.origin != Origin.WARPED)
    assert sample.hole.any()


def test_it_depends_on_photo_key_seed_and_configuration_alone(path):
    sample = tiny_generator()(path, "k")
    assert _same(sample, tiny_generator()(path, "k"))
    assert _same(sample, tiny_generator()(read_photo(path), "k"))
    assert _same(sample, tiny_generator()(Image.open(path), "k"))
    assert _same(sample, tiny_generator()(read_photo(path).image, "k"))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global generators must not matter
    assert _same(sample, tiny_generator()(path, "k"))
    for other in (
        tiny_generator()(path, "other key"),
        tiny_generator(seed=1)(path, "k"),
        tiny_generator(rule=FixedShare(share=0.1))(path, "k"),
        tiny_generator(depth=TinyDepth(seed=1))(path, "k"),
        tiny_generator(clean_up=CleanUp(0, 0.0))(path, "k"),
    ):
        assert not torch.equal(sample.disparity, other.disparity)


def test_the_number_of_threads_outside_does_not_matter(path):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = tiny_generator()(path)
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert _same(two, tiny_generator()(path))
    finally:
        torch.set_num_threads(before)


def test_the_configuration_covers_everything_that_changes_a_sample():
    base = tiny_generator()
    for other in (
        tiny_generator(max_side=64),
        tiny_generator(rule=UniformPixels()),
        tiny_generator(clean_up=CleanUp(2, 3.0)),
        tiny_generator(threads=2),
    ):
        assert other.config != base.config
    assert tiny_generator(depth=TinyDepth(1)).parts != base.parts
    assert tiny_generator(synthesizer=load_synthesizer("warp")).parts != base.parts
    assert tiny_generator(batch=9).config == base.config
    assert base.parts["depth"]["weights_sha256"]


def test_max_side_reduces_image_and_focal_length(path):
    photo = dataclasses.replace(read_photo(path), focal_px=100.0)
    sample = tiny_generator(max_side=48)(photo, "k")
    assert sample.views["left"].shape == (3, 36, 48)
    assert sample.provenance["focal_px"] == 50.0
    assert sample.provenance["source"]["size"] == [96, 72]
    assert tiny_generator(max_side=96)(photo, "k").provenance["focal_px"] == 100.0


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 200), (201, 3), (17, 31)])
def test_odd_sizes(height, width):
    photo = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    sample = tiny_generator()(photo, "k")
    assert sample.views["right"].shape == (3, height, width)
    assert all(np.isfinite(value) for value in quality_figures(sample).values())


class Flat(TinyDepth):
    def _predict(self, image):
        return torch.ones_like(image[:, :1])


class Patchy(TinyDepth):
    """Knows nothing in one corner."""

    def __call__(self, image, *, confidence=False):
        made = super().__call__(image, confidence=confidence)
        made.inverse_depth[..., :9, :9] = torch.nan
        return Depth(made.inverse_depth, made.confidence, {"tiles": 4})


def test_constant_depth_moves_nothing_and_is_trusted(path):
    sample = tiny_generator(depth=Flat())(path)
    assert sample.disparity.unique().tolist() == [1 / 256]  # one step: known, not unknown
    assert sample.confidence.eq(1).all()


def test_unknown_depth_stays_unknown_and_notes_are_kept(path):
    sample = tiny_generator(depth=Patchy(), clean_up=CleanUp(0, 0.0))(path)
    assert not sample.valid[0, :9, :9].any()
    assert sample.valid[0, 9:, 9:].all()
    assert not sample.visible[0, :9, :9].any()
    assert sample.provenance["depth_notes"] == {"tiles": 4}


def test_placeholder_depth_says_so(path):
    generator = StereoGenerator("row-prior", None, "rows")
    assert "placeholder depth" in generator.notes[0]
    assert "depth-anything-v2-small" in generator.notes[0]
    assert generator(path).provenance["depth"] == "placeholder depth"
    assert tiny_generator().notes == ()


def test_large_disparity_takes_a_coarser_grid():
    photo = np.linspace(0, 255, 3000).astype(np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    sample = tiny_generator(rule=FixedShare(share=0.12))(photo, "k")
    codes = sample.disparity * 64
    assert torch.equal(codes, codes.round())
    assert sample.disparity.max() > 255


def test_errors(path, tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        tiny_generator()(tmp_path / "none.jpg")
    with pytest.raises(InputError, match="relative path"):
        tiny_generator()(path, "../k")
    with pytest.raises(InputError, match="max_side"):
        tiny_generator(max_side=3)
    with pytest.raises(InputError, match="threads"):
        tiny_generator(threads=0)
    with pytest.raises(InputError, match="one photo at a time"):
        tiny_generator()(torch.zeros(2, 3, 9, 9), "k")
    with pytest.raises(InputError, match="unknown depth estimator"):
        StereoGenerator("no such thing")
