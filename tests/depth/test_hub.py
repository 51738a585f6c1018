import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.depth.models import tiny_depth_anything, tiny_dpt, tiny_glpn
from transformers import AutoImageProcessor
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

from wheatstone import load_depth
from wheatstone.depth.hub import HubDepth, depth_kind_of
from wheatstone.depth.network import inverse_of_depth
from wheatstone.errors import CheckpointError, InputError


def photo(height=75, width=101, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("depth-anything")
    tiny_depth_anything(path)
    return path


def test_agrees_with_transformers_from_photo_to_map(folder):
    array = photo()
    depth = load_depth(str(folder))(array).inverse_depth
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert isinstance(processor, DPTImageProcessorPil)
    network = load_depth(str(folder)).network
    with torch.no_grad():
        outputs = network(**processor(images=Image.fromarray(array), return_tensors="pt"))
    theirs = processor.post_process_depth_estimation(outputs, target_sizes=[array.shape[:2]])[0]["predicted_depth"]
    low, high = outputs.predicted_depth.min(), outputs.predicted_depth.max()
    torch.testing.assert_close(depth[0, 0], theirs.clamp(low, high), atol=1e-5, rtol=1e-4)
    assert depth.std() > 0


@pytest.mark.parametrize("make", [tiny_dpt, tiny_glpn])
@pytest.mark.parametrize("rule", ["model", "native", "cap:64"])
def test_families_run_at_the_size_of_the_photo(tmp_path, make, rule):
    make(tmp_path)
    if make is tiny_dpt and rule != "model":
        with pytest.raises(InputError, match="square input only"):
            load_depth(str(tmp_path), input_rule=rule)
        return
    depth = load_depth(str(tmp_path), input_rule=rule)(photo(), confidence=True)
    assert depth.inverse_depth.shape == depth.confidence.shape == (1, 1, 75, 101)
    assert depth.inverse_depth.isfinite().all()
    assert (depth.inverse_depth >= 0).all()
    assert depth.confidence.min() >= 0
    assert depth.confidence.max() <= 1


def test_metric_models_are_inverted_and_say_their_unit(tmp_path):
    tiny_depth_anything(tmp_path, depth_estimation_type="metric", max_depth=20)
    estimator = load_depth(str(tmp_path), input_rule="native")
    depth = estimator(photo())
    assert depth.notes == {"unit": "1/m"}
    pixels, frame = estimator.preprocessor.prepare(
        torch.from_numpy(photo()).permute(2, 0, 1)[None] / 255, estimator.rule
    )
    with torch.no_grad():
        metres = frame.pad_after.crop(estimator.network(pixels).predicted_depth[:, None])
    torch.testing.assert_close(depth.inverse_depth, 1 / metres)


def test_mirror_symmetric_photo_is_fully_consistent(folder):
    half = photo(80, 40)
    symmetric = np.concatenate([half, half[:, ::-1]], axis=1)
    estimator = load_depth(str(folder), input_rule="cap:56")
    depth = estimator(symmetric, confidence=True)
    torch.testing.assert_close(
        estimator(symmetric[:, ::-1].copy()).inverse_depth, depth.inverse_depth, atol=1e-5, rtol=1e-4
    )


def test_result_of_a_photo_does_not_depend_on_its_batch(folder):
    estimator = load_depth(str(folder))
    alone = [estimator(photo(seed=s)).inverse_depth for s in range(2)]
    together = estimator(np.stack([photo(seed=s) for s in range(2)])).inverse_depth
    assert torch.equal(together, torch.cat(alone))


def test_save_and_load(folder, tmp_path):
    estimator = load_depth(str(folder), input_rule="cap:70", allow_downscale=True)
    estimator.save_pretrained(tmp_path)
    for again in (HubDepth.from_pretrained(tmp_path), load_depth(str(tmp_path))):
        assert again.fingerprint()["weights_sha256"] == estimator.fingerprint()["weights_sha256"]
        assert again.config["input_rule"] == "cap:70"
        assert torch.equal(again(photo()).inverse_depth, estimator(photo()).inverse_depth)


def test_config_rebuilds_the_part(folder):
    estimator = load_depth(str(folder))
    rebuilt = HubDepth(**json.loads(json.dumps(estimator.config)))
    rebuilt.network.load_state_dict(estimator.network.state_dict())
    assert torch.equal(rebuilt(photo()).inverse_depth, estimator(photo()).inverse_depth)


def test_official_is_native_without_tiles(folder):
    estimator = load_depth(str(folder), official=True)
    assert (str(estimator.rule), estimator.memory.tiles, estimator.confidence_method) == ("native", False, "minmax")


def test_half_precision(folder):
    depth = load_depth(str(folder), dtype=torch.bfloat16)(photo()).inverse_depth
    assert depth.dtype == torch.float32


def test_unused_weights_that_published_files_lack_do_not_change_the_fingerprint(tmp_path):
    from safetensors.torch import load_file, save_file

    tiny_dpt(tmp_path)
    state = {k: v for k, v in load_file(tmp_path / "model.safetensors").items() if "layers.0.residual_layer1" not in k}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert load_depth(str(tmp_path)).fingerprint() == load_depth(str(tmp_path)).fingerprint()
    save_file(
        {k: v for k, v in state.items() if "head" not in k}, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    with pytest.raises(CheckpointError, match="missing"):
        load_depth(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "depth_anything"}, "inverse"),
        ({"model_type": "depth_anything", "depth_estimation_type": "metric"}, "metric"),
        ({"model_type": "dpt"}, "inverse"),
        ({"model_type": "zoedepth"}, "metric"),
        ({"model_type": "depth_pro"}, "inverse"),
    ],
)
def test_meaning_of_the_output(config, kind):
    assert depth_kind_of(config) == kind


@pytest.mark.parametrize(
    "config", [{"model_type": "chmv2"}, {"model_type": "dpt", "backbone_config": {"model_type": "dinov2"}}]
)
def test_unknown_meaning_asks(config):
    with pytest.raises(InputError, match=r"--depth-kind inverse\|depth\|metric"):
        depth_kind_of(config)


def test_inverse_of_depth_guards_zeros_and_infinity():
    depth = torch.tensor([0.0, 1.0, 2.0, 4.0, float("inf"), float("nan")]).reshape(1, 1, 1, 6)
    inverse = inverse_of_depth(depth).flatten()
    assert inverse.isfinite().all()
    torch.testing.assert_close(inverse[1:4], torch.tensor([1.0, 0.5, 0.25]))
    assert inverse[0] == inverse.max()
    assert inverse[4] == inverse[5] == 0


def test_errors(tmp_path, folder):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_depth(str(tmp_path))
    with pytest.raises(InputError, match="depth_kind"):
        load_depth(str(folder), depth_kind="far")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(CheckpointError, match="transformers cannot load"):
        load_depth(str(tmp_path), depth_kind="inverse")
    with pytest.raises(CheckpointError, match="not in the local cache"):
        load_depth("somebody/some-depth-model")


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(folder):
    cpu, gpu = load_depth(str(folder)), load_depth(str(folder), device="cuda")
    photos = np.stack([photo(seed=s) for s in range(3)])
    expected, found = cpu(photos, confidence=True), gpu(photos, confidence=True)
    torch.testing.assert_close(found.inverse_depth.cpu(), expected.inverse_depth, atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(found.confidence.cpu(), expected.confidence, atol=2e-2, rtol=0)
