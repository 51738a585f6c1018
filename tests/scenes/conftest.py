"""Scenes rendered once for all tests: compiling the kernels takes longer than everything else."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="rendering needs the extra [scenes]")

from wheatstone.scenes import render_scene
from wheatstone.scenes.draw import RenderedView
from wheatstone.scenes.textures import pool
from wheatstone.scenes.world import Builder, Kind, look

BASELINES = (0.0, 1.0, 0.5, -1.0, 2.0)
SIZE = (96, 160)


@pytest.fixture(scope="session")
def five():
    """One nature scene from five positions."""
    return render_scene(35, size=SIZE, baselines=BASELINES, family="nature")


@pytest.fixture(scope="session")
def film():
    """Three frames of a street."""
    return render_scene(5, size=SIZE, baselines=(0.0, 1.0), family="street", frames=3)


@pytest.fixture(scope="session")
def stage():
    """`stage(build)` renders what `build(builder, material)` puts before a camera at the origin; returns the view."""

    def show(build, size=SIZE, position=(0.0, 0.0, 0.0)):
        from wheatstone.scenes.materials import stuff

        b = Builder(np.random.default_rng(0), pool(0))
        build(b, stuff(b, "stone"))
        env = np.zeros(32)
        env[0:15] = 0.5
        env[23] = 0.1
        camera = look(position, 0, 0, 0, float(size[1]), size)
        scene = b.finish([[0.0, 0.3, 1.0, -0.5, 1.0, 1.0, 1.0, 0.02]], env, camera, "stage")
        return RenderedView(scene, b.pool, camera, size)

    return show


__all__ = ["Kind"]
