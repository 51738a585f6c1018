"""GenStereo's objective: its weights and x0 by hand, its switches, what learns from it, and that splits do not matter."""

import copy

import diffusers
import pytest
import torch

from wheatstone.diffusion.schedulers import ZERO_SNR_V
from wheatstone.errors import InputError
from wheatstone.objectives.genstereo import GenStereoLoss, Noised, drop_pixels, min_snr_weight
from wheatstone.objectives.latent_codec import codec_terms
from wheatstone.synthesis.genstereo import make_conditions, small_networks

SIZE = (16, 32)


@pytest.fixture(scope="module")
def schedule():
    settings = {key: value for key, value in ZERO_SNR_V.items() if not key.startswith("_")}
    return diffusers.DDIMScheduler(**settings)


@pytest.fixture(scope="module")
def trained():
    """Small networks as if training had moved what starts at zero."""
    networks = small_networks(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in (networks.pose_guider.conv_out, networks.denoising_unet.conv_out):
            module.weight.copy_(0.05 * torch.randn(module.weight.shape, generator=generator))
    networks.requires_grad_(False)
    for part in (networks.denoising_unet, networks.reference_unet, networks.pose_guider, networks.fusion):
        part.requires_grad_(True)
    return networks


@pytest.fixture
def networks(trained):
    return copy.deepcopy(trained)


def batch(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, 1, *SIZE)
    return {
        "left": torch.rand(count, 3, *SIZE, generator=generator),
        "right": torch.rand(count, 3, *SIZE, generator=generator),
        "disparity": 6 * torch.rand(shape, generator=generator),
        "valid": torch.rand(shape, generator=generator) > 0.1,
        "dropped": torch.zeros(shape, dtype=torch.bool),
    }


def draws(count=3, seed=0):
    return [torch.Generator().manual_seed(seed + i) for i in range(count)]


def loss_of(terms):
    return sum(weight * total / count for total, count, weight in terms.values())


def test_weights_are_those_of_the_published_formula(schedule):
    alpha_bar = schedule.alphas_cumprod
    snr = alpha_bar.double() / (1 - alpha_bar.double())
    published = torch.clamp(snr + 1, max=5) / (snr + 1)
    assert torch.allclose(min_snr_weight(alpha_bar, 5.0).double(), published, atol=1e-6)
    assert min_snr_weight(alpha_bar, 5.0)[-1] == 1  # pure noise
    assert float(min_snr_weight(torch.tensor([0.9]), 5.0)) == pytest.approx(0.5)
    assert torch.equal(min_snr_weight(alpha_bar, None), torch.ones(1000))


def test_velocity_noise_and_clean_latents_hang_together(schedule):
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(4, 4, 3, 5, generator=generator) for _ in range(2))
    times = torch.tensor([0, 400, 900, 999])
    noised = Noised.of(clean, noise, schedule.alphas_cumprod[times])
    assert torch.allclose(noised.noisy, schedule.add_noise(clean, noise, times), atol=1e-6)
    assert torch.allclose(noised.velocity, schedule.get_velocity(clean, noise, times), atol=1e-6)
    assert torch.allclose(noised.latents_of(noised.velocity), clean, atol=1e-5)
    assert torch.equal(noised.noisy[3], noise[3])  # nothing of the picture is left
    one = Noised.of(torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0), torch.tensor([0.64]))
    assert [float(value) for value in (one.noisy, one.velocity)] == pytest.approx([3.4, 1.2])


def test_lost_pixels_are_holes():
    item = batch(2)
    conditions = make_conditions(item["left"], item["disparity"], item["valid"])
    dropped = torch.zeros_like(conditions.hole)
    dropped[0, :, 4:9] = True
    for official in (False, True):
        lost, shown = drop_pixels(conditions, dropped, official=official)
        hole = conditions.hole | dropped
        assert torch.equal(lost.hole, hole)
        assert torch.equal(lost.target[:, 10:11], hole.float())
        assert not lost.target[:, :10].masked_select(dropped).any()
        known = (~hole).expand(-1, 3, -1, -1)
        assert torch.equal(lost.target[:, 11:][known], conditions.target[:, 11:][known])
        black, grey = ((-1.0, 0.0), (0.0, 0.5))
        first, second = (grey if official else black), black  # the second item lost nothing
        for index, (rgb, colour) in enumerate((first, second)):
            assert (lost.target[index, 11:][:, hole[index, 0]] == rgb).all()
            assert (shown[index][:, hole[index, 0]] == colour).all()
        assert torch.equal(lost.warped, conditions.warped.masked_fill(dropped, 0))
        assert torch.equal(lost.source, conditions.source)


def silent(networks):
    """A denoiser that always answers v = 0."""
    with torch.no_grad():
        networks.denoising_unet.conv_out.weight.zero_()
        networks.denoising_unet.conv_out.bias.zero_()
    return networks


