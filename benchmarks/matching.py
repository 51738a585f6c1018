"""Time and peak memory of the matchers, the networks against the plain formulation of their papers in the same run.

    python benchmarks/matching.py [--sizes 480x640 1080x1920] [--iterations 4] [--threads 1] [--only raft-stereo]

Prints a Markdown table, and below it what misses a bar: an answer within 1e-3 px of the plain one, in no more time, at 1080x1920
in at most half the memory. Every measurement is a process of its own, both formulations get the same weights and images, and
the largest difference of their answers stands beside the ratios. Memory is the largest resident size of a further process,
libraries included, that makes one iteration and gives freed memory back at once: what an allocator keeps for later differs by
a tenth from run to run. Sides below 256 px are too small for PSMNet as published.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matching_igev_plain import igev_plain, psmnet_plain
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.geometry import backward_warp, pad_to_multiple
from wheatstone.matching import StereoMatcher, load_matcher
from wheatstone.matching.embedded import EmbeddedMatcher
from wheatstone.matching.igev_stereo import IgevStereo
from wheatstone.matching.psmnet import PsmNet
from wheatstone.matching.raft_stereo import PRESETS, RaftStereo, RaftStereoNetwork

Plain = Callable[[nn.Module, Tensor, Tensor, int], Tensor]


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A textured slanted surface, 2 to 6 % of the width away."""
    generator = torch.Generator().manual_seed(0)
    right = functional.interpolate(torch.rand(1, 3, height // 4, width // 4, generator=generator), (height, width))
    disparity = torch.linspace(0.02 * width, 0.06 * width, height)[:, None].expand(1, 1, height, width)
    return backward_warp(right, disparity), right


def randomise(network: nn.Module) -> None:
    """Weights that keep the size of activations, so that disparities of many pixels come out.

    Random scores have many peaks; far apart, rounding alone would move the mean under their softmax from one to another (2e-3
    px in either form against float64), which a trained network's single peak does not do. So PSMNet's scores are made small.
    """
    generator = torch.Generator().manual_seed(0)
    for name, weight in network.named_parameters():
        if weight.ndim > 1:
            std = weight[0].numel() ** -0.5 * (0.1 if name.startswith(("classif1", "classif2", "classif3")) else 1.0)
            nn.init.normal_(weight, std=std, generator=generator)


def plain_trunk(encoder: nn.Module, images: Tensor) -> Tensor:
    return encoder.layer3(encoder.layer2(encoder.layer1(encoder.norm1(encoder.conv1(images)).relu())))


def plain_gru(gru: nn.Module, state: Tensor, context: tuple[Tensor, Tensor, Tensor], *inputs: Tensor) -> Tensor:
    x = torch.cat(inputs, dim=1)
    both = torch.cat([state, x], dim=1)
    update = (gru.convz(both) + context[0]).sigmoid()
    reset = (gru.convr(both) + context[1]).sigmoid()
    candidate = (gru.convq(torch.cat([reset * state, x], dim=1)) + context[2]).tanh()
    return (1 - update) * state + update * candidate


def plain_look_up(volumes: list[Tensor], columns: Tensor, radius: int) -> Tensor:
    batch, _, height, width = columns.shape
    found = []
    for level, volume in enumerate(volumes):
        steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
        x = columns.reshape(-1, 1, 1, 1) / 2**level + steps.view(1, 1, -1, 1)
        x = 2 * x / (volume.shape[-1] - 1) - 1
        sampled = functional.grid_sample(volume, torch.cat([x, torch.zeros_like(x)], dim=-1), align_corners=True)
        found.append(sampled.view(batch, height, width, -1))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


def plain_upsampling(block: nn.Module, state: Tensor, flow: Tensor, factor: int) -> Tensor:
    batch, _, height, width = flow.shape
    shares = (0.25 * block.mask(state)).view(batch, 1, 9, factor, factor, height, width).softmax(dim=2)
    around = functional.unfold(factor * flow, [3, 3], padding=1).view(batch, 2, 9, 1, 1, height, width)
    return (
        (shares * around).sum(dim=2).permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, factor * height, factor * width)[:, :1]
    )


def plain_raft(network: RaftStereoNetwork, left: Tensor, right: Tensor, iterations: int) -> Tensor:
    """RAFT-Stereo as its paper has it: both images at once, all pairs, grid sampling, every step enlarged."""
    left, right = 2 * left - 1, 2 * right - 1
    both = torch.cat([left, right])
    if network.shared_backbone:
        shared = plain_trunk(network.cnet, both)
        outputs, features = network.cnet.heads(shared[:1], network.n_gru_layers), network.conv2(shared)
    else:
        outputs = network.cnet.heads(plain_trunk(network.cnet, left), network.n_gru_layers)
        features = network.fnet.conv2(plain_trunk(network.fnet, both))
    states = [state.tanh() for state, _ in outputs]
    contexts = [
        conv(context.relu()).chunk(3, dim=1)
        for conv, (_, context) in zip(network.context_zqr_convs, outputs, strict=True)
    ]
    first, second = features.chunk(2)
    volume = torch.einsum("bchw,bchv->bhwv", first, second) / first.shape[1] ** 0.5
    height, width = first.shape[-2:]
    volumes = [volume.reshape(height * width, 1, 1, width)]
    while len(volumes) < network.corr_levels:
        volumes.append(functional.avg_pool2d(volumes[-1], (1, 2)))
    column = torch.arange(width, dtype=torch.float32).expand(1, 1, height, width)
    flow, predictions = torch.zeros(1, 2, height, width), []
    for _ in range(iterations):
        samples = plain_look_up(volumes, column + flow[:, :1], network.corr_radius)
        states, change = plain_step(network, states, contexts, flow, samples)
        flow = flow + change * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
        predictions.append(-plain_upsampling(network.update_block, states[0], flow, network.factor))
    return predictions[-1]


def plain_step(
    network: RaftStereoNetwork, states: list[Tensor], contexts: list, flow: Tensor, samples: Tensor
) -> tuple[list[Tensor], Tensor]:
    block, count = network.update_block, network.n_gru_layers

    def halve(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 3, stride=2, padding=1)

    def enlarge(x: Tensor, like: Tensor) -> Tensor:
        return functional.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)

    def coarse(states: list[Tensor], lowest: int) -> list[Tensor]:
        states = list(states)
        if count == 3:
            states[2] = plain_gru(block.gru32, states[2], contexts[2], halve(states[1]))
        if count >= 2 and lowest <= 1:
            above = [enlarge(states[2], states[1])] if count == 3 else []
            states[1] = plain_gru(block.gru16, states[1], contexts[1], halve(states[0]), *above)
        return states

    if network.slow_fast_gru:
        for lowest in range(count - 1, 0, -1):
            states = coarse(states, lowest)
    states = coarse(states, 1)
    above = [enlarge(states[1], states[0])] if count > 1 else []
    states[0] = plain_gru(block.gru08, states[0], contexts[0], block.encoder(flow, samples), *above)
    return states, block.flow_head(states[0])


