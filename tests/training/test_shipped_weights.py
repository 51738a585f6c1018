"""The weights that ship: small enough, with a card, and better than doing without on scenes nobody trained on."""

from importlib.resources import files

import pytest
import torch

from wheatstone.depth import load_depth
from wheatstone.evaluation import border_holes, inverse_depth_metrics
from wheatstone.matching import load_matcher
from wheatstone.samples import image_batch
from wheatstone.synthesis import load_synthesizer

WEIGHTS = files("wheatstone") / "weights"
SIZE = (120, 160)


@pytest.mark.parametrize("name", ["embedded-depth", "embedded-filler", "embedded-matcher"])
def test_five_megabytes_at_most_and_a_model_card(name):
    folder = WEIGHTS / name
    assert len((folder / "model.safetensors").read_bytes()) <= 5_000_000
    card = (folder / "README.md").read_text()
    assert f"wheatstone train {name} OUT" in card
    assert "## Limits" in card
    assert ("placeholder" in card) == (name == "embedded-depth")


def test_the_depth_looks_at_the_picture():
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    from wheatstone.scenes import HELD_OUT, depth_view

    network, rows = load_depth("embedded"), load_depth("row-prior")
    errors = []
    for seed in range(6):
        view = depth_view(HELD_OUT + seed, size=SIZE, family="street" if seed % 2 else "room")
        image, truth = image_batch(view.image), torch.from_numpy(view.inverse_depth)[None, None]
        errors.append([inverse_depth_metrics(part(image).inverse_depth, truth)["abs_rel"] for part in (network, rows)])
    ours, without = torch.tensor(errors).mean(0)
    assert ours < 0.75 * without


def test_the_filler_beats_row_copies():
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    from wheatstone.scenes import HELD_OUT, render_scene

    parts = [load_synthesizer("embedded"), load_synthesizer("rows")]
    squares = torch.zeros(2)
    for seed in range(5):
        scene = render_scene(HELD_OUT + seed, size=SIZE, visibility=False)
        left, right = (image_batch(image) for image in scene.images[0])
        disparity = torch.from_numpy(scene.disparity[:1, :1])
        for index, part in enumerate(parts):
            view = part(left, disparity)
            inside = view.hole & ~border_holes(view.hole)
            squares[index] += ((view.image - right).square() * inside).sum()
    assert squares[0] < 0.85 * squares[1]  # 0.7 dB


def test_the_matcher_beats_semi_global_matching():
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    from wheatstone.scenes import HELD_OUT, render_scene

    parts = [load_matcher("embedded"), load_matcher("sgbm")]
    errors = torch.zeros(2)
    for seed in range(5):
        scene = render_scene(HELD_OUT + seed, size=SIZE, visibility=False)
        left, right = (image_batch(image) for image in scene.images[0])
        truth = torch.from_numpy(scene.disparity[:1, :1])
        errors += torch.stack([(part(left, right).disparity - truth).abs().mean() for part in parts])
    assert errors[0] < 0.9 * errors[1]
