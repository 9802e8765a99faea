"""A pipe whose reads end when it is cancelled or interrupted, even while nothing comes."""

import select
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.2
"""How late a read that waits sees that it was cancelled."""


class Pipe:
    """A pipe that FFmpeg reads through Python, because FFmpeg's own reading of a silent pipe cannot be ended.

    Args:
        path: A named pipe, or standard input where that is one.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._is_cancelled = False
        self._interrupt: KeyboardInterrupt | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Return what came; nothing at the end, and once it was cancelled or interrupted."""
        try:
            poll = select.poll()
            poll.register(self._file, select.POLLIN)
            while not self._is_cancelled:
                if poll.poll(1000 * _POLL_SECONDS):
                    return self._file.read(size)
        except KeyboardInterrupt as interrupt:
            # PyAV, which calls this, drops what is no Exception: `raise_interrupt` brings it to light.
            self._interrupt, self._is_cancelled = interrupt, True
        return b""

    def cancel(self) -> None:
        """End the video here, also for a thread that waits in `read`."""
        self._is_cancelled = True

    def close(self) -> None:
        """Close the file; no thread may read it any more."""
        self._file.close()

    def raise_interrupt(self) -> None:
        """Raise the interrupt that ended a read.

        Raises:
            KeyboardInterrupt: There was one.
        """
        if self._interrupt is not None:
            raise self._interrupt

    def interruptible(self, items: Generator[Item, None, None]) -> Generator[Item, None, None]:
        """Yield what is made of the pipe.

        Raises:
            KeyboardInterrupt: An interrupt came while `read` waited.
        """
        try:
            while True:
                try:
                    item = next(items, None)
                finally:
                    self.raise_interrupt()
                if item is None:
                    return
                yield item
        finally:
            items.close()
