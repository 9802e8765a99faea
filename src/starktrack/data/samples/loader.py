"""Batches of samples, read by worker processes; the samples of a batch do not depend on the processes.

Batch `step` of an epoch holds samples `step * batch_size` onwards; each rank takes its share of every batch.
"""

import atexit
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import active_children
from typing import TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from starktrack.config.data import LoaderConfig
from starktrack.data.samples.sample import Sample, Samples
from starktrack.errors import ConfigError

T = TypeVar("T")


@dataclass
class BatchKeys:
    """The samples that this rank reads, batch after batch; `begin` sets the epoch and the first step.

    Attributes:
        num_samples: Samples per epoch; an incomplete last batch is dropped.
        batch_size: Samples per batch over all ranks.
        rank: This process, from 0.
        num_ranks: How many processes share each batch.
    """

    num_samples: int
    batch_size: int
    rank: int = 0
    num_ranks: int = 1
    epoch: int = 0
    first_step: int = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.num_ranks:
            raise ConfigError(
                f"batch_size must be a multiple of the {self.num_ranks} processes, got {self.batch_size}; "
                f"use {-(-self.batch_size // self.num_ranks) * self.num_ranks}"
            )
        if self.num_samples < self.batch_size:
            raise ConfigError(
                f"an epoch must hold at least one batch of {self.batch_size}, got {self.num_samples} samples"
            )

    def begin(self, epoch: int, first_step: int = 0) -> None:
        """Set what the next iteration yields: the batches of this epoch from `first_step` on."""
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        """Return how many batches the next iteration yields."""
        return self.num_samples // self.batch_size - self.first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield this rank's (epoch, index) pairs of each batch."""
        share = self.batch_size // self.num_ranks
        for step in range(self.first_step, self.num_samples // self.batch_size):
            start = step * self.batch_size + self.rank * share
            yield [(self.epoch, index) for index in range(start, start + share)]


def make_loader(
    samples: Samples,
    keys: BatchKeys,
    config: LoaderConfig,
    *,
    collate: Callable[[list[Sample]], T],
    pin_memory: bool,
) -> DataLoader[T]:
    """Return the loader of joined samples; `keys.begin` sets the epoch of each pass over it.

    Workers live on between epochs, and each uses one thread.
    """
    atexit.unregister(_end_workers)  # so that it is registered once
    atexit.register(_end_workers)
    # PyTorch takes the type of what a loader gives from the dataset, and not from `collate_fn`.
    return DataLoader(  # pyright: ignore[reportReturnType]
        _Samples(samples),
        batch_sampler=keys,
        num_workers=config.num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        worker_init_fn=_use_one_thread,
        persistent_workers=config.num_workers > 0,
        prefetch_factor=config.prefetch if config.num_workers else None,
    )


SECONDS_TO_SAVE = 300
"""Seconds until a worker ends after a signal; a second signal ends it at once."""

SECONDS_TO_END = 10
"""Seconds in which workers are ended, when the training process has ended with an error."""


@dataclass(frozen=True)
class _Samples(Dataset[Sample]):
    samples: Samples

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        return self.samples[key]


def _use_one_thread(worker: int) -> None:
    # Ctrl-C and job schedulers signal every process of a run; workers continue until the training process has saved.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _give_time_to_save)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _end_workers() -> None:
    """End the workers that an error left alive; Python itself would signal them once, and wait for them."""
    workers = [process for process in active_children() if process.daemon]
    if workers:
        # PyTorch's handler would report each of them as an error of its own.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    deadline = time.monotonic() + SECONDS_TO_END
    while workers and time.monotonic() < deadline:
        for process in workers:
            process.terminate()
        for process in workers:  # a worker in the middle of a picture takes two signals for one
            process.join(0.2)
        workers = [process for process in workers if process.is_alive()]


def _give_time_to_save(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(SECONDS_TO_SAVE)
