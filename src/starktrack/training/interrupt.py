"""Being asked to end: the request is noted, and obeyed where nothing is lost."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Whether the process was asked to end; `signal` is the number of the request, or 0."""

    def __init__(self) -> None:
        self.signal = 0

    @classmethod
    @contextmanager
    def listening(cls) -> "Iterator[Stop]":
        """Take note of SIGTERM and SIGINT instead of dying of them; a second one is obeyed at once."""
        stop = cls()
        before = {number: signal.signal(number, stop._note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if self.signal:
            raise SystemExit(128 + number)
        self.signal = number
