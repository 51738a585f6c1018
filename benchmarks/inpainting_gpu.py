"""Diffusion inpainting on a GPU: images per second by steps and batch, and peak memory.

    python benchmarks/inpainting_gpu.py [--size 512] [--steps 50 20 4] [--batches 1 4 8] [--dtype float16] [--compile]

Networks of Stable Diffusion 2's size with random weights, so nothing is downloaded and the pictures mean nothing; the whole
public call is timed: warp, VAE, U-Net, VAE, composite. Prints a Markdown table. Without a GPU it says so and ends; `--tiny`
runs a toy on the CPU, to try the script.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from wheatstone.diffusion import Components
from wheatstone.synthesis.inpainting import StereoInpainting

SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
FULL = {
    "unet": (320, 640, 1280, 1280),
    "heads": (5, 10, 20, 20),
    "vae": (128, 256, 512, 512),
    "text": 1024,
    "layers": 2,
}
TINY = {"unet": (32, 64, 64, 64), "heads": (2, 4, 4, 4), "vae": (32, 32, 32, 32), "text": 32, "layers": 1}


class TwoTokens:
    """Stands in for a tokenizer: the empty prompt is a begin and an end."""

    model_max_length = 77

    def __call__(self, *_: Any, **__: Any) -> dict[str, list[int]]:
        return {"input_ids": [0, 1]}


def components(sizes: dict[str, Any]) -> Components:
    """Networks of the wanted size with random weights."""
    depth = len(sizes["unet"])
    unet = UNet2DConditionModel(
        sample_size=64,
        in_channels=9,
        out_channels=4,
        block_out_channels=sizes["unet"],
        down_block_types=("CrossAttnDownBlock2D",) * (depth - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (depth - 1),
        attention_head_dim=sizes["heads"],
        cross_attention_dim=sizes["text"],
        layers_per_block=sizes["layers"],
        use_linear_projection=True,
    )
    vae = AutoencoderKL(
        block_out_channels=sizes["vae"],
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=sizes["layers"],
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=2, hidden_size=sizes["text"], intermediate_size=64, num_hidden_layers=1, num_attention_heads=4
        )
    )
    return Components(unet.eval(), vae.eval(), text.eval(), TwoTokens(), SCHEDULER)


def scheduler_for(steps: int) -> str:
    """The sampler one would use with that many steps."""
    return "trailing" if steps <= 8 else "dpm++" if steps <= 25 else "checkpoint"


def pair(batch: int, size: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Left views and a disparity of a tenth of the width with one nearer thing in the middle."""
    left = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    disparity = torch.full((batch, 1, size, size), 0.05 * size)
    disparity[..., size // 4 : 3 * size // 4, size // 3 : 2 * size // 3] = 0.1 * size
    return left.to(device), disparity.to(device)


def measure(synthesizer: StereoInpainting, batch: int, size: int, repeats: int) -> dict[str, float]:
    """Images per second of the public call, after one call to warm up, and the peak of the GPU's memory."""
    on_gpu = synthesizer.device.type == "cuda"
    left, disparity = pair(batch, size, str(synthesizer.device))
    synthesizer(left, disparity)
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    for _ in range(repeats):
        synthesizer(left, disparity)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else float("nan")
    return {"images_per_second": batch * repeats / seconds, "peak_gib": peak}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 20, 4])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--dtype", default="float16", choices=["float16", "bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compile the U-Net (the first call takes minutes)")
    parser.add_argument("--tiny", action="store_true", help="a toy on the CPU")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    if not options.tiny and not torch.cuda.is_available():
        print("no GPU here: nothing measured (--tiny tries the script on the CPU)")
        return
    device, dtype = ("cpu", torch.float32) if options.tiny else ("cuda", getattr(torch, options.dtype))
    name = "a toy on the CPU" if options.tiny else torch.cuda.get_device_name()
    parts = components(TINY if options.tiny else FULL)
    rows = []
    print(f"{options.size}x{options.size}, {str(dtype).removeprefix('torch.')}, torch {torch.__version__}, {name}\n")
    print("| steps | sampler | batch | images/s | peak memory (GiB) |\n|---|---|---|---|---|")
    for steps in options.steps:
        for batch in options.batches:
            synthesizer = StereoInpainting(parts, scheduler=scheduler_for(steps), steps=steps, max_batch=batch)
            synthesizer.to(device, dtype)
            if options.compile:
                synthesizer.network.unet.compile()
            row = {"steps": steps, "batch": batch, **measure(synthesizer, batch, options.size, options.repeats)}
            rows.append(row)
            sampler = synthesizer.config["scheduler"]
            print(f"| {steps} | {sampler} | {batch} | {row['images_per_second']:.2f} | {row['peak_gib']:.1f} |")
    if options.json:
        figures = {"device": name, "size": options.size, "dtype": str(dtype), "rows": rows}
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
