"""Random streams that depend on (run seed, item key) alone, never on order, worker count or global state."""

import hashlib

import numpy as np
import torch

__all__ = ["generator_for", "numpy_generator_for", "seed_for"]


def seed_for(seed: int, key: str, stream: str = "") -> int:
    """Derive a 63-bit seed from a run seed, an item key and the name of a stream.

    The streams of one item (`"disparity"`, `"synthesis"`, ...) are independent, so drawing more numbers in one stage
    never changes another.
    """
    digest = hashlib.sha256(f"{seed}\0{key}\0{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator_for(seed: int, key: str, stream: str = "") -> torch.Generator:
    """Make the CPU `torch.Generator` of one item; draw on the CPU and move, so that every device sees the same numbers."""
    return torch.Generator().manual_seed(seed_for(seed, key, stream))


def numpy_generator_for(seed: int, key: str, stream: str = "") -> np.random.Generator:
    """Make the NumPy generator of one item (same derivation as `generator_for`)."""
    return np.random.default_rng(seed_for(seed, key, stream))
