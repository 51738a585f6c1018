"""The model table: every set of weights the library knows by name, with address, licence, size and what is known of it.

Facts that are not established stay None or say so: an entry never guesses a size or a licence.
"""

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["MODELS", "ModelEntry", "licence_note", "model_entry"]

_CC_BY_NC = "CC-BY-NC-4.0"
_UNCHECKED = "not established here: read the model card at the address"
_ZEROSTEREO = "MIT (tag of the repository)"
_AUTHORS_WEIGHTS = "code MIT; of the weights: read at the place you got the file from"
_GENSTEREO = "MIT (tag of the repository; its base, Stable Diffusion {}, has a licence of its own)"
_AUTHORS_FILE = re.compile(r"depth_anything_v2_vit([sbl])\.pth")
_SIZES = {"s": "small", "b": "base", "l": "large"}


@dataclass(frozen=True)
class ModelEntry:
    """One set of weights.

    Attributes:
        name: what users type.
        kind: the place of the pipeline it fills; `auxiliary` weights are parts of others.
        addresses: Hub ids (`owner/model[/folder]`), tried in order; empty for weights that ship with the package or that
            must be given as a file.
        licence: SPDX identifier, or what is known in words.
        commercial: whether commercial use is allowed; None where this is not established.
        parameters: number of parameters, or None.
        figures: published or measured quality, with its source.
        note: anything a user must know before choosing it.
        ships: whether the weights are part of the package.
    """

    name: str
    kind: Literal["depth", "synthesizer", "matcher", "auxiliary"]
    addresses: tuple[str, ...]
    licence: str
    commercial: bool | None
    parameters: int | None = None
    figures: str = ""
    note: str = ""
    ships: bool = False


