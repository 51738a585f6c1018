"""IGEV-Stereo and PSMNet as their papers write them down: whole volumes, every layer a new map; what ours is measured against.

The functions take our networks and use their weights layer by layer, without bands, in-place steps or look-ups on demand.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.matching.igev_stereo import IgevNetwork
from wheatstone.matching.igev_volume import group_correlation, soft_argmin
from wheatstone.matching.psmnet import PsmNetwork
from wheatstone.matching.psmnet_volume import concatenation_volume


def plain_layers(network: nn.Module) -> None:
    """Make the layers of a network take their plain path by telling them that they train (frozen norms stay frozen)."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()


def _sample(volume: Tensor, places: Tensor) -> Tensor:
    """Linear samples `[N,C,P]` of `[N,C,1,L]` at places `[N,P]`, zero outside, by the general image sampler."""
    grid = torch.stack([2 * places / (volume.shape[-1] - 1) - 1, torch.zeros_like(places)], dim=-1)[:, None]
    return functional.grid_sample(volume, grid, align_corners=True)[:, :, 0]


def _pyramid(volume: Tensor, levels: int) -> list[Tensor]:
    made = [volume]
    for _ in range(levels - 1):
        made.append(functional.avg_pool2d(made[-1], (1, 2)))
    return made


@torch.no_grad()
def igev_plain(network: IgevNetwork, left: Tensor, right: Tensor, iterations: int) -> Tensor:
    """Disparity of images in 0..1 after so many iterations, `[1,1,H,W]`."""
    plain_layers(network)
    states, contexts = network._context(left)
    left, right = 2 * left - 1, 2 * right - 1
    (features, half), (other, _) = network._features(left), network._features(right)
    first, second = network.desc(network.conv(features[0])), network.desc(network.conv(other[0]))
    correlation = network.corr_stem(group_correlation(first, second, network.steps))
    volume = network.cost_agg(correlation * network.corr_feature_att.gates(features[0]), features)
    disparity = soft_argmin(network.classifier(volume)[:, 0])

    groups, steps, height, width = volume.shape[1:]
    levels, radius = network.corr_levels, network.corr_radius
    cells = _pyramid(volume.permute(0, 3, 4, 1, 2).reshape(height * width, groups, 1, steps), levels)
    products = torch.einsum("bchx,bchy->bhxy", first, second).reshape(height * width, 1, 1, width)
    rows = _pyramid(products, levels)
    offsets = torch.arange(-radius, radius + 1.0)
    column = torch.arange(float(width)).repeat(height)[:, None]
    for _ in range(iterations):
        here = disparity.view(-1, 1)
        samples = []
        for level in range(levels):
            samples.append(_sample(cells[level], here / 2**level + offsets).flatten(1))
            samples.append(_sample(rows[level], (column - here) / 2**level + offsets).flatten(1))
        read = torch.cat(samples, dim=1).view(1, height, width, -1).permute(0, 3, 1, 2).contiguous()
        states, fine, change = network.update_block(states, contexts, read, disparity)
        disparity = disparity + change
    shares = network.spx_gru(network.spx_2_gru(fine, half)).softmax(1)
    around = functional.unfold(4 * disparity, 3, padding=1).view(1, 9, height, width)
    return (functional.interpolate(around, scale_factor=4, mode="nearest") * shares).sum(1, keepdim=True)


@torch.no_grad()
def psmnet_plain(network: PsmNetwork, left: Tensor, right: Tensor, iterations: int = 1) -> Tensor:  # noqa: ARG001 (one pass)
    """Disparity of images in 0..1, `[1,1,H,W]`, from whole volumes."""
    plain_layers(network)
    first, second = (network.feature_extraction((image - 0.45) / 0.225) for image in (left, right))
    volume = network.dres0(concatenation_volume(first, second, network.max_disparity // 4))
    volume = network.dres1(volume) + volume
    filtered, first_down, up = volume, None, None
    scores: list[Tensor] = []
    for hourglass, classifier in (
        (network.dres2, network.classif1),
        (network.dres3, network.classif2),
        (network.dres4, network.classif3),
    ):
        down, up = hourglass(hourglass.conv1(filtered), first_down, up)
        first_down = down if first_down is None else first_down
        filtered = hourglass.conv6(up) + volume
        scores.append(classifier(filtered) + scores[-1] if scores else classifier(filtered))
    size = (network.max_disparity, *left.shape[-2:])
    share = functional.interpolate(scores[-1], size, mode="trilinear", align_corners=True).softmax(2)
    steps = torch.arange(float(network.max_disparity)).view(1, 1, -1, 1, 1)
    return (share * steps).sum(2)
