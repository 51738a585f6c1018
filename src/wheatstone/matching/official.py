"""Published weight files and our own folders into a matcher: every key accounted for, and the right preset named."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wheatstone.checkpoints import fit_state, load_json, load_state, resolve_weights
from wheatstone.errors import CheckpointError, InputError
from wheatstone.matching.base import NetworkMatcher
from wheatstone.matching.raft_encoder import shortcut_aliases

__all__ = ["fit_published", "load_published"]

MatcherT = TypeVar("MatcherT", bound=NetworkMatcher)


def load_published(
    kind: type[MatcherT],
    presets: Mapping[str, Mapping[str, Any]],
    name: str,
    weights: str | Path | None,
    options: Mapping[str, Any],
    ignorable: Sequence[str] = (),
) -> MatcherT:
    """Build a matcher of class `kind` as preset `name` says and fill it.

    Args:
        kind: class of the matcher.
        presets: settings of each preset of this class; the preset called like the class takes our own folders of any setting.
        name: the preset.
        weights: a weight file, a folder or a Hub id; by default the addresses of the model table.
        options: settings that replace the preset's.
        ignorable: patterns of keys that a file may hold and the network does not need.

    Raises:
        CheckpointError: nothing there, or weights that do not fit; the message says which preset would.
        InputError: no such setting.
    """
    place = resolve_weights(name, weights, allow_patterns=["*.json", "*.safetensors"])
    if (place / "config.json").is_file() and "wheatstone" in load_json(place / "config.json"):
        matcher = kind.from_pretrained(place, **options)
        if name != kind.name and (wrong := _other_settings(matcher, presets[name], options)):
            raise CheckpointError(f"{place}: was saved with {wrong}, which is not {name!r}; load it as {kind.name!r}")
    else:
        matcher = _build(kind, {**presets[name], **options})
        state = load_state(place)
        try:
            _network(matcher).load_state_dict(fit_published(state, _network(matcher), place, ignorable))
        except CheckpointError as error:
            fitting = _preset_of(state)
            hint = f". These are weights for {fitting!r}: load that preset" if fitting not in (None, name) else ""
            raise CheckpointError(f"{error}{hint}") from error
    matcher.source = name
    return matcher


def fit_published(
    state: Mapping[str, Tensor], network: nn.Module, source: str | Path, ignorable: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Fit a published state dict to a network: the prefix of data-parallel training goes, shared names fill each other.

    Raises:
        CheckpointError: keys missing, left over, or of another shape.
    """
    expected = network.state_dict()
    aliases = shortcut_aliases(network, list(expected))
    return fit_state(state, expected, aliases=aliases, ignorable=ignorable, source=source)


def _network(matcher: NetworkMatcher) -> nn.Module:
    return matcher.network


def _build(kind: type[MatcherT], settings: Mapping[str, Any]) -> MatcherT:
    try:
        return kind(**settings)
    except TypeError as error:
        known = ", ".join(kind().config)
        raise InputError(f"{kind.name!r} has no such setting ({error}): it has {known}") from error


def _other_settings(matcher: NetworkMatcher, preset: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """The saved settings that contradict a preset, as text; how many iterations is no part of the network."""
    return ", ".join(
        f"{key}={matcher.config[key]!r}"
        for key, value in preset.items()
        if key not in options and key != "iterations" and matcher.config[key] != value
    )


def _preset_of(state: Mapping[str, Tensor]) -> str | None:
    """The first preset of any network that a state dict fits."""
    from wheatstone.matching import igev_stereo, psmnet, raft_stereo  # they import this module

    families: tuple[tuple[type[NetworkMatcher], Mapping[str, Mapping[str, Any]], Sequence[str]], ...] = (
        (raft_stereo.RaftStereo, raft_stereo.PRESETS, ()),
        (igev_stereo.IgevStereo, igev_stereo.PRESETS, igev_stereo.UNUSED_KEYS),
        (psmnet.PsmNet, psmnet.PRESETS, ()),
    )
    for kind, presets, ignorable in families:
        for name, settings in presets.items():
            if _fits(kind, settings, state, ignorable):
                return name
    return None


def _fits(
    kind: type[NetworkMatcher], settings: Mapping[str, Any], state: Mapping[str, Tensor], ignorable: Sequence[str]
) -> bool:
    with torch.device("meta"):
        network = kind(**settings).network
    try:
        fit_published(state, network, "weights", ignorable)
    except CheckpointError:
        return False
    return True