_ENTRIES = (
    ModelEntry(
        "embedded-depth",
        "depth",
        (),
        "Apache-2.0",
        True,
        figures="see its model card",
        note="placeholder depth trained on rendered scenes alone; lets the whole path run without network or GPU",
        ships=True,
    ),
    ModelEntry(
        "embedded-filler",
        "synthesizer",
        (),
        "Apache-2.0",
        True,
        figures="see its model card",
        note="small residual network on the row fill, trained on rendered scenes alone",
        ships=True,
    ),
    ModelEntry(
        "embedded-matcher",
        "matcher",
        (),
        "Apache-2.0",
        True,
        figures="see its model card",
        note="semi-global matching mended by a small network, trained on rendered scenes alone",
        ships=True,
    ),
    ModelEntry(
        "depth-anything-v2-small",
        "depth",
        ("depth-anything/Depth-Anything-V2-Small-hf",),
        "Apache-2.0",
        True,
        parameters=24_785_089,
        note="relative inverse depth; the authors' depth_anything_v2_vits.pth loads too",
    ),
    ModelEntry(
        "depth-anything-v2-base",
        "depth",
        ("depth-anything/Depth-Anything-V2-Base-hf",),
        _CC_BY_NC,
        False,
        parameters=97_470_785,
        note="relative inverse depth; the authors' depth_anything_v2_vitb.pth loads too",
    ),
    ModelEntry(
        "depth-anything-v2-large",
        "depth",
        ("depth-anything/Depth-Anything-V2-Large-hf",),
        _CC_BY_NC,
        False,
        parameters=335_315_649,
        note="relative inverse depth; what ZeroStereo used; the authors' depth_anything_v2_vitl.pth loads too",
    ),
    ModelEntry("depth-anything-v1-small", "depth", ("LiheYoung/depth-anything-small-hf",), _UNCHECKED, None),
    ModelEntry("depth-anything-v1-base", "depth", ("LiheYoung/depth-anything-base-hf",), _UNCHECKED, None),
    ModelEntry("depth-anything-v1-large", "depth", ("LiheYoung/depth-anything-large-hf",), _UNCHECKED, None),
    ModelEntry(
        "dpt-large",
        "depth",
        ("Intel/dpt-large",),
        _UNCHECKED,
        None,
        note="MiDaS v3: relative inverse depth",
    ),
    ModelEntry(
        "stereogen",
        "synthesizer",
        ("Windsrain/ZeroStereo/StereoGen",),
        "MIT (tag of the repository; its base, Stable Diffusion 2, has a licence of its own)",
        None,
        figures="512x512 at 50 steps: 1.9 s and 5.8 GB an image as published, GPU not named",
        note="ZeroStereo's inpainting model, trained on masks reduced to latent size by nearest sampling",
    ),
    ModelEntry(
        "sd2-inpainting",
        "synthesizer",
        ("sd2-community/stable-diffusion-2-inpainting",),
        "CreativeML Open RAIL++-M as far as known: check at the address",
        None,
        note="base model of stereogen; the original address is gone, this is a copy named by ZeroStereo's author",
    ),
    ModelEntry(
        "genstereo",
        "synthesizer",
        ("FQiao/GenStereo-sd2.1",),
        _GENSTEREO.format("2.1"),
        None,
        parameters=1_732_325_828,
        figures="published, its own protocol at 512x512: Middlebury 2014 25.142 dB / 0.911, KITTI 2015 23.488 dB / 0.849; "
        "leak-free by others: Middlebury 18.54 dB / 0.599",
        note="for pictures of 768x768 pixels; with the VAE sd-vae-ft-mse and the image encoder sd-image-variations",
    ),
    ModelEntry(
        "genstereo-v1.5",
        "synthesizer",
        ("FQiao/GenStereo",),
        _GENSTEREO.format("1.5"),
        None,
        parameters=1_719_546_308,
        figures="published, its own protocol at 512x512: Middlebury 2014 23.835 dB",
        note="for pictures of 512x512 pixels; with the VAE sd-vae-ft-mse and the image encoder sd-image-variations",
    ),
    ModelEntry(
        "sd-vae-ft-mse",
        "auxiliary",
        ("stabilityai/sd-vae-ft-mse",),
        _UNCHECKED,
        None,
        note="VAE of both GenStereo models",
    ),
    ModelEntry(
        "sd-image-variations",
        "auxiliary",
        ("lambdalabs/sd-image-variations-diffusers/image_encoder",),
        _UNCHECKED,
        None,
        note="CLIP image encoder of both GenStereo models",
    ),
    ModelEntry(
        "raft-stereo",
        "matcher",
        ("Windsrain/ZeroStereo/Zero-RAFT-Stereo",),
        _ZEROSTEREO,
        None,
        parameters=11_116_176,
        figures="published: KITTI 2015 > 3 px all 4.53 %, Middlebury-H > 2 px noc 4.45 %, ETH3D > 1 px noc 2.13 %",
        note="ZeroStereo's weights; the authors' RAFT-Stereo files (.pth) load too, their code is MIT-licensed",
    ),
    ModelEntry(
        "raft-stereo-realtime",
        "matcher",
        (),
        _AUTHORS_WEIGHTS,
        None,
        parameters=9_865_568,
        note="the authors' file for the real-time configuration (7 iterations at 1/8)",
    ),
    ModelEntry(
        "raft-stereo-instance",
        "matcher",
        (),
        _AUTHORS_WEIGHTS,
        None,
        parameters=11_108_688,
        note="for files whose context encoder has instance norm, such as the authors' entry to the RVC challenge",
    ),
    ModelEntry(
        "igev-stereo",
        "matcher",
        ("Windsrain/ZeroStereo/Zero-IGEV-Stereo",),
        _ZEROSTEREO,
        None,
        parameters=12_598_098,
        figures="published: KITTI 2015 > 3 px all 4.73 % (ablation, full method)",
        note="ZeroStereo's weights, two files in one folder (largest disparity 192 and 700); the authors' .pth files load too",
    ),
    ModelEntry(
        "psmnet",
        "matcher",
        (),
        "non-commercial for the files of stereo-from-mono; others: read where you got the file",
        None,
        parameters=5_224_768,
        note="state files of stereo-from-mono's hourglass network, with either pooling",
    ),
)

MODELS: dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}


def model_entry(name: str, kind: str | None = None) -> ModelEntry | None:
    """Find the entry of a name of the table, one of its addresses, or an authors' weight file (path or name).

    With `kind` (`depth` or `synthesizer`) the preset `embedded` is found too: it is what ships for that place.
    """
    if name == "embedded":
        return next((entry for entry in MODELS.values() if entry.ships and entry.kind == kind), None)
    if name in MODELS:
        return MODELS[name]
    for entry in MODELS.values():
        if name.lower() in {address.lower() for address in entry.addresses}:
            return entry
    letter = _AUTHORS_FILE.fullmatch(name.rsplit("/", 1)[-1].lower())
    return MODELS[f"depth-anything-v2-{_SIZES[letter[1]]}"] if letter else None


def licence_note(name: str) -> str | None:
    """One sentence to show whoever chooses a model whose licence limits its use; None if there is nothing to say.

    Args:
        name: as in `model_entry`.
    """
    entry = model_entry(name)
    if entry is None or entry.commercial is not False:
        return None
    return f"{entry.name} is licensed {entry.licence}: not for commercial use (depth-anything-v2-small is Apache-2.0)"
