import pytest
import torch
from torch.nn import functional

from wheatstone.depth.inference import Memory, is_out_of_memory, predict_maps
from wheatstone.errors import InputError


def smooth(height, width, seed=0, count=1):
    noise = torch.rand(count, 3, height // 16 + 2, width // 16 + 2, generator=torch.Generator().manual_seed(seed))
    return functional.interpolate(noise, (height, width), mode="bicubic", align_corners=True)


class Limited:
    """Depth = red channel, up to a scale and shift of its own a call; fails above a number of pixels, as a GPU would."""

    def __init__(self, limit, error=None, affine=False):
        self.limit, self.affine, self.calls = limit, affine, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")

    def __call__(self, pixels):
        self.calls.append(tuple(pixels.shape))
        if pixels.numel() // 3 > self.limit:
            raise self.error
        maps = pixels[:, :1].clone()
        if self.affine:
            maps = maps * (1 + 0.3 * (len(self.calls) % 3)) + 0.1 * (len(self.calls) % 5)
        return maps


def test_every_image_and_mirror_once_and_in_order():
    pixels = smooth(28, 42, count=3)
    network = Limited(10**9)
    maps, mirrored, notes = predict_maps(network, pixels, mirror=True, memory=Memory())
    assert torch.equal(maps, pixels[:, :1])
    assert torch.equal(mirrored, pixels[:, :1])
    assert notes == {}
    assert [call[0] for call in network.calls] == [2, 2, 2]  # on a CPU: one item and its mirror


def test_without_mirror():
    pixels = smooth(28, 42, count=2)
    maps, mirrored, _ = predict_maps(Limited(10**9), pixels, mirror=False, memory=Memory())
    assert torch.equal(maps, pixels[:, :1])
    assert mirrored is None


def test_batch_shrinks_first():
    pixels = smooth(28, 42)
    network = Limited(28 * 42)
    maps, mirrored, notes = predict_maps(network, pixels, mirror=True, memory=Memory())
    assert torch.equal(maps, mirrored)
    assert torch.equal(maps, pixels[:, :1])
    assert notes == {}


@pytest.mark.parametrize("fraction", [0.6, 0.2])
def test_tiles_agree_with_the_whole(fraction):
    pixels = smooth(140, 196)
    network = Limited(int(fraction * 140 * 196), affine=True)
    maps, _, notes = predict_maps(network, pixels, mirror=False, memory=Memory(multiple=14))
    whole = pixels[:, :1]
    design = torch.stack([maps.flatten(), torch.ones(maps.numel())], dim=1)
    fitted = design @ torch.linalg.lstsq(design, whole.flatten()[:, None]).solution
    assert notes["tiles"] >= 4
    assert (fitted[:, 0] - whole.flatten()).abs().max() < 0.05 * (whole.max() - whole.min())


def test_resolution_is_lowered_only_with_leave():
    pixels = smooth(140, 196)
    memory = Memory(tiles=False)
    with pytest.raises(InputError, match="allow-downscale"):
        predict_maps(Limited(9000), pixels, mirror=False, memory=memory)
    maps, _, notes = predict_maps(Limited(9000), pixels, mirror=False, memory=Memory(tiles=False, allow_downscale=True))
    assert maps.shape == (1, 1, 140, 196)
    assert notes == {"downscaled_by": 2}


def test_nothing_fits():
    with pytest.raises(InputError, match="196x140"):
        predict_maps(Limited(0), smooth(140, 196), mirror=False, memory=Memory(allow_downscale=True))


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="shape"):
        predict_maps(Limited(0, RuntimeError("wrong shape")), smooth(28, 28), mirror=False, memory=Memory())
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(ValueError("out of memory"))
