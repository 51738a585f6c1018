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
from wheatstone.training import Schedule, dry_run, recipes, train
from wheatstone.training.inpainter import InpaintPairs, inpaint_pairs, small_inpainter, trainable_inpainter
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


def test_the_mask_is_shown_to_the_unet_as_it_will_be_when_painting(tmp_path, pipeline):
    shown = []

    def watch(_module, inputs, _keywords):
        shown.append(inputs[0][:, 4:5])

    hole = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    hole[..., 3, 3] = True  # not the corner of any latent cell
    batch = {"warped": torch.rand(1, 3, 16, 16), "target": torch.rand(1, 3, 16, 16), "hole": hole}
    parts = [trainable_inpainter(str(pipeline), checkpointing=False, mask_pooling=way) for way in (None, "max")]
    parts[1].save_pretrained(tmp_path / "max")
    parts.append(trainable_inpainter(str(tmp_path / "max"), checkpointing=False))  # as the folder says
    for part in parts:
        part.network.unet.register_forward_pre_hook(watch, with_kwargs=True)
        InpaintingNoise()({"inpainter": part.network}, batch, 0, item_generators([0], 0))
    assert [float(mask.sum()) for mask in shown] == [0.0, 1.0, 1.0]
    assert [part.config["mask_pooling"] for part in parts] == ["nearest", "max", "max"]


def small(**objective):
    recipe = recipes["zerostereo-inpainter-small"]
    tiny = {"widths": (8, 16), "heads": 1, "vae_widths": (4, 4, 8), "side": 64, "steps": 2}
    return replace(
        recipe,
        parts={"inpainter": replace(recipe.parts["inpainter"], options=tiny)},
        objective=replace(recipe.objective, options={**recipe.objective.options, "codec_steps": 2, **objective}),
        schedule=Schedule("constant", warmup=0.0),  # a shorter run then takes the same steps
        steps=4,
        batch=2,
        precision="no",
        save_every=1,
        log_every=1,
    )


def test_the_small_recipe_makes_its_codec_first_and_resumes_to_the_bit(tmp_path):
    data = InpaintPairs(Pairs(count=2), plain((32, 32)))
    whole = train(small(), data, tmp_path / "whole", device="cpu")
    train(small(), data, tmp_path / "parts", device="cpu", steps=1)
    codec = load_file(tmp_path / "parts/inpainter/vae/diffusion_pytorch_model.safetensors")
    train(small(), data, tmp_path / "parts", device="cpu", steps=3, resume=True)
    train(small(), data, tmp_path / "parts", device="cpu", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert ["prior" in line for line in lines] == [True, True, False, False]
    assert ["noise" in line for line in lines] == [False, False, True, True]
    ours, theirs = (
        torch.load(next((tmp_path / run).glob("checkpoints/*/state.pt")))["networks"]["inpainter"]
        for run in ("whole", "parts")
    )
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    final = load_file(tmp_path / "parts/inpainter/vae/diffusion_pytorch_model.safetensors")
    assert any(not torch.equal(value, codec[name]) for name, value in final.items())
    part = load_synthesizer("inpainting", weights=whole.parts["inpainter"])
    assert (part.config["steps"], part.config["paint_side"], part.config["mask_pooling"]) == (2, 64, "max")
    view = part(torch.rand(1, 3, 40, 56), torch.full((1, 1, 40, 56), 3.0))
    assert view.image.isfinite().all()
    assert view.hole.any()


def test_the_plan_looks_at_both_stages():
    data = InpaintPairs(Pairs(), plain((32, 32)))
    plan = dry_run(small(), data, device="cpu")
    assert "reconstruction x 1, prior x 0.006 in the first 2 steps; noise x 1" in plan.text()
    assert "trains all" in plan.text()
    alone = [dry_run(small(codec_steps=steps), data, device="cpu").memory.activations for steps in (0, 4)]
    assert plan.memory.activations == max(alone) > min(alone) > 0


def test_a_small_result_starts_either_recipe(tmp_path):
    part = small_inpainter(widths=(8, 16), heads=1, vae_widths=(4, 4, 8), side=64, steps=3)
    part.save_pretrained(tmp_path / "inpainter")
    again = small_inpainter(start=str(tmp_path / "inpainter"), widths=(16, 32))
    assert again.config == part.config  # its own sizes and settings, not those that were asked for
    learned = again.network.state_dict()
    assert all(torch.equal(value, learned[name]) for name, value in part.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in again.network.parameters())
    full = trainable_inpainter(str(tmp_path / "inpainter"))
    assert not any(parameter.requires_grad for parameter in full.network.vae.parameters())
    recipe = replace(
        recipes["zerostereo-inpainter"], start={"inpainter": str(tmp_path / "inpainter")}, batch=2, accumulate=1
    )
    plan = dry_run(replace(recipe, precision="no"), InpaintPairs(Pairs(), plain((32, 32))), device="cpu")
    assert "starts from" in plan.text()


def test_without_data_the_small_recipe_renders_and_the_full_one_says_what_to_give(tmp_path):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    settings = {**recipes["zerostereo-inpainter-small"].data.options, "crop": (24, 32), "scene_size": (32, 40)}
    pairs = inpaint_pairs(tmp_path, 0, cache=tmp_path, **{**settings, "scenes": 2})
    item, again = (pairs.item(1, 0, np.random.default_rng(4)) for _ in range(2))
    assert len(pairs) == 2
    assert all(torch.equal(item[name], again[name]) for name in ("warped", "hole", "target"))
    assert item["hole"].any()
    assert not item["hole"].all()
    with pytest.raises(InputError, match=r"needs data: name with --data .* zerostereo-mix=ROOT"):
        inpaint_pairs(tmp_path, 0, cache=tmp_path)
    nowhere = replace(recipes["zerostereo-inpainter"].parts["inpainter"], options={"start": str(tmp_path / "none")})
    with pytest.raises(CheckpointError, match="--start PATH"):
        dry_run(replace(recipes["zerostereo-inpainter"], parts={"inpainter": nowhere}), None, device="cpu")


def test_settings_of_the_codec_stage_are_checked():
    with pytest.raises(InputError, match="codec_steps"):
        InpaintingNoise(codec_steps=-1)
