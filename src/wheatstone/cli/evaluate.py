"""Measure a depth estimator, a matcher or a synthesizer on a data set, always beside the trivial alternatives."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

__all__ = ["DepthOptions", "MatcherOptions", "Options", "SynthesizerOptions", "run"]


@dataclass(frozen=True)
class MatcherOptions:
    """How disparity is scored; what is not given here is as the protocol has it."""

    region: Annotated[tuple[Literal["all", "noc", "occ"], ...], tyro.conf.arg(metavar="{all,noc,occ} ...")] = ()
    """Pixels to score: all, noc (seen by both views), occ (occluded). The first is the main region, others are added."""
    thresholds: Annotated[tuple[float, ...], tyro.conf.arg(metavar="PX ...")] = ()
    """The k of bad-k."""
    inclusive: tyro.conf.FlagCreatePairsOff[bool] = False
    """Count an error of exactly k as bad (>= instead of >)."""
    d1: Literal["preset", "on", "off"] = "preset"
    """KITTI's share of errors above 3 px and 5 %."""
    pooled: Literal["preset", "none", "outliers", "all"] = "preset"
    """Mean over images for everything; over the pixels of all images for outliers; or for EPE too."""
    max_disparity: Annotated[float | None, tyro.conf.arg(metavar="PX")] = None
    """Leave out truth at or above this many pixels."""
    clamp: tyro.conf.FlagCreatePairsOff[bool] = False
    """Hold truth and prediction at --max-disparity instead of leaving them out."""
    resolution: Annotated[str | None, tyro.conf.arg(metavar="FACTOR|WxH")] = None
    """Resize the images by a factor (0.5) or squash them to a size (1280x384); figures stay in pixels of the truth."""
    iterations: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Refinement steps."""
    occlusion: Literal["mask", "left-right"] = "mask"
    """Where noc comes from: the data set's mask alone; left-right: where there is none, the agreement of the truth of both
    views."""
    edges: Annotated[int | None, tyro.conf.arg(metavar="PX")] = None
    """Width of the band at steps of the true disparity that has figures of its own; 0 leaves them out."""
    sgbm_range: Literal["own", "truth"] = "own"
    """Whether the control sgbm is told the largest true disparity of every pair, which favours it."""


@dataclass(frozen=True)
class DepthOptions:
    """How relative inverse depth is scored."""

    robust: tyro.conf.FlagCreatePairsOff[bool] = False
    """Align by least absolute deviations instead of least squares."""


@dataclass(frozen=True)
class SynthesizerOptions:
    """How a second view is scored."""

    matcher: Annotated[str, tyro.conf.arg(metavar="NAME")] = "sgbm"
    """Frozen matcher that looks for the disparity asked for in (left, generated right); none leaves it out."""
    depth: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Take the disparity from this depth estimator instead of the truth, at one scale a pair (mono2stereo: and one
    offset); leak-free and mono2stereo do so by themselves."""
    square: Annotated[int | None, tyro.conf.arg(metavar="PX")] = None
    """Side of the square that views are squashed to before anything else, by genstereo 512."""
    count_unknown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also score cells where pixels of unknown disparity may belong."""


@dataclass(frozen=True)
class Options:
    """What to measure, on what, and where to put the figures."""

    kind: tyro.conf.Positional[Literal["depth", "matcher", "synthesizer"]]
    """What the part is."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Part to measure: a preset, a folder, a Hub id, or PRESET=PATH for a preset with its weights elsewhere."""
    dataset: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Data set with truth: a folder of our format, NAME=PATH (middlebury-2006=PATH, kitti-2015=PATH, nyuv2=PATH, ...),
    rgbd-mini[=ROOT], stereo-mini[=ROOT], or scenes=SEED:COUNT."""
    protocol: str = "wheatstone"
    """How to score. wheatstone is the house's own; matchers also zerostereo, raft-stereo, igev, mfs or kitti, as published for
    the data set at hand; synthesizers also genstereo (as published), leak-free (no true geometry) and mono2stereo (films).
    NAME:DATASET (zerostereo:eth3d, genstereo:kitti-2015) applies to any data what was published for one."""
    against: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME[,NAME ...]", aliases=["--baseline"])] = ()
    """Further parts of the same kind to put beside it, named in the same way, between commas or blanks."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write every figure to this file."""
    page: Annotated[Path | None, tyro.conf.arg(metavar="FILE.html")] = None
    """Also write a page of pictures: prediction and error map of the worst items, and all figures; opens offline."""
    page_items: Annotated[int, tyro.conf.arg(metavar="N")] = 24
    """Items with pictures on the page."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the tables in Markdown, as the pages of the documentation hold them."""
    limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Measure only the first items of the data set."""
    seed: int = 0
    """Run seed of parts that draw random numbers."""
    device: str = "auto"
    """Where to run: cpu, cuda, cuda:1, ...; auto is a GPU if there is one."""
    official: tyro.conf.FlagCreatePairsOff[bool] = False
    """Reproduce the published behaviour of the part, and of a synthesizer's protocol, where it differs from ours."""
    matcher: tyro.conf.OmitArgPrefixes[MatcherOptions] = field(default_factory=MatcherOptions)
    depth: tyro.conf.OmitArgPrefixes[DepthOptions] = field(default_factory=DepthOptions)
    synthesizer: tyro.conf.OmitArgPrefixes[SynthesizerOptions] = field(default_factory=SynthesizerOptions)


