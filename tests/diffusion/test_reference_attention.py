import json

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from tests.matching.weights import fill

from wheatstone.diffusion.reference_attention import (
    collect_tokens,
    drop_output,
    predict_both,
    predict_with_bank,
    prepare_reference,
    project_bank,
    reference_layers,
)
from wheatstone.errors import ShapeError

TIGHT = 2e-5  # ten times the deviation of the stored float32 results from a float64 run of the original
KINDS = {
    "sd21_tiny_16x16": {"attention_head_dim": (2, 4, 6, 6), "cross_attention_dim": 40, "use_linear_projection": True},
    "sd15_tiny_16x24": {"attention_head_dim": 8, "cross_attention_dim": 24},
}


def unet(widths=(16, 32), tokens=24, **changes):
    deeper = len(widths) - 1
    settings = {
        "sample_size": 8,
        "block_out_channels": widths,
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * deeper + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * deeper,
        "attention_head_dim": 2,
        "cross_attention_dim": tokens,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**(settings | changes)).eval()


def seeded(seed, **changes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return unet(**changes)


def inputs(batch=1, seed=0):
    draw = torch.Generator().manual_seed(seed)
    shapes = {"latents": (batch, 4, 8, 8), "context": (batch, 1, 24), "added": (batch, 16, 8, 8)}
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


@pytest.fixture(scope="module", params=KINDS)
def original(request, goldens):
    """The original's tiny pair: our two U-Nets with its weights, its inputs and outputs."""
    made = []
    for drop in (False, True):
        built = unet((32, 64, 96, 96), norm_num_groups=32, layers_per_block=2, **KINDS[request.param])
        built = drop_output(built) if drop else built
        fill(built)
        made.append(prepare_reference(built))
    name = f"genstereo_refunet_{request.param}"
    arrays = {key: torch.from_numpy(np.asarray(value)) for key, value in np.load(goldens / f"{name}.npz").items()}
    return *made, arrays, json.loads((goldens / f"{name}.keys.json").read_text())


@pytest.fixture(scope="module")
def bank(original):
    _, reference, golden, _ = original
    with torch.no_grad():
        return collect_tokens(reference, golden["ref_latent"], 0, golden["image_embed"], golden["pose_fea_ref"])


def predicted(original, bank=None, *, conditional=True):
    denoiser, _, golden, _ = original
    tokens = golden["image_embed"] if conditional else torch.zeros_like(golden["image_embed"])
    pose = golden["pose_fea_target"][:, :, 0]
    with torch.no_grad():
        return predict_with_bank(denoiser, golden["latent"][:, :, 0], golden["timestep"], tokens, pose, bank)


def close(ours, golden, bound=TIGHT):
    np.testing.assert_allclose(ours, golden, atol=bound, rtol=0)


def test_keys_are_the_published_ones(original):
    denoiser, reference, _, keys = original
    for name, network in (("denoising_unet.pth", denoiser), ("reference_unet.pth", reference)):
        ours = {f"{name}|{key}": list(value.shape) for key, value in network.state_dict().items()}
        assert ours == {key: shape for key, shape in keys if key.startswith(name)}


def test_original_without_reference(original):
    golden = original[2]["denoise_without_reference"][:, :, 0]
    close(predicted(original, conditional=False)[0], golden[0])
    close(predicted(original)[0], golden[1])


def test_original_reference_network(original, bank):
    _, reference, golden, _ = original
    with torch.no_grad():
        seen = torch.cat([golden["ref_latent"], golden["pose_fea_ref"]], 1)
        output = reference(seen, 0, encoder_hidden_states=golden["image_embed"]).sample
    close(output[0], golden["reference_output"][1])
    assert len(bank) == 16


def test_original_with_reference_and_guidance(original, bank):
    golden = original[2]
    projected = project_bank(original[0], bank)
    for seen in (bank, projected):
        guided = predicted(original, seen)
        close(guided[0], golden["denoise_out"][1, :, 0])
    plain = predicted(original, conditional=False)
    # the original computes this half with the reference too, throws that away, and computes it again
    close(plain[0], golden["denoise_out"][0, :, 0])
    close(plain + 1.5 * (guided - plain), golden["cfg15"][:, :, 0])
    tokens, pose = golden["image_embed"], golden["pose_fea_target"][:, :, 0]
    both = predict_both(original[0], golden["latent"][:, :, 0], golden["timestep"], tokens, pose, projected)
    for half in (0, 1):
        close(both[half][0], golden["denoise_out"][half, :, 0])


def test_original_with_its_half_precision_bank(original, bank):
    golden = original[2]
    rounded = predicted(original, {name: tokens.half().float() for name, tokens in bank.items()})
    close(rounded[0], golden["denoise_out_fp16bank"][1, :, 0])
    assert (predicted(original, bank)[0] - golden["denoise_out_fp16bank"][1, :, 0]).abs().max() > TIGHT


@pytest.mark.parametrize("tokens", [1, 3])
def test_prepared_network_answers_like_the_stock_one(tokens):
    stock, ours = seeded(1), prepare_reference(seeded(1))
    given = inputs(2)
    context = torch.randn(2, tokens, 24)
    with torch.no_grad():
        wanted = stock(given["latents"], 500, encoder_hidden_states=context).sample
        found = predict_with_bank(ours, given["latents"], 500, context, torch.zeros_like(given["added"]))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("projected", [True, False])
def test_both_halves_of_guidance_in_one_run(batch, tokens, projected):
    denoiser, reference = prepare_reference(seeded(1)), prepare_reference(drop_output(seeded(2)))
    given = inputs(batch)
    context = torch.randn(batch, tokens, 24, generator=torch.Generator().manual_seed(3))
    runs = []
    denoiser.register_forward_pre_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        bank = collect_tokens(reference, 3 * given["latents"], 0, context, given["added"])
        bank = project_bank(denoiser, bank) if projected else bank
        plain = predict_with_bank(denoiser, given["latents"], 300, 0 * context, given["added"])
        guided = predict_with_bank(denoiser, given["latents"], 300, context, given["added"], bank)
    assert (plain - guided).abs().max() > 1e-3
    del runs[:]
    both = predict_both(denoiser, given["latents"], 300, context, given["added"], bank)
    assert len(runs) == 1
    for found, wanted in zip(both, (plain, guided), strict=True):
        torch.testing.assert_close(found, wanted, atol=2e-6, rtol=0)


def test_feed_forward_layers_take_tokens_in_pieces_without_gradients(monkeypatch):
    network = prepare_reference(seeded(1))
    layer = network.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0.ff")
    monkeypatch.setattr(type(layer), "_ROWS", 50)
    rows = []
    layer.net[0].register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0].shape[:-1].numel()))
    tokens = torch.randn(2, 64, 16, generator=torch.Generator().manual_seed(1))
    whole = layer(tokens)
    with torch.no_grad():
        pieces = layer(tokens)
    assert rows == [128, 50, 50, 28]
    assert whole.requires_grad
    torch.testing.assert_close(pieces, whole, atol=1e-6, rtol=0)


