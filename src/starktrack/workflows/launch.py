"""The processes of one `torchrun` that share a command: they start together, and the first prints the result.
Without `torchrun` there is one process.
"""

import os


def is_launched() -> bool:
    """Return whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first() -> bool:
    """Return whether this process prints the result."""
    return os.environ.get("RANK", "0") == "0"


def meet() -> None:
    """Wait for every process of the launch; if one dies before, `torchrun` ends the others.

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
