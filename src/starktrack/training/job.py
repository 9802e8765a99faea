"""A training run with its inputs, outputs and callbacks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from starktrack.config.schema import Config
from starktrack.config.training import Recipe, StageConfig
from starktrack.training.batch_source import BatchSource
from starktrack.training.distributed import ALONE, Processes
from starktrack.training.metrics_log import Record

Validate = Callable[[Mapping[str, Tensor], Config], Iterable[tuple[float, float]]]
"""Tracks this process's share of the validation sequences with weights and a configuration. Yields each sequence's mean
overlap and success (area under the curve) after it is tracked."""


@dataclass(frozen=True)
class Job:
    """A run with its inputs, outputs and callbacks.

    Attributes:
        recipe: Network, data sets, stages and settings.
        out: Folder for checkpoints, metrics log, pictures and weights.
        device: Where the network runs.
        open_batches: Gives a stage's samples.
        processes: The processes that share the work.
        validate: Scores weights, or None.
        teacher: The network to distil, or None.
        callback: Called with every record of the metrics log.
    """

    recipe: Recipe
    out: Path
    device: torch.device
    open_batches: Callable[[StageConfig], BatchSource]
    processes: Processes = ALONE
    validate: Validate | None = None
    teacher: nn.Module | None = None
    callback: Callable[[Record], None] | None = None

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the checkpoints."""
        return self.out / "checkpoints"

    @property
    def weights(self) -> Path:
        """Return the file of the final weights."""
        return self.out / "weights.safetensors"

    @property
    def recipe_file(self) -> Path:
        """Return the file with the recipe of the run."""
        return self.out / "recipe.json"

    @property
    def micro_batches_per_step(self) -> int:
        """Return how many micro-batches of a step this process computes."""
        return self.recipe.run.batch_size // (self.recipe.run.micro_batch * self.processes.count)

    def micro_batch_index(self, step: int, number: int) -> int:
        """Return the index in the epoch, over all processes, of this process's `number`-th micro-batch of a step."""
        return (step * self.micro_batches_per_step + number) * self.processes.count + self.processes.rank
