"""Speed of the scene renderer: views a second on one core, by family.

    python benchmarks/scenes.py [--size 320x192] [--count 12]

CPU seconds are counted, so that other work on the machine does not matter much; compiling and texture pools are not counted.
Prints a Markdown table: building a scene, one view with its depth (`depth_view`), a pair with all truth (`render_scene`),
and a second more view.
"""

import argparse
import time
from collections.abc import Callable

from wheatstone.scenes import FAMILIES, depth_view, render_scene
from wheatstone.scenes.draw import build_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="320x192")
    parser.add_argument("--count", type=int, default=12)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    size = (height, width)
    render_scene(0, size=size)  # compiles and makes the first pool
    print(f"{options.count} scenes a family at {width} x {height}\n")
    print("| family | primitives | build, ms | view with depth, ms | pair with truth, ms | views/s of pairs |")
    print("|---|---|---|---|---|---|")
    for family in FAMILIES:
        seeds = range(options.count)
        primitives = sum(len(build_scene(seed, size, family)[0].kind) for seed in seeds) / options.count
        build = _seconds(lambda seed, family=family: build_scene(seed, size, family), seeds)
        view = _seconds(lambda seed, family=family: depth_view(seed, size=size, family=family), seeds)
        pair = _seconds(lambda seed, family=family: render_scene(seed, size=size, family=family), seeds)
        cells = f"{primitives:.0f} | {build * 1e3:.0f} | {view * 1e3:.0f} | {pair * 1e3:.0f} | {2 / pair:.0f}"
        print(f"| {family} | {cells} |")


def _seconds(work: Callable[[int], object], seeds: range) -> float:
    started = time.process_time()
    for seed in seeds:
        work(seed)
    return (time.process_time() - started) / len(seeds)


if __name__ == "__main__":
    main()
