"""Data of stereo recipes: pairs of data sets, pairs made of pictures, depth that is estimated once."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import torch

from wheatstone.datasets import StereoDataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.depth import load_depth
from wheatstone.disparity import AdaptiveDisparity, FixedShare
from wheatstone.errors import InputError
from wheatstone.files import write_image
from wheatstone.generation.discovery import find_photos
from wheatstone.generation.generator import CleanUp
from wheatstone.geometry import forward_warp
from wheatstone.samples import StereoSample
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.genstereo import GenStereo, small_networks
from wheatstone.training.order import DataSource
from wheatstone.training.pictures import EstimatedPictures, PhotoImages, Picture, Pictures, degraded_depth
from wheatstone.training.stereo_data import DatasetPairs, MadePairs, made_pairs, stereo_pairs

PLAIN = StereoAugmentation(crop=(48, 64)).only()


def draw(seed=0):
    return np.random.default_rng(seed)


def noise(height=48, width=64, seed=0):
    soft = cv2.GaussianBlur(draw(seed).random((height, width, 3)), (0, 0), 2)
    return np.uint8(255 * (soft - soft.min()) / (soft.max() - soft.min()))


@dataclass(frozen=True)
class Boxes(Pictures):
    """Pictures of a box in front of a wall."""

    count: int = 3
    confident: bool = True

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        inverse = np.full((48, 64), 0.2, np.float32)
        inverse[10:40, 30:50] = 1.0
        return Picture(f"box-{index}", self.image(index), inverse, np.full((48, 64), 0.25, np.float32))

    def image(self, index):
        return noise(seed=index)


class Memory(StereoDataset):
    name, keys = "memory", ["a", "b"]

    def read(self, index):
        image = torch.from_numpy(noise(seed=index)).permute(2, 0, 1).float() / 255
        return StereoSample(self.keys[index], {"left": image, "right": image}, {}, disparity=torch.ones(1, 48, 64))


def test_pairs_of_a_data_set_need_neither_confidence_nor_masks():
    source = DatasetPairs(Memory(), PLAIN)
    assert isinstance(source, DataSource)
    assert len(source) == 2
    item = source.item(1, 7, draw())
    assert item["key"] == "b"
    assert (item["disparity"] == 1).all()
    assert (item["confidence"] == 1).all()


def test_a_made_pair_is_the_warp_of_the_picture_outside_its_holes():
    source = made_pairs(Boxes(), {"crop": (48, 64)}, rule="fixed:share=0.1", fill="rows")
    sample = source.sample(0, draw())
    warp = forward_warp(sample.views["left"][None], sample.disparity[None])
    known = ~sample.hole
    assert torch.equal(warp.hole[0], sample.hole)
    assert torch.equal(warp.visible[0], sample.visible)
    assert ((warp.image[0] - sample.views["right"]).abs() * known).max() <= 0.5 / 255 + 1e-6
    assert sample.hole.any()
    assert (sample.views["right"] * sample.hole).abs().sum() > 0  # painted
    assert (sample.confidence == 0.25).all()
    assert sample.disparity.max().item() == pytest.approx(6.4)


def test_the_fill_may_be_typed_as_for_generate(tmp_path):
    source = made_pairs(Boxes(), {"crop": (48, 64)}, fill="edge-aware=embedded")
    assert source.filler.fingerprint() == load_synthesizer("edge-aware", weights="embedded").fingerprint()
    assert source.clean_up.method == "edge-aware"
    load_synthesizer("classical", radius=2.0).save_pretrained(tmp_path / "painter")
    source = made_pairs(Boxes(), {"crop": (48, 64)}, fill=f"edge-aware={tmp_path / 'painter'}")
    assert source.filler.backend.config["radius"] == 2.0
    GenStereo(small_networks(0)).save_pretrained(tmp_path / "genstereo")
    with pytest.raises(InputError, match="edge-aware=NAME"):
        made_pairs(Boxes(), {"crop": (48, 64)}, fill=f"genstereo={tmp_path / 'genstereo'}")


def test_every_epoch_has_another_scale_and_the_same_draws_give_the_same_pair():
    source = made_pairs(Boxes(), {"crop": (48, 64)})
    scales = {source.sample(0, draw(seed)).provenance["scale_px"] for seed in range(5)}
    assert len(scales) == 5
    first, again = source.item(0, 0, draw(1)), source.item(0, 9, draw(1))
    assert all(torch.equal(first[name], again[name]) for name in first if name != "key")


def test_background_fill_shows_another_picture_recoloured():
    source = MadePairs(Boxes(2), FixedShare(share=0.2), PLAIN, clean_up=CleanUp(0, 0.0))
    sample = source.sample(0, draw())
    rows = made_pairs(Boxes(2), {"crop": (48, 64)}, rule="fixed:share=0.2", dilate=0, threshold=0.0).sample(0, draw())
    assert torch.equal(sample.hole, rows.hole)
    assert not torch.allclose(sample.views["right"] * sample.hole, rows.views["right"] * rows.hole)
    other = torch.from_numpy(noise(seed=1)).permute(2, 0, 1).float() / 255
    where = sample.hole[0]
    shown, source_pixels = sample.views["right"][:, where].flatten(), other[:, where].flatten()
    assert np.corrcoef(shown, source_pixels)[0, 1] > 0.9
    with pytest.raises(InputError, match="at least two"):
        MadePairs(Boxes(1), FixedShare(), PLAIN)


def test_a_wide_window_with_its_right_side_cut_off_leaves_no_empty_band():
    settings = {
        "rule": ("uniform:low_px=10", "high_px=16", "official=true"),
        "dilate": 0,
    }  # as a command line splits it
    whole = made_pairs(Boxes(), {"crop": (48, 64)}, **settings).sample(0, draw(4))
    cut = made_pairs(Boxes(), {"crop": (48, 48)}, **settings, trim=16).sample(0, draw(4))
    assert cut.views["right"].shape == (3, 48, 48)
    assert whole.hole[0, :3, -2:].all()
    assert not cut.hole[0, :3].any()
    windowed = made_pairs(Boxes(), {"crop": (80, 64)}, window=(80, 100), trim=20, mirror=1.0).sample(0, draw())
    assert windowed.views["left"].shape == (3, 80, 80)  # the picture was enlarged to cover the window
    for bad in ({"trim": 100, "window": (80, 100)}, {"trim": -1}, {"mirror": 2.0}):
        with pytest.raises(InputError):
            made_pairs(Boxes(), {"crop": (48, 64)}, **bad)
    with pytest.raises(InputError, match="too narrow"):
        made_pairs(Boxes(), {"crop": (48, 64)}, trim=70).item(0, 0, draw())


def test_a_mirrored_picture_takes_its_depth_along():
    plain = made_pairs(Boxes(), {"crop": (48, 64)}, rule="fixed").sample(0, draw())
    mirrored = made_pairs(Boxes(), {"crop": (48, 64)}, rule="fixed", mirror=1.0).sample(0, draw())
    assert torch.equal(mirrored.views["left"], plain.views["left"].flip(-1))
    assert torch.equal(mirrored.disparity, plain.disparity.flip(-1))


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        write_image(tmp_path / "photos" / f"{number}.png", noise(60, 90, number))
    return tmp_path / "photos"


def estimated(photos, cache, **settings):
    return EstimatedPictures(PhotoImages(find_photos(photos).files, **settings), load_depth("row-prior"), cache)


def test_depth_is_estimated_once_and_again_when_photo_size_or_file_changed(photos, tmp_path):
    pictures = estimated(photos, tmp_path / "cache")
    first = pictures[0]
    assert first.image.shape == (60, 90, 3)
    assert first.inverse_depth.shape == (60, 90)
    path = pictures.path_of(0)
    written = path.stat().st_mtime_ns
    again = estimated(photos, tmp_path / "cache")[0]
    assert path.stat().st_mtime_ns == written
    assert np.array_equal(first.inverse_depth, again.inverse_depth)
    path.write_bytes(path.read_bytes()[:100])  # torn
    assert np.array_equal(estimated(photos, tmp_path / "cache")[0].image, first.image)
    smaller = estimated(photos, tmp_path / "cache", max_side=45)
    assert smaller.path_of(0) != path
    assert smaller[0].image.shape == (30, 45, 3)
    write_image(photos / "0.png", noise(50, 70, 9))
    assert estimated(photos, tmp_path / "cache")[0].image.shape == (50, 70, 3)


def test_the_source_follows_from_what_is_given(photos, tmp_path):
    options = {"augmentation": {"crop": (48, 64)}, "cache": tmp_path / "cache", "depth": "row-prior"}
    made = stereo_pairs(photos, 0, **options)
    assert isinstance(made, MadePairs)
    assert len(made) == 3
    assert made.item(0, 0, draw())["left"].shape == (3, 48, 64)
    assert made.rule == AdaptiveDisparity()
    with pytest.raises(InputError, match="--data"):
        stereo_pairs(tmp_path / "cache", 0, **options)
    with pytest.raises(InputError, match="generate"):
        stereo_pairs(tmp_path / "nowhere", 0, **options)
    with pytest.raises(InputError, match=r"no setting fil.*fill"):
        stereo_pairs(photos, 0, **options, fil="rows")
    with pytest.raises(InputError, match=r"no setting crops.*crop"):
        stereo_pairs(photos, 0, **{**options, "augmentation": {"crops": (3, 4)}})
    rendered = stereo_pairs(tmp_path / "cache", 0, **options, without="pairs", scenes=5)
    assert len(rendered) == 5


def test_confidence_can_be_left_out(photos, tmp_path):
    options = {"augmentation": {"crop": (48, 64)}, "cache": tmp_path / "cache", "depth": "embedded"}
    sure = stereo_pairs(photos, 0, **options, confident=False).item(0, 0, draw())
    assert (sure["confidence"] == 1).all()
    assert (stereo_pairs(photos, 0, **options).item(0, 0, draw())["confidence"] < 1).any()


def test_spoilt_depth_is_further_from_the_truth_the_more_it_is_spoilt_and_says_so():
    truth = Boxes()[0].inverse_depth
    exact = (truth - truth.min()) / (truth.max() - truth.min())
    errors, doubts = [], []
    for strength in (0.1, 1.0, 4.0):
        made = [degraded_depth(truth, draw(seed), strength) for seed in range(3)]
        errors.append(np.mean([np.abs(inverse - exact).mean() for inverse, _ in made]))
        doubts.append(np.mean([1 - confidence.mean() for _, confidence in made]))
        assert all(c.min() >= 0 and c.max() <= 1 for _, c in made)
    assert errors == sorted(errors)
    assert doubts == sorted(doubts)
    again = degraded_depth(truth, draw(0), 1.0)
    assert np.array_equal(again[0], degraded_depth(truth, draw(0), 1.0)[0])


def test_rendered_views_serve_as_pictures(tmp_path):
    pytest.importorskip("numba")
    options = {
        "augmentation": {"crop": (32, 48)},
        "cache": tmp_path,
        "without": "pictures",
        "scenes": 2,
        "size": (48, 64),
    }
    spoilt, exact = (stereo_pairs(tmp_path, 0, **options, degrade=value, rule="fixed") for value in (1.0, 0.0))
    assert (exact.sample(0, draw()).confidence == 1).all()
    sample = spoilt.sample(0, draw())
    assert not torch.equal(sample.disparity, exact.sample(0, draw()).disparity)
    assert torch.equal(sample.disparity, spoilt.sample(0, draw()).disparity)
    with pytest.raises(InputError, match="degrade"):
        stereo_pairs(tmp_path, 0, **options, degrade=-1.0)
