"""Photos to a stereo data set with a report page: the main job.

Interrupted at any moment, the same command goes on where it stopped. Photos that give no sample are listed in
OUT/rejected.jsonl with the reason.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

if TYPE_CHECKING:
    from wheatstone.generation import DisparityFolder, LabelCheck, StereoGenerator, Summary
    from wheatstone.matching import StereoMatcher

__all__ = ["Options", "arrange", "build_generator", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone generate`."""

    paths: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PHOTOS [PHOTOS ...] OUT")]
    """What to read (files, folders with sub-folders, globs, text lists with a path a line), and last the folder to write."""
    depth: str = "embedded"
    """Depth estimator: a preset, a folder, a weight file, a Hub id, or PRESET=PATH."""
    rule: str = "adaptive"
    """Disparity rule: adaptive, uniform, fixed, rig, with settings as in fixed:share=0.05."""
    synthesizer: str = "embedded"
    """What paints the holes: embedded, rows, smooth-rows, classical, background, inpainting, genstereo, a folder, a Hub id, or
    PRESET=PATH; edge-aware=NAME[=PATH] keeps mixed rims and the foreground out of what NAME paints (default smooth-rows)."""
    disparity_dir: str | None = None
    """Folder of disparity in pixels, instead of depth and rule: for a/cat.jpg it holds a/cat.pfm, .npy, .npz or .png. What a file
    does not know (NaN, infinity, 0 in a PNG) stays unknown and is painted."""
    disparity_png_scale: float | None = None
    """Codes a pixel of disparity PNG files that do not state their scale; by default 256, which is KITTI's."""
    disparity_zero: Literal["known", "unknown"] | None = None
    """What an exact 0 in a PFM, NPY or NPZ file means; by default it is known, and maps with many zeros and no other mark for the
    unknown are rejected."""
    unknown: Literal["complete", "hole"] | None = None
    """How to paint where disparity is unknown: complete (moved as far as its farther neighbour) or hole (nothing lands there). By
    default complete for given disparity, unless the synthesizer takes sparse views (genstereo, warp). The files say unknown and
    painted either way."""
    synthetic_view: Literal["right", "left", "both"] = "right"
    """Which view is generated: right (the photo is the left eye), left (the photo is the right eye), or both, by half each."""
    seed: int = 0
    """Run seed; with the name of a photo it decides every random number."""
    max_side: int | None = None
    """Reduce photos so that their longer side has at most this many pixels; by default their size is kept."""
    steps: int | None = None
    """Denoising steps of a diffusion synthesizer; by default what its sampler needs (50, 20 with dpm++, 4 with trailing)."""
    scheduler: Literal["checkpoint", "ddim", "dpm++", "trailing"] | None = None
    """Sampler of a diffusion synthesizer; by default the one stored with its checkpoint."""
    paint_side: int | None = None
    """Longer side at which inpainting paints, by default 1024; known pixels keep the photo's resolution."""
    guidance: float | None = None
    """Guidance of genstereo, by default 1.5; 1 is off and halves its work."""
    working_side: int | None = None
    """Genstereo works on as many pixels as a square of this side, by default what it was made for; beyond that in overlapping
    windows. Known pixels keep the photo's resolution."""
    composite: Literal["known", "fusion", "generated"] | None = None
    """What the known pixels of genstereo's view are: the warp (known, the default), weighed against the generated ones by its
    fusion layer, or generated alone."""
    device: str = "auto"
    """Where networks run: auto (a GPU if there is one), cpu, cuda, cuda:1, mps."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of the networks."""
    official: bool = False
    """Reproduce the published behaviour of parts and rule where it differs from ours."""
    depth_kind: str | None = None
    """What the output of an unknown depth model means: see the error that asks for it."""
    input_rule: str | None = None
    """Input size of the depth network: its own rule by default, native, or a cap on the longer side."""
    allow_downscale: bool = False
    """When memory does not suffice for depth, let it run at lower resolution; the manifest says where."""
    edge_method: Literal["slope", "edge-aware"] | None = None
    """How soft depth edges become steps before the warp: slope (whatever is steep) or edge-aware (steep surfaces are no edges).
    By default edge-aware for the synthesizer of that name, slope for others, and neither for given disparity."""
    edge_dilate: int | None = None
    """Pixels by which the foreground grows before the warp; by default 1, and 0 for given disparity."""
    edge_threshold: float | None = None
    """Slope (px of disparity a pixel) above which soft depth edges become steps; by default 3, and 1 with edge-aware; 0 leaves
    them, as the default does with given disparity."""
    max_holes: float | None = None
    """Reject a sample when a larger share of its right view (0..1) would be painted."""
    min_confidence: float | None = None
    """Reject a sample when its mean confidence (0..1) is lower."""
    workers: int | None = None
    """Photos under way at once; by default one a CPU core. Has no influence on the result."""
    threads: int = 1
    """Threads of one network call on a CPU; part of the configuration."""
    batch: int = 4
    """Photos of equal size in one network call on a GPU."""
    report_samples: int = 48
    """Rows of OUT/report.html; 0 writes no page."""
    check_labels: bool = False
    """Afterwards match every pair and add to its figures which share of its labels the matcher finds within 1 px. For a data set
    that is there already, name it alone: wheatstone generate --check-labels OUT."""
    matcher: str | None = None
    """Matcher of --check-labels: a preset, a folder, a Hub id, or PRESET=PATH; by default the library's own choice."""
    strict: bool = False
    """Exit with code 1 when a photo was rejected."""
    again: str | None = None
    """Take all options from this data set's dataset.json, save those given here; PHOTOS may then be left out, OUT not."""


