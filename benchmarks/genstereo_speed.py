"""Work, activation memory and time of GenStereo's pair of U-Nets, ours against the published scheme, in the same run.

    python benchmarks/genstereo_speed.py [--counted 320x96 128x64 64x96] [--timed 128x64 64x96] [--steps 50] [--repeats 2]
                                         [--device cpu] [--dtype float32]

A case is WIDTHxSIDE: first width of the U-Nets, which are Stable Diffusion 2.1's otherwise, and side of the latents; 320x96
is its true size at 768 x 768 pixels. The share of attention in the work goes with tokens over width, side^2 / width: 29 there.

The published scheme, rebuilt here on the same stock U-Nets with the same weights: with guidance the batch holds the
unconditional and the conditional half; the reference U-Net runs to its end on both halves and keeps two banks (normalised
tokens, and states before the norm that nobody reads); the denoiser attends to the reference in both halves, then computes the
unconditional half again without it and overwrites it. Ours runs the reference once, for the conditional half, up to its last
self-attention; keeps keys and values instead of tokens; runs both halves together, of which the second alone attends to the
reference, and until it first does what they have in common is computed once; takes feed-forward layers in pieces; adds what
a single image token says as the constant it is; on a CPU it enlarges and convolves in one step. Not held against the published
scheme are its copies (clones and gathers by mask in every attention) and that its bank is stored in float16: here both have it
in the number format of the networks, so that outputs can be compared.

Operations and memory are counted without computing: products of matrices and convolutions, and the bytes beyond the weights
that tensors hold at the peak of the reference and a step (every storage an operator returns, while it lives). Time is of the
process's own work on one thread, so that neighbours show little; the least of `--repeats`, the two schemes in turn; on a GPU of
the clock. An image takes the reference and `--steps` steps. Prints a Markdown table and below it what misses a bar: 1.5
times faster, at most 0.6 times the memory.
"""

import argparse
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from wheatstone.diffusion.reference_attention import (
    collect_tokens,
    drop_output,
    predict_both,
    prepare_reference,
    project_bank,
)
from wheatstone.diffusion.upsampling import join_upsampling

GUIDANCE, TIME, TOKEN_WIDTH, HEAD = 1.5, 500, 1024, 64
FASTER, LEANER = 1.5, 0.6


Scheme = Callable[[int, int, "Inputs"], tuple[Callable[[], Any], Callable[[Any], Tensor], Any]]


@dataclass(frozen=True)
class Inputs:
    """Latents of both views, the image token, and the features that are added behind the first layers."""

    left: Tensor
    noisy: Tensor
    token: Tensor
    source: Tensor
    target: Tensor


