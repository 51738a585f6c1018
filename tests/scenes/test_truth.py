"""The truth of rendered scenes against independent computations from their depth, poses and pictures."""

import numpy as np
import pytest

from wheatstone.errors import InputError
from wheatstone.samples import Origin
from wheatstone.scenes import FAMILIES, HELD_OUT, depth_view, render_scene, scene_sample
from wheatstone.scenes.draw import build_scene, pool_number
from wheatstone.scenes.textures import pool

from .conftest import BASELINES


def _sample(image, x, y):
    """Bilinear lookup at (x, y), clamped to the frame."""
    height, width = image.shape[:2]
    x, y = x.clip(0, width - 1.001), y.clip(0, height - 1.001)
    x0, y0 = x.astype(int), y.astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    image = image.reshape(height, width, -1).astype(float)
    top = image[y0, x0] * (1 - fx) + image[y0, x0 + 1] * fx
    return top * (1 - fy) + (image[y0 + 1, x0] * (1 - fx) + image[y0 + 1, x0 + 1] * fx) * fy


def _smooth(ids, z):
    """Pixels whose 5 x 5 neighbourhood is one object of similar depth."""
    good = np.isfinite(z)
    z = np.where(good, z, 1e9)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            shifted = np.roll(z, (dy, dx), (0, 1))
            good &= (np.roll(ids, (dy, dx), (0, 1)) == ids) & (np.abs(shifted - z) < 0.05 * z)
    good[:2] = good[-2:] = good[:, :2] = good[:, -2:] = False
    return good


def test_same_seed_same_bytes(five):
    again = render_scene(35, size=five.images.shape[2:4], baselines=BASELINES, family="nature")
    for name in ("images", "depth", "disparity", "visible", "instance"):
        np.testing.assert_array_equal(getattr(again, name), getattr(five, name))


def test_views_do_not_depend_on_the_other_baselines(five):
    alone = render_scene(35, size=five.images.shape[2:4], baselines=(1.0,), family="nature")
    np.testing.assert_array_equal(alone.depth[0, 0], five.depth[0, 1])
    assert np.abs(alone.images[0, 0].astype(int) - five.images[0, 1]).mean() < 1.5  # exposure of another reference


def test_seeds_differ():
    images = [depth_view(seed, size=(48, 64)).image.astype(int) for seed in (1, 2, 3)]
    assert np.abs(images[0] - images[1]).mean() > 5
    assert np.abs(images[1] - images[2]).mean() > 5


def test_disparity_is_focal_times_baseline_over_depth(five):
    focal = five.intrinsics[0, 0]
    known = ~five.sky
    np.testing.assert_allclose(five.disparity[known] * five.depth[known], focal * five.baseline_m, rtol=1e-5)
    assert (five.disparity[five.sky] == 0).all()
    assert np.isinf(five.depth[five.sky]).all()
    assert five.sky[0, 0].any()


def test_poses_are_the_baselines_along_the_camera(five):
    steps = five.poses[0, :, :3, 3] - five.poses[0, 0, :3, 3]
    along = np.outer(np.array(BASELINES) * five.baseline_m, five.poses[0, 0, :3, 0])
    np.testing.assert_allclose(steps, along, atol=1e-9)
    turn = five.poses[0, 0, :3, :3]
    np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("other", range(1, len(BASELINES)))
def test_visible_pixels_look_alike_in_the_other_view(five, other):
    k = BASELINES[other]
    height, width = five.images.shape[2:4]
    y, x = np.mgrid[0:height, 0:width].astype(float)
    warped = _sample(five.images[0, other], x - k * five.disparity[0, 0], y)
    error = np.abs(warped - five.images[0, 0]).mean(-1)
    visible = five.visible[0, 0, other]
    inner = visible & _smooth(five.instance[0, 0], five.depth[0, 0])
    assert inner.mean() > 0.05
    assert np.median(error[inner]) < 4
    hidden = ~visible & (x - k * five.disparity[0, 0] > 0) & (x - k * five.disparity[0, 0] < width - 1)
    assert error[hidden].mean() > 2 * error[visible].mean()