def test_nothing_is_kept_between_calls():
    """Two pairs side by side, their calls interleaved: each answers as if it were alone."""
    pairs = [(prepare_reference(seeded(seed)), prepare_reference(drop_output(seeded(seed + 10)))) for seed in (1, 2)]
    given = inputs()
    before = list(vars(pairs[0][0]))

    def look(pair):
        return collect_tokens(pair[1], given["latents"], 0, given["context"], given["added"])

    def answer(pair, bank):
        return predict_with_bank(pair[0], given["latents"], 300, given["context"], given["added"], bank)

    with torch.no_grad():
        alone = [answer(pair, look(pair)) for pair in pairs]
        banks = [look(pair) for pair in pairs]
        plain = answer(pairs[0], None)
        crossed = answer(pairs[0], banks[1])
        together = [answer(pair, bank) for pair, bank in zip(pairs, banks, strict=True)]
        assert torch.equal(answer(pairs[0], None), plain)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert not torch.allclose(crossed, alone[0], atol=1e-4)
    assert list(vars(pairs[0][0])) == before


def test_reference_ends_with_the_last_self_attention():
    reference = prepare_reference(drop_output(seeded(1)))
    reached = []
    for name, module in reference.named_modules():
        if name.endswith(".ff"):
            module.register_forward_hook(lambda *_, name=name: reached.append(name))
    given = inputs()
    tokens = collect_tokens(reference, given["latents"], 0, given["context"], given["added"])
    assert set(tokens) == set(reference_layers(reference))
    assert len(reached) == len(tokens) - 1


def test_gradients_reach_both_networks_and_checkpointing_does_not_change_them():
    given = inputs()
    gradients = []
    for checkpointing in (False, True):
        denoiser, reference = prepare_reference(seeded(1)), prepare_reference(drop_output(seeded(2)))
        for network in (denoiser, reference):
            network.train()
            if checkpointing:
                network.enable_gradient_checkpointing()
        bank = collect_tokens(reference, given["latents"], 0, given["context"], given["added"])
        predict_with_bank(
            denoiser, given["latents"], 300, given["context"], given["added"], bank
        ).square().sum().backward()
        gradients.append(
            {f"{i}{k}": p.grad for i, n in enumerate((denoiser, reference)) for k, p in n.named_parameters()}
        )
    plain, recomputed = gradients
    assert plain["1conv_in.weight"].abs().sum() > 0
    assert plain["1up_blocks.1.attentions.0.transformer_blocks.0.norm1.weight"] is not None
    for key, value in plain.items():
        if value is None:
            assert recomputed[key] is None, key
        else:
            torch.testing.assert_close(recomputed[key], value, msg=key)


def test_attention_to_a_single_token_needs_no_queries():
    network = prepare_reference(seeded(1))
    seen = []
    for name, module in network.named_modules():
        if name.endswith("attn2.to_q"):
            module.register_forward_hook(lambda *_, name=name: seen.append(name))
    given = inputs()
    predict_with_bank(network, given["latents"], 300, given["context"], given["added"])
    assert not seen
    predict_with_bank(network, given["latents"], 300, given["context"].expand(-1, 2, -1), given["added"])
    assert seen


def test_banks_that_do_not_fit_are_refused():
    network, given = prepare_reference(seeded(1)), inputs()
    bank = collect_tokens(network, given["latents"], 0, given["context"], given["added"])
    first = next(iter(bank))
    arguments = (network, given["latents"], 300, given["context"], given["added"])
    with pytest.raises(ShapeError, match="attn1"):
        predict_with_bank(*arguments, {key: value for key, value in bank.items() if key != first})
    with pytest.raises(ShapeError, match="attn1"):
        predict_both(*arguments, {key: value for key, value in bank.items() if key != first})
    with pytest.raises(ShapeError, match="holds 2 items, the batch 1"):
        predict_with_bank(*arguments, {key: value.expand(2, -1, -1) for key, value in bank.items()})
    with pytest.raises(ShapeError, match="holds 2 items, the batch 1"):
        predict_both(*arguments, {key: value.expand(2, -1, -1) for key, value in bank.items()})
