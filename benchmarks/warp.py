"""Forward warp and disparity clean-up against the formulations they replace, timed in the same run.

    python benchmarks/warp.py [--height 1080] [--width 1920] [--repeats 5] [--threads 1] [--device cpu]

Prints a Markdown table. The quadratic formulation compares every pixel with every pixel to its right, as the published code
does, here over all rows at once; the refill by `griddata` interpolates every pixel of the map, as the published code does.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.interpolate import griddata

from wheatstone.geometry import ForwardWarper, clean_disparity, forward_warp, hole_ends, hole_origin, sobel_magnitude


def scene(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture and a disparity map with a sloping ground, soft bumps and a dozen soft-edged things, 0 .. 10 % of the width."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 1, 9, 16, generator=generator)
    disparity = (
        torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True) * 0.02 * width
    )
    disparity += torch.linspace(0, 0.03 * width, height)[:, None]
    for top, left, nearness in torch.rand(12, 3, generator=generator).tolist():
        rows, columns = int(top * 0.8 * height), int(left * 0.9 * width)
        disparity[..., rows : rows + height // 4, columns : columns + width // 12] += (0.02 + 0.03 * nearness) * width
    disparity = torch.nn.functional.avg_pool2d(disparity, 5, stride=1, padding=2, count_include_pad=False)
    return torch.rand(1, 3, height, width, generator=generator), disparity.clamp(min=0)


def quadratic_visibility(disparity: np.ndarray) -> np.ndarray:
    """The published test, literally: is either cell beside a landing free of all pixels two or more columns further right?"""
    width = disparity.shape[1]
    landing = np.arange(width) - disparity.astype(np.float64)
    floor, ceil = np.floor(landing).astype(np.int32), np.ceil(landing).astype(np.int32)
    visible = landing >= 0
    for x in range(width - 2):
        right_floor, right_ceil = floor[:, x + 2 :], ceil[:, x + 2 :]
        taken = [
            ((right_floor == cell[:, x, None]) | (right_ceil == cell[:, x, None])).any(1) for cell in (floor, ceil)
        ]
        visible[:, x] &= ~(taken[0] & taken[1])
    return visible


def full_griddata(disparity: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Refill by interpolating the whole map from its pixels outside the edges."""
    rows, columns = np.mgrid[: disparity.shape[0], : disparity.shape[1]]
    known = (rows[~edge], columns[~edge])
    return griddata(known, disparity[~edge], (rows, columns), method="nearest")


def seconds(work: Callable[[], object], repeats: int, device: str, threads: int) -> float:
    """Shortest of `repeats` runs: processor time on one CPU thread, which other programs disturb least, else wall time."""
    clock = time.process_time if device == "cpu" and threads == 1 else time.perf_counter
    best = float("inf")
    for _ in range(repeats):
        started = clock()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, clock() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image, disparity = (part.to(options.device) for part in scene(options.height, options.width))
    plain = disparity[0, 0].cpu().numpy()
    pixels = options.height * options.width

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    warped = forward_warp(image, disparity)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / pixels
    landing = ForwardWarper().landing(disparity)
    moved, ends = landing.pick(disparity), hole_ends(landing.hole)
    edge = (sobel_magnitude(disparity) > 3)[0, 0].cpu().numpy()

    def timed(work: Callable[[], object], repeats: int = options.repeats) -> float:
        return seconds(work, repeats, options.device, options.threads)

    ours = {
        "two-tap warp, RGB": timed(lambda: forward_warp(image, disparity)),
        "... its visibility and geometry": timed(lambda: ForwardWarper().landing(disparity)),
        "nearest warp, RGB": timed(lambda: forward_warp(image, disparity, method="nearest")),
        "kinds of holes": timed(lambda: hole_origin(landing.hole, moved, ends=ends)),
        "disparity clean-up": timed(lambda: clean_disparity(disparity, dilate=0)),
    }
    quadratic = timed(lambda: quadratic_visibility(plain), 1)
    refill = timed(lambda: full_griddata(plain, edge), 1)
    agree = np.array_equal(quadratic_visibility(plain), warped.visible[0, 0].cpu().numpy())

    where = f"{options.threads} CPU thread(s)" if options.device == "cpu" else torch.cuda.get_device_name()
    print(
        f"{options.width} x {options.height}, {where}, torch {torch.__version__}; holes {warped.hole.float().mean():.1%},"
    )
    print(f"edge pixels {edge.mean():.1%}; visibility equal to the quadratic formulation: {agree}")
    if options.device == "cpu":
        print(f"extra memory of the first warp: {grown:.0f} bytes a pixel")
    print("\n| step | ms | replaced formulation | ms | faster |\n|---|---|---|---|---|")
    against = {
        "two-tap warp, RGB": ("quadratic visibility test alone", quadratic),
        "disparity clean-up": ("griddata over the whole map", refill),
    }
    for step, taken in ours.items():
        name, slow = against.get(step, ("", None))
        print(
            f"| {step} | {taken * 1e3:.1f} | {name} |", f"{slow * 1e3:.0f} | {slow / taken:.0f} x |" if slow else "| |"
        )


if __name__ == "__main__":
    main()