@pytest.mark.parametrize("other", range(1, len(BASELINES)))
def test_disparity_of_the_other_view_is_the_same_where_both_see(five, other):
    """What lands at x - k d has disparity d there too, hence half the shift at half the baseline."""
    k = BASELINES[other]
    height, width = five.images.shape[2:4]
    y, x = np.mgrid[0:height, 0:width].astype(float)
    landed = _sample(five.disparity[0, other], x - k * five.disparity[0, 0], y)[..., 0]
    target = np.rint(x - k * five.disparity[0, 0]).astype(int).clip(0, width - 1)
    both = five.visible[0, 0, other] & _smooth(five.instance[0, 0], five.depth[0, 0])
    both &= _smooth(five.instance[0, other], five.depth[0, other])[y.astype(int), target]
    assert both.sum() > 200
    # Not all: between pixel centres another object may show.
    assert (np.abs(landed - five.disparity[0, 0])[both] < 0.02 + 0.02 * landed[both]).mean() > 0.998


def test_visibility_against_a_depth_buffer(five):
    """Brute force: a point is hidden if the other view's depth there is clearly nearer, seen if it is the same."""
    height, width = five.images.shape[2:4]
    y, x = np.mgrid[0:height, 0:width]
    hidden_count = 0
    for other in (1, 3, 4):
        landing = x - BASELINES[other] * five.disparity[0, 0]
        inside = (landing >= -0.5) & (landing <= width - 0.5)
        assert not five.visible[0, 0, other][~inside].any()
        target = np.rint(landing).astype(int).clip(0, width - 1)
        sure = inside & _smooth(five.instance[0, other], five.depth[0, other])[y, target]
        there, here = (np.minimum(z, 1e9) for z in (five.depth[0, other][y, target], five.depth[0, 0]))
        seen, hidden = sure & (np.abs(there - here) < 0.02 * here), sure & (there < 0.9 * here)
        assert seen.sum() > 200
        hidden_count += hidden.sum()
        assert five.visible[0, 0, other][seen].mean() > 0.99
        assert not five.visible[0, 0, other][hidden].any()
    assert hidden_count > 15


def test_occluded_band_beside_a_box_is_exactly_as_wide_as_the_disparities_differ(stage):
    def build(b, m):
        b.box((0, 0, 8.5), (20, 20, 0.5), m)
        b.box((0, 0, 2.005), (0.3, 0.3, 0.005), m)

    left = stage(build)
    right = stage(build, position=(0.2, 0.0, 0.0))
    seen, target = left.seen_from(right)
    f, (cx, _) = left.camera.focal_px, left.camera.centre_px
    x = np.arange(left.z.shape[1])
    row = left.z.shape[0] // 2
    # The box spans +-0.3 m at 2 m; in the right view +-0.3 - 0.2 m. Wall points project from 8 m.
    on_box = np.abs(x - cx) <= 0.3 * f / 2
    lands = x - 0.2 * f / 8
    behind = ~on_box & (lands >= cx + (-0.3 - 0.2) * f / 2) & (lands <= cx + (0.3 - 0.2) * f / 2)
    inside = np.where(on_box, x - 0.2 * f / 2, lands) >= -0.5
    assert behind.sum() > 5
    np.testing.assert_array_equal(seen[row], ~behind & inside)
    np.testing.assert_allclose(target[row, :, 0], np.where(on_box, x - 0.2 * f / 2, lands), atol=1e-3)
    hole = ~right.seen_from(left)[0]
    assert hole[row].sum() == pytest.approx(behind.sum() + 0.2 * f / 8, abs=2)


def test_moving_camera_reprojects(film):
    """Static points follow depth and poses from frame to frame; moving ones do not."""
    height, width = film.images.shape[2:4]
    y, x = np.mgrid[0:height, 0:width].astype(float)
    k_inverse = np.linalg.inv(film.intrinsics)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ k_inverse.T
    for f in range(2):
        world = (
            rays * np.minimum(film.depth[f, 0], 1e9)[..., None] @ film.poses[f, 0, :3, :3].T + film.poses[f, 0, :3, 3]
        )
        local = (world - film.poses[f + 1, 0, :3, 3]) @ film.poses[f + 1, 0, :3, :3]
        pixel = local @ film.intrinsics.T
        flow = pixel[..., :2] / pixel[..., 2:] - np.stack([x, y], -1)
        still = ~film.sky[f, 0] & ~film.moving[f, 0] & (local[..., 2] > 0.1)
        assert still.mean() > 0.3
        np.testing.assert_allclose(film.flow[f][still], flow[still], atol=2e-2, rtol=1e-3)
        moving = film.moving[f, 0] & (local[..., 2] > 0.1)
        if moving.any():
            assert np.abs(film.flow[f][moving] - flow[moving]).max() > 0.05
        seen = film.flow_visible[f] & _smooth(film.instance[f, 0], film.depth[f, 0])
        target = np.stack([x, y], -1) + film.flow[f]
        warped = _sample(film.images[f + 1, 0], target[..., 0], target[..., 1])
        assert np.median(np.abs(warped - film.images[f, 0]).mean(-1)[seen]) < 6


