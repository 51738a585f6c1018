import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.matching.weights import deterministic_state, fill

import wheatstone
from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching.igev_stereo import IgevStereo
from wheatstone.matching.raft_stereo import PRESETS, RaftStereo

TINY = {"hidden_dims": (8, 12, 16), "n_downsample": 3, "corr_levels": 2, "corr_radius": 2, "iterations": 2}

# golden -> preset, padding (left, right, top, bottom), largest deviation of the original in float32 from itself in float64
GOLDENS = {
    "default_101x173": ("raft-stereo", (9, 10, 13, 14), 1.1e-5),
    "default_128x192": ("raft-stereo", (0, 0, 0, 0), 1.1e-5),
    "realtime_128x192": ("raft-stereo-realtime", (0, 0, 0, 0), 1.1e-5),
    "instalt_128x192": ("raft-stereo-instance", (0, 0, 0, 0), 1.7e-5),
}


def tiny(**changes) -> RaftStereo:
    matcher = RaftStereo(**{**TINY, **changes})
    fill(matcher.network)
    return matcher


def pair(height: int = 45, width: int = 70, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(2, batch, 3, height, width, generator=torch.Generator().manual_seed(1))
    return images[0], images[1]


@pytest.mark.parametrize("name", GOLDENS)
def test_original_outputs(goldens, tmp_path, name):
    preset, (before, _, above, _), deviation = GOLDENS[name]
    state = deterministic_state(goldens / f"raft_stereo_{name}.keys.json")
    file = tmp_path / "original.pth"
    torch.save({f"module.{key}": value for key, value in reversed(state.items())}, file)
    options = {"correlation": "on-demand"} if "alt" in name else {}
    matcher = wheatstone.load_matcher(preset, weights=file, **options)
    golden = np.load(goldens / f"raft_stereo_{name}.npz")
    height, width = golden["left"].shape[:2]
    inside = (..., slice(above, above + height), slice(before, before + width))

    found = matcher(golden["left"], golden["right"], iterations=4, all_iterations=True)
    assert len(found.iterations) == 4
    for step, prediction in enumerate(found.iterations):
        assert abs(-prediction.numpy()[0] - golden["preds"][step][inside]).max() < 10 * deviation

    assert np.all(golden["flow_init"][:, 0] == -1.5)
    start = torch.full((1, 1, height, width), 1.5 * matcher.network.factor)
    started = matcher(golden["left"], golden["right"], iterations=2, initial=start)
    assert abs(-started.disparity.numpy() - golden["init_flow_up"][inside]).max() < 10 * deviation


def test_keys_are_those_of_the_originals(goldens):
    for name, (preset, *_) in GOLDENS.items():
        published = dict(json.loads((goldens / f"raft_stereo_{name}.keys.json").read_text()))
        ours = RaftStereo(**PRESETS[preset]).network.state_dict()
        assert {key: list(value.shape) for key, value in ours.items()} == published


def test_safetensors_of_zerostereo_without_aliases(goldens, tmp_path):
    kept = dict(json.loads((goldens / "raft_stereo_zerostereo_safetensors.keys.json").read_text()))
    state = deterministic_state(kept)
    assert not [key for key in state if "downsample.1" in key]
    folder = tmp_path / "Zero-RAFT-Stereo"
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    network = wheatstone.load_matcher("raft-stereo", weights=folder).network
    loaded = network.state_dict()
    for key, value in state.items():
        assert torch.equal(loaded[key], value)
    assert torch.equal(loaded["cnet.layer2.0.downsample.1.weight"], state["cnet.layer2.0.norm3.weight"])


@pytest.mark.parametrize("kept", ["norm3", "downsample.1"])
def test_either_name_of_the_shortcuts_norm_will_do(tmp_path, kept):
    dropped = "downsample.1" if kept == "norm3" else "norm3"
    state = {key: value for key, value in RaftStereo().network.state_dict().items() if dropped not in key}
    state["cnet.layer4.0." + kept + ".weight"] = torch.full((128,), 3.0)
    torch.save(state, tmp_path / "some.pth")
    network = wheatstone.load_matcher("raft-stereo", weights=tmp_path / "some.pth").network
    assert network.cnet.layer4[0].norm3 is network.cnet.layer4[0].downsample[1]
    assert torch.all(network.cnet.layer4[0].norm3.weight == 3)


@pytest.mark.parametrize("order", [1, -1])
def test_name_of_the_strided_shortcut_wins_in_any_order(tmp_path, order):
    state = RaftStereo().network.state_dict()
    state["cnet.layer4.0.norm3.weight"] = torch.full((128,), 3.0)
    state["cnet.layer4.0.downsample.1.weight"] = torch.full((128,), 5.0)
    torch.save(dict(list(state.items())[::order]), tmp_path / "both.pth")
    network = wheatstone.load_matcher("raft-stereo", weights=tmp_path / "both.pth").network
    assert torch.all(network.cnet.layer4[0].norm3.weight == 5)


def test_missing_and_left_over_keys_are_named(tmp_path):
    state = RaftStereo().network.state_dict()
    del state["fnet.conv2.bias"]
    state["stranger.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(
        CheckpointError, match=r"odd\.pth .*1 missing: fnet\.conv2\.bias; 1 left over: stranger\.weight"
    ):
        wheatstone.load_matcher("raft-stereo", weights=tmp_path / "odd.pth")


def test_weights_of_another_preset_are_recognised(tmp_path):
    torch.save(IgevStereo().network.state_dict(), tmp_path / "igev.pth")
    with pytest.raises(CheckpointError, match="weights for 'igev-stereo'"):
        wheatstone.load_matcher("raft-stereo", weights=tmp_path / "igev.pth")
    torch.save(RaftStereo(**PRESETS["raft-stereo-realtime"]).network.state_dict(), tmp_path / "fast.pth")
    with pytest.raises(CheckpointError, match="weights for 'raft-stereo-realtime'"):
        wheatstone.load_matcher("raft-stereo", weights=tmp_path / "fast.pth")
    assert wheatstone.load_matcher("raft-stereo-realtime", weights=tmp_path / "fast.pth").iterations == 7


def test_own_folder_carries_its_configuration(tmp_path):
    matcher = tiny(n_gru_layers=2, context_norm="group", correlation="on-demand")
    matcher.save_pretrained(tmp_path / "mine")
    for name, weights in ((str(tmp_path / "mine"), None), ("raft-stereo", tmp_path / "mine")):
        again = wheatstone.load_matcher(name, weights=weights)
        assert again.config == matcher.config
        assert torch.equal(again(*pair()).disparity, matcher(*pair()).disparity)
    assert wheatstone.load_matcher(str(tmp_path / "mine"), iterations=3).iterations == 3
    with pytest.raises(CheckpointError, match="context_norm='group'"):
        wheatstone.load_matcher("raft-stereo-instance", weights=tmp_path / "mine")


def test_unknown_setting_and_values_out_of_range():
    with pytest.raises(InputError, match="has no such setting"):
        wheatstone.load_matcher("raft-stereo", weights=__file__, depth=3)
    for wrong in ({"n_gru_layers": 4}, {"correlation": "fast"}, {"context_norm": "layer"}, {"corr_levels": 0}):
        with pytest.raises(InputError):
            RaftStereo(**wrong)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("shared", [False, True])
def test_bands_equal_the_plain_form(norm, shared, monkeypatch):
    monkeypatch.setattr("wheatstone.matching.row_bands.CPU_PIXELS", 64 * 9)
    matcher = tiny(context_norm=norm, shared_backbone=shared, n_downsample=2)
    left, right = (view[..., :64, :64] for view in pair(64, 64))
    with torch.enable_grad():
        plain = matcher.network(left, right, 2)
    with torch.no_grad():
        banded = matcher.network(left, right, 2)
    for one, other in zip(plain.predictions, banded.predictions, strict=True):
        assert torch.allclose(one, other, atol=1e-4, rtol=0)


def test_every_off_gives_the_last_and_correlations_agree():
    left, right = pair()
    matcher = tiny()
    all_steps = matcher(left, right, 3, all_iterations=True).iterations
    assert torch.equal(matcher(left, right, 3).disparity, all_steps[-1])
    other = tiny(correlation="on-demand")
    assert torch.allclose(other(left, right, 3).disparity, all_steps[-1], atol=1e-4)


@pytest.mark.parametrize("settings", [{"n_gru_layers": 1}, {"n_gru_layers": 3, "slow_fast_gru": True}])
def test_training_reaches_every_weight_but_those_of_unused_scales(settings):
    matcher = tiny(**settings)
    network = matcher.network.train()
    assert not network.cnet.norm1.training
    left, right = (view[..., :64, :96] for view in pair(64, 96))
    sum(step.abs().mean() for step in network(left, right, 2).predictions).backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    if settings["n_gru_layers"] == 1:
        assert all(any(part in name for part in ("16", "32", "layer4", "layer5")) for name in without)
    else:
        assert without == []
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


def test_gradients_of_both_correlations_are_equal():
    gradients = []
    for kind in ("volume", "on-demand"):
        network = tiny(correlation=kind).network.train()
        left, right = (view[..., :64, :96] for view in pair(64, 96))
        network(left, right, 2).predictions[-1].mean().backward()
        gradients.append(network.fnet.conv1.weight.grad)
    assert torch.allclose(*gradients, atol=1e-6)


def test_batch_norm_trains_when_it_is_not_frozen():
    network = tiny(freeze_batch_norm=False).network.train()
    assert network.cnet.norm1.training
    before = network.cnet.norm1.running_mean.clone()
    network(*(view[..., :32, :64] for view in pair(32, 64)), 1)
    assert not torch.equal(before, network.cnet.norm1.running_mean)


# (few pixels: float16 convolutions are very slow on most CPUs)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_half_precision_stays_finite(dtype, scale):
    """With features of thousands, dot products and squares pass the range of float16 many times over."""
    matcher = tiny(n_gru_layers=1)
    with torch.no_grad():
        matcher.network.fnet.conv2.weight.mul_(scale)
        matcher.network.fnet.conv1.weight.mul_(scale**2)
        matcher.network.cnet.conv1.weight.mul_(scale**2)
        matcher.network.cnet.layer1[0].conv1.weight.mul_(scale)
    exact = matcher(*pair(32, 32)).disparity
    half = matcher.to(dtype=dtype)(*pair(32, 32)).disparity
    assert half.dtype == torch.float32
    assert torch.isfinite(half).all()
    if scale == 1:
        assert float((half - exact).abs().mean()) < 0.05 * float(exact.abs().mean()) + 0.05


def test_original_start_value_is_taken_in_pixels_of_the_image():
    matcher = tiny()
    left, right = pair()
    small = matcher(left, right, 1, initial=torch.full((1, 1, 9, 14), 2.0)).disparity
    large = matcher(left, right, 1, initial=torch.full((1, 1, 45, 70), 10.0)).disparity
    assert torch.allclose(small, large, atol=1e-4)
    assert not torch.allclose(small, matcher(left, right, 1).disparity, atol=1e-2)