def raft(preset: str, **options: object) -> Callable[[], StereoMatcher]:
    return lambda: RaftStereo(**{**PRESETS[preset], **options})


# what it is -> (builds the matcher, its plain formulation or None)
CASES: dict[str, tuple[Callable[[], StereoMatcher], Plain | None]] = {
    "raft-stereo": (raft("raft-stereo"), plain_raft),
    "raft-stereo, on demand": (raft("raft-stereo", correlation="on-demand"), plain_raft),
    "raft-stereo-realtime": (raft("raft-stereo-realtime"), plain_raft),
    "igev-stereo": (IgevStereo, igev_plain),
    "psmnet": (lambda: PsmNet(pooling="large"), psmnet_plain),
    "sgbm": (lambda: load_matcher("sgbm"), None),
    "embedded": (EmbeddedMatcher, None),
}


def measure(name: str, form: str, size: tuple[int, int], iterations: int, threads: int, out: Path) -> None:
    """Run one case in this process; write its answer and print seconds and peak memory."""
    torch.set_num_threads(threads)
    build, plain = CASES[name]
    torch.manual_seed(0)  # biases: the other formulation runs in a process of its own
    matcher = build()
    if plain is not None:
        randomise(matcher.network)
    left, right = pair(*size)
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    with torch.no_grad():
        if form == "plain":
            padded, padding = pad_to_multiple(left, matcher.multiple)
            answer = padding.crop(plain(matcher.network, padded, padding.pad(right), iterations))
        else:
            answer = matcher(left, right, iterations if matcher.iterations else None).disparity
    seconds = clock() - start
    with out.open("wb") as file:
        np.save(file, answer.numpy())
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def in_processes(name: str, form: str, size: str, options: argparse.Namespace, out: Path) -> tuple[float, float]:
    """The same in processes of its own: seconds of one, MB of another, whose allocator keeps nothing that was freed."""
    found = []
    sober = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"}
    for iterations, place, environment in ((1, Path(os.devnull), sober), (options.iterations, out, None)):
        command = [sys.executable, __file__, "--case", name, form, str(place), "--sizes", size]
        command += ["--iterations", str(iterations), "--threads", str(options.threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found[1][0], found[0][1]


def missed(size: str, time_share: float, memory_share: float, difference: float) -> list[str]:
    """The bars that a measurement misses."""
    found = [f"{time_share:.2f} times the plain formulation's time"] if time_share > 1 else []
    if size == "1080x1920" and memory_share > 0.5:
        found.append(f"{memory_share:.2f} times its memory")
    # `not <=`: NaN misses too
    return [*found, f"{difference:.1e} px away"] if not difference <= 1e-3 else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["480x640", "1080x1920"], help="HEIGHTxWIDTH")
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, form, out = options.case
        height, width = map(int, options.sizes[0].split("x"))
        measure(name, form, (height, width), options.iterations, options.threads, Path(out))
        return
    print(f"{options.iterations} iterations, {options.threads} thread(s), torch {torch.__version__}\n")
    print("| matcher | size | s | plain, s | time | MB | plain, MB | memory | largest difference, px |")
    print("|---|---|---|---|---|---|---|---|---|")
    misses = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            for size in options.sizes:
                ours, theirs = Path(folder, "ours.npy"), Path(folder, "plain.npy")
                seconds, megabytes = in_processes(name, "ours", size, options, ours)
                cells = [f"{seconds:.2f}", "", "", f"{megabytes:.0f}", "", "", ""]
                if CASES[name][1] is not None:
                    slow, large = in_processes(name, "plain", size, options, theirs)
                    difference = np.abs(np.load(ours) - np.load(theirs)).max()
                    cells[1:3] = [f"{slow:.2f}", f"{seconds / slow:.2f}"]
                    cells[4:] = [f"{large:.0f}", f"{megabytes / large:.2f}", f"{difference:.1e}"]
                    misses += [
                        f"{name} at {size}: {bar}"
                        for bar in missed(size, seconds / slow, megabytes / large, difference)
                    ]
                print(f"| {name} | {size} | {' | '.join(cells)} |", flush=True)
    print("\nBars missed: " + ("; ".join(misses) or "none"))


if __name__ == "__main__":
    main()