def test_poses_of_ones_own(film):
    """The drawn path given back as poses renders the same film; a step along x is a baseline."""
    world_to_reference = np.linalg.inv(film.poses[0, 0])
    path = world_to_reference @ film.poses[:, 0]
    again = render_scene(5, size=film.images.shape[2:4], baselines=(0.0, 1.0), family="street", poses=path)
    np.testing.assert_allclose(again.poses, film.poses, atol=1e-9)
    assert (again.instance == film.instance).mean() > 0.999
    step = np.eye(4)[None].copy()
    step[0, 0, 3] = film.baseline_m
    moved = render_scene(5, size=film.images.shape[2:4], baselines=(0.0,), family="street", poses=step)
    assert (moved.instance[0, 0] == film.instance[0, 1]).mean() > 0.999
    with pytest.raises(InputError, match="rigid"):
        render_scene(5, poses=2 * np.eye(4)[None])
    with pytest.raises(InputError, match="2 frames"):
        render_scene(5, poses=np.stack([np.eye(4)] * 2), frames=3)


def test_holes_need_visibility():
    with pytest.raises(InputError, match="visibility=True"):
        render_scene(1, size=(32, 32), visibility=False).hole(1)


def test_near_disparity_is_drawn_from_the_promised_range():
    shares = []
    for seed in range(8):
        scene, _, baseline_m, _ = build_scene(seed, (96, 160))
        view = depth_view(seed, size=(96, 160))
        shares.append(np.percentile(scene.camera.focal_px * baseline_m * view.inverse_depth, 98) * 320 / 160)
    assert min(shares) > 6
    assert max(shares) < 100
    assert max(shares) > 1.5 * min(shares)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_shows_something(family):
    """Not black, not blown out, not empty, not flat."""
    for seed in (20, 21):
        view = depth_view(seed, size=(64, 96), family=family)
        assert view.family == family
        assert 40 < view.image.mean() < 200
        assert view.image.std() > 15
        assert (view.image == 0).all(-1).mean() < 0.3
        assert view.sky.mean() < 0.85
        known = view.inverse_depth[~view.sky]
        assert np.isfinite(known).all()
        assert known.min() > 0
        assert known.max() / np.median(known) > 1.05


def test_held_out_seeds_have_textures_of_their_own():
    assert pool_number(HELD_OUT) != pool_number(HELD_OUT - 1)
    assert pool_number(0) == pool_number(100)
    first, held_out = pool(pool_number(0)), pool(pool_number(HELD_OUT))
    assert (first.textures != held_out.textures).any(axis=(1, 2)).all()


def test_sample_carries_the_truth():
    sample = scene_sample(3, size=(48, 64), baselines=(0.5, -1.0))
    assert list(sample.baselines.items()) == [("left", 0.0), ("right", 1.0), ("centre", 0.5), ("left-left", -1.0)]
    render = render_scene(3, size=(48, 64))
    np.testing.assert_array_equal(sample.disparity[0].numpy(), render.disparity[0, 0])
    np.testing.assert_array_equal(sample.hole[0].numpy(), ~render.visible[0, 1, 0])
    np.testing.assert_array_equal(sample.visible[0].numpy(), render.visible[0, 0, 1])
    assert ((sample.origin > 0) == sample.hole).all()
    assert set(sample.origin.unique().tolist()) <= {Origin.WARPED, Origin.DISOCCLUSION, Origin.BORDER}
    assert {"disparity_right", "disparity_centre", "sky", "moving"} <= set(sample.extras)
    assert sample.provenance["focal_px"] == render.intrinsics[0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "negative"),
        ({"seed": 1, "family": "moon"}, "street"),
        ({"seed": 1, "size": (4, 4)}, "16 to 8192"),
        ({"seed": 1, "frames": 0}, "at least 1"),
        ({"seed": 1, "baselines": ()}, "at least one"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, message):
    with pytest.raises(InputError, match=message):
        render_scene(**arguments)
