"""Published ways to score a matcher, by the name of who published them and the data set they are applied to.

What the evaluation scripts and development kits do, which is not always what their papers say:

- ZeroStereo (ICCV 2025): plain > k px, no 5 % rule; mean over images for both figures; Middlebury and ETH3D non-occluded.
- RAFT-Stereo (3DV 2021): outliers of KITTI and Scene Flow over all pixels of all images, end-point error per image; ETH3D and
  Middlebury score occluded pixels too, although their leaderboards do not (the validity test of the Middlebury script is always
  true, so every finite truth below 1000 px counts).
- IGEV-Stereo (CVPR 2023): truth at 192 px and above is left out of KITTI, Middlebury and Scene Flow; KITTI and Scene Flow as
  RAFT-Stereo, but 3 px on Scene Flow; Middlebury and ETH3D non-occluded.
- Learning Stereo from Single Images (ECCV 2020, "mfs"): ">=" instead of ">", images squashed to one size a data set; its
  networks are trained with truth clamped at 192 px, its scores are not.
- KITTI's development kits: 2012 has mean over images for 2 to 5 px; 2015 has D1 (3 px and 5 %) over all pixels of all images.
  They fill unanswered pixels from the background before they score; here these count as bad, so fill them before.
"""

from dataclasses import replace
from typing import Any

from wheatstone.errors import InputError
from wheatstone.evaluation.matcher_protocol import MatcherProtocol

__all__ = ["FAMILIES", "MATCHER_PROTOCOLS", "data_family", "matcher_protocol"]

FAMILIES = {
    "kitti-2012": ("kitti2012", "kitti-2012"),
    "kitti-2015": ("kitti2015", "kitti-2015", "kitti"),
    "middlebury": ("middlebury", "middeval", "motorcycle"),
    "eth3d": ("eth3d",),
    "sceneflow": ("flyingthings", "monkaa", "sceneflow", "scene-flow"),
}
"""Data sets with protocols of their own, and how the names of such data sets begin."""

_EVERYWHERE: dict[str, dict[str, Any]] = {
    "zerostereo": {"iterations": 32, "padding": (32, "split")},
    "raft-stereo": {"iterations": 32, "padding": (32, "split")},
    "igev": {"iterations": 32, "padding": (32, "split")},
    "mfs": {"inclusive": True, "valid": "positive"},
    "kitti": {"valid": "positive"},
}
_NOC = {"regions": ("noc",)}
_KITTI = {"thresholds": (3,), "valid": "positive"}
_PER_DATA_SET: dict[str, dict[str, dict[str, Any]]] = {
    "zerostereo": {
        "kitti": _KITTI,
        "middlebury": {"thresholds": (2,), **_NOC},
        "eth3d": {"thresholds": (1,), **_NOC},
    },
    "raft-stereo": {
        "kitti": {**_KITTI, "outlier_average": "pixels"},
        "middlebury": {"thresholds": (2,), "max_disparity": 1000},
        "eth3d": {"thresholds": (1,), "max_disparity": 512},
        "sceneflow": {"thresholds": (1,), "max_disparity": 192, "outlier_average": "pixels"},
    },
    "igev": {
        "kitti": {**_KITTI, "max_disparity": 192, "outlier_average": "pixels"},
        "middlebury": {"thresholds": (2,), "max_disparity": 192, **_NOC},
        "eth3d": {"thresholds": (1,), "max_disparity": 512, **_NOC},
        "sceneflow": {"thresholds": (3,), "max_disparity": 192, "outlier_average": "pixels"},
    },
    "mfs": {
        "kitti": {"thresholds": (3,), "resolution": (384, 1280)},
        "middlebury": {"thresholds": (2,), "resolution": (768, 1280)},
        "eth3d": {"thresholds": (1,), "resolution": (448, 768)},
    },
    "kitti": {
        "kitti-2012": {"thresholds": (2, 3, 4, 5), "regions": ("all", "noc")},
        "kitti-2015": {
            "thresholds": (3,),
            "regions": ("all", "noc"),
            "d1": True,
            "epe_average": "pixels",
            "outlier_average": "pixels",
        },
    },
}

MATCHER_PROTOCOLS = ("wheatstone", *_PER_DATA_SET)
"""Names that `matcher_protocol` knows; the first is the default of the house."""


def data_family(name: str) -> str | None:
    """The key of `FAMILIES` that a data set's name belongs to, or None."""
    text = name.lower()
    if text == "driving":  # not DrivingStereo
        return "sceneflow"
    return next((family for family, starts in FAMILIES.items() if text.startswith(starts)), None)


def matcher_protocol(name: str = "wheatstone", dataset: str = "", **changes: Any) -> MatcherProtocol:
    """A protocol by name.

    Args:
        name: one of `MATCHER_PROTOCOLS`; `NAME:DATASET` (`zerostereo:eth3d`) applies what was published for one data set to
            any other.
        dataset: name of the data set that will be scored: published protocols differ from one to the next.
        changes: fields of `MatcherProtocol` to set differently; the name then says so.

    Raises:
        InputError: an unknown name, a data set for which the protocol is not defined, or a change that means nothing.

    Example:
        >>> matcher_protocol("zerostereo", "eth3d").regions
        ('noc',)
    """
    preset, _, wanted = name.partition(":")
    if preset not in MATCHER_PROTOCOLS:
        raise InputError(f"unknown protocol {preset!r}: use one of {', '.join(MATCHER_PROTOCOLS)}")
    if preset == "wheatstone":
        protocol = MatcherProtocol()
    else:
        switches = _EVERYWHERE[preset] | _switches(preset, wanted, dataset)
        base: dict[str, Any] = {"regions": ("all",), "d1": False, "edge_radius": 0}
        protocol = MatcherProtocol(name=name, **(base | switches))
    if not changes:
        return protocol
    return replace(protocol, **{"name": f"{protocol.name}, changed", **changes})


def _switches(preset: str, wanted: str, dataset: str) -> dict[str, Any]:
    known = _PER_DATA_SET[preset]
    family = data_family(wanted or dataset)
    for key in (family, (family or "").partition("-")[0]):
        if key in known:
            return known[str(key)]
    choices = [family for family in FAMILIES if family in known or family.partition("-")[0] in known]
    raise InputError(
        f"the protocol {preset!r} is defined for {', '.join(choices)}, not for {wanted or dataset or 'a data set without name'}:"
        f" say which of them to use, for example {preset}:{choices[0]}"
    )
