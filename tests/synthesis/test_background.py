"""Random-background fill: published colour transfer, guards, what the result depends on."""

import numpy as np
import pytest
import torch
from PIL import Image

from wheatstone import load_synthesizer
from wheatstone.errors import CheckpointError, InputError
from wheatstone.geometry import forward_warp
from wheatstone.synthesis.background import BackgroundSynthesizer, pool_digest, transfer_colour


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "pool"
    (folder / "sub").mkdir(parents=True)
    for index, (name, size) in enumerate({"a.png": (60, 50), "sub/b.jpg": (200, 30), "sub/c.png": (9, 7)}.items()):
        pixels = np.random.default_rng(index).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("size", ["40x72", "33x81"])
def test_official_transfer_equals_stereo_from_mono(goldens, size):
    with np.load(goldens / "mfs_forward_warp.npz") as golden:
        photo, left, expected = (golden[f"{size}/{n}"] for n in ("background", "image", "background_color_transfer"))
    photo, left = (torch.from_numpy(array).permute(2, 0, 1).double() / 255 for array in (photo, left))
    ours = transfer_colour(photo, left, official=True)
    assert np.array_equal((ours * 255).floor().to(torch.uint8).permute(1, 2, 0).numpy(), expected)


def test_transfer_matches_mean_and_spread():
    generator = torch.Generator().manual_seed(0)
    photo = 0.4 + 0.05 * torch.randn(3, 40, 50, generator=generator)
    target = 0.5 + 0.1 * torch.rand(3, 20, 30, generator=generator)
    moved = transfer_colour(photo, target)
    torch.testing.assert_close(moved.mean((1, 2)), target.mean((1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved.std((1, 2)), target.std((1, 2)), atol=2e-4, rtol=0)
    assert not torch.allclose(moved, transfer_colour(photo, target, official=True), atol=1e-3)


@pytest.mark.parametrize("official", [False, True])
def test_flat_photos_do_not_divide_by_zero(official):
    target = torch.rand(3, 8, 9)
    moved = transfer_colour(torch.full((3, 5, 6), 0.25), target, official=official)
    torch.testing.assert_close(moved, target.mean((1, 2))[:, None, None].expand(3, 5, 6))


@pytest.mark.parametrize("baseline", [1.0, -1.0])
def test_holes_show_the_pool_and_nothing_else_is_touched(pool, baseline):
    left, disparity = torch.rand(2, 3, 24, 40), torch.zeros(2, 1, 24, 40)
    disparity[..., 10:20] = 6.0
    synthesizer = load_synthesizer("background", weights=pool)
    view = synthesizer(left, disparity, baseline=baseline, generators=generators(1, 2))
    again = synthesizer(left[1:], disparity[1:], baseline=baseline, generators=generators(2))
    assert torch.equal(view.image[1], again.image[0])
    other = synthesizer(left, disparity, baseline=baseline, generators=generators(3, 4))
    hole = view.hole.expand_as(view.image)
    assert not torch.equal(view.image[hole], other.image[hole])
    assert torch.equal(view.image[~hole], other.image[~hole])
    if baseline > 0:
        assert torch.equal(view.image[~hole], forward_warp(left, disparity).image[~hole])


def test_the_pool_is_part_of_the_configuration(pool, tmp_path):
    synthesizer = BackgroundSynthesizer(pool)
    assert synthesizer.config["pool_sha256"] == pool_digest(pool)
    assert "pool" not in synthesizer.fingerprint()["config"]
    moved = tmp_path / "elsewhere"
    pool.rename(moved)
    assert BackgroundSynthesizer(moved).fingerprint() == synthesizer.fingerprint()
    synthesizer.config["pool"] = str(moved)
    synthesizer.save_pretrained(tmp_path / "saved")
    assert BackgroundSynthesizer.from_pretrained(tmp_path / "saved").config == synthesizer.config
    (moved / "a.png").unlink()
    assert BackgroundSynthesizer(moved).fingerprint() != synthesizer.fingerprint()
    with pytest.raises(CheckpointError, match="are not the pool"):
        BackgroundSynthesizer.from_pretrained(tmp_path / "saved")


def test_errors(pool, tmp_path):
    with pytest.raises(InputError, match="background=FOLDER"):
        load_synthesizer("background")
    with pytest.raises(InputError, match="no such folder"):
        load_synthesizer("background", weights=tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos"):
        load_synthesizer("background", weights=tmp_path / "empty")
    with pytest.raises(InputError, match="generator of every item"):
        load_synthesizer("background", weights=pool)(torch.rand(1, 3, 4, 5), torch.ones(1, 1, 4, 5))
