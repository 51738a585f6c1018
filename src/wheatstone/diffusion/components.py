"""Folders in diffusers layout to networks, component by component.

A pipeline folder names its own class in `model_index.json` (`StereoGen`, ...), which `DiffusionPipeline` cannot load without
that class; the components themselves are stock. They are built from their own `config.json`, and every key of their weight
files is accounted for. Everything is brought to float32 first: released folders mix storage types (a VAE in float16 beside
a U-Net in float32), and a network that keeps them would compute in mixed types.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from wheatstone.checkpoints import fit_state, load_json, load_state, resolve_weights
from wheatstone.errors import CheckpointError

__all__ = [
    "COMPONENTS",
    "Components",
    "build_network",
    "fill_network",
    "load_components",
    "load_tokenizer",
    "load_unet",
    "load_vae",
    "resolve_pipeline",
    "save_components",
]

COMPONENTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
# The files of a pipeline's Hub repository that are wanted, without the duplicates in other formats.
_DESCRIPTIONS = ("*.json", "*.txt")
_SAFE = ("model.safetensors", "*/model.safetensors", "*/diffusion_pytorch_model.safetensors")
_PICKLED = ("*/pytorch_model.bin", "*/diffusion_pytorch_model.bin")

# VAEs of old: linear attention layers under other names, sometimes stored as 1x1 convolutions.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_TEXT_PREFIX = "text_model."


@dataclass(frozen=True)
class Components:
    """The parts of a latent diffusion pipeline.

    Attributes:
        unet: diffusers' `UNet2DConditionModel`, float32, evaluation mode.
        vae: diffusers' `AutoencoderKL`, likewise.
        text_encoder: transformers' `CLIPTextModel`, likewise.
        tokenizer: transformers' `CLIPTokenizer`.
        scheduler: content of `scheduler_config.json`.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Mapping[str, Any]


def resolve_pipeline(name: str, weights: str | Path | None = None) -> Path:
    """Find a pipeline folder as `resolve_weights` does; of a Hub repository the pickled weights only if it has no others."""
    folder = resolve_weights(name, weights, allow_patterns=(*_DESCRIPTIONS, *_SAFE))
    if any(folder.glob("**/*.safetensors")):
        return folder
    return resolve_weights(name, weights, allow_patterns=(*_DESCRIPTIONS, *_PICKLED))


def load_components(
    folder: str | Path, *, base: str | Path | None = None, replace: Mapping[str, str | Path] | None = None
) -> Components:
    """Load a pipeline folder one component at a time.

    Args:
        folder: has sub-folders `unet`, `vae`, `text_encoder`, `tokenizer`, `scheduler`.
        base: folder or Hub id of the base model, which lends the components that `folder` has not.
        replace: component name to a folder or Hub id (`owner/model/folder`) that is taken instead.

    Raises:
        CheckpointError: a component is nowhere, of another class, or its weights do not fit.
    """
    replace = dict(replace or {})
    if unknown := set(replace) - set(COMPONENTS):
        raise CheckpointError(f"no such component: {', '.join(sorted(unknown))} (there are {', '.join(COMPONENTS)})")
    folders = {name: _folder_of(name, Path(folder), base, replace) for name in COMPONENTS}
    return Components(
        unet=load_unet(folders["unet"]),
        vae=load_vae(folders["vae"]),
        text_encoder=_load_text_encoder(folders["text_encoder"]),
        tokenizer=load_tokenizer(folders["tokenizer"]),
        scheduler=load_json(folders["scheduler"] / "scheduler_config.json"),
    )


def _folder_of(name: str, folder: Path, base: str | Path | None, replace: Mapping[str, str | Path]) -> Path:
    if name in replace:
        found = resolve_weights(f"{name} of the pipeline", replace[name])
        return found / name if (found / name).is_dir() else found
    if (folder / name).is_dir():
        return folder / name
    if base is not None:
        root = resolve_pipeline("the base model", base)
        if (root / name).is_dir():
            return root / name
    lender = f" and neither has {base}" if base is not None else "; a base model can lend it (base=)"
    raise CheckpointError(f"{folder}: has no {name!r} folder{lender}")


def load_unet(folder: str | Path) -> Any:
    """Load diffusers' `UNet2DConditionModel` from a folder with `config.json` and weights: float32, frozen, evaluation mode.

    Raises:
        CheckpointError: missing or broken files, another class, weights that do not fit.
    """
    folder = Path(folder)
    config = load_json(folder / "config.json")
    return fill_network(build_network("UNet2DConditionModel", config, folder), load_state(folder), folder)


