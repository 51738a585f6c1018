"""One way to say how far long work has come: the library reports, whoever called it shows.

A function that takes long accepts `progress: ProgressCallback | None = None` and calls it with `Progress` values; the
command line turns them into a bar (`wheatstone.cli.console`), a notebook or a web page into whatever it likes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Clock", "Progress", "ProgressCallback"]


@dataclass(frozen=True)
class Progress:
    """How far one task has come.

    Attributes:
        task: what is being done, for example `"generate"`.
        done: items finished so far, those of earlier runs included.
        total: items in all, or None when unknown.
        rate: items per second of this run, or None before the first item.
        seconds_left: estimate from `rate`, or None when unknown.
        note: a short remark, for example the key of the item just finished or the current loss.
    """

    task: str
    done: int
    total: int | None = None
    rate: float | None = None
    seconds_left: float | None = None
    note: str = ""


ProgressCallback = Callable[[Progress], None]


@dataclass
class Clock:
    """Turns counts into `Progress` values with a rate and the time left; items already done do not count in the rate."""

    task: str
    total: int | None = None
    already_done: int = 0
    started: float = field(default_factory=time.monotonic)

    def at(self, done: int, note: str = "") -> Progress:
        """Progress after `done` items in all (earlier runs included)."""
        elapsed = time.monotonic() - self.started
        fresh = done - self.already_done
        rate = fresh / elapsed if fresh > 0 and elapsed > 0 else None
        left = (self.total - done) / rate if rate and self.total is not None else None
        return Progress(self.task, done, self.total, rate, left, note)
