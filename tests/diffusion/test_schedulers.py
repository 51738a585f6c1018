import numpy as np
import torch

from wheatstone.diffusion import ZERO_SNR_V, build_scheduler, run_sampler

BOUND = 1e-6


def test_original_zero_snr_v_prediction(goldens):
    golden = {
        key: torch.from_numpy(np.asarray(value)) for key, value in np.load(goldens / "genstereo_ddim.npz").items()
    }
    scheduler = build_scheduler(ZERO_SNR_V)
    np.testing.assert_allclose(scheduler.alphas_cumprod, golden["alphas_cumprod"], atol=1e-7)
    assert scheduler.alphas_cumprod[-1] == 0
    scheduler.set_timesteps(50)
    assert torch.equal(scheduler.timesteps, golden["timesteps"])
    for index in (0, 1, 25, 49):
        step = scheduler.step(golden["v"], scheduler.timesteps[index], golden["x"]).prev_sample
        torch.testing.assert_close(step, golden[f"step_{index}"], atol=BOUND, rtol=0)
    for time in (999, 500):
        noisy = scheduler.add_noise(golden["x"], golden["noise"], torch.tensor([time]))
        torch.testing.assert_close(noisy, golden[f"add_noise_t{time}"], atol=BOUND, rtol=0)


def test_sampler_finds_the_latents_that_a_perfect_prediction_means():
    """V = sqrt(abar) noise - sqrt(1 - abar) x0: at the first time, pure noise, that is -x0; any number of steps ends at x0."""
    wanted = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    for steps in (1, 4, 50):
        scheduler = build_scheduler(ZERO_SNR_V)

        def predict(latents, time, scheduler=scheduler):
            signal = scheduler.alphas_cumprod[int(time)]
            found = (latents - signal.sqrt() * wanted) / (1 - signal).sqrt()
            return signal.sqrt() * found - (1 - signal).sqrt() * wanted

        seen = []
        latents = run_sampler(predict, scheduler, noise, steps=steps, on_step=seen.append)
        torch.testing.assert_close(latents, wanted, atol=1e-4, rtol=0)
        assert seen[0].timestep == 999
        assert len(seen) == steps
