"""Progress on standard error: a bar on a terminal, a plain line every ten seconds otherwise."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from starktrack.workflows.jobs import JobProgress

PLAIN_INTERVAL_SECONDS = 10.0


def time_left(elapsed: float, done: int | float, total: int) -> str:
    """Return how long the rest takes at the rate so far, in words."""
    return str(timedelta(seconds=round(elapsed * max(0.0, total / done - 1)))) if done else "?"


class Progress:
    """Counts frames or another unit, and shows the count.

    Args:
        show: Shows the count, as a number and in words.
        total: The total, if known.
        unit: The counted unit.
    """

    def __init__(self, show: Callable[[float, str], None], total: int | None, unit: str) -> None:
        self.count = 0
        self._show, self._total, self._unit = show, total, unit
        self._start = time.perf_counter()

    @property
    def per_second(self) -> float:
        """Return the mean rate so far."""
        return self.count / max(time.perf_counter() - self._start, 1e-9)

    def advance(self) -> None:
        """Count one more."""
        self.count += 1
        of = f" of {self._total}" if self._total else ""
        self._show(float(self.count), f"{self._unit} {self.count}{of}, {self.per_second:.1f} {self._unit}s/s")


@contextmanager
def progress_of(total: int | None, title: str, unit: str = "frame") -> Iterator[Progress]:
    """Give a counter and show it while the block runs."""
    with _display(title, total) as show:
        yield Progress(show, total, unit)


class FrameProgress:
    """Shows the frames of a video; is called as `workflows.callbacks.OnFrame` says."""

    def __init__(self) -> None:
        self._bars = ExitStack()
        self._progress = Progress(lambda done, text: None, None, "frame")

    @property
    def rate(self) -> str:
        """Return how many frames were done, and how fast, in words."""
        return f"{self._progress.count} frames, {self._progress.per_second:.1f} frames/s"

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Show a bar before the first frame, and count the others."""
        if done:
            self._progress.advance()
        else:
            self._progress = self._bars.enter_context(progress_of(total, name))

    def __enter__(self) -> "FrameProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.close()


class JobsProgress:
    """A callback of `workflows.jobs.run_jobs` that shows the progress of each job.

    Args:
        finished: Text for a job without unfinished items; a template with the fields of `JobProgress`.
    """

    def __init__(self, finished: str = "") -> None:
        self._finished = finished
        self._title: str | None = None
        self._start = 0.0
        self._bars = ExitStack()
        self._show: Callable[[float, str], None] = lambda done, text: None

    def __call__(self, progress: "JobProgress") -> None:
        """Show the progress of a job."""
        if progress.title != self._title:
            self._bars.close()
            self._title, self._start = progress.title, time.monotonic()
            if not progress.total:
                sys.stderr.write(self._finished.format(progress=progress))
                return
            self._show = self._bars.enter_context(
                _display(progress.title, progress.total, prefix=f"{progress.title}: ")
            )
        elapsed = time.monotonic() - self._start
        rate, left = progress.frames / max(elapsed, 1e-9), time_left(elapsed, progress.items, progress.total)
        done = f"{progress.items:.1f} of {progress.total} sequences"
        self._show(progress.items, f"{done}, {rate:.1f} frames/s, {left} left")

    def __enter__(self) -> "JobsProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the bar; Ctrl-C ends the command with 130, and what was finished is kept."""
        self._bars.close()
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write("stopped; the same command goes on where it was\n")
            raise typer.Exit(130) from error


@contextmanager
def _display(title: str, total: int | None, prefix: str = "") -> Iterator[Callable[[float, str], None]]:
    """Yield the function that shows the count, as a number and in words; plain lines begin with the prefix."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def write(done: float, text: str) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= PLAIN_INTERVAL_SECONDS:
                last = now
                sys.stderr.write(f"{prefix}{text}\n")

        yield write
        return
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.TextColumn("{task.fields[text]}"),
        bar.TimeRemainingColumn(),
    )
    with bar.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, text="")
        yield lambda done, text: shown.update(task, completed=done, text=text)
