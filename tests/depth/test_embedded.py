"""The embedded depth: any size, positive, deterministic, saved and loaded; refinement puts steps on image edges."""

import pytest
import torch
from torch.nn import functional

from wheatstone.depth import load_depth
from wheatstone.depth.embedded import EmbeddedDepth, EmbeddedDepthNet, lean_on_rows, working_size
from wheatstone.depth.refinement import refine_to_image
from wheatstone.errors import CheckpointError

SMALL = {"widths": [8, 16, 16, 16, 32], "blocks": [1, 1, 1, 1, 1], "areas": [8192, 4096]}


def make(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return EmbeddedDepth(**{**SMALL, **changes})


def photo(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, 5, 7, generator=generator)
    return functional.interpolate(noise, (height, width), mode="bilinear")


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 53), (200, 31)])
def test_any_size_gives_positive_depth_and_confidence_of_that_size(size):
    depth = make()(photo(*size), confidence=True)
    assert depth.inverse_depth.shape == depth.confidence.shape == (1, 1, *size)
    assert depth.inverse_depth.isfinite().all()
    assert depth.inverse_depth.min() > 0
    assert 0 <= depth.confidence.min() <= depth.confidence.max() <= 1


def test_looks_that_agree_are_averaged_and_looks_that_do_not_lean_on_the_rows():
    generator = torch.Generator().manual_seed(0)
    look = torch.randn(1, 1, 24, 32, generator=generator)
    rows = torch.linspace(-1, 1, 24)[:, None].expand(24, 32).flatten()
    same = look.expand(4, -1, -1, -1)
    assert torch.equal(lean_on_rows(same, 0.25, 0.45), look)
    slightly = same + 0.1 * torch.randn(4, 1, 24, 32, generator=generator)
    assert torch.equal(lean_on_rows(slightly, 0.25, 0.45), slightly.mean(0, keepdim=True))
    chance = torch.randn(4, 1, 24, 32, generator=generator)
    leaning = lean_on_rows(chance, 0.25, 0.45).flatten()
    assert torch.corrcoef(torch.stack([leaning, rows]))[0, 1] > 0.9
    assert abs(torch.corrcoef(torch.stack([chance.mean(0).flatten(), rows]))[0, 1]) < 0.2
    constant = torch.ones(4, 1, 24, 32)
    assert torch.equal(lean_on_rows(constant, 0.25, 0.45), constant[:1])


def test_full_hd_is_taken_whole():
    """The network sees a small copy; refinement works on a copy of at most a megapixel."""
    depth = make(flip_average=False)(photo(1080, 1920))
    assert depth.inverse_depth.shape == (1, 1, 1080, 1920)
    assert depth.confidence is None


def test_the_time_of_refinement_is_bounded_and_a_large_image_still_gets_its_step():
    image = torch.full((1, 3, 1100, 1400), 0.2)
    image[..., 800:] = 0.7
    ramp = torch.sigmoid(16 * (torch.linspace(-1, 1, 28) - 0.14))[None, None, None].expand(1, 1, 22, 28)
    refined = refine_to_image(ramp, image)[0, 0, 500]
    assert refined.shape == (1400,)
    assert refined[:797].max() < 0.15
    assert refined[803:].min() > 0.85


@pytest.mark.parametrize(
    ("size", "expected"), [((480, 640), (192, 256)), ((375, 1242), (128, 416)), ((640, 480), (256, 192))]
)
def test_working_size_keeps_the_aspect_and_the_stride(size, expected):
    assert working_size(*size, 49152) == expected


def test_an_item_does_not_depend_on_its_batch_and_calls_repeat_bit_by_bit():
    part, batch = make(), torch.cat([photo(40, 60), photo(40, 60, seed=1)])
    together = part(batch).inverse_depth
    assert torch.equal(together[1:], part(batch[1:]).inverse_depth)
    assert torch.equal(together, part(batch).inverse_depth)


def test_the_mirrored_photo_has_the_mirrored_depth_when_flips_are_averaged():
    part, image = make(), photo(64, 96)
    assert torch.allclose(part(image.flip(-1)).inverse_depth.flip(-1), part(image).inverse_depth, atol=1e-4)
    assert not torch.equal(make(flip_average=False)(image).inverse_depth, part(image).inverse_depth)


def test_save_and_load_round_trip(tmp_path):
    part = make()
    part.save_pretrained(tmp_path)
    again = load_depth("embedded", weights=tmp_path)
    assert again.config == part.config
    assert again.fingerprint() == part.fingerprint()
    assert torch.equal(again(photo(30, 40)).inverse_depth, part(photo(30, 40)).inverse_depth)


def test_half_precision_weights_load_into_single_precision(tmp_path):
    make().to(dtype=torch.float16).save_pretrained(tmp_path)
    assert load_depth("embedded", weights=tmp_path).dtype == torch.float32
    with pytest.raises(CheckpointError, match="no weights of 'embedded-depth'"):
        load_depth("embedded", weights=tmp_path / "none")


def test_the_network_learns_from_every_parameter():
    net = EmbeddedDepthNet((8, 16, 16, 16, 32), (1, 1, 1, 1, 1))
    fine, coarse = net(photo(64, 96))
    assert coarse.shape == (1, 1, 4, 6)
    (fine.square().sum() + coarse.sum()).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_refinement_turns_a_ramp_into_a_step_on_the_image_edge():
    image = torch.full((1, 3, 96, 128), 0.2)
    image[..., 70:] = 0.7  # an edge that no pixel border of the small map meets
    ramp = torch.linspace(-1, 1, 32)[None, None, None].expand(1, 1, 24, 32)
    ramp = torch.sigmoid(16 * (ramp - 0.1))
    refined = refine_to_image(ramp, image)[0, 0, 48]
    assert refined[:70].max() < 0.15
    assert refined[70:].min() > 0.85


def test_refinement_leaves_flat_and_gently_sloping_maps_alone():
    image = torch.rand(1, 3, 60, 80, generator=torch.Generator().manual_seed(0))
    flat = torch.full((1, 1, 30, 40), 2.0)
    assert torch.equal(refine_to_image(flat, image), torch.full((1, 1, 60, 80), 2.0))
    slope = torch.linspace(0, 1, 40)[None, None, None].expand(1, 1, 30, 40)
    expected = functional.interpolate(slope, (60, 80), mode="bilinear")
    assert torch.equal(refine_to_image(slope, image), expected)