def drawn(networks, item, objective, schedule):
    """What the objective draws, drawn again by hand: clean latents, noise, abar, kept."""
    clean = networks.encode(item["right"])
    generators = draws(len(clean))
    times = torch.stack([torch.randint(1000, (), generator=one) for one in generators])
    noise = torch.stack([torch.randn(clean.shape[1:], generator=one) for one in generators])
    offset = torch.stack([torch.randn(clean.shape[1], 1, 1, generator=one) for one in generators])
    noise = noise + objective.noise_offset * offset
    kept = torch.stack([torch.rand((), generator=one) >= objective.drop for one in generators])
    return clean, noise, schedule.alphas_cumprod[times].view(-1, 1, 1, 1), kept


def test_terms_of_a_denoiser_that_says_nothing(networks, schedule):
    networks, item = silent(networks), batch()
    objective = GenStereoLoss(draw_latents=False, alpha=0.7)
    terms = objective({"generator": networks}, item, 0, draws())
    clean, noise, level, _ = drawn(networks, item, objective, schedule)
    velocity = level.sqrt() * noise - (1 - level).sqrt() * clean
    weights = (5 * (1 - level.flatten())).clamp(max=1)
    expected = (weights * velocity.square().flatten(1).mean(1)).sum()
    assert float(terms["latent"][0].detach()) == pytest.approx(float(expected), rel=1e-5)
    # v = 0: the clean latents are taken to be sqrt(abar) times the noisy ones
    guess = level.sqrt() * (level.sqrt() * clean + (1 - level).sqrt() * noise)
    picture = networks.decode(guess).clamp(0, 1)
    conditions = make_conditions(item["left"], item["disparity"], item["valid"])
    fused, _ = networks.fusion(picture, conditions.warped, ~conditions.hole)
    for name, view, weight in (("pixel", fused, 0.7), ("generated", picture, 0.0)):
        error = (view - item["right"]).square().flatten(1).mean(1).sum()
        assert float(terms[name][0].detach()) == pytest.approx(float(error.detach()), rel=1e-4)
        assert (float(terms[name][1]), terms[name][2]) == (3, weight)


def test_published_pixel_term_decodes_v_and_fuses_in_the_holes(networks, schedule):
    networks, item = silent(networks), batch()
    objective = GenStereoLoss(draw_latents=False, official=True)
    terms = objective({"generator": networks}, item, 0, draws())
    clean, noise, level, _ = drawn(networks, item, objective, schedule)
    target = networks.decode(level.sqrt() * noise - (1 - level).sqrt() * clean).clamp(0, 1)
    picture = networks.decode(torch.zeros_like(clean)).clamp(0, 1)
    conditions = make_conditions(item["left"], item["disparity"], item["valid"], official=True)
    swapped, _ = networks.fusion(picture, conditions.warped, conditions.hole)
    error = (swapped - target).square().flatten(1).mean(1).sum()
    assert float(terms["pixel"][0].detach()) == pytest.approx(float(error.detach()), rel=1e-4)
    networks.fusion.polarity = "hole"  # the same mask, made by the layer itself
    again = objective({"generator": networks}, item, 0, draws())
    assert torch.equal(again["pixel"][0], terms["pixel"][0])


def gradients(networks, objective, item=None, step=0):
    networks.zero_grad(set_to_none=True)
    loss_of(objective({"generator": networks}, item or batch(), step, draws())).backward()
    return {name: p.grad for name, p in networks.named_parameters() if p.grad is not None}


def reached(found, part):
    return any(bool(gradient.any()) for name, gradient in found.items() if name.startswith(part))


def test_every_part_that_learns_is_reached(networks):
    found = gradients(networks, GenStereoLoss(drop=0.0))
    for part in ("denoising_unet", "reference_unet", "pose_guider", "fusion"):
        assert reached(found, part), part
    assert reached(found, "reference_unet.conv_in")
    assert not reached(found, "vae")
    assert not reached(found, "image_encoder")
    assert not reached(gradients(networks, GenStereoLoss(alpha=0.0, drop=0.0)), "fusion")
    alone = gradients(networks, GenStereoLoss(drop=1.0))  # nothing of the left view but what was moved
    assert not reached(alone, "reference_unet")
    assert reached(alone, "pose_guider")


def test_fusion_learns_where_it_acts(networks):
    """Ours on known pixels, the published trainer in holes: with nothing but the other kind there is no gradient."""
    all_known = batch()
    all_known["disparity"] = torch.zeros_like(all_known["disparity"])
    all_known["valid"] = torch.ones_like(all_known["valid"])
    no_pixel = {**all_known, "dropped": torch.ones_like(all_known["dropped"])}
    for official, item, learns in ((False, all_known, True), (False, no_pixel, False), (True, all_known, False)):
        found = gradients(networks, GenStereoLoss(official=official), item)
        assert reached(found, "fusion") == learns


