import numpy as np
import pytest
import torch
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
from transformers.models.glpn.image_processing_pil_glpn import GLPNImageProcessorPil
from transformers.models.zoedepth.image_processing_pil_zoedepth import ZoeDepthImageProcessorPil

from wheatstone.depth.preprocessing import InputRule, Preprocessor, parse_rule
from wheatstone.errors import InputError
from wheatstone.samples import image_batch

DEPTH_ANYTHING = {
    "image_processor_type": "DPTImageProcessor",
    "size": {"height": 70, "width": 70},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
PROCESSORS = {
    "depth-anything": (DPTImageProcessorPil, DEPTH_ANYTHING),
    "dpt": (DPTImageProcessorPil, {"image_processor_type": "DPTFeatureExtractor", "size": {"height": 64, "width": 64}}),
    "dpt-padded": (
        DPTImageProcessorPil,
        {"image_processor_type": "DPTImageProcessorFast", "do_resize": False, "do_pad": True, "size_divisor": 14},
    ),
    "zoedepth": (
        ZoeDepthImageProcessorPil,
        {
            "image_processor_type": "ZoeDepthImageProcessor",
            "size": {"height": 64, "width": 96},
            "ensure_multiple_of": 32,
        },
    ),
    "glpn": (GLPNImageProcessorPil, {"image_processor_type": "GLPNImageProcessor", "size_divisor": 32}),
}


def photo(height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width]


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [(96, 130), (131, 75), (50, 60)])
def test_model_rule_agrees_with_transformers(name, size):
    make, content = PROCESSORS[name]
    settings = {key: value for key, value in content.items() if key != "image_processor_type"}
    array = photo(*size)
    theirs = make(**settings)(images=array, return_tensors="pt")["pixel_values"]
    ours, _ = Preprocessor.from_json(content).prepare(image_batch(array), InputRule())
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs.float(), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("rule", ["model", "native", "cap:64"])
@pytest.mark.parametrize("size", [(97, 130), (30, 41)])
def test_restore_brings_a_picture_of_the_input_back_in_place(name, rule, size):
    """What was prepared and comes back unchanged must lie where it was: a ramp stays the ramp, away from borders."""
    rows = torch.linspace(0, 1, size[0])[:, None].expand(size)
    ramp = (rows + torch.linspace(0, 1, size[1])) / 2
    preprocessor = Preprocessor.from_json(PROCESSORS[name][1], native_multiple=14)
    pixels, frame = preprocessor.prepare(ramp.expand(1, 3, *size), parse_rule(rule))
    mean, std = preprocessor.mean or (0, 0, 0), preprocessor.std or (1, 1, 1)
    back = frame.restore(pixels[:, :1] * std[0] + mean[0], pixels.shape[-2:])
    assert back.shape == (1, 1, *size)
    assert (back[0, 0] - ramp)[6:-6, 6:-6].abs().max() < 0.03


def test_native_pads_after_normalising_and_crops_exactly():
    image = torch.rand(2, 3, 45, 61, generator=torch.Generator().manual_seed(0))
    preprocessor = Preprocessor.from_json(DEPTH_ANYTHING, native_multiple=14)
    pixels, frame = preprocessor.prepare(image, InputRule("native"))
    assert pixels.shape == (2, 3, 56, 70)
    assert (frame.pad_after.left, frame.pad_after.right, frame.pad_after.top, frame.pad_after.bottom) == (4, 5, 5, 6)
    mean, std = torch.tensor(preprocessor.mean), torch.tensor(preprocessor.std)
    torch.testing.assert_close(pixels[0, :, 0, 0], (image[0, :, 0, 0] - mean) / std)
    torch.testing.assert_close(
        frame.restore(pixels[:, :1], (56, 70)), (image[:, :1] - mean[0]) / std[0], atol=1e-6, rtol=0
    )


def test_enlarging_never_leaves_the_range_of_the_map():
    _, frame = Preprocessor.from_json(DEPTH_ANYTHING).prepare(torch.zeros(1, 3, 200, 200), InputRule())
    step = torch.zeros(1, 1, 70, 70)
    step[..., 35:] = 1
    assert frame.restore(step, (70, 70)).min() >= 0


@pytest.mark.parametrize("text", ["", "cap", "cap:", "cap:0", "cap:-3", "cap:x", "natives"])
def test_bad_rule(text):
    with pytest.raises(InputError, match="cap:N"):
        parse_rule(text)


def test_unknown_processor_is_named():
    with pytest.raises(InputError, match="CLIPImageProcessor"):
        Preprocessor.from_json({"image_processor_type": "CLIPImageProcessor"})


def test_integer_size_of_old_files():
    preprocessor = Preprocessor.from_json({"feature_extractor_type": "DPTFeatureExtractor", "size": 384})
    assert (preprocessor.height, preprocessor.width) == (384, 384)
