"""Progress of a verb: a bar with frames per second on a terminal, plain lines otherwise."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PLAIN_INTERVAL_SECONDS = 10.0


class Progress:
    """Counts frames, or whatever the unit is; how it shows them is up to the subclass."""

    def __init__(self, total: int | None, unit: str = "frame") -> None:
        self.total = total
        self.unit = unit
        self.count = 0
        self._start = time.perf_counter()

    @property
    def per_second(self) -> float:
        """Return the mean rate so far."""
        return self.count / max(time.perf_counter() - self._start, 1e-9)

    def advance(self) -> None:
        """Count one more."""
        self.count += 1


class _Lines(Progress):
    def __init__(self, total: int | None, unit: str) -> None:
        super().__init__(total, unit)
        self._last = self._start

    def advance(self) -> None:
        super().advance()
        now = time.perf_counter()
        if now - self._last >= PLAIN_INTERVAL_SECONDS:
            self._last = now
            of = f" of {self.total}" if self.total else ""
            sys.stderr.write(f"{self.unit} {self.count}{of}, {self.per_second:.1f} {self.unit}s/s\n")


@contextmanager
def progress_of(total: int | None, title: str, unit: str = "frame") -> Iterator[Progress]:
    """Show how many frames (or whatever the unit is) are done while the block runs, on standard error."""
    if not sys.stderr.isatty():
        yield _Lines(total, unit)
        return
    from rich import progress as bar
    from rich.console import Console

    columns = (
        bar.TextColumn("{task.description}"),
        bar.BarColumn(),
        bar.MofNCompleteColumn(),
        bar.TextColumn(f"{{task.fields[rate]}} {unit}s/s"),
        bar.TimeRemainingColumn(),
    )
    with bar.Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(title, total=total, rate="-")

        class _Bar(Progress):
            def advance(self) -> None:
                super().advance()
                shown.update(task, completed=self.count, rate=f"{self.per_second:.1f}")

        yield _Bar(total, unit)
