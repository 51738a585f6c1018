"""Small random networks: a whole stock pipeline from a seed, without a file."""

import pytest
import torch

from wheatstone.diffusion import embed_prompt, latent_factor, load_components, save_components
from wheatstone.diffusion.small import small_components


def test_a_seed_makes_the_same_pipeline_and_leaves_the_global_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    one, two, other = (small_components(seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(4), expected)
    for name in ("unet", "vae", "text_encoder"):
        states = [getattr(components, name).state_dict() for components in (one, two, other)]
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
        assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())


@pytest.mark.parametrize(("levels", "factor"), [((8, 8), 2), ((8, 8, 16), 4), ((8, 8, 8, 8), 8)])
def test_levels_decide_how_large_a_latent_cell_is(levels, factor):
    components = small_components(0, vae_widths=levels, side=64)
    assert latent_factor(components.vae) == factor
    assert components.unet.config.sample_size == 64 // factor
    assert (components.unet.config.in_channels, components.unet.config.out_channels) == (9, 4)


def test_the_empty_text_has_a_begin_and_an_end_and_survives_the_folder(tmp_path, capfd):
    components = small_components(0)
    assert components.tokenizer("")["input_ids"] == [1, 2]
    before = embed_prompt(components.tokenizer, components.text_encoder)
    save_components(components, tmp_path, "StableDiffusionInpaintPipeline")
    again = load_components(tmp_path)
    assert torch.equal(embed_prompt(again.tokenizer, again.text_encoder), before)
    assert before.shape == (1, 2, components.unet.config.cross_attention_dim)
    assert again.tokenizer("any words", truncation=True)["input_ids"][0] == 1
    assert capfd.readouterr().err == ""  # no bars of other libraries
