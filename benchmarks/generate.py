"""Speed of `wheatstone generate`: images a second and where the time goes, by worker count.

    python benchmarks/generate.py [--photos FOLDER] [--count 32] [--size 512x384] [--workers 1 2]

Without `--photos` it makes its own pictures. Wall time says what this machine gives now; CPU time a photo says what it costs
on any core, whatever else runs. Rates are without the time to load the library and the networks.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from wheatstone.generation import StereoGenerator, find_photos, generate

STAGES = ("read", "resize", "depth", "disparity", "view", "write")


def main() -> None:
    options = _options()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "photos"
        _make_photos(inputs, options.photos, options.count, (width, height))
        print(
            f"{options.count} photos of {width} x {height}, depth {options.depth}, synthesizer {options.synthesizer}\n"
        )
        print("| workers | images/s | CPU s an image | " + " | ".join(STAGES) + " |")
        print("|---" * (3 + len(STAGES)) + "|")
        for workers in options.workers:
            print(_row(inputs, Path(folder) / f"out{workers}", options, workers))


def _row(inputs: Path, out: Path, options: argparse.Namespace, workers: int) -> str:
    generator = StereoGenerator(options.depth, None, options.synthesizer)
    photos = find_photos(inputs)
    generator(photos.files[0].path, "warm-up.jpg")
    before, started = _cpu_seconds(), time.perf_counter()
    summary = generate(photos, out, generator, workers=workers, report_samples=0)
    wall, cpu = time.perf_counter() - started, _cpu_seconds() - before
    total = sum(summary.stages.values())
    shares = " | ".join(f"{summary.stages[stage] / total:.0%}" for stage in STAGES)
    return f"| {workers} | {summary.written / wall:.2f} | {cpu / summary.written:.3f} | {shares} |"


def _make_photos(folder: Path, source: str | None, count: int, size: tuple[int, int]) -> None:
    """Real photos cut to one size, repeated as often as needed, or textured stand-ins."""
    folder.mkdir()
    pictures = [cv2.imread(str(photo.path)) for photo in find_photos(source).files] if source else []
    random = np.random.default_rng(0)
    for number in range(count):
        if pictures:
            picture = cv2.resize(pictures[number % len(pictures)], size, interpolation=cv2.INTER_AREA)
        else:
            layers = [
                random.normal(0, 2.0**k, (3 * 2 ** (7 - k), 4 * 2 ** (7 - k), 3)).astype(np.float32) for k in range(7)
            ]
            picture = sum(cv2.resize(layer, size, interpolation=cv2.INTER_LINEAR) for layer in layers)
            picture = (128 + picture).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), picture)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="folder of real photos to cut to size")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--size", default="512x384")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--depth", default="embedded")
    parser.add_argument("--synthesizer", default="embedded")
    return parser.parse_args()


if __name__ == "__main__":
    main()
