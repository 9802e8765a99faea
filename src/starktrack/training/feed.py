"""Where a stage's micro-batches come from: the loader, in the order that the epoch and the step say."""

from collections.abc import Callable, Iterator

import torch

from starktrack.config.training import Recipe, StageConfig
from starktrack.data.batch import Batch
from starktrack.data.loader import BatchKeys
from starktrack.data.sample import Samples
from starktrack.data.sampling import Mixture
from starktrack.training.batches import finish, load_batches
from starktrack.training.distributed import Processes

Feed = Callable[[int, int], Iterator[Batch]]
"""Called with an epoch (over all stages) and a step, yields this process's micro-batches from there to the
end of the epoch: micro-batch `n` of all processes holds samples `n * micro_batch` onwards, and falls to
process `n % count`."""


def loader_feed(
    mixture: Mixture, recipe: Recipe, stage: StageConfig, *, device: torch.device, processes: Processes
) -> Feed:
    """Return the feed that reads a stage's samples with worker processes."""
    run, model = recipe.run, recipe.config.model
    keys = BatchKeys(
        run.steps_per_epoch * run.batch_size,
        run.micro_batch * processes.count,
        processes.rank,
        processes.count,
    )
    samples = Samples(mixture, model, stage.data, run.seed)
    loader = load_batches(samples, keys, stage.data.loader, device)
    per_step = run.batch_size // (run.micro_batch * processes.count)

    def feed(epoch: int, step: int) -> Iterator[Batch]:
        keys.begin(epoch, step * per_step)
        for raw in loader:
            yield finish(raw, device, model.geometry)

    return feed
