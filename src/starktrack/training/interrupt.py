"""Signals that ask a run to stop: recorded, agreed on by all processes, and handled at a checkpoint."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Whether a signal asked this process to stop, and whether all processes agreed to stop.

    A signal may reach one process alone and at any moment. A process that stopped at once would leave the others
    waiting for it. So the loop reads `agreed`, which changes only in an exchange of all processes.

    Attributes:
        requested: Number of the signal that this process received, or 0.
        agreed: Number of the signal on which all processes stop, or 0.
    """

    def __init__(self) -> None:
        self.requested = 0
        self.agreed = 0

    @classmethod
    @contextmanager
    def listening(cls) -> "Iterator[Stop]":
        """Record SIGTERM, SIGINT and SIGHUP in place of their default action; a second signal ends the process.

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
        """Agree to stop if any process reported a signal in the exchange that summed `num_requests`."""
        if num_requests:
            self.agreed = self.requested or signal.SIGTERM

    def _note(self, number: int, frame: object) -> None:
        if self.requested:
            raise SystemExit(128 + number)
        self.requested = number
