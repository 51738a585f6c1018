"""Photos to relative inverse depth: numbers, a 16-bit PNG, and a picture to look at.

For every photo: NAME.npy (float32), NAME.png (16 bits; offset and step stand in the file), NAME.json (what it is and how it was
made) and NAME.turbo.png (red = near, blue = far). Larger means nearer; scale and shift of the numbers carry no meaning.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

if TYPE_CHECKING:
    from wheatstone.depth import DepthEstimator
    from wheatstone.generation import PhotoFile

__all__ = ["Options", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone depth`."""

    photos: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="PHOTO [PHOTO ...]")]
    """Files, folders with their sub-folders, globs, or text lists with a path a line."""
    out: Annotated[Path, tyro.conf.arg(aliases=("-o",))] = Path("depth")
    """Folder to write; a photo keeps its place below the folder that was searched, and its full name."""
    depth: str = "embedded"
    """Depth estimator: a preset, a folder, a weight file, a Hub id, or PRESET=PATH."""
    confidence: bool = False
    """Also run the mirrored photo and write how far both agree, 0 to 1, as NAME.confidence.png (code / 65535)."""
    device: str = "auto"
    """Where the network runs: auto (a GPU if there is one), cpu, cuda, cuda:1, mps."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Number format of the network."""
    official: bool = False
    """Reproduce the published behaviour of the estimator where it differs from ours."""
    depth_kind: str | None = None
    """What the output of an unknown depth model means: see the error that asks for it."""
    input_rule: str | None = None
    """Input size of the network: its own rule by default, native, or a cap on the longer side."""
    allow_downscale: bool = False
    """When memory does not suffice, let the network run at lower resolution; the JSON file says where."""


RELATIVE = "relative inverse depth: larger = nearer; scale and shift carry no meaning"
METRIC = "inverse depth in 1/m: larger = nearer"


def run(options: Options) -> int:
    """Estimate; 0 done, 1 when some photos could not be read."""
    import torch

    from wheatstone.cli.console import progress_bar
    from wheatstone.cli.parts import load_part, pick_device, say_licences
    from wheatstone.depth import load_depth
    from wheatstone.errors import FileFormatError, InputError
    from wheatstone.generation import find_photos
    from wheatstone.progress import Clock

    if not options.photos:
        raise InputError("name a photo: wheatstone depth PHOTO")
    photos = find_photos(options.photos, exclude=options.out)
    say_licences(options.depth)
    settings = {
        "device": pick_device(options.device),
        "dtype": getattr(torch, options.dtype),
        "official": options.official,
        "depth_kind": options.depth_kind,
        "input_rule": options.input_rule,
        "allow_downscale": options.allow_downscale or None,
    }
    estimator = load_part(load_depth, options.depth, settings)
    failed = [f"{key}: {reason}" for key, reason in photos.refused]
    clock = Clock("depth", len(photos.files))
    with progress_bar() as progress:
        for number, photo in enumerate(photos.files, start=1):
            try:
                _one(photo, estimator, options)
            except FileFormatError as error:
                failed.append(str(error))
            progress(clock.at(number, photo.key))
    done = len(photos.files) + len(photos.refused) - len(failed)
    if not done:
        raise FileFormatError("; ".join(failed[:3]))
    for line in failed:
        print(f"no depth: {line}", file=sys.stderr)
    print(f"{options.out}: inverse depth of {done} photo{'' if done == 1 else 's'}")
    _say_placeholder(estimator)
    return 1 if failed else 0


def _one(photo: "PhotoFile", estimator: "DepthEstimator", options: Options) -> None:
    """Estimate one photo and write its files; the JSON file comes last, so it vouches for the others."""
    import numpy as np

    from wheatstone.datasets.layout import encode_unit
    from wheatstone.files import atomic_path, encode_png, read_photo, write_bytes
    from wheatstone.files.atomic import output_errors
    from wheatstone.files.inverse_depth import write_inverse_depth
    from wheatstone.viewing import colour_map

    picture = read_photo(photo.path)
    estimate = estimator(picture.image, confidence=options.confidence)
    values = estimate.inverse_depth[0, 0].float().cpu()

    def place(suffix: str) -> Path:
        return options.out / f"{photo.key}{suffix}"

    with atomic_path(place(".npy")) as temporary, output_errors(place(".npy")):
        np.save(temporary, values.numpy())
    offset, step = write_inverse_depth(place(".png"), values)
    write_bytes(place(".turbo.png"), encode_png(colour_map(values)))
    if estimate.confidence is not None:
        confidence = encode_unit(estimate.confidence[0, 0].float().cpu().numpy())
        write_bytes(place(".confidence.png"), encode_png(confidence))
    about = {
        "photo": photo.key,
        "photo_sha256": picture.sha256,
        "width": values.shape[1],
        "height": values.shape[0],
        "meaning": METRIC if estimate.notes.get("unit") == "1/m" else RELATIVE,
        "png": {"inverse_depth": "offset + step * code; code 0 = unknown", "offset": offset, "step": step},
        "depth": estimator.fingerprint(),
        "notes": {**dict(estimate.notes), **_placeholder(estimator)},
    }
    write_bytes(place(".json"), (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def _placeholder(estimator: "DepthEstimator") -> dict[str, Any]:
    from wheatstone.generation.generator import PLACEHOLDER_DEPTH, PLACEHOLDER_NOTE

    if estimator.name not in PLACEHOLDER_DEPTH:
        return {}
    return {"placeholder": PLACEHOLDER_NOTE.format(name=estimator.name)}


def _say_placeholder(estimator: "DepthEstimator") -> None:
    for note in _placeholder(estimator).values():
        print(f"note: {note}")
