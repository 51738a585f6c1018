"""Measure a depth estimator or a synthesizer on a data set, always beside the trivial alternatives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """What to measure, on what, and where to put the figures."""

    kind: tyro.conf.Positional[Literal["depth", "synthesizer"]]
    """What the part is."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Part to measure: a preset, a folder, a Hub id, or PRESET=PATH for a preset with its weights elsewhere."""
    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Data set with truth: a folder of our format, NAME=PATH (middlebury-2006=PATH, kitti-2015=PATH, nyuv2=PATH, ...),
    rgbd-mini[=ROOT], stereo-mini[=ROOT], or scenes=SEED:COUNT."""
    baseline: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[NAME ...]")] = ()
    """Further parts of the same kind to put beside it, named in the same way."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write every figure to this file."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the tables in Markdown, as the pages of the documentation hold them."""
    limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Measure only the first items of the data set."""
    robust: tyro.conf.FlagCreatePairsOff[bool] = False
    """Depth: align by least absolute deviations instead of least squares."""
    count_unknown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Synthesizer: also score cells where pixels of unknown disparity may belong."""
    seed: int = 0
    """Run seed of parts that draw random numbers."""
    device: str = "auto"
    """Where to run: cpu, cuda, cuda:1, ...; auto is a GPU if there is one."""
    official: tyro.conf.FlagCreatePairsOff[bool] = False
    """Reproduce the published behaviour of the part where it differs from ours."""


def run(options: Options) -> int:
    """Measure, print the tables, and return the exit code (130 when interrupted)."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.parts import pick_device, say_licences
    from wheatstone.datasets import load_dataset
    from wheatstone.errors import InputError
    from wheatstone.evaluation import DepthProtocol, SynthesisProtocol, evaluate

    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit must be at least 1, got {options.limit}")
    samples = load_dataset(options.dataset)
    if options.limit is not None:
        samples = samples[: options.limit]
    protocol: Any = DepthProtocol(robust=options.robust)
    if options.kind == "synthesizer":
        protocol = SynthesisProtocol(count_unknown=options.count_unknown)
    device = pick_device(options.device)
    say_licences(options.name, *options.baseline)
    part = _load(options.kind, options.name, options, device)
    others = {_label(name): _load(options.kind, name, options, device) for name in options.baseline}
    with progress_bar() as progress:
        report = evaluate(
            part,
            samples,
            protocol=protocol,
            label=_label(options.name),
            baselines=others,
            seed=options.seed,
            progress=progress,
        )
    print(report.markdown() if options.markdown else report.text(), end="")
    if options.json is not None:
        report.save(options.json)
    return 0 if report.complete else 130


def _label(name: str) -> str:
    """The name in the tables; of a path only its last part."""
    preset, separator, path = name.partition("=")
    return f"{preset}={Path(path).name}" if separator else name


def _load(kind: str, name: str, options: Options, device: str) -> Any:
    from wheatstone.cli.parts import load_part
    from wheatstone.depth import load_depth
    from wheatstone.synthesis import load_synthesizer

    settings = {"device": device, "official": options.official or None}
    return load_part(load_depth if kind == "depth" else load_synthesizer, name, settings)
