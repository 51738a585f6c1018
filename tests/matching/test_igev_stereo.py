import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.matching.weights import deterministic_state, fill

from wheatstone.errors import CheckpointError, InputError
from wheatstone.geometry import pad_to_multiple
from wheatstone.matching import load_matcher
from wheatstone.matching.igev_stereo import IgevStereo, context_upsample
from wheatstone.matching.igev_volume import GeometryLookup, group_correlation, soft_argmin
from wheatstone.matching.raft_stereo import PRESETS, RaftStereo

TINY = {"hidden_dims": [16, 16, 16], "max_disparity": 64, "iterations": 2}
DEVIATION = 1.0e-4


@pytest.fixture(scope="module")
def matcher():
    made = IgevStereo(**TINY)
    fill(made.network)
    return made


@pytest.fixture(scope="module")
def published(goldens):
    """State of the original by rule; the names of its keys."""
    return deterministic_state(goldens / "igev_stereo_default_128x192.keys.json")


def pair(height, width, seed=0):
    return torch.rand(2, 1, 3, height, width, generator=torch.Generator().manual_seed(seed)).unbind()


@pytest.mark.parametrize("size", ["128x192", "107x165"])
def test_agrees_with_the_original(goldens, published, tmp_path, size):
    arrays = np.load(goldens / f"igev_stereo_default_{size}.npz")
    torch.save({f"module.{key}": value for key, value in published.items()}, tmp_path / "igev.pth")
    matcher = load_matcher("igev-stereo", weights=tmp_path / "igev.pth")
    outputs = []
    hook = matcher.network.register_forward_hook(lambda *called: outputs.append(called[-1]))
    match = matcher(arrays["left"], arrays["right"], 4, all_iterations=True)
    hook.remove()
    padding = pad_to_multiple(torch.zeros(1, 1, *arrays["left"].shape[:2]), 32)[1]
    for found, expected in zip(match.iterations, arrays["preds"], strict=True):
        assert (found[0] - padding.crop(torch.from_numpy(expected))).abs().max() < 10 * DEVIATION
    (output,) = outputs  # at the padded size
    assert np.abs(output.initial.numpy() - arrays["init_disp"]).max() < 10 * DEVIATION
    assert np.abs(output.predictions[-1].numpy() - arrays["disp_test_mode"]).max() < 10 * DEVIATION
    only_last = matcher(arrays["left"], arrays["right"], 4).disparity
    torch.testing.assert_close(only_last, match.disparity, atol=1e-4, rtol=0)


def test_files_of_every_layout_load(goldens, published, tmp_path):
    names = [key for key, _ in json.loads((goldens / "igev_stereo_official.keys.json").read_text())]
    extra = {key: torch.zeros(()) for key in names if key not in published}
    assert len(extra) == 5
    torch.save({f"module.{key}": value for key, value in {**published, **extra}.items()}, tmp_path / "original.pth")
    kept = [key for key, _ in json.loads((goldens / "igev_stereo_zerostereo_safetensors.keys.json").read_text())]
    folder = tmp_path / "Zero-IGEV-Stereo"
    folder.mkdir()
    # the file keeps the first of two names of a tensor; its value is the effective one, that of the second name
    state = {key: published[key.replace("norm3", "downsample.1") if "norm3" in key else key] for key in kept}
    save_file(state, folder / "model_192.safetensors")
    save_file(state, folder / "model_700.safetensors")
    only_second = {key: value for key, value in published.items() if ".0.norm3." not in key}
    assert len(only_second) == len(published) - 20 == len(kept)
    torch.save(only_second, tmp_path / "second.pth")
    expected = load_matcher("igev-stereo", weights=tmp_path / "original.pth").fingerprint()["weights_sha256"]
    for place in (folder, folder / "model_192.safetensors", tmp_path / "second.pth"):
        matcher = load_matcher("igev-stereo", weights=place)
        assert matcher.fingerprint()["weights_sha256"] == expected
        assert matcher.config["max_disparity"] == 192
    for wide in (
        load_matcher("igev-stereo", weights=folder, max_disparity=700),
        load_matcher("igev-stereo", weights=folder / "model_700.safetensors"),
    ):
        assert wide.config["max_disparity"] == 700
        assert wide.network.steps == 176
    with pytest.raises(CheckpointError, match=r"no model_320\.safetensors, but model_192"):
        load_matcher("igev-stereo", weights=folder, max_disparity=320)


