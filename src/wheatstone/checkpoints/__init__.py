"""Names to weights: parts and their fingerprints, safe loading, key accounting, addresses and the model table."""

from wheatstone.checkpoints.part import Part, sha256_of_file, sha256_of_state
from wheatstone.checkpoints.resolve import SHIPPED, is_hub_id, mirror_variable, resolve_shipped, resolve_weights
from wheatstone.checkpoints.states import find_weights, fit_state, load_json, load_state
from wheatstone.checkpoints.table import MODELS, ModelEntry, licence_note, model_entry

__all__ = [
    "MODELS",
    "SHIPPED",
    "ModelEntry",
    "Part",
    "find_weights",
    "fit_state",
    "is_hub_id",
    "licence_note",
    "load_json",
    "load_state",
    "mirror_variable",
    "model_entry",
    "resolve_shipped",
    "resolve_weights",
    "sha256_of_file",
    "sha256_of_state",
]
