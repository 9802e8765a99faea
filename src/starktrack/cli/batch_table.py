"""Progress of a batch on standard error: a live table on a terminal, a line every ten seconds otherwise."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from starktrack.cli.progress import PLAIN_INTERVAL_SECONDS, time_left
from starktrack.cli.tables import print_error
from starktrack.errors import printable

if TYPE_CHECKING:
    from starktrack.workflows.batch import BatchStatus

MOST_WORKERS = 16
"""Workers that have a row; the table counts the others."""


class BatchTable:
    """A callback that shows the status of a batch; use it in a `with` block."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._start = self._last_line = time.monotonic()
        self._status: BatchStatus | None = None
        self._live: Any = None
        self._num_failures = 0

    @property
    def is_live(self) -> bool:
        """Whether the status is a table on a terminal, rather than lines."""
        return self._live is not None

    @property
    def speed(self) -> str:
        """Return the frames of this run and their rate."""
        frames = self._status.frames if self._status else 0
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{frames} frames in {seconds:.0f} s, {frames / seconds:.1f} frames/s"

    def __enter__(self) -> "BatchTable":
        """Open the table on a terminal."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the table; after a stopped run print how to resume it."""
        if self._live is not None:
            self._live.stop()
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write("stopped; the same command goes on where it was\n")

    def __call__(self, status: "BatchStatus") -> None:
        """Show the status of the batch."""
        self._status = status
        if self._live is not None:
            self._live.update(self._table(status))
            return
        # Without a table every failure is a line of its own, when it happens.
        new, self._num_failures = status.failed - self._num_failures, status.failed
        for name, reason in status.failures[-new:] if new else ():
            print_error(f"failed: {name}: {reason}")
        now = time.monotonic()
        if now - self._last_line >= PLAIN_INTERVAL_SECONDS:
            self._last_line = now
            sys.stderr.write(f"{self._title}: {self._line(status)}\n")

    def _line(self, status: "BatchStatus") -> str:
        left = time_left(time.monotonic() - self._start, status.done + status.failed, status.total)
        before = f" ({status.finished_before} before)" if status.finished_before else ""
        return f"{status.done} of {status.total} videos{before}, {status.failed} failed, {self.speed}, {left} left"

    def _table(self, status: "BatchStatus") -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table("worker", "video", box=None, pad_edge=False)
        table.columns[1].overflow = "fold"
        for number, name in list(status.running.items())[:MOST_WORKERS]:
            table.add_row(str(number), Text(printable(name)))
        hidden = len(status.running) - MOST_WORKERS
        if hidden > 0:
            table.add_row("", f"and {hidden} more")
        failures = [
            Text(printable(f"failed: {name}: {reason}"), style="red") for name, reason in status.failures
        ]
        bar = ProgressBar(total=max(1, status.total), completed=status.done + status.failed, width=60)
        return Group(Text(self._title, style="bold"), bar, Text(self._line(status)), table, *failures)