def load_vae(folder: str | Path) -> Any:
    """Load diffusers' `AutoencoderKL` as `load_unet` does; attention layers may have their old names or be convolutions."""
    folder = Path(folder)
    network = build_network("AutoencoderKL", load_json(folder / "config.json"), folder)
    expected = network.state_dict()
    renamed = {_new_attention_name(key): value for key, value in load_state(folder).items()}
    return fill_network(network, {key: _as_linear(value, expected.get(key)) for key, value in renamed.items()}, folder)


def build_network(class_name: str, config: Mapping[str, Any], source: str | Path) -> Any:
    """Build a network of diffusers from its configuration, without weights and without memory for them (`meta` device).

    Raises:
        CheckpointError: a configuration of another class, or one that diffusers cannot build from.
    """
    import diffusers
    from accelerate import init_empty_weights

    if (found := config.get("_class_name", class_name)) != class_name:
        raise CheckpointError(f"{source}: holds a {found}, not a {class_name}")
    try:
        with init_empty_weights():  # no time spent on random numbers that are overwritten at once
            return getattr(diffusers, class_name).from_config(dict(config))
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{source}/config.json: diffusers cannot build a {class_name} from it ({error})"
        ) from error


def _load_text_encoder(folder: Path) -> Any:
    from accelerate import init_empty_weights
    from transformers import CLIPTextConfig, CLIPTextModel

    with init_empty_weights():
        network = CLIPTextModel(CLIPTextConfig.from_dict(load_json(folder / "config.json")))
    # transformers 5 dropped the prefix that published files carry
    wanted = _TEXT_PREFIX if next(iter(network.state_dict())).startswith(_TEXT_PREFIX) else ""
    return fill_network(network, load_state(folder), folder, lambda key: wanted + key.removeprefix(_TEXT_PREFIX))


def fill_network(
    network: Any, state: Mapping[str, Tensor], source: str | Path, rename: Callable[[str], str] | None = None
) -> Any:
    """Give a network without memory its weights, every key accounted for; float32, frozen, evaluation mode.

    Args:
        network: from `build_network`, or made in the same way.
        state: names to tensors, in any number format.
        source: how to call the weights in an error.
        rename: name in the file to the network's name.

    Raises:
        CheckpointError: keys that are missing, left over or of another shape.
    """
    plain = {key: value.to(torch.float32) if value.is_floating_point() else value for key, value in state.items()}
    ignorable = ("*position_ids", "text_projection.weight")
    fitted = fit_state(plain, network.state_dict(), rename=rename, ignorable=ignorable, source=source)
    network.load_state_dict(fitted, assign=True)
    return network.requires_grad_(False).eval()


def _new_attention_name(key: str) -> str:
    parent, _, leaf = key.rpartition(".")
    head, _, name = parent.rpartition(".")
    return f"{head}.{_OLD_ATTENTION[name]}.{leaf}" if ".attentions." in key and name in _OLD_ATTENTION else key


def _as_linear(value: Tensor, expected: Tensor | None) -> Tensor:
    """A 1x1 convolution's weight as that of the linear layer it is."""
    convolution = expected is not None and value.ndim == 4 and expected.ndim == 2 and value.shape[2:] == (1, 1)
    return value[:, :, 0, 0] if convolution else value


def load_tokenizer(folder: Path) -> Any:
    """Load transformers' `CLIPTokenizer`.

    Raises:
        CheckpointError: missing or broken files.
    """
    from transformers import CLIPTokenizer

    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{folder}: no CLIP tokenizer that can be read ({error})") from error


def save_components(components: Components, folder: str | Path, class_name: str) -> None:
    """Write a folder in diffusers layout that `load_components` and, for a stock `class_name`, diffusers itself read."""
    import diffusers

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    components.unet.save_pretrained(folder / "unet")
    components.vae.save_pretrained(folder / "vae")
    _save_text_encoder(components.text_encoder, folder / "text_encoder")
    components.tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "scheduler").mkdir(exist_ok=True)
    _write_json(folder / "scheduler" / "scheduler_config.json", components.scheduler)
    index = {
        "_class_name": class_name,
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", components.scheduler["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    _write_json(folder / "model_index.json", index)


def _save_text_encoder(network: Any, folder: Path) -> None:
    """What `save_pretrained` writes; the model's own way draws a progress bar each time."""
    network.config.save_pretrained(folder)
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(dict(content), indent=2) + "\n", encoding="utf-8")
