"""Being asked to end: the request is noted, agreed on by all processes, and obeyed where nothing is lost."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Whether this process was asked to end, and whether all processes agreed to.

    A request may come to one process alone and at any moment; a process that obeyed it at once would leave the
    others waiting for it. So the loop looks at `agreed`, which changes only where all processes meet.

    Attributes:
        requested: Number of the signal that this process was sent, or 0.
        agreed: Number of the signal that all processes end on, or 0.
    """

    def __init__(self) -> None:
        self.requested = 0
        self.agreed = 0

    @classmethod
    @contextmanager
    def listening(cls) -> "Iterator[Stop]":
        """Take note of SIGTERM, SIGINT and SIGHUP instead of dying of them; a second one is obeyed at once.

        A signal that was ignored before (`nohup`) stays ignored.
        """
        stop = cls()
        before = {
            number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, stop._note)
        try:
            yield stop
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def agree(self, num_requests: float) -> None:
        """Agree to end where any process said, in the exchange that this number is from, that it was asked."""
        if num_requests:
            self.agreed = self.requested or signal.SIGTERM

    def _note(self, number: int, frame: object) -> None:
        if self.requested:
            raise SystemExit(128 + number)
        self.requested = number
