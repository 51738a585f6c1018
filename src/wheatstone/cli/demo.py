"""The photos inside scikit-image become a stereo data set and its page: run this first.

Writes OUT/photos (four photographs made stereo), OUT/scenes (two rendered scenes with exact truth) and OUT/report.html,
which shows both. Nothing is downloaded. Run again, it goes on where it stopped or says that everything is there.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

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
