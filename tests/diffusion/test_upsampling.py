import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional

from wheatstone.diffusion.upsampling import join_upsampling, joint_kernel


def unet():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return UNet2DConditionModel(
            block_out_channels=(16, 32, 32),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=2,
            cross_attention_dim=8,
            norm_num_groups=8,
        ).eval()


def answer(network, height, width):
    draw = torch.Generator().manual_seed(2)
    latents = torch.randn(1, 4, height, width, generator=draw)
    context = torch.randn(1, 3, 8, generator=draw)
    return network(latents, 300, encoder_hidden_states=context).sample


def test_taps_that_meet_the_same_pixel_are_added():
    weight = torch.zeros(1, 1, 3, 3)
    weight[..., 1, :] = torch.tensor([1.0, 10.0, 100.0])
    row = joint_kernel(weight)[0, 0, 1]
    assert row.tolist() == [100.0, 110.0, 11.0, 1.0]


def test_the_kernel_enlarges_and_convolves():
    draw = torch.Generator().manual_seed(0)
    weight, x = torch.randn(5, 4, 3, 3, generator=draw), torch.randn(2, 4, 6, 7, generator=draw)
    wanted = functional.conv2d(functional.interpolate(x, scale_factor=2.0, mode="nearest"), weight, padding=1)
    found = functional.conv_transpose2d(x, joint_kernel(weight), stride=2, padding=1)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "size", [(8, 12), (6, 10)]
)  # 6 and 10 halve to odd numbers, which are enlarged to a given size
def test_a_joined_network_answers_like_the_stock_one(size):
    stock = unet()
    ours = join_upsampling(copy.deepcopy(stock))
    assert list(ours.state_dict()) == list(stock.state_dict())
    transposed = []
    for block in ours.up_blocks:
        for layer in block.upsamplers or ():
            layer.conv.register_forward_pre_hook(lambda *_: transposed.append(False))
    with torch.no_grad():
        torch.testing.assert_close(answer(ours, *size), answer(stock, *size), atol=1e-6, rtol=0)
    assert (transposed == []) == (size == (8, 12))  # the plain convolution is not called where both are one step


def test_gradients_reach_the_weights():
    stock = unet()
    ours = join_upsampling(copy.deepcopy(stock))
    for network in (stock, ours):
        answer(network, 8, 8).square().sum().backward()
    for (name, found), wanted in zip(ours.named_parameters(), stock.parameters(), strict=True):
        if "upsamplers" in name:
            assert wanted.grad.abs().sum() > 0
            torch.testing.assert_close(found.grad, wanted.grad, atol=1e-4, rtol=1e-4)
