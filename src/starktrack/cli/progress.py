"""Progress of a verb: a bar with frames per second on a terminal, plain lines otherwise."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PLAIN_INTERVAL_SECONDS = 10.0


class Progress:
    """Counts frames; how it shows them is up to the subclass."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self.count = 0
        self._start = time.perf_counter()

    @property
    def frames_per_second(self) -> float:
        """Return the mean rate so far, frames per second."""
        return self.count / max(time.perf_counter() - self._start, 1e-9)

    def advance(self) -> None:
        """Count one more frame."""
        self.count += 1


class _Lines(Progress):
    def __init__(self, total: int | None) -> None:
        super().__init__(total)
        self._last = self._start

    def advance(self) -> None:
        super().advance()
        now = time.perf_counter()
        if now - self._last >= PLAIN_INTERVAL_SECONDS:
            self._last = now
            of = f" of {self.total}" if self.total else ""
            sys.stderr.write(f"frame {self.count}{of}, {self.frames_per_second:.1f} frames/s\n")


@contextmanager
def frame_progress(total: int | None, title: str) -> Iterator[Progress]:
    """Show how many frames are done while the block runs, on standard error."""
    if not sys.stderr.isatty():
        yield _Lines(total)
        return
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.MofNCompleteColumn(),
        bar.TextColumn("{task.fields[rate]} frames/s"),
        bar.TimeRemainingColumn(),
    )
    with bar.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, rate="-")

        class _Bar(Progress):
            def advance(self) -> None:
                super().advance()
                shown.update(task, completed=self.count, rate=f"{self.frames_per_second:.1f}")

        yield _Bar(total)
