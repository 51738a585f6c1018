"""What surrounds the training loop: curves to look at, and a way to ask it to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["curves", "stop_signal"]


class _NoCurves:
    """Stands in for TensorBoard where it is not installed."""

    def add_scalar(self, *_: Any) -> None:
        """Do nothing."""


@contextmanager
def curves(folder: Path, step: int) -> Iterator[Any]:
    """A TensorBoard writer that goes on from `step`, or something that takes the same calls where it is not installed."""
    if find_spec("tensorboard") is None:
        yield _NoCurves()
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard"), purge_step=step) as writer:
        yield writer


@contextmanager
def stop_signal() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into a flag that is read between steps; a second Ctrl-C stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(_number: int, _frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ask) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
