"""Pictures that go to another view and come back: where their holes are, how wide, what may be asked for in them."""

import numpy as np
import pytest
import torch

from wheatstone.disparity import UniformPixels
from wheatstone.errors import InputError
from wheatstone.generation.clean_up import CleanUp
from wheatstone.samples import Origin
from wheatstone.synthesis.composition import warp_left
from wheatstone.training.pictures import Picture
from wheatstone.training.settings import from_settings
from wheatstone.training.warp_back import WarpBack, draw_picture

BEHIND, FRONT = 3.0, 11.0
HEIGHT, WIDTH = 24, 64
BOX = (slice(6, 18), slice(20, 34))
RED, BLUE = torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.1, 0.2, 0.8])


def two_planes(front=FRONT, behind=BEHIND):
    """A red box before a blue plane with grain, and its disparity."""
    grain = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    image = BLUE[:, None, None] + 0.1 * grain
    disparity = torch.full((1, 1, HEIGHT, WIDTH), behind)
    image[:, :, BOX[0], BOX[1]] = RED[:, None, None] + 0.1 * grain[:, :, BOX[0], BOX[1]]
    disparity[:, :, BOX[0], BOX[1]] = front
    return image, disparity


def test_the_hole_of_two_planes_has_the_width_of_the_step_on_the_right_of_the_box():
    image, disparity = two_planes()
    back = WarpBack(fringe=0)(image, disparity)
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    expected[6:18, 34 : 34 + int(FRONT - BEHIND)] = True
    expected[:, WIDTH - int(BEHIND) :] = True  # beyond the right side of the other view
    assert torch.equal(back.view.hole[0, 0], expected)
    assert torch.equal(back.counted, back.view.hole)
    kinds = back.view.origin[0, 0]
    assert (kinds[6:18, 34:42] == Origin.DISOCCLUSION).all()
    assert (kinds[:, -3:] == Origin.BORDER).all()
    assert (kinds[~expected] == Origin.WARPED).all()
    assert (back.view.ends.left[0, 0, 6:18, 34:42] == 33).all()
    assert (back.view.ends.right[0, 0, 6:18, 34:42] == 42).all()


@pytest.mark.parametrize("baseline", [1.0, 0.6, -1.0])
def test_what_is_known_is_the_picture_with_its_own_disparity(baseline):
    image, disparity = two_planes(front=11.3, behind=2.4)
    view = WarpBack()(image, disparity, baseline=baseline).view
    known = ~view.hole
    assert torch.equal(view.image, image * known)
    assert torch.equal(view.disparity, disparity * known)
    assert view.baseline == baseline
    width = int(view.hole[0, 0, 10].sum())
    assert abs(width - abs(baseline) * 11.3) <= 2  # the step and the band at the side, to a pixel each


def test_the_other_direction_is_the_mirror():
    image, disparity = two_planes(front=9.7)
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 2:9, 50:53] = False
    one = WarpBack(mixed=1.0)(image, disparity, valid, -0.8, torch.Generator().manual_seed(5))
    turned = (image.flip(-1), disparity.flip(-1), valid.flip(-1))
    other = WarpBack(mixed=1.0)(*turned, 0.8, torch.Generator().manual_seed(5)).mirror()
    for name in ("left", "image", "hole", "visible", "disparity", "origin"):
        assert torch.equal(getattr(one.view, name), getattr(other.view, name)), name
    assert torch.equal(one.counted, other.counted)
    hole = one.view.hole[0, 0, 10]
    assert hole[:2].all()
    assert hole[15:20].all()  # left of the box now
    assert not hole[3:14].any()
    assert not hole[34:].any()


def test_the_holes_are_those_of_a_warp_from_the_other_view():
    """Random boxes: the view that the picture would be warped from, made by the warp itself, opens the same holes."""
    generator = torch.Generator().manual_seed(2)
    image, disparity = two_planes()
    for _ in range(4):
        top, left, front = (int(v) for v in torch.randint(4, 14, (3,), generator=generator))
        disparity[..., top : top + 6, left + 30 : left + 36] = float(front)
    away = warp_left(image, disparity, None, -1.0)
    complete = torch.where(away.hole, torch.full_like(away.disparity, BEHIND), away.disparity)
    there_and_back = warp_left(away.image, complete, None, 1.0)
    back = WarpBack()(image, disparity)
    assert torch.equal(back.view.hole, there_and_back.hole)
    assert torch.equal(back.view.origin, there_and_back.origin)


def test_things_nearer_than_the_far_end_and_the_fringe_do_not_count():
    image, disparity = two_planes()
    disparity[..., 6:18, 34:36] = 7.0  # a thing beside the box that the box hides, as the ramp of a soft edge would be
    counted = WarpBack(fringe=0)(image, disparity).counted[0, 0, 10]
    assert not counted[34:36].any()
    assert counted[36:42].all()
    fringed = WarpBack(fringe=4)(image, disparity).counted[0, 0, 10]
    assert not fringed[34:38].any()
    assert fringed[38:42].all()
    assert fringed[-3:].all()  # the border has no near end


def test_unknown_disparity_travels_nowhere_and_does_not_count():
    image, disparity = two_planes()
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 2:5, 5:9] = False
    disparity[..., 2, 5] = float("nan")
    back = WarpBack()(image, disparity, valid)
    assert back.view.hole[..., 2:5, 5:9].all()
    assert (back.view.origin[..., 2:5, 5:9] == Origin.GENERATED).all()
    assert not back.counted[..., 2:5, 5:9].any()
    assert back.view.disparity.isfinite().all()


