"""What several processes of one training (`torchrun`) do together; with one process every function here does next to nothing.

Gradients are summed once a step, after the last micro-batch, instead of by a wrapper around the networks: an objective may
then call any method of a network, any number of times, and a parameter that a step did not use is no special case.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor, nn

from wheatstone.errors import WheatstoneError

__all__ = ["gathered", "on_main", "same_start", "sum_gradients", "summed"]

_BUCKET = 1 << 25  # elements summed in one message

Result = TypeVar("Result")


def summed(state: PartialState, values: Tensor) -> Tensor:
    """Add a tensor over all processes."""
    if state.num_processes > 1:
        values = values.clone()
        torch.distributed.all_reduce(values)
    return values


def sum_gradients(state: PartialState, parameters: Sequence[nn.Parameter]) -> None:
    """Add gradients over all processes, in place; one that only some processes have counts as zero elsewhere."""
    if state.num_processes == 1:
        return
    present = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=state.device)
    used = summed(state, present).tolist()
    gradients = []
    for parameter, count in zip(parameters, used, strict=True):
        if count:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    bucket: list[Tensor] = []
    for place, gradient in enumerate(gradients):
        bucket.append(gradient)
        full = sum(member.numel() for member in bucket) >= _BUCKET
        last = place + 1 == len(gradients)
        if full or last or gradients[place + 1].dtype != gradient.dtype:
            _sum_bucket(bucket)
            bucket = []


def _sum_bucket(bucket: Sequence[Tensor]) -> None:
    flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
    torch.distributed.all_reduce(flat)
    parts = flat.split([gradient.numel() for gradient in bucket])
    for gradient, part in zip(bucket, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def same_start(state: PartialState, networks: Sequence[nn.Module]) -> None:
    """Give every process the first one's weights: the same seed need not mean the same bits on every machine."""
    if state.num_processes > 1:
        for network in networks:
            for value in network.state_dict().values():
                torch.distributed.broadcast(value, src=0)


def gathered(state: PartialState, items: Sequence[Any]) -> list[Any]:
    """The items of all processes, on every process, in the order of the processes."""
    return list(gather_object(list(items))) if state.num_processes > 1 else list(items)


def on_main(state: PartialState, action: Callable[[], Result]) -> Result:
    """Do something on the first process alone and tell the others how it went: its result, or its error on all of them.

    Raises:
        WheatstoneError: what the action raised.
    """
    if state.num_processes == 1:
        return action()
    outcome: list[Any] = [None, None]
    if state.is_main_process:
        try:
            outcome[0] = action()
        except WheatstoneError as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    result: Result = outcome[0]
    return result
