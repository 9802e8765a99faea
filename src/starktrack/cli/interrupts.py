"""Signals that end the command: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer


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
    """Raise `Interrupted` for the first signal, and ignore further ones: the command finishes its files and ends.

    Without a handler the command ends with its exit code. A signal that was ignored before (`nohup`) stays ignored.
    """
    was_asked = False
    # Checked now, because a closed terminal is no longer a terminal.
    on_terminal = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def stop(number: int, frame: object) -> None:
        nonlocal was_asked
        if was_asked:
            return
        was_asked = True
        if number == signal.SIGHUP:
            _send_to_nowhere(on_terminal)
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
            signal.signal(number, signal.SIG_IGN if was_asked else handler)


def _send_to_nowhere(descriptors: Iterable[int]) -> None:
    """Drop further output, because writing to a closed terminal is an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
