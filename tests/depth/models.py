"""Tiny random models of transformers, made in the test, and the reference weights of the golden files."""

import json
import zlib

import numpy as np
import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    GLPNConfig,
    GLPNForDepthEstimation,
)

DPT_STEPS = {
    "image_processor_type": "DPTImageProcessor",
    "size": {"height": 56, "width": 56},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def tiny_depth_anything(folder, **settings):
    backbone = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
        **settings,
    )
    torch.manual_seed(0)
    return _save(DepthAnythingForDepthEstimation(config), DPT_STEPS, folder)


def tiny_dpt(folder):
    config = DPTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
    )
    torch.manual_seed(0)
    steps = {"image_processor_type": "DPTFeatureExtractor", "size": {"height": 64, "width": 64}}
    return _save(DPTForDepthEstimation(config), steps, folder)


def tiny_glpn(folder):
    config = GLPNConfig(
        hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16
    )
    torch.manual_seed(0)
    return _save(GLPNForDepthEstimation(config), {"image_processor_type": "GLPNImageProcessor"}, folder)


def _save(model, steps, folder):
    with torch.no_grad():  # keep the final ReLU away from zero
        for module in model.head.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.bias += 0.5
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(steps))
    return model.eval()


def depth_anything_reference_weights(shapes):
    """State dict of the golden files, from names and shapes: normal numbers drawn from the name of each tensor."""
    state = {}
    for key, shape in shapes:
        draw = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape)
        if len(shape) > 1:
            value = draw * np.sqrt(1 / np.prod(shape[1:]))
        else:
            value = 0.02 * draw if key.endswith("bias") else 1 + 0.05 * draw
        if key == "pretrained.pos_embed":
            value = 0.2 * draw
        if key == "depth_head.scratch.output_conv2.2.bias":
            value = value + 1
        state[key] = torch.tensor(value, dtype=torch.float32)
    return state
