import numpy as np
import pytest
import torch
from tests.matching.weights import deterministic_state, fill

from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching import load_matcher
from wheatstone.matching.psmnet import POOLING, PsmNet
from wheatstone.matching.psmnet_volume import concatenation_volume, regress

GOLDENS = [("psmnet_d64_128x192", 64, "small", 1.0e-4), ("psmnet_d48_bigspp_256x272", 48, "large", 1.4e-4)]


@pytest.fixture
def matcher(monkeypatch):
    """Weights by rule, and windows of pooling that let the images of a test be tiny."""
    monkeypatch.setitem(POOLING, "tiny", ((4, 4), (4, 4), (2, 2), (1, 2)))
    made = PsmNet(max_disparity=32, pooling="tiny")
    fill(made.network)
    return made


def pair(height, width, seed=0):
    return torch.rand(2, 1, 3, height, width, generator=torch.Generator().manual_seed(seed)).unbind()


@pytest.mark.parametrize(("name", "max_disparity", "pooling", "deviation"), GOLDENS)
def test_agrees_with_the_original(goldens, tmp_path, name, max_disparity, pooling, deviation):
    arrays = np.load(goldens / f"{name}.npz")
    torch.save(deterministic_state(goldens / f"{name}.keys.json"), tmp_path / "model.pth")
    matcher = load_matcher("psmnet", weights=tmp_path / "model.pth", max_disparity=max_disparity, pooling=pooling)
    match = matcher(arrays["left"], arrays["right"], all_iterations=True)
    for found, key in zip(match.iterations, ("disp2", "disp1", "disp0"), strict=True):
        assert np.abs(found.numpy() - arrays[key]).max() < 10 * deviation
    assert torch.equal(match.disparity, match.iterations[-1])
    pixels = torch.from_numpy(arrays["left"]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        features = matcher.network.feature_extraction((pixels - 0.45) / 0.225)
    assert np.abs(features[:, :, ::4, ::4].numpy() - arrays["feature_left_every4"]).max() < 1e-4


@pytest.mark.parametrize("size", [(32, 48), (35, 42), (1, 1)])
def test_any_size(matcher, size):
    left, right = pair(*size)
    match = matcher(left, right)
    assert match.disparity.shape == (1, 1, *size)
    assert 0 <= match.disparity.min() <= match.disparity.max() <= 31


def test_images_smaller_than_the_windows_are_padded():
    assert PsmNet(pooling="large").network.feature_extraction.smallest == 256
    matcher = PsmNet(max_disparity=16, pooling="small")
    seen = []
    hook = matcher.network.feature_extraction.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[-2:]))
    left, right = pair(20, 130)
    assert matcher(left, right).disparity.shape == (1, 1, 20, 130)
    hook.remove()
    assert seen == [(128, 144)] * 2


def test_bands_change_nothing(matcher, monkeypatch):
    left, right = pair(48, 32)
    monkeypatch.setattr("wheatstone.matching.row_bands.CPU_PIXELS", 1)
    with torch.no_grad():
        banded = matcher.network(left, right)
    plain = matcher.network(left, right)
    assert len(banded.predictions) == len(plain.predictions) == 3
    for one, other in zip(banded.predictions, plain.predictions, strict=True):
        torch.testing.assert_close(one, other.detach(), atol=1e-3, rtol=0)
    assert torch.equal(matcher(left, right).disparity, banded.predictions[-1])


def test_concatenation_volume_by_hand():
    left, right = torch.randn(2, 1, 3, 4, 6).unbind()
    volume = concatenation_volume(left, right, 4)
    assert volume.shape == (1, 6, 4, 4, 6)
    for d in range(4):
        assert torch.equal(volume[:, :3, d, :, d:], left[..., d:])
        assert torch.equal(volume[:, 3:, d, :, d:], right[..., : 6 - d])
        assert not volume[:, :, d, :, :d].any()


def test_regression_finds_the_peak():
    scores = torch.zeros(1, 1, 5, 3, 4)
    scores[:, :, 3] = 50.0
    with torch.no_grad():
        disparity = regress(scores, 17, 12, 16)
    torch.testing.assert_close(disparity, torch.full((1, 1, 12, 16), 12.0), atol=0.02, rtol=0)


def test_regression_is_exact_in_mixed_precision():
    """Half precision has steps of a whole pixel from 128 px on."""
    scores = torch.rand(1, 1, 24, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = regress(scores, 192, 12, 16)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, regress(scores, 192, 12, 16))


def test_gradients_reach_every_weight_and_batch_norm_trains(matcher):
    network = matcher.network.train()
    left, right = (view.repeat(2, 1, 1, 1) for view in pair(16, 32))
    before = network.dres0[0][1].running_mean.clone()
    output = network(left, right)
    sum(prediction.mean() for prediction in output.predictions).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
    assert not torch.equal(network.dres0[0][1].running_mean, before)


def test_one_small_pair_cannot_train_and_is_told_so():
    network = PsmNet(max_disparity=16).network.train()  # windows of at most 32, steps of 64, at a quarter of the size
    left, right = pair(48, 64)
    with pytest.raises(InputError, match=r"one pair of 64x48 px .* more than 380 px along a side"):
        network(left, right)
    assert network.feature_extraction.fewest(128, 380) == 1
    assert network.feature_extraction.fewest(128, 381) == 2
    assert torch.nn.AvgPool2d(32, 64)(torch.zeros(1, 1, 32, 96)).shape[-1] == 2  # 381 px at a quarter, rounded up


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_survives_large_activations(matcher, dtype):
    with torch.no_grad():
        for name, weight in matcher.network.named_parameters():
            if name.startswith(("feature_extraction.lastconv.2", "classif")) and weight.ndim > 1:
                weight.mul_(10000)
    matcher.to(dtype=dtype)
    left, right = pair(16, 32)
    assert matcher(left, right).disparity.isfinite().all()


def test_settings_replace_those_of_a_saved_folder(matcher, tmp_path):
    matcher.save_pretrained(tmp_path)
    assert load_matcher(str(tmp_path), max_disparity=48).config == {"max_disparity": 48, "pooling": "tiny"}


def test_errors(matcher, tmp_path):
    for settings in ({"max_disparity": 40}, {"max_disparity": 0}, {"pooling": "huge"}):
        with pytest.raises(InputError):
            PsmNet(**settings)
    left, right = pair(32, 32)
    with pytest.raises(InputError, match="initial"):
        matcher(left, right, initial=torch.zeros(1, 1, 32, 32))
    state = dict(matcher.network.state_dict())
    del state["classif3.2.weight"]
    torch.save({**state, "classif4.2.weight": torch.zeros(1)}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"classif3\.2\.weight.*classif4\.2\.weight"):
        load_matcher("psmnet", weights=tmp_path / "model.pth")
    with pytest.raises(InputError, match="no such setting"):
        load_matcher("psmnet", weights=tmp_path / "model.pth", windows=3)
