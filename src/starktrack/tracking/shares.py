"""Work that is shared among processes and machines: who does what, and what they tell."""

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from starktrack.errors import ConfigError

POLL_SECONDS = 0.5
"""How often a silent worker is looked after."""


@dataclass(frozen=True)
class Share:
    """Part `index` (from 0) of `count` equal parts."""

    index: int
    count: int

    def of(self, names: Sequence[str]) -> list[str]:
        """Return every `count`-th name: the same for everybody who knows the names, whatever is finished."""
        return list(names[self.index :: self.count])


@dataclass(frozen=True)
class Lost:
    """A worker that died with its share undone, and why."""

    share: Share
    reason: str


Work: TypeAlias = Callable[[Share], Iterable[Any]]
"""Does a share, yielding what there is to tell."""


def shares_here(workers: int, environment: Mapping[str, str]) -> list[Share]:
    """Return the shares that this machine's process has to do, one per worker.

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
    return [Share(rank * workers + index, world * workers) for index in range(workers)]


def work_here(work: Work, shares: Sequence[Share]) -> Iterator[tuple[Share, Any]]:
    """Yield what the work on these shares tells; a worker that dies is told as `Lost`.

    Args:
        work: Can be sent to another process.
        shares: A single one is done in this process, several in one of their own each.
    """
    if len(shares) > 1:
        yield from _work_in_processes(work, shares)
        return
    for event in work(shares[0]):
        yield shares[0], event


def _work_in_processes(work: Work, shares: Sequence[Share]) -> Iterator[tuple[Share, Any]]:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    processes = {
        share: context.Process(target=_work, args=(work, share, told), daemon=True) for share in shares
    }
    for process in processes.values():
        process.start()
    try:
        yield from _listen(processes, told)
    finally:
        for process in processes.values():
            process.terminate()
            process.join()


class _Over:
    """A worker's last word."""


def _work(work: Work, share: Share, told: Any) -> None:
    # An interrupt is the parent's to handle, which ends its workers.
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for event in work(share):
            told.put((share, event))
    except Exception as error:
        told.put((share, Lost(share, f"{type(error).__name__}: {error}")))
        raise
    finally:
        told.put((share, _Over()))


def _listen(processes: Mapping[Share, Any], told: Any) -> Iterator[tuple[Share, Any]]:
    running = set(processes)
    while running:
        dead = {share for share in running if not processes[share].is_alive()}
        try:
            share, event = told.get(timeout=POLL_SECONDS)
        except queue.Empty:
            # What the dead had to say was read before: they are gone without a last word.
            for share in dead:
                code = processes[share].exitcode
                yield share, Lost(share, f"the process ended with code {code} (killed, or out of memory)")
            running -= dead
            continue
        if isinstance(event, _Over):
            running.discard(share)
        else:
            yield share, event


def threads_each(workers: int) -> int:
    """Return how many threads each of several workers may use on this machine."""
    return max(1, (os.cpu_count() or 1) // workers)
