"""Render procedural worlds with exact truth into a data set.

Left and right views, disparity of both, visibility, holes, sky and movers; `--baselines` adds further views. Both views are
rendered, nothing is warped or painted. Interrupted at any moment, the same command goes on where it stopped.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from wheatstone.progress import ProgressCallback
    from wheatstone.samples import StereoSample

__all__ = ["Options", "run", "write_scenes"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone scenes`."""

    out: Positional[Path]
    """Folder to write."""
    count: int = 100
    """How many scenes; a larger number on the same folder adds to it."""
    seed: int = 0
    """Seed of the first scene; the others follow. Seeds from 1000000000 on are kept for evaluation."""
    size: tuple[int, int] = (320, 192)
    """Width and height in pixels."""
    family: str | None = None
    """Only one family: street, room, table, nature, portrait, closeup, soup; by default all, by weight."""
    baselines: tuple[float, ...] = (0.0, 1.0)
    """Positions of the views in units of the baseline; 0 (left) and 1 (right) are always there."""
    report_samples: int = 48
    """Rows of OUT/report.html; 0 writes no page."""


def run(options: Options) -> None:
    """Render what is not there yet."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.errors import InputError, require

    require("numba", "scenes", "Rendering scenes")
    if options.count < 1:
        raise InputError(f"--count must be at least 1, got {options.count}")
    with progress_bar() as progress:
        written = write_scenes(options, progress)
    if options.report_samples:
        from wheatstone.viewing import write_report

        write_report(options.out, samples=options.report_samples)
    print(f"{options.out}: {options.count} scenes, {written} of them new")


def write_scenes(options: Options, progress: "ProgressCallback") -> int:
    """Render the scenes of `options` that are not there yet into its folder, without a page; return how many."""
    from wheatstone.datasets.quality import quality_figures
    from wheatstone.datasets.writer import DatasetWriter
    from wheatstone.progress import Clock
    from wheatstone.scenes import FAMILIES, VERSION, scene_sample

    width, height = options.size
    views = sorted({0.0, 1.0, *options.baselines})
    config = {"size": [width, height], "family": options.family, "baselines": views, "families": sorted(FAMILIES)}
    parts = {"scenes": {"part": "procedural scenes", "version": VERSION, "licence": "Apache-2.0"}}
    # The seed of a scene is its key, so a folder can grow; the run seed only says where it began.
    call = {"count": options.count, "seed": options.seed, **config}
    with DatasetWriter(options.out, config, parts=parts, call=call) as writer:
        wanted = range(options.seed, options.seed + options.count)
        missing = [seed for seed in wanted if f"scene-{seed:08d}" not in writer.done]
        clock = Clock("scenes", len(wanted), already_done=len(wanted) - len(missing))
        for done, seed in enumerate(missing, start=len(wanted) - len(missing) + 1):
            sample = _as_stored(scene_sample(seed, size=(height, width), baselines=tuple(views), family=options.family))
            writer.write(sample, quality_figures(sample))
            progress(clock.at(done, sample.key))
        writer.finish()
    return len(missing)


def _as_stored(sample: "StereoSample") -> "StereoSample":
    """The sample with its disparities on the grid of the file, so that its figures are those of what is stored."""
    from dataclasses import replace

    import torch

    from wheatstone.datasets.layout import disparity_scale, quantise_disparity

    if sample.disparity is None:
        return sample
    maps = {name: extra for name, extra in sample.extras.items() if name.startswith("disparity_")}
    largest = max(float(one.amax()) for one in (sample.disparity, *maps.values()))
    scale = disparity_scale(largest)

    def rounded(disparity: torch.Tensor) -> torch.Tensor:
        codes = quantise_disparity(disparity.numpy(), torch.ones_like(disparity, dtype=torch.bool).numpy(), scale)
        return torch.from_numpy(codes / scale).float()

    extras = {**sample.extras, **{name: rounded(one) for name, one in maps.items()}}
    provenance = {**sample.provenance, "disparity_max_px": largest}
    return replace(sample, disparity=rounded(sample.disparity), extras=extras, provenance=provenance)