SHOWN_REJECTS = 20
# Options that say where and how fast, not what: they are not kept beside the data.
_NOT_KEPT = ("workers", "paths", "strict", "device", "batch", "again", "check_labels", "matcher")


def arrange(arguments: list[str]) -> list[str]:
    """Put options first and paths last, as the parser wants them: `PHOTOS --seed 1 OUT` means what it says."""
    flags = {
        f"--{'no-' * no}{f.name.replace('_', '-')}"
        for f in fields(Options)
        for no in (0, 1)
        if f.type == "bool" or f.type is bool
    }
    options: list[str] = []
    paths: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            paths += (f"./{path}" if path.startswith("-") else path for path in rest)
        elif not argument.startswith("-") or argument == "-":
            paths.append(argument)
        else:
            options.append(argument)
            takes_value = argument.startswith("--") and "=" not in argument and argument.replace("_", "-") not in flags
            if takes_value and argument != "--help" and (value := next(rest, None)) is not None:
                options.append(value)
    return [*options, *paths]


def run(options: Options) -> int:
    """Generate; 0 done, 1 rejects under `--strict`."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.parts import say_licences
    from wheatstone.errors import InputError
    from wheatstone.generation import Thresholds, find_photos, generate

    if options.matcher is not None and not options.check_labels:
        raise InputError("--matcher is what --check-labels asks: give both")
    if options.check_labels and len(options.paths) == 1 and options.again is None:
        return _check_only(options)
    if options.again is not None:
        options = _options_again(options, options.again)
    if len(options.paths) < 2:
        raise InputError("name what to read and then the folder to write: wheatstone generate PHOTOS OUT")
    *sources, out = options.paths
    photos = find_photos(sources, exclude=out)
    generator = build_generator(options)
    call = {"photos": sources, **{k: v for k, v in asdict(options).items() if k not in _NOT_KEPT}}
    say_licences(*(() if generator.depth is None else (options.depth,)), options.synthesizer)
    with progress_bar() as progress:
        summary = generate(
            photos,
            out,
            generator,
            workers=options.workers,
            thresholds=Thresholds(options.max_holes, options.min_confidence),
            report_samples=options.report_samples,
            label_matcher=_label_matcher(options) if options.check_labels else None,
            call=call,
            progress=progress,
        )
    _print_summary(summary, generator.notes)
    return 1 if options.strict and summary.rejected else 0


def _label_matcher(options: Options) -> "StereoMatcher":
    from wheatstone.cli.parts import load_part, pick_device, say_licences
    from wheatstone.matching import load_matcher
    from wheatstone.matching.registry import DEFAULT

    name = options.matcher or DEFAULT
    say_licences(name)
    return load_part(load_matcher, name, {"device": pick_device(options.device)})


def _check_only(options: Options) -> int:
    """Add label agreement to a data set that is there, and make its page anew."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.generation import check_labels
    from wheatstone.viewing import write_report

    matcher = _label_matcher(options)
    with progress_bar() as progress:
        labels = check_labels(options.paths[0], matcher, workers=options.workers, progress=progress)
    _print_labels(labels)
    if options.report_samples > 0:
        print(f"look at {write_report(options.paths[0], samples=options.report_samples)}")
    return 0


