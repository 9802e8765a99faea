"""Progress of a batch: sequences, frames a second, and the time that is left."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import typer

from starktrack.cli.progress import PLAIN_INTERVAL_SECONDS
from starktrack.tracking.batch_runner import BatchProgress
from starktrack.tracking.sharding import Shard


class SumOfShards:
    """Adds up where the workers stand; how that is shown is up to the subclass."""

    def __init__(self, title: str, total: int) -> None:
        self.title = title
        self.total = total
        self._latest: dict[Shard, BatchProgress] = {}
        self._start = time.monotonic()

    def update(self, shard: Shard, progress: BatchProgress) -> None:
        """Take note of where a worker stands."""
        self._latest[shard] = progress
        self.show()

    def show(self) -> None:
        """Show the sum."""

    @property
    def clips(self) -> float:
        """Return how many sequences are done, parts included."""
        return sum((progress.clips for progress in self._latest.values()), 0.0)

    @property
    def frames(self) -> int:
        """Return how many frames were tracked."""
        return sum(progress.frames for progress in self._latest.values())

    @property
    def rate(self) -> float:
        """Return frames per second, all workers together."""
        return self.frames / max(time.monotonic() - self._start, 1e-9)

    def remaining(self) -> str:
        """Return the time left in words, from the part that is done."""
        elapsed = time.monotonic() - self._start
        if not self.clips:
            return "?"
        return str(timedelta(seconds=round(elapsed * max(0.0, self.total / self.clips - 1))))


class _Lines(SumOfShards):
    def __init__(self, title: str, total: int) -> None:
        super().__init__(title, total)
        self._last = self._start

    def show(self) -> None:
        if time.monotonic() - self._last >= PLAIN_INTERVAL_SECONDS:
            self._last = time.monotonic()
            sys.stderr.write(
                f"{self.title}: {self.clips:.1f} of {self.total} sequences, {self.rate:.1f} frames/s, "
                f"{self.remaining()} left\n"
            )


@contextmanager
def batch_progress(title: str, total: int) -> Iterator[SumOfShards]:
    """Show how far a batch is while the block runs, on standard error."""
    if not sys.stderr.isatty():
        yield _Lines(title, total)
        return
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.TextColumn("{task.completed:.1f}/{task.total} sequences"),
        bar.TextColumn("{task.fields[rate]:.1f} frames/s"),
        bar.TextColumn("{task.fields[left]} left"),
    )
    with bar.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, rate=0.0, left="?")

        class _Bar(SumOfShards):
            def show(self) -> None:
                shown.update(task, completed=self.clips, rate=self.rate, left=self.remaining())

        yield _Bar(title, total)


def follow(
    name: str, left: int, events: Iterable[tuple[Shard, Any]], problem_of: Callable[[Shard, Any], list[str]]
) -> list[str]:
    """Show the progress of all shards of one tracker until they are done; return what went wrong.

    Args:
        name: Of the tracker.
        left: Sequences or runs that are still to do.
        events: What the shards tell.
        problem_of: Returns the problem that an event tells of, if it does.

    Raises:
        typer.Exit: The user pressed Ctrl-C; what was finished is kept.
    """
    problems: list[str] = []
    with batch_progress(name, left) as progress:
        try:
            for shard, event in events:
                problems += problem_of(shard, event)
                if isinstance(event, BatchProgress):
                    progress.update(shard, event)
        except KeyboardInterrupt as error:
            sys.stderr.write("stopped; the same command goes on where it was\n")
            raise typer.Exit(130) from error
    return problems
