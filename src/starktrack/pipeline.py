"""Stages of work that overlap: one thread reads ahead, another writes behind, each a few items.

Decoding, networks, drawing and encoding leave Python's lock, so that threads use several cores. Order and results are
those of the loop without threads. An error comes out where items are taken or given, at most `DEPTH` items late.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import islice, repeat
from typing import Generic, TypeVar

Item = TypeVar("Item")

DEPTH = 4
"""Items that wait between two stages: enough to level out uneven work, few enough to hold in memory."""


class Prefetcher(Iterator[Item]):
    """Gives the results of calls in their order, each made in the background before it is asked for.

    Args:
        calls: What is called; `StopIteration` of one of them ends the iteration.
        pool: Makes the calls.
        depth: Results that are ready or in work at a time.

    Attributes:
        work_seconds: Time that the calls of the results given so far took.
        wait_seconds: Time for which `next` had to wait.
    """

    def __init__(self, calls: Iterable[Callable[[], Item]], pool: Executor, *, depth: int = DEPTH) -> None:
        self.work_seconds = self.wait_seconds = 0.0
        self._calls, self._pool = iter(calls), pool
        self._waiting: deque[Future[tuple[Item, float]]] = deque()
        for _ in range(depth):
            self._ask()

    def __next__(self) -> Item:
        """Return the next result.

        Raises:
            Exception: What the call raised, after all results before it; it ends the iteration.
        """
        if not self._waiting:
            raise StopIteration
        begun = time.perf_counter()
        try:
            result, seconds = self._waiting.popleft().result()
        except BaseException:
            self.close()
            raise
        self.wait_seconds += time.perf_counter() - begun
        self.work_seconds += seconds
        self._ask()
        return result

    def close(self) -> None:
        """Drop the results that wait, and the calls that have not begun."""
        for future in self._waiting:
            future.cancel()
        self._waiting.clear()

    def _ask(self) -> None:
        for call in islice(self._calls, 1):
            self._waiting.append(self._pool.submit(_timed, call))


def _timed(call: Callable[[], Item]) -> tuple[Item, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


class ReadAhead(Prefetcher[Item]):
    """Iterates in a thread of its own, a few items ahead of whoever takes them.

    Args:
        items: What is iterated, in that thread alone.
        depth: How many items ahead.
        cancel: Ends an iteration that waits for its next item, on closing.

    Example:
        >>> with ReadAhead(range(3)) as items:
        ...     list(items)
        [0, 1, 2]
    """

    def __init__(
        self, items: Iterable[Item], depth: int = DEPTH, *, cancel: Callable[[], object] | None = None
    ) -> None:
        self._cancel = cancel
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        super().__init__(repeat(partial(next, iter(items))), self._thread, depth=depth)

    def __enter__(self) -> "ReadAhead[Item]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread once it has finished the item that it is at; items that wait are dropped."""
        super().close()
        if self._cancel is not None:
            self._cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)


class WriteBehind(Generic[Item]):
    """Calls a function in a thread of its own, in order, while the caller goes on.

    Leaving the block waits until all is written, also where the block failed: what was done until then is kept. After
    an error of `write` nothing more is written; it is raised at the next call or on leaving, in place of the block's.

    Args:
        write: What is called with each item, in that thread alone.
        depth: Calls that may wait; then the caller waits too.

    Example:
        >>> written = []
        >>> with WriteBehind(written.append) as write:
        ...     for number in range(3):
        ...         write(number)
        >>> written
        [0, 1, 2]
    """

    def __init__(self, write: Callable[[Item], object], depth: int = DEPTH) -> None:
        self._write, self._depth = write, depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._waiting: deque[Future[None]] = deque()
        self._has_failed = False

    def __enter__(self) -> "WriteBehind[Item]":
        return self

    def __exit__(self, *error: object) -> None:
        """Wait for what is still to be written, and raise its error also where the block failed."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, item: Item) -> None:
        """Write an item after those before it.

        Raises:
            Exception: What an earlier call raised.
        """
        while self._waiting and (len(self._waiting) >= self._depth or self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._run, item))

    def _run(self, item: Item) -> None:
        if self._has_failed:
            return
        try:
            self._write(item)
        except BaseException:
            self._has_failed = True
            raise
