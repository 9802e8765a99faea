"""An engine works only in the process that loaded it, since a forked process lacks its threads."""

import os

from starktrack.errors import DeviceError


class OwnProcess:
    """The process in which an engine was made.

    Example:
        >>> OwnProcess().check()
    """

    def __init__(self) -> None:
        self._number = os.getpid()

    def check(self) -> None:
        """Refuse any other process, in which the engine would deadlock.

        Raises:
            DeviceError: This is a process that was forked after the engine was made.
        """
        if os.getpid() != self._number:
            raise DeviceError(
                "an engine must be used in the process that loaded it, got a forked one; call starktrack.load there, "
                "or start processes with multiprocessing.get_context('spawn')"
            )
