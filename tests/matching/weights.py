"""Weights by rule, the same on every machine: what the reference outputs of the matching networks were made with.

For a tensor `key` of shape `s`, n = standard normal numbers in float64 from a generator seeded with the CRC-32 of the key:
0.05 n for running means, 1 + 0.1 |n| for running variances, 0 for counters, 0.02 n for 1-D biases, 1 + 0.05 n for other 1-D
tensors, and n / sqrt(inputs of one output) for everything else; stored as float32.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

Shapes = Mapping[str, Sequence[int]] | Iterable[tuple[str, Sequence[int]]]


def deterministic_state(keys: str | Path | Shapes) -> dict[str, Tensor]:
    """Fill a state dict by the rule; `keys` is a `*.keys.json` file (a list of [key, shape]) or names with shapes."""
    if isinstance(keys, str | Path):
        pairs = json.loads(Path(keys).read_text(encoding="utf-8"))
    else:
        pairs = keys.items() if isinstance(keys, Mapping) else keys
    return {key: deterministic_tensor(key, tuple(shape)) for key, shape in pairs}


def fill(network: nn.Module) -> None:
    """Give a network the weights of the rule, by its own keys."""
    network.load_state_dict(deterministic_state({key: value.shape for key, value in network.state_dict().items()}))


@lru_cache(maxsize=4096)  # the tests of a network ask for the same weights again and again; nobody writes to them
def deterministic_tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    n = np.random.default_rng(crc32(key.encode())).standard_normal(size=shape)
    if key.endswith("running_mean"):
        n = 0.05 * n
    elif key.endswith("running_var"):
        n = 1 + 0.1 * np.abs(n)
    elif len(shape) <= 1:
        n = 0.02 * n if key.endswith("bias") else 1 + 0.05 * n
    else:
        n = n * np.sqrt(1 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(n, np.float32))
