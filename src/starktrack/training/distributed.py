"""The processes of a run, and their sums and averages.

`torchrun` starts the processes, and starts all of them again after one fails.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Attributes:
        rank: This process, from 0.
        count: How many there are.
        local_rank: This process among those of its machine, from 0; its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Return whether this process writes checkpoints and the metrics log."""
        return self.rank == 0


PATIENCE = timedelta(hours=1)
"""Time limit for waiting on other processes, which may be validating or writing a checkpoint."""

ALONE = Processes()
"""The only process of a run."""


def processes_of_environment() -> Processes:
    """Return the processes that torchrun started; without it, one process."""
    return Processes(
        rank=int(os.environ.get("RANK", "0")),
        count=int(os.environ.get("WORLD_SIZE", "1")),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
    )


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """Keep the processes connected: NCCL between GPUs, else gloo; nothing to do for one process."""
    if processes.count == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def first_then_others(processes: Processes) -> Iterator[None]:
    """Run the block in the first process of each machine, then in its other processes.

    So the first one fills the caches for the others.
    """
    if processes.count > 1 and processes.local_rank > 0:
        distributed.barrier()
    yield
    if processes.count > 1 and processes.local_rank == 0:
        distributed.barrier()


def replicate(network: nn.Module, processes: Processes) -> nn.Module:
    """Return the network with its gradients averaged over processes in each synchronised backward pass.

    It does not exchange buffers; `average_` averages batch statistics once per step.
    """
    if processes.count == 1:
        return network
    return DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)


@contextmanager
def without_exchange(network: nn.Module, active: bool) -> Iterator[None]:
    """Add up gradients of backward passes without an exchange between processes, if `active`."""
    if active and isinstance(network, DistributedDataParallel):
        with network.no_sync():
            yield
    else:
        yield


def add_up(values: Tensor, processes: Processes) -> Tensor:
    """Return the sum over processes; every process gets the same."""
    if processes.count > 1:
        distributed.all_reduce(values)
    return values


def from_first(value: int, processes: Processes, device: torch.device) -> int:
    """Return the first process's value; every process gets the same."""
    shared = torch.tensor([value], device=device)
    if processes.count > 1:
        distributed.broadcast(shared, 0)
    return int(shared)


def average_(tensors: list[Tensor], processes: Processes) -> None:
    """Replace each tensor by its mean over processes, in one exchange."""
    if processes.count == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    parts = (flat / processes.count).split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))
