import pytest
import torch

from wheatstone.errors import InputError, ShapeError
from wheatstone.geometry import backward_warp
from wheatstone.matching.sgbm import Sgbm
from wheatstone.matching.tiling import in_row_bands, match_tiled


def textured_pair(height: int = 200, width: int = 420) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A slanted surface of 8 to 24 px under fine texture; the right view is made by sampling the left one."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, height, width, generator=generator)
    right = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    right = (right - right.amin()) / (right.amax() - right.amin())
    disparity = torch.linspace(8, 24, width).expand(1, 1, height, width).contiguous()
    return backward_warp(right, disparity), right, disparity


def test_tiles_equal_the_whole_away_from_the_seams():
    left, right, truth = textured_pair()
    matcher = Sgbm(max_disparity=48)
    whole = matcher(left, right).disparity
    told = []
    tiled = match_tiled(matcher, left, right, (120, 240), overlap=32, progress=told.append)
    assert tiled.disparity.shape == whole.shape
    inside = (..., slice(8, -8), slice(56, -8))
    different = (tiled.disparity - whole).abs()[inside]
    assert float((different < 0.25).float().mean()) > 0.98
    assert float((tiled.disparity - truth).abs()[inside].mean()) < float((whole - truth).abs()[inside].mean()) + 0.1
    assert [step.done for step in told] == list(range(1, len(told) + 1))
    assert told[-1].done == told[-1].total == 2 * 2


def test_columns_without_a_partner_in_their_tile_come_from_the_tile_before():
    left, right, truth = textured_pair()
    matcher = Sgbm(max_disparity=48)
    right_way = match_tiled(matcher, left, right, (200, 200), overlap=16, max_disparity=26.0).disparity
    wrong = match_tiled(matcher, left, right, (200, 200), overlap=16, max_disparity=0.0).disparity
    errors = [(found - truth).abs()[..., 56:-8].mean() for found in (right_way, wrong)]
    assert errors[0] < errors[1]


def test_a_tile_as_large_as_the_pair_is_the_whole():
    left, right, _ = textured_pair(64, 160)
    matcher = Sgbm(max_disparity=48)
    assert torch.equal(match_tiled(matcher, left, right, (500, 500)).disparity, matcher(left, right).disparity)


def test_senseless_tiles_are_refused():
    left, right, _ = textured_pair(64, 160)
    matcher = Sgbm(max_disparity=48)
    with pytest.raises(InputError, match=r"too small.*disparities up to 60 px"):
        match_tiled(matcher, left, right, (64, 90), overlap=32, max_disparity=60.0)
    with pytest.raises(InputError, match="positive"):
        match_tiled(matcher, left, right, (0, 90))
    with pytest.raises(ShapeError):
        match_tiled(matcher, left, right[..., 1:], (64, 90))


def test_bands_of_rows_give_every_map_at_full_size_and_blend():
    whole = torch.arange(300.0)[:, None].expand(1, 1, 300, 40)
    told = []

    def run(rows: slice) -> list[torch.Tensor]:
        told.append((rows.start, rows.stop))
        return [whole[..., rows, :], whole[..., rows, :] + len(told)]

    first, second = in_row_bands(run, 300, 128, overlap=32)
    assert told == [(0, 128), (86, 214), (172, 300)]
    assert torch.allclose(first, whole)
    off = (second - whole)[0, 0, :, 0]
    assert torch.allclose(off[:86], torch.tensor(1.0))
    assert (off[96:128].diff() > 0).all()  # from the first band to the second
    assert torch.allclose(off[214:], torch.tensor(3.0))
    told.clear()
    in_row_bands(run, 300, 300, overlap=32)
    assert told == [(0, 300)]
    with pytest.raises(InputError, match="more than 32 px high"):
        in_row_bands(run, 300, 32, overlap=32)
