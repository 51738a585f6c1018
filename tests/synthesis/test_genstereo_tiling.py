"""Large pictures in windows: one canvas, no seam, and what one window would have made where one suffices."""

from itertools import pairwise

import pytest
import torch

from wheatstone.diffusion import ZERO_SNR_V, build_scheduler, run_sampler
from wheatstone.synthesis.genstereo import GenStereo, make_conditions, small_networks
from wheatstone.synthesis.genstereo.sampling import prepare
from wheatstone.synthesis.genstereo.tiling import decode_windows, plan_windows, prepare_windows

SIDE, MULTIPLE, CELL = 64, 16, 8


@pytest.fixture(scope="module")
def networks():
    return small_networks(3, side=SIDE)


def _plan(size, side=SIDE, **options):
    return plan_windows(size, side, multiple=MULTIPLE, cell=CELL, **options)


@pytest.mark.parametrize("size", [(64, 64), (64, 80), (128, 192), (48, 400), (400, 32), (64, 144), (1024, 1536)])
def test_windows_cover_everything_evenly(size):
    plan = _plan(size)
    height, width = plan.window
    assert height % MULTIPLE == 0
    assert width % MULTIPLE == 0
    assert height * width <= SIDE * SIDE
    assert plan.single == (size[0] * size[1] <= SIDE * SIDE)
    covered = torch.zeros(size)
    for part, share in zip(plan.parts(), plan.shares(), strict=True):
        assert covered[part].shape == (height, width)
        assert share.min() > 0
        covered[part] += share
    assert (covered - 1).abs().max() < 1e-5
    for axis in (0, 1):
        starts = sorted({corner[axis] for corner in plan.corners})
        assert all(start % CELL == 0 for start in starts)
        assert starts[-1] + plan.window[axis] == size[axis]
        steps = [b - a for a, b in pairwise(starts)]
        assert all(step <= plan.window[axis] * 2 / 3 + CELL for step in steps)


def _view(height, width, seed=0, disparity=5.0):
    generator = torch.Generator().manual_seed(seed)
    left = torch.nn.functional.interpolate(
        torch.rand(1, 3, height // 16, width // 16, generator=generator), (height, width), mode="bicubic"
    ).clamp(0, 1)
    return left, torch.full((1, 1, height, width), disparity)


def _predictions(networks, size, guidance=1.5, together=1, plan=None, left=None, disparity=5.0):
    made, shift = _view(*size, disparity=disparity)
    left = made if left is None else left
    conditions, tokens = make_conditions(left, shift), networks.image_tokens(made)
    whole = prepare(networks, left, conditions, guidance=guidance, tokens=tokens)
    options = {"reach_px": (disparity, disparity), "guidance": guidance, "tokens": tokens, "together": together}
    return whole, prepare_windows(networks, left, conditions, plan or _plan(size), **options)


@torch.no_grad()
def test_one_window_is_the_untiled_picture_bit_by_bit(networks):
    whole, windows = _predictions(networks, (64, 64))
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(windows(latents, torch.tensor(499)), whole(latents, torch.tensor(499)))
    plan = _plan((64, 64))
    assert torch.equal(decode_windows(networks, latents, plan), networks.decode(latents))


@torch.no_grad()
def test_windows_in_one_call_or_one_by_one(networks):
    latents = torch.randn(1, 4, 8, 24, generator=torch.Generator().manual_seed(1))
    one, four = (_predictions(networks, (64, 192), together=n)[1](latents, torch.tensor(499)) for n in (1, 4))
    assert (one - four).abs().max() < 1e-5


@torch.no_grad()
def test_a_window_sees_the_left_view_as_far_as_its_content_came_from(networks):
    """The first of the windows reaches to the right by the disparity, and no further."""
    size, time = (64, 192), torch.tensor(499)
    latents = torch.randn(1, 4, 8, 24, generator=torch.Generator().manual_seed(1))
    left = _view(*size)[0]
    base = _predictions(networks, size, left=left, disparity=20.0)[1](latents, time)
    sees = []
    for column in (80, 100):  # the window is 0..63, its content comes from 20..83, whole cells from 0..95
        changed = left.clone()
        changed[..., column : column + 4] = 1 - changed[..., column : column + 4]
        made = _predictions(networks, size, left=changed, disparity=20.0)[1](latents, time)
        sees.append(float((made - base)[..., :2].abs().max()))  # cells of the first window alone
    assert sees[0] > 1e-6
    assert sees[1] == 0


def _smooth_noise(size, seed):
    """Smooth, so that the picture is smooth too and a seam would stand out."""
    coarse = torch.randn(1, 4, 2, max(2, size[1] // 64), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (size[0] // 8, size[1] // 8), mode="bicubic")


def _picture(networks, size, plan, *, shared, steps=3):
    _, windows = _predictions(networks, size, plan=plan)
    tiles = [_smooth_noise(plan.window, seed) for seed, _ in enumerate(plan.corners)]
    noise = _smooth_noise(size, 7) if shared else torch.cat(tiles, -1)
    latents = run_sampler(windows, build_scheduler(ZERO_SNR_V), noise, steps=steps)
    return latents, decode_windows(networks, latents, plan)


def _steps_at_borders(values, plan, cell):
    """Mean step between neighbours at the borders of windows, as a share of that at other borders of latent cells.

    Any decoder leaves a trace of its cells, which is no seam: only alike places are compared.
    """
    step = (values[..., 1:] - values[..., :-1]).abs().mean((0, 1, 2))
    borders = {c for _, c in plan.corners} | {c + plan.window[1] for _, c in plan.corners}
    at, other = [], []
    for column in range(CELL, plan.size[1], CELL):
        (at if column in borders else other).append(step[column // cell - 1])
    return float(torch.stack(at).mean() / torch.stack(other).mean())


@torch.no_grad()
def test_no_seam_where_windows_begin_and_end(networks):
    size = (64, 320)
    blended, pasted = (
        _plan(size),
        _plan(size, overlap=0.0),
    )  # the latter with noise of their own, as the original's script
    ratios = {}
    for plan in (blended, pasted):
        latents, image = _picture(networks, size, plan, shared=plan is blended)
        ratios[plan] = (_steps_at_borders(latents, plan, CELL), _steps_at_borders(image, plan, 1))
    assert max(ratios[blended]) < 1.25
    assert min(ratios[pasted]) > 1.6  # the measure sees a seam where there is one


@torch.no_grad()
def test_through_the_synthesizer(networks):
    left, disparity = _view(64, 128)
    disparity[..., 20:40, 60:90] = 17.0
    seen = []
    tiled = GenStereo(networks, steps=1, working_side=96, window_side=SIDE)
    view = tiled(left, disparity, on_step=seen.append)
    assert tiled.working_size((64, 128)) == (64, 128)
    assert [tuple(step.latents.shape) for step in seen] == [(1, 4, 8, 16)]  # one canvas
    untiled = GenStereo(networks, steps=1, working_side=96, window_side=96)(left, disparity)
    assert torch.equal(view.hole, untiled.hole)
    known = ~view.hole.expand(-1, 3, -1, -1)
    assert torch.equal(view.image[known], untiled.image[known])
    assert not torch.equal(view.image, untiled.image)
    pair = tiled(left.repeat(2, 1, 1, 1), disparity.repeat(2, 1, 1, 1))
    assert torch.equal(pair.image[:1], view.image)
    small = [GenStereo(networks, steps=1, window_side=side)(left, disparity).image for side in (SIDE, None)]
    assert torch.equal(*small)  # where one window suffices there is no other way
