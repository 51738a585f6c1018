from types import SimpleNamespace

import pytest
import torch
from tests.diffusion.tiny import SCHEDULER

from wheatstone.diffusion import DEFAULT_STEPS, SCHEDULERS, build_scheduler, denoise, mask_to_latent, start_noise
from wheatstone.errors import CheckpointError, InputError


class Oracle(torch.nn.Module):
    """Knows the clean latents and predicts the noise exactly, so every sampler must arrive at them."""

    dtype = torch.float32

    def __init__(self, clean, scheduler):
        super().__init__()
        self.clean, self.scheduler, self.seen = clean, scheduler, []

    def forward(self, sample, time, encoder_hidden_states):
        self.seen.append((tuple(sample.shape), tuple(encoder_hidden_states.shape)))
        alpha = self.scheduler.alphas_cumprod[int(time)]
        return SimpleNamespace(sample=(sample[:, :4] - alpha.sqrt() * self.clean) / (1 - alpha).sqrt())


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_sampler_arrives(name):
    clean = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    scheduler = build_scheduler(SCHEDULER, name)
    oracle = Oracle(clean, scheduler)
    steps = []
    result = denoise(
        oracle,
        scheduler,
        start_noise((2, 4, 3, 5), None, torch.device("cpu")),
        torch.zeros(1, 2, 8),
        steps=10,
        condition=torch.zeros(2, 5, 3, 5),
        on_step=steps.append,
    )
    assert (result - clean).abs().max() < 0.1  # what remains is the noise of the last time step
    assert oracle.seen[0] == ((2, 9, 3, 5), (2, 2, 8))
    assert (
        len(steps) == len(oracle.seen) == (11 if name == "checkpoint" else 10)
    )  # PNDM evaluates its second time twice
    assert torch.equal(steps[-1].latents, result)


def test_published_time_steps():
    scheduler = build_scheduler(SCHEDULER)
    scheduler.set_timesteps(5)
    assert scheduler.timesteps.tolist() == [801, 601, 601, 401, 201, 1]
    trailing = build_scheduler(SCHEDULER, "trailing")
    trailing.set_timesteps(DEFAULT_STEPS["trailing"])
    assert trailing.timesteps.tolist() == [999, 749, 499, 249]


def test_noise_of_an_item_does_not_depend_on_its_neighbours():
    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    device = torch.device("cpu")
    pair = start_noise((2, 4, 3, 5), generators(7, 8), device)
    assert torch.equal(pair[1:], start_noise((1, 4, 3, 5), generators(8), device))
    with pytest.raises(InputError, match="one generator an item"):
        start_noise((2, 4, 3, 5), generators(7), device)


def test_mask_pooling():
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[..., 3, 12] = mask[..., 8, 8] = True
    assert mask_to_latent(mask, 8, "nearest").tolist() == [[[[0, 0], [0, 1]]]]
    assert mask_to_latent(mask, 8, "max").tolist() == [[[[0, 1], [0, 1]]]]


def test_errors():
    with pytest.raises(InputError, match="checkpoint, ddim"):
        build_scheduler(SCHEDULER, "euler")
    for name in ("DiffusionPipeline", "os", None):
        with pytest.raises(CheckpointError, match="no scheduler of diffusers"):
            build_scheduler({**SCHEDULER, "_class_name": name})
