"""Divides work among processes and machines, and collects the events of the workers."""

import multiprocessing
import os
import queue
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from starktrack.errors import ConfigError

POLL_SECONDS = 0.5
"""Seconds without an event before a check that the workers are alive."""


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `count` equal parts."""

    index: int
    count: int

    def of(self, names: Sequence[str]) -> list[str]:
        """Return every `count`-th name: the same in every process, whatever is finished."""
        return list(names[self.index :: self.count])


@dataclass(frozen=True)
class LostWorker:
    """A worker died with its shard undone; `reason` says why."""

    shard: Shard
    reason: str


Work: TypeAlias = Callable[[Shard], Iterable[Any]]
"""Does a shard and yields events."""


def local_shards(workers: int, environment: Mapping[str, str]) -> list[Shard]:
    """Return the shards of this process, one per worker.

    Args:
        workers: Processes that this one may use.
        environment: RANK and WORLD_SIZE, where `torchrun` set them, divide the work among machines first.

    Raises:
        ConfigError: RANK or WORLD_SIZE is no number, or they do not fit.
    """
    try:
        rank, world = int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
    except ValueError as error:
        raise ConfigError(f"RANK and WORLD_SIZE must be whole numbers: {error}; unset them") from error
    if not 0 <= rank < world:
        raise ConfigError(f"RANK must be from 0 to WORLD_SIZE - 1, got {rank} of {world}; unset them")
    return [Shard(rank * workers + index, world * workers) for index in range(workers)]


def run_shards(work: Work, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Any]]:
    """Yield the events of the work on these shards; a worker that dies gives a `LostWorker`.

    Args:
        work: Can be sent to another process.
        shards: A single one is done in this process, several in one of their own each.
    """
    if len(shards) == 1:
        for event in work(shards[0]):
            yield shards[0], event
        return
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    processes = {
        shard: context.Process(target=_run_worker, args=(work, shard, events), daemon=True)
        for shard in shards
    }
    for process in processes.values():
        process.start()
    try:
        yield from _listen(processes, events)
    finally:
        for process in processes.values():
            process.terminate()
            process.join()


class _End:
    """The last event of a worker that ended by itself."""


def _run_worker(work: Work, shard: Shard, events: Any) -> None:
    # Ctrl-C reaches the whole group of processes; the parent handles it and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for event in work(shard):
            events.put((shard, event))
    except Exception as error:
        events.put((shard, LostWorker(shard, f"{type(error).__name__}: {error}")))
        raise
    finally:
        events.put((shard, _End()))


def _listen(processes: Mapping[Shard, Any], events: Any) -> Iterator[tuple[Shard, Any]]:
    running = set(processes)
    while running:
        # Checked before the queue, so that an empty queue means that all events of a dead worker were read.
        dead = {shard for shard in running if not processes[shard].is_alive()}
        try:
            shard, event = events.get(timeout=POLL_SECONDS)
        except queue.Empty:
            for shard in dead:
                code = processes[shard].exitcode
                yield (
                    shard,
                    LostWorker(shard, f"the process ended with code {code} (killed, or out of memory)"),
                )
            running -= dead
            continue
        if isinstance(event, _End):
            running.discard(shard)
        else:
            yield shard, event


def threads_each(workers: int) -> int:
    """Return how many threads each of several workers may use on this machine."""
    return max(1, (os.cpu_count() or 1) // workers)
