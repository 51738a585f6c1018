"""Depth-estimation models of the Hub, through transformers: Depth Anything V1 and V2, DPT / MiDaS, ZoeDepth, GLPN, Depth Pro.

A model is a local folder or a Hub id. What its output means comes from a table by model type; a type that is not in it, or
that leaves it open, needs `depth_kind` (`--depth-kind` on the command line). Works without torchvision.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wheatstone.checkpoints import load_json, resolve_weights
from wheatstone.depth.base import DepthEstimator
from wheatstone.depth.inference import Memory
from wheatstone.depth.network import DEPTH_KINDS, DepthKind, NetworkDepth
from wheatstone.depth.preprocessing import Preprocessor, parse_rule
from wheatstone.errors import CheckpointError, InputError

__all__ = ["HubDepth", "depth_kind_of", "load"]

# What `predicted_depth` means, by model type. Depth Pro's raw output is its canonical inverse depth (its processor inverts it).
_MEANING: dict[str, DepthKind] = {
    "depth_anything": "inverse",
    "dpt": "inverse",
    "zoedepth": "metric",
    "glpn": "metric",
    "depth_pro": "inverse",
}
# Parameters that published files lack and that no forward pass reads: the coarsest fusion step has nothing to add to.
_UNREAD = ("*fusion_stage.layers.0.residual_layer1.*",)
_CONVENTIONS = "wheatstone_depth"
# ZeroStereo's way: every pixel, no tiles when memory runs out, extremes for the confidence.
OFFICIAL: Mapping[str, Any] = {"input_rule": "native", "tiles": False, "confidence_method": "minmax"}


def depth_kind_of(config: Mapping[str, Any]) -> DepthKind:
    """What the output of a transformers model means, from its `config.json`.

    Raises:
        InputError: the configuration does not tell; the message says how to.
    """
    kind = str(config.get("model_type"))
    backbone = (config.get("backbone_config") or {}).get("model_type")
    if kind == "depth_anything" and config.get("depth_estimation_type") == "metric":
        return "metric"
    # DPT on MiDaS data predicts inverse depth, but the same class on a DINOv2 backbone holds heads trained on metric depth.
    if kind not in _MEANING or (kind == "dpt" and backbone == "dinov2"):
        raise InputError(
            f"what a {kind!r} model{f' on {backbone}' if backbone else ''} predicts is not known here: say it with "
            "--depth-kind inverse|depth|metric (depth_kind= in Python); inverse = larger is nearer, metric = metres"
        )
    return _MEANING[kind]


class HubDepth(NetworkDepth):
    """A transformers depth-estimation model as a depth estimator."""

    name = "hub"

    def __init__(
        self,
        model: Mapping[str, Any],
        preprocessor: Mapping[str, Any],
        depth_kind: str,
        input_rule: str = "model",
        allow_downscale: bool = False,
        tiles: bool = True,
        max_batch: int = 8,
        confidence_method: Literal["aligned", "minmax"] = "aligned",
        network: nn.Module | None = None,
    ) -> None:
        """Build the part.

        Args:
            model: the content of the model's `config.json`.
            preprocessor: the content of its `preprocessor_config.json`; empty if it has none.
            depth_kind: what the output means.
            input_rule: `model`, `native` or `cap:N`.
            allow_downscale: lower the resolution if nothing else fits into memory.
            tiles: cut images that do not fit into memory.
            max_batch: images in one call on a GPU.
            confidence_method: see `flip_confidence`.
            network: the loaded model; by default one with random weights.
        """
        if depth_kind not in DEPTH_KINDS:
            raise InputError(f"`depth_kind` must be one of {', '.join(DEPTH_KINDS)}, got {depth_kind!r}")
        self.config = {
            "model": dict(model),
            "preprocessor": dict(preprocessor),
            "depth_kind": depth_kind,
            "input_rule": input_rule,
            "allow_downscale": allow_downscale,
            "tiles": tiles,
            "max_batch": max_batch,
            "confidence_method": confidence_method,
        }
        self.rule = parse_rule(input_rule)
        self.depth_kind = depth_kind
        self.confidence_method = confidence_method
        fixed = model.get("model_type") == "depth_pro"
        square = model.get("model_type") == "dpt" and not model.get("backbone_config")
        if self.rule.name != "model" and (fixed or square):
            kind = "input of one size" if fixed else "square input"
            raise InputError(f"this {model['model_type']} model takes {kind} only: use the input rule model")
        multiple = _multiple(model, preprocessor)
        if not preprocessor and self.rule.name == "model":
            raise InputError("the model has no preprocessor_config.json: use the input rule native or cap:N")
        self.preprocessor = Preprocessor.from_json(preprocessor, multiple) if preprocessor else _imagenet(multiple)
        self.memory = Memory(max_batch, multiple, tiles, allow_downscale)
        self.network = (network or _build(model)).eval()

    def forward(self, pixels: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 1 h w"]:
        """Run the model on prepared pixels."""
        network: Any = self.network
        return network(pixel_values=pixels).predicted_depth[:, None]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that transformers reads, with this part's conventions as one more entry of `config.json`."""
        folder = Path(folder)
        network: Any = self.network
        network.save_pretrained(folder)
        conventions = {key: value for key, value in self.config.items() if key not in ("model", "preprocessor")}
        # the configuration as it was read: transformers adds fields of its own, and the fingerprint would change
        header = self.config["model"] | {_CONVENTIONS: conventions}
        (folder / "config.json").write_text(json.dumps(header, indent=2) + "\n")
        if self.config["preprocessor"]:
            text = json.dumps(self.config["preprocessor"], indent=2) + "\n"
            (folder / "preprocessor_config.json").write_text(text)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes: Any) -> "HubDepth":  # type: ignore[override]
        """Load a folder of a transformers depth-estimation model, with the conventions saved in it if there are any.

        `changes` are arguments of the constructor that replace those saved.
        """
        return _from_folder(Path(folder), **changes)


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
    """Load a depth estimator from a folder or the Hub; what is None is what the folder says, else the default.

    Args:
        name: a folder, a Hub id or a name of the model table.
        weights: a folder or Hub id that replaces the default address.
        official: ZeroStereo's way: every pixel (`input_rule="native"`), no tiles when memory runs out, min-max confidence.
        depth_kind: what the output means; by default what the model's configuration says.
        input_rule: `model` (the default), `native` or `cap:N`.
        allow_downscale: lower the resolution if nothing else fits into memory (default no).
        max_batch: images in one call on a GPU (default 8).

    Raises:
        CheckpointError: no such folder, or weights that do not fit.
        InputError: a model whose output's meaning is not known.
    """
    # the old pickled weights only where there are no others
    folder = resolve_weights(name, weights, allow_patterns=["*.json", "*.safetensors"])
    if not any(folder.glob("*.safetensors")):
        folder = resolve_weights(name, weights, allow_patterns=["*.json", "*.bin"])
    own = load_json(folder / "config.json").get("wheatstone") if folder.is_dir() else None
    options: dict[str, Any] = {
        "depth_kind": depth_kind,
        "input_rule": input_rule,
        "allow_downscale": allow_downscale,
        "max_batch": max_batch,
    }
    options = {key: value for key, value in options.items() if value is not None}
    if own is not None:
        return _own_part(str(own), folder, official, options)
    if official:
        options = {**OFFICIAL, **options}
    estimator = _from_folder(folder, **options)
    estimator.source = str(weights or name)
    return estimator