def test_errors(tmp_path, matcher):
    for settings in ({"n_downsample": 3}, {"hidden_dims": [16, 16]}, {"n_gru_layers": 4}, {"max_disparity": 0}):
        with pytest.raises(InputError):
            IgevStereo(**settings)
    state = dict(matcher.network.state_dict())
    del state["desc.weight"]
    torch.save({**state, "desk.weight": torch.zeros(1)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"missing: desc\.weight; 1 left over: desk\.weight"):
        load_matcher("igev-stereo", weights=tmp_path / "model.pth", **TINY)
    torch.save(RaftStereo(**PRESETS["raft-stereo-realtime"]).network.state_dict(), tmp_path / "raft.pth")
    with pytest.raises(CheckpointError, match="weights for 'raft-stereo-realtime': load that preset"):
        load_matcher("igev-stereo", weights=tmp_path / "raft.pth")


def test_settings_replace_those_of_a_saved_folder(matcher, tmp_path):
    matcher.save_pretrained(tmp_path)
    assert load_matcher(str(tmp_path), iterations=5).iterations == 5


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_bands_change_nothing(layers, monkeypatch):
    network = IgevStereo(**{**TINY, "n_gru_layers": layers}).network
    fill(network)
    left, right = pair(96, 64)
    monkeypatch.setattr("wheatstone.matching.row_bands.CPU_PIXELS", 1)
    with torch.no_grad():
        banded = network(left, right, 2)
    plain = network(left, right, 2)
    for one, other in zip((*banded.predictions, banded.initial), (*plain.predictions, plain.initial), strict=True):
        torch.testing.assert_close(one, other.detach(), atol=1e-3, rtol=0)


def test_start_value_is_used_and_a_step_is_a_step(matcher):
    left, right = pair(64, 96)
    two = matcher(left, right, 2, all_iterations=True)
    torch.testing.assert_close(matcher(left, right, 1).disparity, two.iterations[0], atol=1e-4, rtol=0)
    moved = matcher(left, right, 1, initial=torch.full((1, 1, 64, 96), 40.0)).disparity
    assert (moved - two.iterations[0]).abs().mean() > 1


def test_group_correlation_by_hand():
    left, right = torch.randn(2, 1, 16, 3, 7).unbind()
    volume = group_correlation(left, right, 4, groups=2)
    assert volume.shape == (1, 2, 4, 3, 7)
    for d in range(4):
        assert not volume[:, :, d, :, :d].any()
        for x in range(d, 7):
            expected = (left[..., x] * right[..., x - d]).view(1, 2, 8, 3).mean(2)
            torch.testing.assert_close(volume[:, :, d, :, x], expected)


def test_lookup_by_hand():
    volume = torch.randn(1, 2, 2, 6, 8)  # [B,G,h,w,D]
    left, right = torch.randn(2, 1, 4, 2, 6).unbind()
    disparity = torch.full((1, 1, 2, 6), 2.25)
    samples = GeometryLookup(volume, left, right, 2, 1)(disparity)
    assert samples.shape == (1, 2 * 3 * 3, 2, 6)
    torch.testing.assert_close(samples[:, 1], 0.75 * volume[:, 0, :, :, 2] + 0.25 * volume[:, 0, :, :, 3])
    torch.testing.assert_close(samples[:, 3], 0.75 * volume[:, 1, :, :, 1] + 0.25 * volume[:, 1, :, :, 2])
    products = torch.einsum("bchx,bchy->bhxy", left, right)
    torch.testing.assert_close(samples[0, 7, :, 5], 0.25 * products[0, :, 5, 2] + 0.75 * products[0, :, 5, 3])
    pooled = volume.unflatten(-1, (4, 2)).mean(-1)
    torch.testing.assert_close(samples[:, 10], 0.875 * pooled[:, 0, :, :, 1] + 0.125 * pooled[:, 0, :, :, 2])


def test_soft_argmin_and_upsampling():
    scores = torch.zeros(1, 6, 2, 2)
    scores[:, 4] = 60.0
    torch.testing.assert_close(soft_argmin(scores), torch.full((1, 1, 2, 2), 4.0))
    disparity = torch.arange(6.0).view(1, 1, 2, 3)
    shares = torch.zeros(1, 9, 8, 12)
    shares[:, 4] = 60.0  # the centre of the 3x3
    enlarged = context_upsample(disparity, shares)
    torch.testing.assert_close(enlarged, disparity.repeat_interleave(4, -1).repeat_interleave(4, -2))


def test_gradients_reach_every_weight_and_batch_norm_stays(matcher):
    network = IgevStereo(**TINY).network
    fill(network)
    network.train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    output = network(*pair(64, 64), 2)
    (sum(prediction.mean() for prediction in output.predictions) + output.initial.mean()).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    trained = IgevStereo(**TINY, freeze_batch_norm=False).network.train()
    assert trained.corr_stem.bn.training
    assert not network.corr_stem.bn.training


def test_mixed_precision_trains_with_disparities_in_full_precision():
    network = IgevStereo(**TINY).network.train()
    fill(network)
    exact = network(*pair(64, 64), 1)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(*pair(64, 64), 1)
    for ours, theirs in ((mixed.initial, exact.initial), (mixed.predictions[0], exact.predictions[0])):
        assert ours.dtype == torch.float32
        assert (ours != ours.bfloat16()).any()
        assert (ours - theirs).abs().mean() < 0.05 * theirs.abs().mean()
    (mixed.initial.mean() + mixed.predictions[0].mean()).backward()
    assert network.classifier.weight.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_survives_large_activations(dtype):
    matcher = IgevStereo(**TINY)
    fill(matcher.network)
    with torch.no_grad():
        for name in ("desc", "stem_4.1", "corr_stem.conv", "cost_agg.conv1_up.conv", "classifier", "cnet.conv1"):
            matcher.network.get_parameter(f"{name}.weight").mul_(1000)
    matcher.to(dtype=dtype)
    assert matcher(*pair(32, 64)).disparity.isfinite().all()
