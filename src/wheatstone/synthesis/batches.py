"""Many views through a network that takes as many at a time as memory allows."""

from collections.abc import Callable

import torch
from torch import Tensor

from wheatstone.depth.inference import is_out_of_memory
from wheatstone.errors import InputError

__all__ = ["in_batches"]


def in_batches(count: int, limit: int, run: Callable[[slice], Tensor], too_large: str) -> Tensor:
    """Run a network on `count` items, at most `limit` at a time, half as many whenever memory runs out.

    Args:
        count: how many items there are.
        limit: largest batch; 1 on a CPU, so that no item depends on its neighbours.
        run: a part of the items to its result `[b,...]`.
        too_large: what to tell the user when a single item does not fit.

    Raises:
        InputError: a single item does not fit into memory.
    """
    done: list[Tensor] = []
    start, batch = 0, limit
    while start < count:
        try:
            done.append(run(slice(start, start + batch)))
            start += batch
            continue
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if batch == 1:
            raise InputError(too_large)
        torch.cuda.empty_cache()
        batch //= 2
    return torch.cat(done)
