"""Ways to score a synthesizer by name: the house's, GenStereo's own, and one without any true geometry.

- `wheatstone`: whole images, the true disparity, holes that the truth vouches for.
- `genstereo` (GenStereo, ICCV 2025, the published script): both views squashed to a square of 512 px (768 px for weights of
  Stable Diffusion 2.1: `square=768`), KITTI's centre squares cut out first; true disparity resized to the nearest pixel (the
  script's other source, files of "pseudo" disparity, was never published: give `depth` instead); views saved in 8 bits; PSNR
  and SSIM at 512 x 512, where SSIM averages 2 x 2 pixels first, so that it is measured at 256 x 256; LPIPS by SqueezeNet at the
  saved size; what landed in runs of fewer than three columns counts as hole. `official` adds the two slips of its KITTI branch.
- `leak-free`: whole images and no true geometry; disparity from a depth estimator, with one scale a pair found by matching the
  real pair, as in StereoSpace (arXiv 2512.10959), which also showed how much of GenStereo's figures is knowledge of the true
  disparity. Differences: StereoSpace searches the scale for every method apart, and scores centre squares at 512 x 512.
- `mono2stereo` (Yu et al., CVPR 2025): frames of stereo films, whole, no true geometry; disparity from a depth estimator with
  scale and offset fitted to the real pair, because films converge. SIoU is its metric; `official` gives it, and a PSNR, as its
  script published them, with differences that wrap at 256. Differences: the script compares at 1280 x 800, and its own model
  takes disparity from the raw numbers of Depth Anything V2.
"""

from typing import Any

from wheatstone.depth import load_depth
from wheatstone.errors import InputError
from wheatstone.evaluation.matcher_presets import data_family
from wheatstone.evaluation.synthesis_protocol import SynthesisProtocol

__all__ = ["SYNTHESIS_PROTOCOLS", "synthesis_protocol"]

_GENSTEREO: dict[str, Any] = {
    "min_density": 0.0,
    "count_unknown": True,
    "square": 512,
    "warp": "nearest",
    "opening": 3,
    "compare_at": 512,
    "lpips": "squeeze",
}
_PRESETS: dict[str, dict[str, Any]] = {
    "wheatstone": {},
    "genstereo": _GENSTEREO,
    "leak-free": {"min_density": 0.0, "count_unknown": True},
    "mono2stereo": {"min_density": 0.0, "count_unknown": True, "fit": "affine"},
}
_LEAK_FREE_DEPTH = "embedded"
_SILENT = {"matcher", "official"}  # they stand beside the figures, or are asked for by name

SYNTHESIS_PROTOCOLS = tuple(_PRESETS)
"""Names that `synthesis_protocol` knows; the first is the default of the house."""


def synthesis_protocol(name: str = "wheatstone", dataset: str = "", **changes: Any) -> SynthesisProtocol:
    """A protocol by name.

    Args:
        name: one of `SYNTHESIS_PROTOCOLS`; `genstereo:DATASET` (`genstereo:kitti-2015`) applies what was published for one data
            set to any other.
        dataset: name of the data set that will be scored: `genstereo` crops KITTI and squashes the rest.
        changes: fields of `SynthesisProtocol` to set differently; the name then says so, unless it is only the estimator of
            `leak-free` or `mono2stereo`, the matcher or `official`.

    Raises:
        InputError: an unknown name, or a change that means nothing.

    Example:
        >>> synthesis_protocol("genstereo", "kitti-2015").crop
        True
    """
    preset, _, wanted = name.partition(":")
    if preset not in _PRESETS or (wanted and preset != "genstereo"):
        raise InputError(f"unknown protocol {name!r}: use one of {', '.join(_PRESETS)}, or genstereo:DATASET")
    switches = dict(_PRESETS[preset])
    if preset == "genstereo":
        switches["crop"] = (data_family(wanted or dataset) or "").startswith("kitti")
    if preset in ("leak-free", "mono2stereo"):
        switches["depth"] = changes.pop("depth", None) or load_depth(_LEAK_FREE_DEPTH)
    said = name if set(changes) <= _SILENT else f"{name}, changed"
    return SynthesisProtocol(**{**switches, **changes, "name": said})
