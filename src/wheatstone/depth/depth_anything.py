"""Depth Anything V2 from the authors' files `depth_anything_v2_vit{s,b,l}.pth`, and its presets.

The presets' own addresses hold transformers' conversions of the same weights; either kind of file can be given.
Small is Apache-2.0; Base and Large are CC-BY-NC-4.0, not for commercial use (`wheatstone.checkpoints.licence_note`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wheatstone.checkpoints import fit_state, load_state, resolve_weights
from wheatstone.depth import hub
from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.depth_anything_network import PATCH, SIZES, DepthAnythingV2
from wheatstone.depth.inference import Memory
from wheatstone.depth.network import NetworkDepth
from wheatstone.depth.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessor, parse_rule
from wheatstone.errors import CheckpointError, InputError

__all__ = ["DepthAnythingDepth", "load", "load_saved"]

_UNREAD = ("pretrained.mask_token",)


class DepthAnythingDepth(NetworkDepth):
    """Depth Anything V2 as its authors publish it: relative inverse depth.

    The `model` rule is theirs: the shorter side becomes 518, both are rounded to multiples of 14, the result is enlarged
    bilinearly, corner to corner. (They resize without antialiasing; here Pillow's bicubic filter is used.)
    """

    name = "depth-anything-v2"

    def __init__(
        self,
        size: str = "small",
        input_rule: str = "model",
        allow_downscale: bool = False,
        tiles: bool = True,
        max_batch: int = 8,
        confidence_method: Literal["aligned", "minmax"] = "aligned",
    ) -> None:
        """Build the part with random weights.

        Args:
            size: `small`, `base` or `large`.
            input_rule: `model`, `native` or `cap:N`.
            allow_downscale: lower the resolution if nothing else fits into memory.
            tiles: cut images that do not fit into memory.
            max_batch: images in one call on a GPU.
            confidence_method: see `flip_confidence`.
        """
        if size not in SIZES:
            raise InputError(f"`size` must be one of {', '.join(SIZES)}, got {size!r}")
        self.config = {
            "size": size,
            "input_rule": input_rule,
            "allow_downscale": allow_downscale,
            "tiles": tiles,
            "max_batch": max_batch,
            "confidence_method": confidence_method,
        }
        self.rule = parse_rule(input_rule)
        self.depth_kind = "inverse"
        self.confidence_method = confidence_method
        self.memory = Memory(max_batch, PATCH, tiles, allow_downscale)
        self.preprocessor = Preprocessor(
            height=518,
            width=518,
            keep_aspect=True,
            lower_bound=True,
            multiple=PATCH,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            native_multiple=PATCH,
            align_corners=True,
        )
        self.network = DepthAnythingV2(SIZES[size]).eval()

    def forward(self, pixels: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 1 h w"]:
        """Run the network on prepared pixels."""
        network: Any = self.network
        return network(pixels)


def load(
    name: str,
    weights: str | Path | None = None,
    official: bool = False,
    *,
    depth_kind: str | None = None,
    input_rule: str | None = None,
    allow_downscale: bool | None = None,
    max_batch: int | None = None,
) -> DepthEstimator:
    """Load a preset (`depth-anything-v2-small`, ...) or an authors' weight file.

    Args:
        name: preset or path of a weight file.
        weights: a weight file of the authors, or a folder or Hub id with transformers' conversion.
        official: ZeroStereo's way: every pixel (`input_rule="native"`), no tiles when memory runs out, min-max confidence.
        depth_kind: only to contradict: these models predict inverse depth.
        input_rule: `model` (the default), `native` or `cap:N`.
        allow_downscale: lower the resolution if nothing else fits into memory (default no).
        max_batch: images in one call on a GPU (default 8).

    Raises:
        CheckpointError: weights that are missing or do not fit.
    """
    place = resolve_weights(name, weights, allow_patterns=["*.json", "*.safetensors"])
    if place.is_dir():
        estimator = hub.load(
            str(place),
            official=official,
            depth_kind=depth_kind,
            input_rule=input_rule,
            allow_downscale=allow_downscale,
            max_batch=max_batch,
        )
        if isinstance(estimator, DepthAnythingDepth):
            _check_size(name, estimator.config["size"], place)
        estimator.source = name
        return estimator
    if depth_kind not in (None, "inverse"):
        raise InputError(f"{name}: predicts inverse depth, not {depth_kind!r}")
    state, size = _state_of(place, name)
    options = {"input_rule": input_rule, "allow_downscale": allow_downscale, "max_batch": max_batch}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    estimator = DepthAnythingDepth(size, **{**(hub.OFFICIAL if official else {}), **given})
    estimator.source = name
    network: Any = estimator.network
    network.load_state_dict(fit_state(state, network.state_dict(), ignorable=_UNREAD, source=place))
    return estimator


def load_saved(folder: Path, official: bool, options: Mapping[str, Any]) -> DepthAnythingDepth:
    """Load a folder that `DepthAnythingDepth.save_pretrained` wrote; `official` and `options` replace what it says."""
    changes = {**(hub.OFFICIAL if official else {}), **options}
    if (kind := changes.pop("depth_kind", "inverse")) != "inverse":
        raise InputError(f"{folder}: predicts inverse depth, not {kind!r}")
    return DepthAnythingDepth.from_pretrained(folder, **changes)


def _state_of(file: Path, name: str) -> tuple[dict[str, Tensor], str]:
    """Read an authors' file and tell which size of the model it holds."""
    if "metric" in file.stem:
        raise InputError(
            f"{file}: a metric model's file does not say its largest depth; use transformers' conversion of it, which does"
        )
    state = load_state(file)
    size = _size_of(state, file)
    _check_size(name, size, file)
    return state, size


def _check_size(name: str, size: str, place: Path) -> None:
    wanted = name.removeprefix("depth-anything-v2-")
    if wanted in SIZES and wanted != size:
        raise CheckpointError(f"{place}: holds the {size} model, but {name!r} was asked for")


def _size_of(state: dict[str, Tensor], file: Path) -> str:
    token = state.get("pretrained.cls_token", state.get("module.pretrained.cls_token", torch.empty(0)))
    for size, numbers in SIZES.items():
        if token.numel() == numbers.width:
            return size
    raise CheckpointError(f"{file}: no Depth Anything V2 weights (no class token of a known width)")
