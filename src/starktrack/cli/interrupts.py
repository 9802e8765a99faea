"""Signals that end the command: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

_SECONDS_TO_FINISH = 2.0
"""Signals within this time of the first one are impatience or its copies; a later one is for a command that hangs."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command.

    Attributes:
        exit_code: What the command exits with: 128 and the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` for the first signal: the command finishes its files and ends.

    Further signals are ignored for two seconds; a later one ends the command at once, as without a handler.
    Without a handler the command ends with its exit code. A signal that was ignored before (`nohup`) stays ignored.
    """
    asked_at: float | None = None
    # Checked now, because a closed terminal is no longer a terminal.
    on_terminal = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def stop(number: int, frame: object) -> None:
        nonlocal asked_at
        if asked_at is not None:
            if time.monotonic() - asked_at > _SECONDS_TO_FINISH:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            return
        asked_at = time.monotonic()
        if number == signal.SIGHUP:
            send_to_nowhere(on_terminal)
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    except Interrupted as interrupt:
        raise typer.Exit(interrupt.exit_code) from interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if asked_at is None else signal.SIG_IGN)


def send_to_nowhere(descriptors: Iterable[int]) -> None:
    """Drop further output, because writing to a closed terminal or a full disk is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
