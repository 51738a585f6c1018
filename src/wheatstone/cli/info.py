"""Versions, device, extras with what each would give, and the model table with licences."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import tyro

__all__ = ["EXTRAS", "Options", "collect", "run"]


@dataclass(frozen=True)
class Options:
    """Options of `wheatstone info`."""

    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print everything as JSON."""
    markdown: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the model table alone, in Markdown, as the documentation holds it."""


@dataclass(frozen=True)
class Extra:
    """Optional dependencies.

    Attributes:
        modules: what must be importable.
        gives: what one gets.
    """

    modules: tuple[str, ...]
    gives: str


EXTRAS = {
    "scenes": Extra(
        ("numba",), "rendered worlds with exact truth (wheatstone scenes, training of the embedded networks)"
    ),
    "demo": Extra(("numba", "skimage"), "the photographs of wheatstone demo"),
    "datasets": Extra(("h5py", "OpenEXR"), "the data sets Spring (HDF5) and IRS (OpenEXR)"),
    "train": Extra(("tensorboard",), "curves of a training in TensorBoard"),
    "scale": Extra(("webdataset", "ray"), "tar shards (wheatstone export --as webdataset); many machines are to come"),
    "video": Extra(("av",), "nothing yet: reading and writing film is to come"),
    "app": Extra(("gradio",), "nothing yet: the web page is to come"),
}
_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "safetensors",
    "huggingface_hub",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "Pillow",
)
# What a cached repository of the Hub is recognised by.
_MARKERS = ("config.json", "model_index.json")
_ALLOWED = {True: "yes", False: "NO", None: "check it"}


def run(options: Options) -> None:
    """Print what is there, what is missing, and what each model's licence allows."""
    found = collect()
    if options.json:
        print(json.dumps(found, indent=2))
    elif options.markdown:
        print(_markdown(found["models"]))
    else:
        _print(found)


def collect() -> dict[str, Any]:
    """Gather everything as plain JSON values: `versions`, `device`, `extras`, `models`."""
    return {"versions": _versions(), "device": _device(), "extras": _extras(), "models": _models()}


def _versions() -> dict[str, str]:
    from wheatstone import __version__

    found = {"wheatstone": __version__, "python": platform.python_version(), "system": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def _device() -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"default": "cpu", "cpu_cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}
    if torch.cuda.is_available():
        found["default"] = "cuda"
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        found["gpus"] = [{"name": card.name, "memory_gib": round(card.total_memory / 2**30, 1)} for card in cards]
    elif torch.backends.mps.is_available():
        found["default"] = "cpu (mps is there: --device mps)"
    return found


def _extras() -> list[dict[str, Any]]:
    return [
        {
            "extra": name,
            "missing": [module for module in extra.modules if find_spec(module) is None],
            "gives": extra.gives,
            "install": f"pip install 'wheatstone[{name}]'",
        }
        for name, extra in EXTRAS.items()
    ]


_NO_ADDRESS = {True: "ships with the package", False: "none: give a file"}


def _models() -> list[dict[str, Any]]:
    from wheatstone.checkpoints import MODELS, mirror_variable

    rows = []
    for entry in MODELS.values():
        row = {**asdict(entry), "size_bytes": None, "sha256": None}
        row["addresses"] = list(entry.addresses)
        row["mirror"] = os.environ.get(mirror_variable(entry.name))
        if entry.ships:
            row |= _shipped(entry.name)
        else:
            row["state"] = _where(entry.addresses)
        if row["mirror"]:
            row["state"] = f"mirror: {row['mirror']}"
        rows.append(row)
    return rows


def _where(addresses: tuple[str, ...]) -> str:
    """What it takes to get weights that do not ship."""
    if not addresses:
        return "no public address: give the file as NAME=PATH"
    return "in the local cache" if any(map(_is_cached, addresses)) else "downloaded when asked for"


def _shipped(name: str) -> dict[str, Any]:
    """Size and digest of weights that are package data."""
    from wheatstone.checkpoints import SHIPPED, sha256_of_file

    file = SHIPPED / name / "model.safetensors"
    if not file.is_file():
        return {"state": "missing from this installation"}
    return {"state": "ships", "size_bytes": file.stat().st_size, "sha256": sha256_of_file(file)}


def _is_cached(address: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    owner, model, *folder = address.split("/")
    prefix = "".join(f"{part}/" for part in folder)
    return any(isinstance(try_to_load_from_cache(f"{owner}/{model}", prefix + marker), str) for marker in _MARKERS)


def _size(row: dict[str, Any]) -> str:
    if row["parameters"]:
        return f"{row['parameters'] / 1e6:.1f} M parameters"
    return f"{row['size_bytes'] / 1e6:.1f} MB" if row["size_bytes"] else ""


def _markdown(models: list[dict[str, Any]]) -> str:
    lines = ["| name | for | licence | commercial use | size | address |", "|---|---|---|---|---|---|"]
    for row in models:
        address = ", ".join(f"`{address}`" for address in row["addresses"]) or _NO_ADDRESS[row["ships"]]
        allowed = _ALLOWED[row["commercial"]].lower()
        lines.append(f"| `{row['name']}` | {row['kind']} | {row['licence']} | {allowed} | {_size(row)} | {address} |")
    return "\n".join(lines)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    versions = Table("package", "version", title="Versions", title_justify="left", box=None)
    for package, version in found["versions"].items():
        versions.add_row(package, version)
    console.print(versions)

    device = found["device"]
    cards = ", ".join(f"{card['name']} ({card['memory_gib']} GiB)" for card in device.get("gpus", [])) or "no GPU"
    console.print(f"\nDevice: {device['default']}; {cards}; {device['cpu_cores']} CPU cores\n", highlight=False)

    extras = Table("extra", "state", "gives", title="Extras", title_justify="left", box=None)
    for row in found["extras"]:
        state = "installed" if not row["missing"] else f"missing {', '.join(row['missing'])}"
        extras.add_row(row["extra"], state, row["gives"] if not row["missing"] else f"{row['gives']}: {row['install']}")
    console.print(extras, markup=False)

    models = Table(title="\nModels", title_justify="left", box=None)
    for heading in ("name", "for", "licence", "commercial", "size", "where"):
        models.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for row in found["models"]:
        where = f"{', '.join(row['addresses'])} ({row['state']})" if row["addresses"] else row["state"]
        models.add_row(row["name"], row["kind"], row["licence"], _ALLOWED[row["commercial"]], _size(row), where)
    console.print(models)
    for row in found["models"]:
        if row["note"] or row["figures"]:
            text = "; ".join(part for part in (row["note"], row["figures"]) if part)
            console.print(f"{row['name']}: {text}", highlight=False, markup=False)
    console.print(
        "\nAny model can be given as NAME=PATH (a local folder or file), or its address replaced by a mirror in "
        "WHEATSTONE_MIRROR_NAME.",
        highlight=False,
        markup=False,
    )
