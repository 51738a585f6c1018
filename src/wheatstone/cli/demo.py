"""The photos inside scikit-image become a stereo data set and its page: run this first.

Writes OUT/photos (four photographs made stereo), OUT/scenes (two rendered scenes with exact truth) and OUT/report.html,
which shows both. Nothing is downloaded. Run again, it goes on where it stopped or says that everything is there.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

if TYPE_CHECKING:
    from wheatstone.progress import ProgressCallback

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
SCENES = (8, 14)


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
    from wheatstone.errors import require
    from wheatstone.generation import StereoGenerator, generate
    from wheatstone.viewing import write_welcome

    # Both extras are asked for before anything is computed.
    photos = _photo_paths()
    require("numba", "demo", "Rendering scenes")
    started = time.monotonic()
    with progress_bar() as progress:
        generator = StereoGenerator(seed=options.seed)
        summary = generate(photos, options.out / "photos", generator, call={"demo": True}, progress=progress)
        written = summary.written + _write_scenes(options.out / "scenes", progress)
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
    )
    if written:
        print(f"{written} stereo pairs made in {time.monotonic() - started:.0f} s")
    else:
        print("everything was there already")
    for note in generator.notes:
        print(f"note: {note}")
    print(f"look at {welcome}")
    return 0


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


def _write_scenes(out: Path, progress: "ProgressCallback") -> int:
    """Render the scenes that are not there yet into a data set; return how many."""
    from wheatstone.datasets.quality import quality_figures
    from wheatstone.datasets.writer import DatasetWriter
    from wheatstone.progress import Clock
    from wheatstone.scenes import scene_sample
    from wheatstone.viewing import write_report

    parts = {"scenes": {"part": "procedural scenes", "licence": "Apache-2.0"}}
    clock = Clock("scenes", len(SCENES))
    written = 0
    with DatasetWriter(out, {"size": [384, 512]}, parts=parts) as writer:
        for number, seed in enumerate(SCENES, start=1):
            if f"scene-{seed:08d}" not in writer.done_keys:
                sample = scene_sample(seed, size=(384, 512))
                writer.write(sample, quality_figures(sample))
                written += 1
            progress(clock.at(number))
        writer.finish()
    write_report(out)
    return written
