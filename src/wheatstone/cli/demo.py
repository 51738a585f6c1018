"""The photos inside scikit-image become a stereo data set and its page: run this first.

Writes OUT/photos (four photographs made stereo), OUT/scenes (two rendered scenes with exact truth), OUT/match (a real pair,
matched and scored against its truth) and OUT/report.html, which shows them. Nothing is downloaded. Run again, it goes on
where it stopped or says that everything is there.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from torch import Tensor

    from wheatstone.progress import ProgressCallback
    from wheatstone.samples import StereoSample
    from wheatstone.viewing.report.matched import MatchedPair

__all__ = ["Options", "run"]

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
FIRST_SCENE, SCENES, SCENE_SIZE = 8, 2, (512, 384)


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone demo`."""

    out: Positional[Path] = Path("demo")
    """Folder to write."""
    seed: int = 0
    """Run seed of the photos' disparities; the scenes are always the same."""


def run(options: Options) -> int:
    """Make both data sets and the page that shows them."""
    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.scenes import Options as SceneOptions
    from wheatstone.cli.scenes import write_scenes
    from wheatstone.errors import require
    from wheatstone.generation import StereoGenerator, generate
    from wheatstone.viewing import write_report, write_welcome

    scenes = SceneOptions(options.out / "scenes", count=SCENES, seed=FIRST_SCENE, size=SCENE_SIZE)
    # Both extras are asked for before anything is computed.
    photos = _photo_paths()
    require("numba", "demo", "Rendering scenes")
    started = time.monotonic()
    with progress_bar() as progress:
        generator = StereoGenerator(seed=options.seed)
        summary = generate(photos, options.out / "photos", generator, call={"demo": True}, progress=progress)
        written = summary.written + write_scenes(scenes, progress)
        write_report(options.out / "scenes")
        matched, fresh = _match_pair(options.out, progress)
        written += fresh
    welcome = write_welcome(
        options.out,
        {
            "photos": (
                "Four photographs",
                "They come with scikit-image; depth, right view and masks were made by the small networks in this package.",
            ),
            "scenes": (
                "Two rendered scenes",
                "Both views and the disparity are exact; the small networks were trained on such scenes alone.",
            ),
        },
        matched,
    )
    if written:
        print(f"{written} stereo pairs made or matched in {time.monotonic() - started:.0f} s")
    else:
        print("everything was there already")
    if matched is not None:
        print(f"the real pair: {', '.join(f'{label} {value}' for label, value in matched.figures.items())}")
    for note in generator.notes:
        print(f"note: {note}")
    print(f"look at {welcome}")
    return 0


def _match_pair(out: Path, progress: "ProgressCallback") -> "tuple[MatchedPair | None, int]":
    """Match the pair with truth inside scikit-image; nothing, and one line that says why, where it does not bring the pair."""
    from wheatstone.datasets import example_pair
    from wheatstone.errors import DatasetError
    from wheatstone.files import read_disparity
    from wheatstone.generation import DatasetPairs, match_pairs
    from wheatstone.matching import load_matcher

    try:
        pair = example_pair.load()
    except DatasetError as error:
        print(f"no pair with truth: {error}")
        return None, 0
    matcher = load_matcher()
    summary = match_pairs(DatasetPairs(pair), out / "match", matcher, call={"demo": True}, progress=progress)
    if not summary.sidecars:
        print(f"no pair with truth: {'; '.join(summary.failed.values())}")
        return None, 0
    prediction, answered = read_disparity(out / "match" / "motorcycle.pfm")
    sample = pair.read(0)
    return _score(sample, prediction.where(answered, float("nan")), matcher.name, out / "match"), summary.written


def _score(sample: "StereoSample", prediction: "Tensor", matcher: str, folder: Path) -> "MatchedPair":
    """Figures and pictures of the pair; truth and errors are written beside the match."""
    from wheatstone.errors import DatasetError
    from wheatstone.evaluation import disparity_metrics
    from wheatstone.files import encode_png
    from wheatstone.samples import to_uint8
    from wheatstone.viewing import colour_map
    from wheatstone.viewing.colours import colour_errors
    from wheatstone.viewing.report.matched import LIMIT_PX, MatchedPair

    if sample.disparity is None or sample.valid is None:
        raise DatasetError(f"{sample.key} comes without its truth")
    scores = {
        k: float(v[0]) for k, v in disparity_metrics(prediction, sample.disparity[None], sample.valid[None]).items()
    }
    _put(folder / "score.json", (json.dumps({"matcher": matcher, **scores}, indent=2) + "\n").encode())
    found, truth, known = prediction[0, 0].numpy(), sample.disparity[0].numpy(), sample.valid[0].numpy()
    _put(folder / "motorcycle.truth.turbo.png", encode_png(colour_map(truth, known)))
    errors = colour_errors(abs(found - truth), known, limit=LIMIT_PX)
    _put(folder / "motorcycle.errors.png", encode_png(errors))
    figures = {
        "mean error": f"{scores['epe']:.2f} px",
        **{f"off by more than {k} px": f"{scores[f'bad_{k}']:.1%}" for k in (1, 2, 3)},
        "pixels with known truth": f"{known.mean():.1%}",
    }
    words = (
        f"Motorcycle of Middlebury 2014 comes inside scikit-image with its measured disparity. The matcher {matcher} saw the two "
        "pictures alone. All pixels of known truth count, hidden ones too. Numbers, mask and point cloud lie in match/."
    )
    files = {
        "Prediction": "match/motorcycle.turbo.png",
        "Truth": "match/motorcycle.truth.turbo.png",
        "Errors": "match/motorcycle.errors.png",
    }
    left = to_uint8(sample.views["left"])
    return MatchedPair("A real pair, scored against its truth", words, left, found, truth, known, figures, files)


def _put(path: Path, data: bytes) -> None:
    """Write a file unless it is there already, byte for byte."""
    from wheatstone.files import write_bytes

    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def _photo_paths() -> list[Path]:
    """The photos that lie inside the installed scikit-image; its own loader is not asked, since it might download.

    Raises:
        MissingExtraError: scikit-image is not installed.
        InputError: this scikit-image does not bring the photos.
    """
    from wheatstone.errors import InputError, require

    package = require("skimage", "demo", "The demo, whose photos come inside scikit-image,")
    paths = [Path(str(package.__file__)).parent / "data" / name for name in PHOTOS]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise InputError(f"this scikit-image ({package.__version__}) comes without {', '.join(missing)}: update it")
    return paths
