"""Data of the embedded recipes: rendered once, the same for every reader, fresh crops for every draw."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from wheatstone.training import recipes, train
from wheatstone.training.embedded_data import depth_views, fill_pairs
from wheatstone.training.photometric import camera_like
from wheatstone.training.scene_cache import SceneCache

SIZE = (64, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    return tmp_path_factory.mktemp("scenes")


def numbers(seed=0):
    return np.random.default_rng(seed)


def test_a_scene_is_rendered_once_and_a_torn_file_again(folder):
    cache = SceneCache(folder, 2, SIZE, (0.0, 1.0))
    first = cache[1]
    path = cache.path_of(1)
    written = path.stat().st_mtime_ns
    again = cache[1]
    assert path.stat().st_mtime_ns == written
    assert first["image"].shape == (2, *SIZE, 3)
    assert first["disparity"].shape == first["inverse_depth"].shape == (2, *SIZE)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    path.write_bytes(path.read_bytes()[:1000])
    assert all(np.array_equal(first[name], value) for name, value in cache[1].items())
    states = []
    cache.fill(progress=states.append)
    assert cache.path_of(0).is_file()
    assert states[-1].done == 2


def test_depth_views_of_a_step_share_a_shape_and_pools_limit_the_scenes(folder):
    data = depth_views(folder, 0, pairs=1, singles=2, size=SIZE, areas=((0, 2048), (5, 6144)), pools=((0, 1), (5, 3)))
    assert len(data) == 3
    assert {data.item(index, 0, numbers())["key"] for index in range(3)} == {"scene-0"}
    for step in (0, 5, 6):
        items = [data.item(index, step, numbers(index)) for index in range(3)]
        assert len({item["image"].shape for item in items}) == 1
        for item in items:
            assert item["image"].shape[1:] == item["inverse_depth"].shape[1:] == item["valid"].shape[1:]
            assert 0 <= item["image"].min() <= item["image"].max() <= 1
            assert (item["inverse_depth"] >= 0).all()
    same, other = data.item(2, 5, numbers(1)), data.item(2, 5, numbers(2))
    assert torch.equal(same["image"], data.item(2, 5, numbers(1))["image"])
    assert not torch.equal(same["image"], other["image"])


def test_the_true_view_agrees_with_the_known_pixels_of_the_warp(folder):
    data = fill_pairs(folder, 0, pairs=2, size=SIZE, crop=(48, 64), pools=((0, 2),))
    differences = []
    for index in range(2):
        item = data.item(index, 0, numbers(index))
        assert item["copies"].shape == (4, 3, 48, 64)
        assert item["features"].shape[1:] == item["hole"].shape[1:] == item["target"].shape[1:] == (48, 64)
        known = ~item["hole"].expand_as(item["target"])
        differences.append((item["copies"][0] - item["target"]).abs()[known].median().item())
    assert max(differences) < 0.06


def test_a_camera_keeps_the_range_and_repeats_with_its_generator():
    picture = numbers().integers(0, 255, (40, 50, 3), dtype=np.uint8)
    for seed in range(12):
        taken = camera_like(picture, numbers(seed))
        assert taken.shape == picture.shape
        assert taken.dtype == np.float32
        assert 0 <= taken.min() <= taken.max() <= 1
        assert np.array_equal(taken, camera_like(picture, numbers(seed)))
    assert np.array_equal(camera_like(picture, numbers(), strength=0.0), picture.astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("name", "options"), [("embedded-depth", {"singles": 1}), ("embedded-filler", {"crop": (48, 64)})]
)
def test_the_recipes_train_on_rendered_scenes_and_their_result_loads(folder, tmp_path, name, options):
    recipe = recipes[name]
    small = {**recipe.data.options, "pairs": 2, "size": SIZE, "pools": ((0, 2),), **options}
    if "areas" in small:
        small["areas"] = ((0, 4096),)
    recipe = replace(recipe, data=replace(recipe.data, options=small), steps=2, batch=2)
    result = train(recipe, folder, tmp_path / "run", device="cpu")
    (role,) = result.parts
    part_class = type(recipe.parts[role]())
    assert part_class.from_pretrained(result.parts[role]).network is not None
