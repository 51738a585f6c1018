"""Scenes rendered once for all tests: compiling the kernels takes longer than everything else."""

from importlib.util import find_spec

import numpy as np
import pytest

# Rendering needs the extra [scenes]; without it there is nothing to test here.
collect_ignore_glob = [] if find_spec("numba") else ["test_*.py"]

BASELINES = (0.0, 1.0, 0.5, -1.0, 2.0)
SIZE = (96, 160)


@pytest.fixture(scope="session")
def five():
    """One nature scene from five positions."""
    from wheatstone.scenes import render_scene

    return render_scene(35, size=SIZE, baselines=BASELINES, family="nature")


@pytest.fixture(scope="session")
def film():
    """Three frames of a street."""
    from wheatstone.scenes import render_scene

    return render_scene(5, size=SIZE, baselines=(0.0, 1.0), family="street", frames=3)


@pytest.fixture(scope="session")
def stage():
    """`stage(build)` renders what `build(builder, material)` puts before a camera at the origin; returns the view."""
    from wheatstone.scenes.draw import RenderedView
    from wheatstone.scenes.materials import stuff
    from wheatstone.scenes.textures import pool
    from wheatstone.scenes.world import Builder, look

    def show(build, size=SIZE, position=(0.0, 0.0, 0.0)):
        b = Builder(np.random.default_rng(0), pool(0))
        build(b, stuff(b, "stone"))
        env = np.zeros(32)
        env[0:15] = 0.5
        env[23] = 0.1
        camera = look(position, 0, 0, 0, float(size[1]), size)
        scene = b.finish([[0.0, 0.3, 1.0, -0.5, 1.0, 1.0, 1.0, 0.02]], env, camera, "stage")
        return RenderedView(scene, b.pool, camera, size)

    return show
