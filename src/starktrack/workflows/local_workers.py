"""Workers on this machine: a process each, so that a video that kills one costs no more than that one."""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from starktrack.errors import StarktrackError
from starktrack.tracking.sharding import Shard
from starktrack.workflows.dispatch import POLL_SECONDS, Event, Lost, Message

Serve: TypeAlias = Callable[[int, Callable[[], Message], Callable[[Event], None]], None]
"""The life of a worker: its number, what gives the next message, and what takes its events."""


class LocalWorkers:
    """Fulfils `workflows.dispatch.Workers` with processes that are started anew, not forked.

    Args:
        serve: Can be sent to another process.
        count: Processes.
    """

    def __init__(self, serve: Serve, count: int) -> None:
        self.count = count
        self._serve = serve
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, Any] = {}
        self._pipes: dict[int, Any] = {}

    def fill(self, most: int, without: Collection[int] = ()) -> None:
        """Start the processes that are missing, for so many items at most, and none of these numbers."""
        for number in [each for each in range(self.count) if each not in without][:most]:
            if number not in self._processes:
                here, there = self._context.Pipe()
                process = self._context.Process(
                    target=_live, args=(self._serve, number, there), daemon=True, name=f"worker-{number}"
                )
                process.start()
                there.close()
                self._processes[number], self._pipes[number] = process, here

    def send(self, worker: int, messages: Sequence[Message]) -> None:
        """Send to a worker; one that died meanwhile is found by `receive`."""
        try:
            for message in messages:
                self._pipes[worker].send(message)
        except OSError:
            return

    def receive(self, seconds: float) -> list[tuple[int, Any]]:
        """Return what happened, waiting so long at most for something: events of `serve`, and `Lost`."""
        numbers: dict[Any, int] = {pipe: number for number, pipe in self._pipes.items()}
        events: list[tuple[int, Any]] = []
        for pipe in wait(list(numbers), seconds):
            number = numbers[pipe]
            try:
                event = self._pipes[number].recv()
            except (EOFError, OSError):  # it died; what it had sent was read before
                events.append((number, Lost(self._bury(number))))
                continue
            events.append((number, event))
            if isinstance(event, Lost):
                self._bury(number)
        return events

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.terminate()
        for number in list(self._processes):
            self._bury(number)

    def _bury(self, number: int) -> str:
        """Forget a process that ends, and return how it ended."""
        process = self._processes.pop(number)
        self._pipes.pop(number).close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        ended = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
        return f"the worker process {ended} (a crash, or out of memory)"


def _live(serve: Serve, number: int, pipe: Connection) -> None:
    # Ctrl-C reaches the whole group of processes; the parent handles it and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def read() -> None:
        """Take messages at once, so that the parent never waits for a worker that waits for the parent."""
        while True:
            try:
                messages.put(pipe.recv())
            except (EOFError, OSError):  # the parent is gone, and nobody wants the results
                os._exit(1)

    def send(event: Event) -> None:
        try:
            pipe.send(event)
        except OSError:  # the parent is gone
            os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    try:
        serve(number, messages.get, send)
    except StarktrackError as error:  # its text says all; the driver raises it where no worker can start
        send(Lost(f"{type(error).__name__}: {error}", error))
    except Exception as error:
        send(Lost(f"{type(error).__name__}: {error}"))
        raise


def run_shards(
    work: Callable[[Shard], Iterable[Any]], shards: Sequence[Shard]
) -> Iterator[tuple[Shard, Any]]:
    """Yield the events of the work on these shards; a worker that dies gives a `Lost`.

    Args:
        work: Does a shard and yields events; can be sent to another process.
        shards: A single one is done in this process, several in one of their own each.
    """
    if len(shards) == 1:
        for event in work(shards[0]):
            yield shards[0], event
        return
    workers = LocalWorkers(partial(_do_shard, work, shards), len(shards))
    running = set(range(len(shards)))
    try:
        workers.fill(len(shards))
        while running:
            for number, event in workers.receive(POLL_SECONDS):
                if number not in running:  # its process ended, after its last event
                    continue
                if isinstance(event, _Over | Lost):
                    running.discard(number)
                if not isinstance(event, _Over):
                    yield shards[number], event
    finally:
        workers.close()


class _Over:
    """The last event of a worker that did its shard."""


def _do_shard(
    work: Callable[[Shard], Iterable[Any]],
    shards: Sequence[Shard],
    number: int,
    next_message: Callable[[], Message],
    emit: Callable[[Any], None],
) -> None:
    for event in work(shards[number]):
        emit(event)
    emit(_Over())
