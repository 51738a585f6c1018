"""The processes and the global switches of a run, set for as long as it lasts."""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from accelerate import PartialState

from wheatstone.training.recipe import Recipe

__all__ = ["processes_of_run", "training_backends"]


@contextmanager
def processes_of_run(device: str | None) -> Iterator[PartialState]:
    """One process among those that `torchrun` started (or alone), and its device.

    The connection of several processes is made once and closed when they end: several trainings may follow one another.

    Args:
        device: `cpu` keeps off accelerators; anything else takes the best there is.
    """
    connected = torch.distributed.is_available() and torch.distributed.is_initialized()
    processes = PartialState(cpu=device == "cpu" or not torch.accelerator.is_available())
    if processes.num_processes > 1 and not connected:
        atexit.register(processes.destroy_process_group)
    try:
        yield processes
    finally:
        if processes.num_processes == 1:
            PartialState._reset_state()


@contextmanager
def training_backends(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """PyTorch's switches as the recipe wants them, and back afterwards: TF32, fastest convolutions, the global generator."""
    with ExitStack() as stack:
        devices = [device] if device.type == "cuda" else []
        stack.enter_context(torch.random.fork_rng(devices=devices))  # layers that draw use the global generator
        if device.type == "cuda":
            matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
            for owner, name, value in (
                (matmul, "allow_tf32", recipe.tf32),
                (cudnn, "allow_tf32", recipe.tf32),
                (cudnn, "benchmark", True),
            ):
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
        yield
