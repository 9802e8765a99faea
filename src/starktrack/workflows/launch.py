"""The processes of one `torchrun` that share a command: they start together, and the first speaks for all.

Without `torchrun` there is one process, which speaks for itself.
"""

import os
import time
from collections.abc import Callable, Sequence

from starktrack.tracking.sharding import POLL_SECONDS


def is_launched() -> bool:
    """Return whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first() -> bool:
    """Return whether this process prints the result."""
    return os.environ.get("RANK", "0") == "0"


def meet() -> None:
    """Return when every process of the launch has come here; `torchrun` ends us where one dies before.

    What each has removed before is gone for all afterwards: whatever lies there later is of this run.
    """
    if not is_launched():
        return
    import torch
    from torch import distributed

    from starktrack.training.distributed import joined, processes_of_environment

    processes = processes_of_environment()
    with joined(processes, torch.device("cpu")):
        if processes.count > 1:
            distributed.barrier()


def wait_for_others(is_over: Callable[[str], bool], names: Sequence[str]) -> None:
    """Return when everything is over; `torchrun` ends us where another process dies."""
    for name in names:
        while not is_over(name):
            time.sleep(POLL_SECONDS)


def ends_badly(problems: Sequence[str], is_unfinished: Callable[[], bool]) -> bool:
    """Return whether this process must exit with an error.

    torchrun ends every process when one exits with an error; the first, which ends last, does so for all.

    Args:
        problems: What went wrong here.
        is_unfinished: Tells the first process whether anything is undone, whoever had to do it.
    """
    return is_first() and is_unfinished() if is_launched() else bool(problems)
