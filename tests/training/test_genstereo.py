"""GenStereo's data, its crop rule and lost disparity, its start from Stable Diffusion, and both recipes on tiny networks."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tests.diffusion.tiny import write_pipeline

from wheatstone.datasets import StereoDataset
from wheatstone.errors import CheckpointError, InputError
from wheatstone.samples import StereoSample
from wheatstone.synthesis import load_synthesizer
from wheatstone.synthesis.genstereo import small_networks
from wheatstone.training import Schedule, recipes, train, with_settings
from wheatstone.training.disparity_dropout import DisparityDropout, scan_lines
from wheatstone.training.genstereo import (
    GenStereoPairs,
    crop_factor,
    genstereo_pairs,
    small_genstereo,
    trainable_genstereo,
)

TINY = {"widths": (8, 16), "heads": 1, "vae_widths": (4, 4, 8, 8), "latent_channels": 4, "side": 32, "steps": 2}


class Boxes(StereoDataset):
    """A plain of disparity 2 with a box of disparity 8 on it; columns 5 to 14 are unknown."""

    def __init__(self, size=(48, 64), count=4):
        self.name, self.size = "boxes", size
        self.keys = [f"box-{i}" for i in range(count)]

    def read(self, index):
        height, width = self.size
        left, right = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(index))
        disparity = torch.full((1, height, width), 2.0)
        disparity[:, 10:30, 30:50] = 8.0
        valid = torch.ones(1, height, width, dtype=torch.bool)
        valid[..., 5:15] = False
        disparity[..., 5:15] = float("nan")
        return StereoSample(
            self.keys[index],
            {"left": left, "right": right},
            {"left": 0.0, "right": 1.0},
            disparity=disparity,
            valid=valid,
        )


@dataclass(frozen=True)
class Crops:
    """What a recipe trains on here."""

    pairs: GenStereoPairs

    def __len__(self):
        return len(self.pairs)

    def item(self, index, step, generator):
        return self.pairs.item(index, step, generator)


def boxes(**settings):
    return GenStereoPairs(Boxes(), (32, 32), **settings)


NONE_LOST = DisparityDropout(pixels=0.0)


@pytest.mark.parametrize(
    ("have", "side", "factor"),
    [((400, 900), 100, 3), ((300, 900), 100, 2), ((201, 300), 100, 2), ((200, 300), 100, 1), ((100, 300), 100, 1)],
)
def test_crops_are_three_two_or_one_times_the_size(have, side, factor):
    assert crop_factor(have, (side, side)) == factor
    assert crop_factor((50, 300), (100, 100)) == 0.5
    assert crop_factor((100, 300), (50, 100)) == 1  # the side with less room decides
    assert crop_factor((401, 700), (100, 300)) == 2


def test_a_crop_shows_one_window_of_both_views_and_counts_disparity_in_its_own_pixels():
    pairs = GenStereoPairs(Boxes((100, 100)), (32, 32), NONE_LOST)  # a window of 96 x 96
    item = pairs.item(0, 0, np.random.default_rng(0))
    assert item["left"].shape == item["right"].shape == (3, 32, 32)
    assert torch.allclose(item["disparity"][item["valid"]].unique(), torch.tensor([2 / 3, 8 / 3]))
    assert not item["disparity"][~item["valid"]].any()
    enlarged = GenStereoPairs(Boxes((24, 64)), (48, 48), NONE_LOST).item(0, 0, np.random.default_rng(0))
    assert float(enlarged["disparity"].max()) == pytest.approx(16)


def test_published_crops_mix_disparity_across_edges():
    ours, official = (
        GenStereoPairs(Boxes((70, 70)), (32, 32), NONE_LOST, official=flag).item(0, 0, np.random.default_rng(1))
        for flag in (False, True)
    )
    values = [item["disparity"][item["valid"]].unique() for item in (ours, official)]
    assert values[0].tolist() == [1.0, 4.0]
    assert len(values[1]) > 2
    assert torch.equal(ours["left"], official["left"])


def test_pixels_are_lost_at_a_rate_of_their_own():
    valid = np.ones((40, 50), bool)
    always = DisparityDropout(pixels=1.0)
    shares = [always(valid, np.random.default_rng(seed))[1].mean() for seed in range(200)]
    assert 0.4 < np.mean(shares) < 0.6
    assert min(shares) < 0.1  # evenly from 0..1, not always half
    assert max(shares) > 0.9
    assert np.histogram(shares, 5, (0, 1))[0].min() > 20
    seldom = [DisparityDropout()(valid, np.random.default_rng(seed))[1].any() for seed in range(400)]
    assert 0.06 < np.mean(seldom) < 0.15
    known, dropped = DisparityDropout(pixels=0.0)(valid, np.random.default_rng(0))
    assert known.all()
    assert not dropped.any()


def test_scan_lines_leave_lines_and_no_sky():
    for seed in range(20):
        measured = scan_lines(96, 160, np.random.default_rng(seed))
        share = measured.mean()
        assert 0.02 < share < 0.45
        assert not measured[:19].any()
        below = measured[60:]
        # along a line the next pixel is often measured, one row further hardly ever
        across = (below[:, 1:] & below[:, :-1]).sum() / below[:, :-1].sum()
        down = (below[1:] & below[:-1]).sum() / below[:-1].sum()
        assert down < 0.15
        assert across > 0.35
    valid = np.ones((96, 160), bool)
    valid[:, :50] = False
    known, dropped = DisparityDropout(pixels=0.0, lines=1.0)(valid, np.random.default_rng(0))
    assert known.any()
    assert not known[:, :50].any()
    assert not dropped.any()


def test_settings_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(InputError, match="lines is a probability"):
        DisparityDropout(lines=2.0)
    with pytest.raises(InputError, match="pixels and lines"):
        genstereo_pairs(tmp_path, 0, size=64, cache=tmp_path / "kept", dropout={"rows": 1.0})
    with pytest.raises(InputError, match=r"data\.size"):
        genstereo_pairs(tmp_path, 0, size=(64, 64, 3), cache=tmp_path / "kept")
    with pytest.raises(InputError, match="--data"):
        genstereo_pairs(tmp_path, 0, size=64, cache=tmp_path)
    given = genstereo_pairs("scenes=900000:3", 0, size=64, cache=tmp_path, scenes=2)  # --data comes before rendering
    assert (len(given), given.size) == (3, (64, 64))


def test_rendered_pairs_are_data(tmp_path):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    pairs = genstereo_pairs(tmp_path, 0, size=(32, 32), cache=tmp_path, scenes=2, scene_size=(40, 48))
    assert len(pairs) == 2
    item = pairs.item(1, 0, np.random.default_rng(0))
    again = pairs.item(1, 0, np.random.default_rng(0))
    assert all(torch.equal(item[name], again[name]) for name in ("left", "right", "disparity", "valid", "dropped"))
    assert item["key"] == "scene-1"
    assert item["valid"].all()
    assert 0 <= float(item["left"].min()) < float(item["left"].max()) <= 1


@pytest.fixture(scope="module")
def stable_diffusion(tmp_path_factory):
    """A text-to-image pipeline with an image encoder beside it."""
    folder = write_pipeline(tmp_path_factory.mktemp("sd"), "StableDiffusionPipeline", in_channels=4)
    small_networks(0, token_width=16).image_encoder.save_pretrained(folder / "image_encoder")
    return folder


def test_both_networks_start_as_stable_diffusion(stable_diffusion):
    part = trainable_genstereo(str(stable_diffusion))
    networks = part.network
    state, twin = networks.denoising_unet.state_dict(), networks.reference_unet.state_dict()
    assert set(state) - set(twin) == {
        f"conv_{end}.{kind}" for end in ("norm_out", "out") for kind in ("weight", "bias")
    }
    assert all(torch.equal(value, state[name]) for name, value in twin.items())
    learning = {name for name, parameter in networks.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in learning} == {"denoising_unet", "reference_unet", "pose_guider", "fusion"}
    assert networks.vae.dtype == networks.image_encoder.dtype == torch.float16
    assert networks.denoising_unet.dtype == torch.float32
    assert networks.fusion.polarity == "known"
    assert trainable_genstereo(str(stable_diffusion), official=True).network.fusion.polarity == "hole"
    assert trainable_genstereo(
        str(stable_diffusion), checkpointing=True
    ).network.denoising_unet.is_gradient_checkpointing
    with pytest.raises(CheckpointError):
        trainable_genstereo(str(stable_diffusion / "unet"))


def test_the_last_block_of_the_reference_stays():
    networks = small_genstereo(widths=(8, 8, 8, 8), heads=1, vae_widths=(4, 4, 8, 8)).network
    frozen = {name for name, p in networks.reference_unet.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(name.startswith("up_blocks.3.") for name in frozen)
    assert all(p.requires_grad for p in networks.denoising_unet.parameters())


def test_the_published_recipe_trains_and_its_result_generates(stable_diffusion, tmp_path):
    recipe = with_settings(
        recipes["genstereo"],
        [f"start.generator={stable_diffusion}", "parts.generator.frozen_dtype=float32", "precision=no", "log_every=1"],
    )
    result = train(recipe, Crops(boxes()), tmp_path / "run", steps=2, save_every=2, device="cpu")
    assert {"latent", "pixel", "generated", "loss"} <= set(result.losses)
    before = trainable_genstereo(str(stable_diffusion)).network
    part = load_synthesizer("genstereo", weights=result.parts["generator"], steps=2, working_side=32)
    moved = part.network.denoising_unet.state_dict()
    assert not torch.equal(moved["conv_in.weight"], before.denoising_unet.state_dict()["conv_in.weight"])
    sample = Boxes()[0]
    view = part(sample.views["left"][None], sample.disparity[None], sample.valid[None])
    assert view.image.shape == (1, 3, 48, 64)
    # a training goes on from its own result
    again = trainable_genstereo(str(result.parts["generator"]), frozen_dtype="float32").network
    assert torch.equal(again.denoising_unet.state_dict()["conv_in.weight"], moved["conv_in.weight"])


def small(**objective):
    recipe = recipes["genstereo-small"]
    return replace(
        recipe,
        parts={"generator": replace(recipe.parts["generator"], options=TINY)},
        objective=replace(recipe.objective, options={**recipe.objective.options, "codec_steps": 2, **objective}),
        steps=4,
        batch=2,
        precision="no",
        save_every=1,
        log_every=1,
    )


def test_the_small_recipe_makes_its_codec_first_and_resumes_to_the_bit(tmp_path):
    data = Crops(boxes(dropout=DisparityDropout(pixels=0.5, lines=0.5)))
    constant = replace(small(), schedule=Schedule("constant", warmup=0.0))  # a shorter run then takes the same steps
    whole = train(constant, data, tmp_path / "whole", device="cpu")
    train(constant, data, tmp_path / "parts", device="cpu", steps=2)
    train(constant, data, tmp_path / "parts", device="cpu", resume=True)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert ["prior" in line for line in lines] == [True, True, False, False]
    ours, theirs = (
        torch.load(next((tmp_path / run).glob("checkpoints/*/state.pt")))["networks"]["generator"]
        for run in ("whole", "parts")
    )
    assert set(ours) == set(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    part = load_synthesizer("genstereo", weights=whole.parts["generator"])
    assert part.config["steps"] == 2
    assert part.network.vae.config.scaling_factor == 1.0
    view = part(torch.rand(1, 3, 32, 32), torch.full((1, 1, 32, 32), 3.0))
    assert view.image.isfinite().all()
