import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from wheatstone.diffusion import clip_pixels, embed_image
from wheatstone.samples import image_batch


def photo(height, width):
    """Smooth and away from black and white, where Pillow clips what bicubic resizing overshoots, after each of its passes."""
    noise = np.random.default_rng(0).integers(40, 216, (height // 10, width // 10, 3), np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("version", "case"), [("v2.1", "64x64"), ("v2.1", "60x80"), ("v1.5", "64x64")])
def test_original_pixels(goldens, version, case):
    golden = np.load(goldens / f"genstereo_{version}.npz")
    image = image_batch(golden[f"{case}/src_image"])
    np.testing.assert_allclose(
        clip_pixels(image, eight_bit=True)[..., ::7, ::7], golden[f"{case}/clip_pixel_values_s7"], atol=1e-6
    )


@pytest.mark.parametrize("size", [(300, 500), (500, 301), (100, 90)])
def test_stock_preprocessing_in_eight_bits_and_nearly_in_floats(size):
    pixels = photo(*size)
    wanted = CLIPImageProcessor(use_fast=False)(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    assert wanted.shape == (1, 3, 224, 224)
    torch.testing.assert_close(clip_pixels(image_batch(pixels), eight_bit=True), wanted, atol=1e-5, rtol=0)
    steps = (clip_pixels(image_batch(pixels)) - wanted).abs() * 0.27 * 255
    assert steps.max() < 2  # levels of 8 bits: Pillow rounds after each pass


def test_embedding_is_one_token_with_zeros_behind():
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            projection_dim=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        )
    ).eval()
    image = image_batch(np.stack([photo(40, 50), photo(40, 50)[::-1]]))
    with torch.no_grad():
        tokens = embed_image(encoder, image, 12)
        wanted = encoder(pixel_values=clip_pixels(image, 32)).image_embeds
    assert tokens.shape == (2, 1, 12)
    assert torch.equal(tokens[:, 0, :8], wanted)
    assert not tokens[..., 8:].any()
