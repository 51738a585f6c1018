"""Random streams depend on (seed, key, stream) alone."""

import numpy as np
import torch

from wheatstone.seeding import generator_for, numpy_generator_for, seed_for


def test_streams_are_reproducible_and_independent():
    draw = torch.rand(4, generator=generator_for(7, "a/b.jpg", "disparity"))
    assert torch.equal(draw, torch.rand(4, generator=generator_for(7, "a/b.jpg", "disparity")))
    others = [(8, "a/b.jpg", "disparity"), (7, "a/c.jpg", "disparity"), (7, "a/b.jpg", "synthesis")]
    assert all(not torch.equal(draw, torch.rand(4, generator=generator_for(*other))) for other in others)
    assert np.array_equal(numpy_generator_for(7, "x").random(3), numpy_generator_for(7, "x").random(3))


def test_seeds_fit_torch_and_do_not_run_together():
    # a separator keeps (1, "23") apart from (12, "3")
    assert seed_for(1, "23") != seed_for(12, "3")
    assert all(0 <= seed_for(0, str(i)) < 2**63 for i in range(100))


def test_the_global_generators_are_left_alone():
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator_for(0, "k"))
    assert torch.equal(before, torch.random.get_rng_state())
