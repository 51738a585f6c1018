"""Processes of their own for tests, to be killed or to work together: forked from one that has imported everything once.

A fresh interpreter spends seconds on imports; these start in milliseconds, from a server without threads.
"""

import multiprocessing
import sys
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]


def context() -> ForkServerContext:
    """The context that such processes come from."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))  # targets are imported by name
    # what an optimiser and a log import when they are first used
    multiprocessing.set_forkserver_preload(["wheatstone.training", "torch._dynamo", "tensorboard.summary.writer"])
    return multiprocessing.get_context("forkserver")


def start(target: Any, *arguments: Any) -> tuple[BaseProcess, Any]:
    """Start `target(connection, *arguments)`; returns the process and the other end of the connection.

    It computes on one thread: sums depend on their number, and a forked process may not get as many as were asked for.
    """
    made = context()
    ours, theirs = made.Pipe()
    process = made.Process(target=_on_one_thread, args=(target, theirs, *arguments))
    process.start()
    theirs.close()
    return process, ours


def _on_one_thread(target: Any, *arguments: Any) -> None:
    torch.set_num_threads(1)
    target(*arguments)