def run(options: Options) -> int:
    """Measure, print the tables, and return the exit code (130 when interrupted)."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.parts import pick_device, say_licences
    from wheatstone.datasets import load_dataset
    from wheatstone.evaluation import Gallery, evaluate, write_page

    _check(options)
    samples = load_dataset(options.dataset)
    if options.limit is not None:
        samples = samples[: options.limit]
    device = pick_device(options.device)
    protocol = _protocol(options, samples.name, device)
    names = [options.name, *(name for names in options.against for name in names.split(",") if name)]
    labels = _labels(names)
    say_licences(*names)
    parts = [_load(options.kind, name, options, device) for name in names]
    gallery = Gallery(protocol, limit=options.page_items) if options.page is not None else None
    with progress_bar() as progress:
        report = evaluate(
            parts[0],
            samples,
            protocol=protocol,
            label=labels[0],
            baselines=dict(zip(labels[1:], parts[1:], strict=True)),
            seed=options.seed,
            progress=progress,
            watch=gallery,
            sgbm_range=options.matcher.sgbm_range,
        )
    print(report.markdown() if options.markdown else report.text(), end="")
    if options.json is not None:
        report.save(options.json)
    if options.page is not None and gallery is not None:
        print(f"page: {write_page(options.page, report, gallery)}")
    return 0 if report.complete else 130


def _check(options: Options) -> None:
    """Refuse, before anything is loaded, numbers that mean nothing and options of another kind of part."""
    from wheatstone.errors import InputError

    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit must be at least 1, got {options.limit}")
    if options.page_items < 0:
        raise InputError(f"--page-items must be 0 or more, got {options.page_items}")
    for kind in ("matcher", "depth", "synthesizer"):
        own = getattr(options, kind)
        changed = [name for name, value in vars(own).items() if value != getattr(type(own)(), name)]
        if changed and options.kind != kind:
            raise InputError(f"--{changed[0].replace('_', '-')} is an option of a {kind}, not of a {options.kind}")
    for path in (options.json, options.page):
        if path is not None and path.is_dir():
            raise InputError(f"{path} is a folder: name a file to write")
    if options.kind == "depth" and options.protocol != "wheatstone":
        raise InputError(f"depth is scored in one way only, so --protocol {options.protocol} means nothing here")
    if options.matcher.clamp and options.matcher.max_disparity is None:
        raise InputError("--clamp needs --max-disparity: where to hold truth and prediction")


def _protocol(options: Options, dataset: str, device: str) -> Any:
    from wheatstone.evaluation import DepthProtocol, matcher_protocol

    if options.kind == "depth":
        return DepthProtocol(robust=options.depth.robust)
    if options.kind == "synthesizer":
        return _synthesis_protocol(options, dataset, device)
    given = options.matcher
    averages = {
        "preset": (None, None),
        "none": ("images", "images"),
        "outliers": ("images", "pixels"),
        "all": ("pixels", "pixels"),
    }
    epe, outliers = averages[given.pooled]
    wanted = {
        "regions": given.region or None,
        # 3, not 3.0: the figure is called bad_3
        "thresholds": tuple(int(k) if k.is_integer() else k for k in given.thresholds) or None,
        "inclusive": given.inclusive or None,
        "d1": given.d1 == "on" if given.d1 != "preset" else None,
        "epe_average": epe,
        "outlier_average": outliers,
        "max_disparity": given.max_disparity,
        "beyond": "clamp" if given.clamp else None,
        "resolution": _resolution(given.resolution) if given.resolution else None,
        "iterations": given.iterations,
        "occlusion": given.occlusion if given.occlusion != "mask" else None,
        "edge_radius": given.edges,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    return matcher_protocol(options.protocol, dataset, **changes)


def _synthesis_protocol(options: Options, dataset: str, device: str) -> Any:
    from wheatstone.evaluation import synthesis_protocol

    given = options.synthesizer
    changes: dict[str, Any] = {"official": True} if options.official else {}
    if given.matcher == "none":
        changes["matcher"] = None
    elif given.matcher != SynthesizerOptions().matcher:
        changes["matcher"] = _load("matcher", given.matcher, options, device)
    if given.depth is not None:
        changes["depth"] = _load("depth", given.depth, options, device)
    if given.square is not None:
        changes["square"] = given.square
    if given.count_unknown:
        changes["count_unknown"] = True
    return synthesis_protocol(options.protocol, dataset, **changes)


def _resolution(text: str) -> float | tuple[int, int]:
    from wheatstone.errors import InputError

    width, by, height = text.lower().partition("x")
    try:
        return (int(height), int(width)) if by else float(text)
    except ValueError as error:
        raise InputError(f"--resolution is a factor (0.5) or WIDTHxHEIGHT (1280x384), got {text!r}") from error


def _labels(names: list[str]) -> list[str]:
    """The names in the tables: of a path only its last part, unless that is not enough to tell two apart."""
    from wheatstone.errors import InputError

    if len(set(names)) < len(names):
        raise InputError(f"named twice: {next(name for name in names if names.count(name) > 1)}")
    short = []
    for name in names:
        preset, separator, path = name.partition("=")
        short.append(f"{preset}={Path(path).name}" if separator else name)
    return [name if short.count(label) > 1 else label for name, label in zip(names, short, strict=True)]


def _load(kind: str, name: str, options: Options, device: str) -> Any:
    from wheatstone.cli.parts import load_part
    from wheatstone.depth import load_depth
    from wheatstone.matching import load_matcher
    from wheatstone.synthesis import load_synthesizer

    loaders: dict[str, Any] = {"depth": load_depth, "matcher": load_matcher, "synthesizer": load_synthesizer}
    settings = {"device": device, "official": options.official or None}
    return load_part(loaders[kind], name, settings)
