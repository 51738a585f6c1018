"""Fine-tuning of diffusion inpainting on a tiny random pipeline: what the U-Net is shown, and that it learns and loads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.diffusion.tiny import write_pipeline

from wheatstone.datasets import StereoDataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.errors import CheckpointError, InputError
from wheatstone.geometry import forward_warp
from wheatstone.objectives.inpainting import InpaintingNoise
from wheatstone.samples import StereoSample
from wheatstone.synthesis import load_synthesizer
from wheatstone.training import recipes, train
from wheatstone.training.inpainter import InpaintPairs, inpaint_pairs, trainable_inpainter
from wheatstone.training.order import item_generators


class Pairs(StereoDataset):
    """A plain of disparity 2 with a box of disparity 8 on it; ten columns of unknown truth."""

    def __init__(self, size=(48, 64), count=4):
        self.name, self.size = "boxes", size
        self.keys = [f"box-{i}" for i in range(count)]

    def read(self, index):
        height, width = self.size
        generator = torch.Generator().manual_seed(index)
        left = torch.rand(3, height, width, generator=generator)
        disparity = torch.full((1, height, width), 2.0)
        disparity[:, 10:30, 30:50] = 8.0
        valid = torch.ones(1, height, width, dtype=torch.bool)
        valid[..., 5:15] = False
        disparity[..., 5:15] = float("nan")
        right = torch.rand(3, height, width, generator=generator)
        views = {"left": left, "right": right}
        return StereoSample(self.keys[index], views, {"left": 0.0, "right": 1.0}, disparity=disparity, valid=valid)


def plain(crop, **settings):
    return StereoAugmentation().only(crop=crop, **settings)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_pipeline(
        tmp_path_factory.mktemp("pipeline"), "StableDiffusionInpaintPipeline", vae_dtype=torch.float32
    )


def test_an_item_is_the_crop_moved_by_its_truth(tmp_path):
    data = InpaintPairs(Pairs(), plain((32, 40)))
    item = data.item(0, 0, np.random.default_rng(3))
    drawn = plain((32, 40))(Pairs()[0], np.random.default_rng(3))
    expected = forward_warp(drawn["left"][None], drawn["disparity"][None], drawn["valid"][None])
    assert torch.equal(item["warped"], expected.image[0])
    assert torch.equal(item["hole"], expected.hole[0])
    assert torch.equal(item["target"], drawn["right"])
    assert item["hole"][..., -2:].all()  # what lies beyond the crop is to be painted
    whole = InpaintPairs(Pairs(), plain((48, 64)))
    ours, official = (replace(whole, official=flag).item(0, 0, np.random.default_rng(3)) for flag in (False, True))
    assert ours["hole"][0, :, 3:13].all()  # where the columns of unknown truth would land
    assert not official["hole"][0, :, 5:13].any()  # there they stay in place


def test_small_pictures_are_enlarged_by_one_factor():
    item = InpaintPairs(Pairs((24, 64)), plain((48, 48))).item(0, 0, np.random.default_rng(0))
    assert item["warped"].shape == (3, 48, 48)
    # disparity 2 became 4: the last four columns are holes, but for the box further left
    assert item["hole"][0, -1, -4:].all()
    assert not item["hole"][0, -1, -5]


def test_colours_change_alike_in_both_views():
    same = Pairs()
    same.read = lambda index: replace(
        (s := Pairs.read(same, index)), views={"left": s.views["left"], "right": s.views["left"]}
    )
    augmentation = plain((48, 64), brightness=0.4, contrast=0.4, saturation=(0.0, 1.4), hue=0.159)
    drawn = augmentation(same.read(0), np.random.default_rng(1))
    torch.testing.assert_close(drawn["left"], drawn["right"])
    assert not torch.allclose(drawn["left"], drawn["left_clean"], atol=0.01)


def test_bad_settings_are_refused(tmp_path, pipeline):
    with pytest.raises(InputError, match="multiples of 8, got 100,64"):
        inpaint_pairs(tmp_path, 0, crop=(100, 64))
    with pytest.raises(InputError, match=r"zerostereo-mix=ROOT"):
        inpaint_pairs(tmp_path / "none", 0)
    with pytest.raises(CheckpointError, match="no weights for"):
        trainable_inpainter(str(tmp_path / "none"))
    part = trainable_inpainter(str(pipeline))
    batch = {"hole": torch.ones(1, 1, 20, 16, dtype=torch.bool)}
    with pytest.raises(InputError, match="no multiple of 8"):
        InpaintingNoise()({"inpainter": part.network}, batch, 0, item_generators([0], 0))


def test_only_the_unet_learns_and_counts_need_no_network(pipeline):
    part = trainable_inpainter(str(pipeline))
    names = [name for name, p in part.network.named_parameters() if p.requires_grad]
    assert names
    assert all(name.startswith("unet.") for name in names)
    items = [InpaintPairs(Pairs(), plain((32, 40))).item(i, 0, np.random.default_rng(i)) for i in range(3)]
    batch = {name: torch.stack([item[name] for item in items]) for name in ("warped", "hole", "target")}
    objective = InpaintingNoise()
    (total, count, weight) = objective({"inpainter": part.network}, batch, 0, item_generators(range(3), 0))["noise"]
    assert int(count) == objective.counts(batch)["noise"] == 3
    assert weight == 1
    one = [
        objective({"inpainter": part.network}, {n: v[i : i + 1] for n, v in batch.items()}, 0, item_generators([i], 0))[
            "noise"
        ][0]
        for i in range(3)
    ]
    torch.testing.assert_close(total, torch.stack(one).sum(), rtol=1e-4, atol=1e-5)  # no item depends on its neighbours
    assert 0.3 < float(total.detach()) / 3 < 3  # an untrained network misses unit noise by about its variance


def test_a_text_to_image_unet_grows_channels_without_any_effect(tmp_path):
    folder = write_pipeline(tmp_path, "StableDiffusionPipeline", in_channels=4)
    before = trainable_inpainter(str(folder)).network.unet
    assert before.config.in_channels == 9
    weight = before.conv_in.weight
    assert torch.equal(weight[:, 4:], torch.zeros_like(weight[:, 4:]))
    assert weight[:, :4].abs().sum() > 0


def test_it_trains_and_its_folder_paints(tmp_path, pipeline):
    recipe = replace(recipes["zerostereo-inpainter"], steps=40, batch=2, accumulate=1, precision="no", log_every=1)
    recipe = replace(recipe, optimiser=replace(recipe.optimiser, lr=3e-3), start={"inpainter": str(pipeline)})
    data = InpaintPairs(Pairs(count=2), plain((32, 32)))
    result = train(recipe, data, tmp_path / "run", device="cpu")
    losses = [json.loads(line)["noise"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:5])
    folder = Path(result.parts["inpainter"])
    ours, theirs = (load_file(root / "vae/diffusion_pytorch_model.safetensors") for root in (folder, pipeline))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    painter = load_synthesizer("inpainting", weights=folder, steps=2)
    sample = Pairs()[0]
    view = painter(sample.views["left"][None], sample.disparity[None], sample.valid[None])
    assert view.image.shape == (1, 3, 48, 64)
    assert view.hole.any()
    import diffusers

    stock = diffusers.StableDiffusionInpaintPipeline.from_pretrained(folder, local_files_only=True)
    learned = painter.network.unet.state_dict()
    assert all(torch.equal(value, learned[name]) for name, value in stock.unet.state_dict().items())
