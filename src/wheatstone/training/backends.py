"""The processes and the global switches of a run, set for as long as it lasts."""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from accelerate import PartialState

from wheatstone.errors import InputError
from wheatstone.training.recipe import Recipe

__all__ = ["processes_of_run", "training_backends"]


@contextmanager
def processes_of_run(device: str | None) -> Iterator[PartialState]:
    """One process among those that `torchrun` started (or alone), and its device.

    The connection of several processes is made once and closed when they end: several trainings may follow one another.

    Args:
        device: `cpu` keeps off accelerators; None, `auto` or the kind there is (`cuda`) takes the accelerator of this process.

    Raises:
        InputError: a device that is not there.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    known = ("cpu", "auto") if accelerator is None else ("cpu", "auto", accelerator.type)
    if device not in (None, *known):
        raise InputError(
            f"training cannot run on the device {device!r} here: use one of {', '.join(known)}"
            + ("" if accelerator is None else "; among several, CUDA_VISIBLE_DEVICES or torchrun chooses")
        )
    connected = torch.distributed.is_available() and torch.distributed.is_initialized()
    processes = PartialState(cpu=device == "cpu" or accelerator is None)
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
