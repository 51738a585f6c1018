"""Many workers, few network calls: requests of equal size that wait at the same time share one call."""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

__all__ = ["Batcher", "WeightedGate"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)  # a request is itself: its item may be a tensor, which has no yes-or-no equality
class _Request(Generic[Item, Result]):
    group: Hashable
    item: Item
    done: bool = False
    result: Any = None
    error: BaseException | None = None


@dataclass
class Batcher(Generic[Item, Result]):
    """Calls `run` with up to `size` items of one group, from whichever worker comes first; one call at a time.

    Nobody waits for a batch to fill: while a call runs, requests gather, and the next call takes those of one group. With
    `size` 1 every call has one item, so that results cannot depend on company.

    Attributes:
        run: items of one group to as many results.
        size: most items in one call.
    """

    run: Callable[[Sequence[Item]], Sequence[Result]]
    size: int = 1
    _waiting: list[_Request[Item, Result]] = field(default_factory=list)
    _edit: threading.Lock = field(default_factory=threading.Lock)
    _calling: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, item: Item, group: Hashable = None) -> Result:
        """Get the result of one item; blocks until it is there and raises what its call raised."""
        if self.size <= 1:
            return self.run([item])[0]
        request: _Request[Item, Result] = _Request(group, item)
        with self._edit:
            self._waiting.append(request)
        while not request.done:
            with self._calling:
                if not request.done:
                    self._serve(self._take())
        if request.error is not None:
            raise request.error
        return request.result

    def _take(self) -> list[_Request[Item, Result]]:
        """The oldest request and others of its group."""
        with self._edit:
            group = self._waiting[0].group
            taken = [request for request in self._waiting if request.group == group][: self.size]
            self._waiting = [request for request in self._waiting if request not in taken]
        return taken

    def _serve(self, requests: list[_Request[Item, Result]]) -> None:
        try:
            results = self.run([request.item for request in requests])
        except BaseException as error:  # noqa: BLE001 - handed to the workers that asked
            if len(requests) > 1 and isinstance(error, Exception):
                for request in requests:  # one bad item must not take its company with it
                    self._serve([request])
                return
            for request in requests:
                request.error, request.done = error, True
            return
        for request, result in zip(requests, results, strict=True):
            request.result, request.done = result, True


class WeightedGate:
    """Lets work of a total weight in at once; what is heavier than the whole gate goes alone."""

    def __init__(self, capacity: int) -> None:
        """Make a gate of `capacity`."""
        self._capacity, self._used = capacity, 0
        self._changed = threading.Condition()

    def acquire(self, weight: int) -> int:
        """Wait until `weight` fits; returns what must be handed to `release`."""
        weight = min(weight, self._capacity)
        with self._changed:
            self._changed.wait_for(lambda: self._used + weight <= self._capacity)
            self._used += weight
        return weight

    def release(self, weight: int) -> None:
        """Give back what `acquire` returned."""
        with self._changed:
            self._used -= weight
            self._changed.notify_all()
