import torch
from torch.nn import functional

from wheatstone.synthesis.colour import match_fill, reduce_known


def view(height=60, width=80):
    coarse = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    image = functional.interpolate(coarse, (height, width), mode="bilinear") * 0.5 + 0.25
    hole = torch.zeros(2, 1, height, width, dtype=torch.bool)
    hole[..., 20:40, 30:45] = True
    return image, hole


def test_shift_and_gain_of_the_painter_are_undone():
    image, hole = view()
    painted = (image - 0.5) * torch.tensor([1.2, 0.9, 1.0])[:, None, None] + 0.5 + 0.05
    torch.testing.assert_close(match_fill(painted, image, hole), image, atol=1e-5, rtol=0)


def test_gain_is_held_and_few_pixels_change_nothing():
    image, hole = view()
    flat = torch.full_like(image, 0.4)
    matched = match_fill(flat, image, hole)
    assert matched.isfinite().all()
    everything = torch.ones_like(hole)
    assert torch.equal(match_fill(flat, image, everything), flat)


def test_images_are_matched_on_their_own():
    image, hole = view()
    painted = image + torch.tensor([0.1, -0.1])[:, None, None, None]
    alone = torch.cat([match_fill(painted[i : i + 1], image[i : i + 1], hole[i : i + 1]) for i in range(2)])
    assert torch.equal(match_fill(painted, image, hole), alone)


def test_reduction_never_mixes_holes_into_colours():
    image, hole = view()
    image = image.masked_fill(hole, 0)
    small, small_hole = reduce_known(image, hole, (23, 31))
    known = ~small_hole
    assert small.masked_select(known).min() >= image.masked_select(~hole).min()


def test_reduction_of_a_constant_view_is_constant_up_to_the_rim():
    _, hole = view()
    constant = torch.full((2, 3, 60, 80), 0.3).masked_fill(hole, 0)
    small, small_hole = reduce_known(constant, hole, (23, 31))
    share = functional.interpolate((~hole).float(), (23, 31), mode="area")
    assert torch.equal(small_hole, share < 1 - 1e-6)
    partly = share > 0.01
    torch.testing.assert_close(small.masked_select(partly), torch.full_like(small.masked_select(partly), 0.3))