def test_saturated_pixels_have_a_gradient_unless_official(networks):
    with torch.no_grad():
        networks.vae.decoder.conv_out.bias.fill_(5.0)  # everything it decodes is white, however little changes
    weights = networks.denoising_unet.conv_out.weight
    for official in (False, True):
        networks.zero_grad(set_to_none=True)
        terms = GenStereoLoss(official=official, drop=0.0)({"generator": networks}, batch(), 0, draws())
        (gradient,) = torch.autograd.grad(terms["pixel"][0], weights)
        assert bool(gradient.any()) == (not official)


def test_conditions_are_dropped_by_item_or_by_batch(networks):
    item = batch(4)
    seen = []
    whole = networks.predict

    def watched(noisy, times, tokens, pose, bank=None):
        seen.append((len(noisy), bank is not None, bool(tokens.any())))
        return whole(noisy, times, tokens, pose, bank)

    networks.predict = watched
    for seed in range(3):
        GenStereoLoss(drop=0.5, alpha=0.0)({"generator": networks}, item, 0, draws(4, 10 * seed))
    assert all(with_bank == with_token for _, with_bank, with_token in seen)
    assert {1, 2, 3} & {count for count, *_ in seen}  # some of a batch
    seen.clear()
    two = {name: values[:2] for name, values in item.items()}
    whole_batch = GenStereoLoss(drop=0.5, alpha=0.0, official=True)
    for seed in range(6):
        whole_batch({"generator": networks}, two, 0, draws(2, 10 * seed))
    assert {count for count, *_ in seen} == {2}
    assert {with_bank for _, with_bank, _ in seen} == {True, False}


@pytest.mark.parametrize("settings", [{}, {"pixel_window": 1}, {"draw_latents": False, "noise_offset": 0.0}])
def test_a_split_batch_gives_the_same_sums(networks, settings):
    item = batch(4)
    item["dropped"][1] = True
    objective = GenStereoLoss(drop=0.4, **settings)
    whole = objective({"generator": networks}, item, 0, draws(4))
    parts = [
        objective({"generator": networks}, {k: v[s] for k, v in item.items()}, 0, draws(4)[s])
        for s in (slice(0, 1), slice(1, 4))
    ]
    for name, (total, count, _) in whole.items():
        assert float(total.detach()) == pytest.approx(sum(float(part[name][0].detach()) for part in parts), rel=1e-4)
        assert float(count) == sum(float(part[name][1]) for part in parts) == objective.counts(item)[name]


def test_checkpointing_changes_no_gradient(networks):
    plain = gradients(networks.train(), GenStereoLoss())
    for unet in (networks.denoising_unet, networks.reference_unet):
        unet.enable_gradient_checkpointing()
    again = gradients(networks, GenStereoLoss())
    assert set(again) == set(plain)
    for name, gradient in plain.items():
        assert torch.allclose(again[name], gradient, atol=1e-6, rtol=1e-4), name


def test_the_codec_learns_first_and_then_stays(networks):
    networks.vae.requires_grad_(True)
    objective = GenStereoLoss(codec_steps=2)
    first = gradients(networks, objective, step=1)
    assert {name.split(".")[0] for name in first} == {"vae"}
    later = gradients(networks, objective, step=2)
    assert reached(later, "denoising_unet")
    assert not reached(later, "vae")
    terms = objective({"generator": networks}, batch(), 0, draws())
    assert set(terms) == {"reconstruction", "prior"}
    assert set(objective.counts(batch())) >= set(terms)


def test_prior_is_the_divergence_from_the_normal(networks):
    images = batch()["right"]
    terms = codec_terms(networks.vae, images, draws(), 0.01)
    posterior = networks.vae.encode(images * 2 - 1).latent_dist
    normal = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(torch.distributions.Normal(posterior.mean, posterior.std), normal)
    assert float(terms["prior"][0]) == pytest.approx(float(divergence.flatten(1).mean(1).sum()), rel=1e-4)
    assert terms["prior"][2] == 0.01
    noise = torch.stack([torch.randn(posterior.mean.shape[1:], generator=one) for one in draws()])
    decoded = networks.vae.decode(posterior.mean + posterior.std * noise).sample
    error = (decoded - (images * 2 - 1)).abs().flatten(1).mean(1).sum()
    assert float(terms["reconstruction"][0]) == pytest.approx(float(error.detach()), rel=1e-4)


@pytest.mark.parametrize(
    "settings", [{"drop": 1.5}, {"alpha": -1.0}, {"gamma": 0.0}, {"pixel_window": 0}, {"kl": -1.0}]
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError, match="GenStereo loss"):
        GenStereoLoss(**settings)


def test_sizes_that_cannot_be_halved_are_refused(networks):
    item = {name: values[..., :24] for name, values in batch().items()}
    with pytest.raises(InputError, match="24x16 are no multiple of 16"):
        GenStereoLoss()({"generator": networks}, item, 0, draws())