def _own_part(part: str, folder: Path, official: bool, options: dict[str, Any]) -> DepthEstimator:
    """Load a folder that one of this library's own estimators wrote."""
    from wheatstone.depth.depth_anything import DepthAnythingDepth, load_saved
    from wheatstone.depth.embedded import EmbeddedDepth
    from wheatstone.depth.row_prior import RowPrior

    if part == DepthAnythingDepth.name:
        return load_saved(folder, official, options)
    for kind in (EmbeddedDepth, RowPrior):
        if part == kind.name:
            return kind.from_pretrained(folder, **options)  # no published original: nothing to be official about
    raise CheckpointError(f"{folder}: holds weights of {part!r}, which is no depth estimator")


def _from_folder(folder: Path, **options: Any) -> HubDepth:
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: no config.json, so this is not the folder of a transformers model")
    header = load_json(folder / "config.json")
    saved = header.pop(_CONVENTIONS, {})
    steps_file = folder / "preprocessor_config.json"
    steps = load_json(steps_file) if steps_file.is_file() else {}
    choices = {**saved, **options}
    if "depth_kind" not in choices:
        choices["depth_kind"] = depth_kind_of(header)
    return HubDepth(header, steps, network=_load_network(folder), **choices)


def _load_network(folder: Path) -> nn.Module:
    """Load in float32 through transformers, which maps the names of older files; nothing may be missing that is read."""
    from transformers import AutoModelForDepthEstimation

    try:
        network, report = AutoModelForDepthEstimation.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, local_files_only=True, trust_remote_code=False
        )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{folder}: transformers cannot load it as a depth-estimation model ({first})") from error
    missing = sorted(report["missing_keys"])
    unread = [key for key in missing if any(fnmatch(key, pattern) for pattern in _UNREAD)]
    lost = [key for key in missing if key not in unread] + [str(key) for key in report.get("mismatched_keys", ())]
    if lost:
        raise CheckpointError(f"{folder}: {len(lost)} tensors missing or of another shape, among them {lost[0]}")
    parameters = dict(network.named_parameters())
    for key in unread:  # transformers fills them with random numbers, which would change the part's fingerprint
        nn.init.zeros_(parameters[key])
    return network


def _build(model: Mapping[str, Any]) -> nn.Module:
    from transformers import AutoConfig, AutoModelForDepthEstimation

    settings = {key: value for key, value in model.items() if key not in ("architectures", "transformers_version")}
    return AutoModelForDepthEstimation.from_config(AutoConfig.for_model(settings.pop("model_type"), **settings))


def _multiple(model: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> int:
    """What the sides of a native input must be a multiple of: the model's own rounding, else its patches, else 32."""
    backbone = model.get("backbone_config") or {}
    own = preprocessor.get("ensure_multiple_of") or preprocessor.get("size_divisor") or 1
    patch = model.get("patch_size") if model.get("model_type") == "depth_anything" else backbone.get("patch_size")
    return int(own) if own > 1 else int(patch or 32)


def _imagenet(multiple: int) -> Preprocessor:
    from wheatstone.depth.preprocessing import IMAGENET_MEAN, IMAGENET_STD

    return Preprocessor(mean=IMAGENET_MEAN, std=IMAGENET_STD, native_multiple=multiple)