def unet(width: int, side: int, seed: int) -> Any:
    """Stable Diffusion 2.1's U-Net at another width: 64 numbers a head, as there."""
    torch.manual_seed(seed)
    widths = (width, 2 * width, 4 * width, 4 * width)
    return UNet2DConditionModel(
        sample_size=side,
        block_out_channels=widths,
        attention_head_dim=tuple(max(1, each // HEAD) for each in widths),
        cross_attention_dim=TOKEN_WIDTH,
        use_linear_projection=True,
    ).eval()


@dataclass
class Banks:
    """What the published scheme keeps of the reference."""

    normed: dict[str, Tensor] = field(default_factory=dict)
    plain: dict[str, Tensor] = field(default_factory=dict)


class PublishedAttention:
    """Self-attention of the published scheme; `banks` None is an ordinary one that fills nothing."""

    def __init__(self, name: str, banks: Banks, writes: bool) -> None:
        self.name, self.banks, self.writes, self.plain = name, banks, writes, AttnProcessor2_0()

    def __call__(self, attn: Any, hidden_states: Tensor, **_: Any) -> Tensor:
        if self.writes:
            self.banks.normed[self.name] = hidden_states
            return self.plain(attn, hidden_states)
        seen = torch.cat([hidden_states, self.banks.normed[self.name]], 1)
        fused = self.plain(attn, hidden_states, seen).clone()
        half = len(hidden_states) // 2
        fused[:half] = self.plain(attn, hidden_states[:half])
        return fused


def published(width: int, side: int) -> tuple[Any, Any, Banks]:
    """The two U-Nets wired as published."""
    banks = Banks()
    denoiser, reference = unet(width, side, 0), drop_output(unet(width, side, 1))
    for network, writes in ((denoiser, False), (reference, True)):
        for name, module in network.named_modules():
            if name.endswith(".attn1"):
                module.set_processor(PublishedAttention(name, banks, writes))
        for name, block in network.named_modules():
            if writes and name.endswith("transformer_blocks.0"):
                block.register_forward_pre_hook(lambda _, args, name=name: banks.plain.update({name: args[0]}))
    return denoiser, reference, banks


def published_scheme(width: int, side: int, given: Inputs) -> tuple[Callable[[], Any], Callable[[Any], Tensor], Any]:
    """Functions for the reference and for one step, and the networks."""
    denoiser, reference, banks = published(width, side)
    token = torch.cat([torch.zeros_like(given.token), given.token])
    moved = [_like(network, given.left) for network in (denoiser, reference)]
    pose = {}
    for network, features in zip(moved, (given.target, given.source), strict=True):
        pose[id(network)] = torch.cat([features, features])
        network.conv_in.register_forward_hook(lambda _, __, out, network=network: out + pose[id(network)])

    def look() -> Banks:
        banks.normed.clear()
        banks.plain.clear()
        reference(torch.cat([given.left] * 2), 0, encoder_hidden_states=token)
        return banks

    def step(_: Banks) -> Tensor:
        both = denoiser(torch.cat([given.noisy] * 2), TIME, encoder_hidden_states=token).sample
        plain, guided = both.chunk(2)
        return plain + GUIDANCE * (guided - plain)

    return look, step, moved


def our_scheme(width: int, side: int, given: Inputs) -> tuple[Callable[[], Any], Callable[[Any], Tensor], Any]:
    """Functions for the reference and for one step, and the networks."""
    denoiser = _like(join_upsampling(prepare_reference(unet(width, side, 0))), given.left)
    reference = _like(join_upsampling(prepare_reference(drop_output(unet(width, side, 1)))), given.left)

    def look() -> Any:
        return project_bank(denoiser, collect_tokens(reference, given.left, 0, given.token, given.source))

    def step(bank: Any) -> Tensor:
        plain, guided = predict_both(denoiser, given.noisy, TIME, given.token, given.target, bank)
        return plain + GUIDANCE * (guided - plain)

    return look, step, (denoiser, reference)


def _like(network: Any, tensor: Tensor) -> Any:
    same = tensor.device.type == "cpu" and tensor.dtype == torch.float32
    return network if same else network.to(tensor.device, tensor.dtype)


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all storages that operators have returned, while they live."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known = {weight.untyped_storage()._cdata for weight in weights}  # operators return views of them

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


@dataclass(frozen=True)
class Counted:
    """What one scheme costs: operations of the reference and of a step, bytes at the peak of both."""

    reference: int
    step: int
    peak: int


def _attention_operations(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


# attention as a CPU runs it, which torch's own table has not
_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations}


def count(scheme: Scheme, width: int, side: int) -> Counted:
    """Count on tensors without content: nothing is computed, no memory taken."""
    with FakeTensorMode():
        look, step, networks = scheme(width, side, inputs(width, side, torch.device("cpu"), torch.float32))
        live = LiveTensors(weight for network in networks for weight in network.parameters())
        with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as operations, live:
            bank = look()
            first = operations.get_total_flops()
            step(bank)
        return Counted(first, operations.get_total_flops() - first, live.peak)


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Time of one call: of this process's work on a CPU, of the clock on a GPU."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def inputs(width: int, side: int, device: torch.device, dtype: torch.dtype) -> Inputs:
    """Random ones, the same in every run."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(1, 4, side, side)] * 2 + [(1, 1, TOKEN_WIDTH)] + [(1, width, side, side)] * 2
    return Inputs(*(torch.randn(shape, generator=draw).to(device, dtype) for shape in shapes))


@dataclass(frozen=True)
class Timed:
    """Seconds of the reference and of a step by scheme, and how far the outputs are apart (of the largest value)."""

    reference: dict[str, float]
    step: dict[str, float]
    apart: float


SCHEMES: dict[str, Scheme] = {"published": published_scheme, "ours": our_scheme}


def measure(width: int, side: int, options: Any) -> Timed:
    """Time both schemes in turn; the first round warms up when there are several."""
    device = torch.device(options.device)
    given = inputs(width, side, device, getattr(torch, options.dtype))
    made = {name: scheme(width, side, given) for name, scheme in SCHEMES.items()}
    looks: dict[str, list[float]] = {name: [] for name in made}
    steps: dict[str, list[float]] = {name: [] for name in made}
    outputs: dict[str, Tensor] = {}
    for _ in range(options.repeats):
        for name, (look, step, _networks) in made.items():
            bank: list[Any] = []
            looks[name].append(seconds(lambda look=look, bank=bank: bank.append(look()), device))
            steps[name].append(seconds(lambda step=step, bank=bank: bank.append(step(bank[0])), device))
            outputs[name] = bank[1]
    apart = (outputs["ours"] - outputs["published"]).abs().max() / outputs["published"].abs().max()
    least = [{name: min(values) for name, values in times.items()} for times in (looks, steps)]
    return Timed(*least, float(apart))


def _case(text: str) -> tuple[int, int]:
    width, side = text.split("x")
    return int(width), int(side)


@torch.no_grad()
def main() -> None:
    """Count, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counted", type=_case, nargs="*", default=[(320, 96), (128, 64), (64, 96)])
    parser.add_argument("--timed", type=_case, nargs="*", default=[(128, 64), (64, 96)])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    torch.set_num_threads(1)
    missed = []
    print("| case | tokens / width | | published | ours | ratio |\n|---|---|---|---|---|---|")
    for width, side in options.counted:
        found = {name: count(scheme, width, side) for name, scheme in SCHEMES.items()}
        work = {name: (each.reference + options.steps * each.step) / 1e12 for name, each in found.items()}
        row(width, side, f"operations, {options.steps} steps, 10^12", work, "less", "{:.1f}")
        peaks = {name: each.peak / 2**20 for name, each in found.items()}
        row(width, side, "activations, MiB", peaks, "less", "{:.0f}")
        if peaks["ours"] > LEANER * peaks["published"]:
            missed.append(f"{width}x{side}: above {LEANER} times the memory")
    for width, side in options.timed:
        timed = measure(width, side, options)
        row(width, side, "reference, s", timed.reference, "faster", "{:.2f}")
        row(width, side, "a step, s", timed.step, "faster", "{:.2f}")
        image = {name: timed.reference[name] + options.steps * timed.step[name] for name in SCHEMES}
        row(width, side, f"image of {options.steps} steps, s", image, "faster", "{:.0f}")
        print(f"| {width}x{side} | | largest difference of the outputs | | {timed.apart:.0e} of the largest value | |")
        if image["published"] < FASTER * image["ours"]:
            missed.append(f"{width}x{side}: less than {FASTER} times faster")
    print("\n" + ("\n".join(f"misses a bar: {each}" for each in missed) or "every bar is held"))


def row(width: int, side: int, what: str, values: dict[str, float], better: str, form: str) -> None:
    """Print one line of the table."""
    shown = " | ".join(form.format(values[name]) for name in SCHEMES)
    ratio = values["published"] / values["ours"]
    print(f"| {width}x{side} | {side * side / width:.0f} | {what} | {shown} | {ratio:.2f} x {better} |", flush=True)


if __name__ == "__main__":
    main()
