"""Divides work among processes and machines."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starktrack.errors import ConfigError


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 0) of `count` equal parts."""

    index: int
    count: int

    def of(self, names: Sequence[str]) -> list[str]:
        """Return every `count`-th name: the same in every process, whatever is finished."""
        return list(names[self.index :: self.count])


def local_shards(workers: int, environment: Mapping[str, str]) -> list[Shard]:
    """Return the shards of this process, one per worker.

    Args:
        workers: Processes that this one may use.
        environment: RANK and WORLD_SIZE, where `torchrun` set them, divide the work among machines first.

    Raises:
        ConfigError: RANK or WORLD_SIZE is no number, or they do not fit.
    """
    try:
        rank, world = int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
    except ValueError as error:
        raise ConfigError(f"RANK and WORLD_SIZE must be whole numbers: {error}; unset them") from error
    if not 0 <= rank < world:
        raise ConfigError(f"RANK must be from 0 to WORLD_SIZE - 1, got {rank} of {world}; unset them")
    return [Shard(rank * workers + index, world * workers) for index in range(workers)]


def threads_each(workers: int) -> int:
    """Return how many threads each of several workers may use on this machine."""
    return max(1, (os.cpu_count() or 1) // workers)
