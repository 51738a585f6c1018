"""Each primitive is where its equation says, seen through whole-picture tracing."""

import numpy as np
import pytest

from wheatstone.scenes.world import Kind, rotation

TURN = rotation(25.0, -35.0, 15.0)
CENTRE = np.array([0.1, -0.05, 3.0])


def _outside(kind, p, size, top=0.4):
    """Positive outside the primitive, zero on its surface (local coordinates [..., 3])."""
    x, y, z = np.moveaxis(p, -1, 0)
    q = np.hypot(x, z)
    if kind == Kind.BOX:
        return (np.abs(p) - size).max(-1)
    if kind == Kind.ELLIPSOID:
        return np.linalg.norm(p / size, axis=-1) - 1
    if kind == Kind.FRUSTUM:
        radius = size[0] * ((1 + top) + (top - 1) * y / size[1]) / 2
        return np.maximum(q - radius, np.abs(y) - size[1])
    # Round cone: least distance to any of the balls between the two ends.
    share = np.linspace(0, 1, 100)
    centres, radii = share * size[1], size[0] + (size[2] - size[0]) * share
    return (np.hypot(q[..., None], y[..., None] - centres) - radii).min(-1)


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (Kind.BOX, (0.5, 0.3, 0.7)),
        (Kind.ELLIPSOID, (0.6, 0.3, 0.45)),
        (Kind.FRUSTUM, (0.5, 0.4, 0.5)),
        (Kind.ROUND_CONE, (0.35, 0.8, 0.12)),
    ],
)
def test_traced_surface_satisfies_the_equation(stage, kind, size):
    view = stage(lambda b, m: b.add(kind, tuple(CENTRE), size, m, TURN, 0.4))
    rows, cols = np.mgrid[0 : view.z.shape[0], 0 : view.z.shape[1]]
    f, (cx, cy) = view.camera.focal_px, view.camera.centre_px
    ray = np.stack([(cols - cx) / f, -(rows - cy) / f, np.ones(rows.shape)], -1)
    hits = view.ids >= 0
    assert 0.01 < hits.mean() < 0.5
    value = _outside(kind, (ray[hits] * view.z[hits][:, None] - CENTRE) @ TURN, np.array(size))
    assert np.abs(value).max() < (2e-4 if kind == Kind.ROUND_CONE else 1e-6)
    depths = np.linspace(1.5, 4.5, 100)[:, None, None]
    missed = ray[~hits][::19]
    # Rays that hit nothing never come inside; rays that hit are outside before it.
    assert _outside(kind, (missed * depths - CENTRE) @ TURN, np.array(size)).min() > -1e-3
    before = ray[hits][::19] * (view.z[hits][::19, None] * np.linspace(0.3, 0.999, 30)[:, None, None])
    assert _outside(kind, (before - CENTRE) @ TURN, np.array(size)).min() > -1e-3


def test_nearer_primitive_hides_the_farther(stage):
    def build(b, m):
        b.box((0, 0, 6), (5, 5, 0.5), m)
        b.box((0, 0, 3), (0.5, 0.5, 0.5), m)

    view = stage(build)
    middle = view.z.shape[0] // 2, view.z.shape[1] // 2
    assert view.ids[middle] == 1
    assert view.z[middle] == pytest.approx(2.5)
    assert view.z[0, 0] == pytest.approx(5.5)


def test_ground_reaches_the_horizon_and_the_sky_is_nothing(stage):
    view = stage(lambda b, m: b.add(Kind.PLANE, (0, -1, 0), (1, 1, 1), m))
    half = view.z.shape[0] // 2
    assert (view.ids[:half] == -1).all()
    assert (view.ids[half:] == 0).all()
    below = np.arange(half, view.z.shape[0]) - view.camera.centre_px[1]
    np.testing.assert_allclose(view.z[half:, 0], view.camera.focal_px / below, rtol=1e-9)


def test_box_around_the_camera_is_seen_from_inside_as_nothing_but_walls_as_walls(stage):
    """Boxes that reach behind the camera are binned by their visible part."""

    def build(b, m):
        b.box((-2, 0, 0), (0.5, 5, 30), m)
        b.box((0, 0, 8), (5, 5, 0.5), m)

    view = stage(build)
    f, (cx, _) = view.camera.focal_px, view.camera.centre_px
    x = np.arange(view.z.shape[1])
    wall = np.where(x < cx, 1.5 * f / np.maximum(cx - x, 1e-9), np.inf)
    np.testing.assert_allclose(view.z[40], np.minimum(wall, 7.5), rtol=1e-6)
