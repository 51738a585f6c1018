import json

import numpy as np
import pytest
import torch
from tests.depth.models import depth_anything_reference_weights, tiny_depth_anything

from wheatstone import load_depth
from wheatstone.depth.depth_anything import DepthAnythingDepth
from wheatstone.depth.depth_anything_network import SIZES, DepthAnythingV2, Size
from wheatstone.depth.hub import HubDepth
from wheatstone.errors import CheckpointError, InputError, ShapeError

# largest deviation of the stored float32 outputs from a float64 run of the original
F64_DEVIATION = {"70x98": 2.4e-6, "126x84": 1.8e-6}


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    with torch.device("meta"):
        shapes = [(key, tuple(value.shape)) for key, value in DepthAnythingV2(SIZES["small"]).state_dict().items()]
    path = tmp_path_factory.mktemp("weights") / "depth_anything_v2_vits.pth"
    unread = [("pretrained.mask_token", (1, 384))]  # the authors' files hold it, no forward pass reads it
    torch.save(depth_anything_reference_weights(shapes + unread), path)
    return path


def test_authors_weights_reproduce_the_original_depth(committed_goldens, weights_file):
    golden = np.load(committed_goldens / "depth_anything_v2_vits_70x98.npz")
    depth = load_depth(str(weights_file), input_rule="native")(golden["image"]).inverse_depth
    np.testing.assert_allclose(depth[:, 0].numpy(), golden["depth"], atol=10 * F64_DEVIATION["70x98"], rtol=0)


@pytest.mark.parametrize("size", F64_DEVIATION)
def test_authors_weights_reproduce_every_stage(goldens, weights_file, size):
    golden = np.load(goldens / f"depth_anything_v2_vits_{size}.npz")
    bound = 10 * F64_DEVIATION[size]
    estimator = load_depth(str(weights_file), input_rule="native")
    depth = estimator(golden["image"]).inverse_depth
    np.testing.assert_allclose(depth[:, 0].numpy(), golden["depth"], atol=bound, rtol=0)
    pixels = estimator.preprocessor.normalise(torch.from_numpy(golden["image"]).permute(2, 0, 1)[None].float())
    with torch.no_grad():
        early, late = estimator.network.pretrained(pixels, (2, 11))
    np.testing.assert_allclose(early[:, 1:].numpy(), golden["tokens_layer2"], atol=bound, rtol=0)
    np.testing.assert_allclose(late[:, 1::2].numpy(), golden["tokens_layer11_every2"], atol=bound, rtol=0)
    np.testing.assert_allclose(late[:, 0].numpy(), golden["cls_layer11"], atol=bound, rtol=0)


@pytest.mark.parametrize(("file", "name"), [("s_70x98", "small"), ("b", "base"), ("l", "large")])
def test_keys_and_shapes_are_those_of_the_authors_files(goldens, file, name):
    with torch.device("meta"):
        network = DepthAnythingV2(SIZES[name])
    expected = dict(json.loads((goldens / f"depth_anything_v2_vit{file}.keys.json").read_text()))
    del expected["pretrained.mask_token"]
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == expected


def test_preset_takes_the_authors_file_and_checks_its_size(weights_file):
    estimator = load_depth("depth-anything-v2-small", weights=weights_file)
    assert estimator.config["size"] == "small"
    with pytest.raises(CheckpointError, match="holds the small model"):
        load_depth("depth-anything-v2-large", weights=weights_file)


def test_preset_takes_a_transformers_folder(tmp_path):
    tiny_depth_anything(tmp_path)
    assert isinstance(load_depth("depth-anything-v2-small", weights=tmp_path), HubDepth)


def test_save_and_load(weights_file, tmp_path):
    estimator = load_depth(str(weights_file), input_rule="cap:56")
    estimator.save_pretrained(tmp_path)
    for again in (DepthAnythingDepth.from_pretrained(tmp_path), load_depth(str(tmp_path))):
        assert again.fingerprint() == estimator.fingerprint()


def test_model_rule_brings_the_short_side_to_518():
    assert DepthAnythingDepth().preprocessor.fitted((1080, 1920)) == (518, 924)
    assert DepthAnythingDepth().preprocessor.fitted((300, 200)) == (784, 518)


def test_sides_must_be_multiples_of_the_patch():
    network = DepthAnythingV2(Size(16, 4, 2, 8, (4, 4, 8, 8), (0, 1, 2, 3)))
    assert network(torch.rand(1, 3, 28, 42)).shape == (1, 1, 28, 42)
    with pytest.raises(ShapeError, match="multiples of 14"):
        network(torch.rand(1, 3, 28, 43))


def test_errors(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="no Depth Anything V2 weights"):
        load_depth(str(tmp_path / "other.pth"))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "depth_anything_v2_metric_hypersim_vits.pth")
    with pytest.raises(InputError, match="largest depth"):
        load_depth(str(tmp_path / "depth_anything_v2_metric_hypersim_vits.pth"))
    with pytest.raises(CheckpointError, match="WHEATSTONE_MIRROR_DEPTH_ANYTHING_V2_SMALL"):
        load_depth("depth-anything-v2-small")
    with pytest.raises(InputError, match="size"):
        DepthAnythingDepth("huge")