def _options_again(options: Options, folder: str) -> Options:
    """The options that made a data set, overridden by those given now.

    Raises:
        InputError: the data set was not made by `generate`, or by one with other options.
        DatasetError: no data set there.
    """
    from wheatstone.datasets.own import read_header
    from wheatstone.errors import InputError

    call = dict(read_header(folder).get("call", {}))
    photos = call.pop("photos", None)
    defaults = {field.name: field.default for field in fields(Options) if field.name != "paths"}
    if photos is None or not set(call) <= set(defaults):
        raise InputError(
            f"{folder} was not made by `wheatstone generate` of this version, so its options cannot be used"
        )
    given = {name: value for name, value in asdict(options).items() if name in defaults and value != defaults[name]}
    paths = options.paths if len(options.paths) > 1 else (*photos, *options.paths)
    return replace(options, **{**call, **given, "paths": paths, "again": None})


def build_generator(options: Options) -> "StereoGenerator":
    """Load the parts that the options name.

    Raises:
        InputError: an unknown name or setting.
        CheckpointError: weights that are missing or do not fit.
    """
    import torch

    from wheatstone.cli.parts import load_part, pick_device
    from wheatstone.depth import load_depth
    from wheatstone.disparity import parse_rule, rule_from_config
    from wheatstone.generation import CleanUp, StereoGenerator
    from wheatstone.synthesis import load_synthesizer

    device, dtype = pick_device(options.device), getattr(torch, options.dtype)
    rule = parse_rule(options.rule)
    if options.official and "official" in rule.config:
        rule = rule_from_config({**rule.config, "official": True})
    depth_settings = {
        "depth_kind": options.depth_kind,
        "input_rule": options.input_rule,
        "allow_downscale": options.allow_downscale or None,
    }
    disparities = _disparities(options)
    settings = ("steps", "scheduler", "paint_side", "guidance", "working_side", "composite")
    painter = {name: getattr(options, name) for name in settings}
    common = {"device": device, "dtype": dtype, "official": options.official}
    synthesizer = load_part(load_synthesizer, options.synthesizer, {**common, **painter})
    return StereoGenerator(
        None if disparities else load_part(load_depth, options.depth, {**common, **depth_settings}),
        rule,
        synthesizer,
        disparities=disparities,
        synthetic_view=options.synthetic_view,
        complete_unknown=None if options.unknown is None else options.unknown == "complete",
        seed=options.seed,
        max_side=options.max_side,
        clean_up=CleanUp.fitting(
            synthesizer,
            given=disparities is not None,
            method=options.edge_method,
            dilate=options.edge_dilate,
            threshold=options.edge_threshold,
        ),
        threads=options.threads,
        batch=options.batch,
    )


def _disparities(options: Options) -> "DisparityFolder | None":
    """The folder of disparity, if one is given.

    Raises:
        InputError: no such folder, or options that have no effect without or beside it.
    """
    from wheatstone.errors import InputError
    from wheatstone.generation import DisparityFolder

    if options.disparity_dir is None:
        for name in ("disparity_png_scale", "disparity_zero"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} says how to read the files of --disparity-dir: give both")
        return None
    defaults = {field.name: field.default for field in fields(Options)}
    for name in ("depth", "rule", "depth_kind", "input_rule", "allow_downscale"):
        if getattr(options, name) != defaults[name]:
            raise InputError(f"--disparity-dir replaces depth and rule, so --{name.replace('_', '-')} has no effect")
    return DisparityFolder(options.disparity_dir, png_scale=options.disparity_png_scale, zero=options.disparity_zero)


def _print_summary(summary: "Summary", notes: tuple[str, ...]) -> None:
    print(
        f"{summary.out}: {_count(summary.samples, 'sample')}, {summary.written} of them new, in {summary.seconds:.0f} s"
    )
    if summary.rejected:
        print(f"{_count(len(summary.rejected), 'photo')} gave no sample (all in {summary.out / 'rejected.jsonl'}):")
        for key, reason in list(summary.rejected.items())[:SHOWN_REJECTS]:
            print(f"  {key}: {reason}")
        if len(summary.rejected) > SHOWN_REJECTS:
            print(f"  and {len(summary.rejected) - SHOWN_REJECTS} more")
    if summary.labels is not None:
        _print_labels(summary.labels)
    for note in notes:
        print(f"note: {note}")
    if summary.report is not None:
        print(f"look at {summary.report}")


def _print_labels(labels: "LabelCheck") -> None:
    share = "no pixel is seen in both views" if labels.mean is None else f"{labels.mean:.1%} of the visible pixels"
    speed = f", {labels.checked / labels.seconds:.1f} a second" if labels.checked else ""
    print(
        f"labels: {labels.matcher} is within 1 px of the label at {share}, mean of {_count(labels.samples, 'sample')} "
        f"({labels.checked} matched now{speed})"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