def test_mixed_rims_bring_the_nearer_colour_to_the_far_end_only():
    image, disparity = two_planes()
    clean = WarpBack()(image, disparity).view
    mixed = WarpBack(mixed=1.0, softness=(1.0, 1.0))(image, disparity, generator=torch.Generator().manual_seed(0)).view
    changed = (mixed.image != clean.image).any(1)[0]
    expected = torch.zeros_like(changed)
    expected[6:18, 42:45] = True
    assert torch.equal(changed, expected)
    redder = (mixed.image - clean.image)[0, 0, 10, 41:46]
    assert redder[1] > redder[2] > redder[3] > redder[4] == redder[0] == 0
    share = (mixed.image[0, :, 10, 42] - image[0, :, 10, 42]) / (image[0, :, 10, 33] - image[0, :, 10, 42])
    torch.testing.assert_close(
        share, torch.full((3,), 0.3085), atol=1e-3, rtol=0
    )  # a Gaussian's tail beyond half a sigma
    assert torch.equal(mixed.hole, clean.hole)
    never = WarpBack(mixed=1e-9)(image, disparity, generator=torch.Generator().manual_seed(0)).view
    assert torch.equal(never.image, clean.image)


def test_a_rim_joins_the_hole_at_its_far_end_and_counts():
    image, disparity = two_planes()
    back = WarpBack(rim=2, mixed=1.0)(image, disparity, generator=torch.Generator().manual_seed(0))
    row = back.view.hole[0, 0, 10]
    assert row[34:44].all()
    assert not row[44:-3].any()
    assert not row[:34].any()
    assert (back.view.origin[0, 0, 10, 42:44] == Origin.CONTAMINATED_RIM).all()
    assert back.counted[0, 0, 10, 36:44].all()
    assert back.view.ends.right[0, 0, 10, 40] == 44
    assert not back.view.image[0, :, 10, 34:44].any()


def test_no_disparity_no_hole_and_an_image_of_nothing_known_is_all_hole():
    image, _ = two_planes()
    nothing = torch.zeros(1, 1, HEIGHT, WIDTH)
    back = WarpBack(mixed=1.0, rim=3)(image, nothing, generator=torch.Generator().manual_seed(0))
    assert not back.view.hole.any()
    assert torch.equal(back.view.image, image)
    none = WarpBack()(image, nothing, torch.zeros_like(nothing, dtype=torch.bool))
    assert none.view.hole.all()
    assert not none.counted.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fringe": -1}, "fringe >= 0"),
        ({"rim": -2}, "rim >= 0"),
        ({"mixed": 1.5}, "mixed in 0..1"),
        ({"softness": [0.0, 1.0]}, "softness above 0"),
        ({"blur": 3}, "no setting blur; it has fringe, mixed, softness, rim"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        from_settings(WarpBack, settings, "warp-back", besides=("warper",))


def test_bad_calls_are_refused():
    image, disparity = two_planes()
    with pytest.raises(InputError, match="needs a generator"):
        WarpBack(mixed=0.5)(image, disparity)
    with pytest.raises(InputError, match="finite number"):
        WarpBack()(image, disparity, baseline=float("inf"))


def picture(size=(40, 60)):
    inverse = np.linspace(0, 1, size[1], dtype=np.float32) * np.ones((size[0], 1), np.float32)
    inverse[10:25, 20:30] = 2.0
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return Picture("one", image, inverse, None)


def test_a_drawn_picture_repeats_with_its_generator_and_keeps_its_pixels():
    rule, clean_up = UniformPixels(low_px=4.0, high_px=20.0), CleanUp(0, 0.0)

    def draw(seed, **options):
        return draw_picture(picture(), rule, clean_up, np.random.default_rng(seed), least=(16, 16), **options)

    one, same, other = draw(1), draw(1), draw(2)
    assert np.array_equal(one.image, same.image)
    assert torch.equal(one.disparity, same.disparity)
    assert not torch.equal(one.disparity, other.disparity)
    original = picture()
    for seed in range(6):
        drawn = draw(seed, turned=0.5)
        mirrored = float(drawn.disparity[0, 0, 0, 0]) > float(drawn.disparity[0, 0, 0, -1])
        straight = drawn.image[:, ::-1] if mirrored else drawn.image
        assert np.array_equal(straight, original.image) or np.array_equal(straight, original.image[::-1])
        assert 4.0 <= float(drawn.disparity.max()) <= 20.0
    band = draw(3, band=12)
    assert band.image.shape == (12, 60, 3)
    assert band.disparity.shape == band.valid.shape == (1, 1, 12, 60)


def test_small_pictures_are_enlarged_and_soft_edges_become_steps():
    small, rule = picture((20, 30)), UniformPixels(low_px=20.0, high_px=20.0)

    def draw(clean_up):
        return draw_picture(small, rule, clean_up, np.random.default_rng(0), least=(32, 48), band=32)

    def between(drawn):
        """Pixels whose neighbours of the row lie far below and far above."""
        row = drawn.disparity[0, 0]
        return ((row[:, 1:-1] - row[:, :-2]).abs() > 2) & ((row[:, 2:] - row[:, 1:-1]).abs() > 2)

    drawn = draw(CleanUp())
    assert drawn.image.shape == (32, 48, 3)
    assert drawn.disparity.shape == (1, 1, 32, 48)
    assert between(draw(CleanUp(0, 0.0))).any()
    assert not between(drawn).any()
