"""Where the micro-batches of a stage come from: the loader, in the order of epochs and steps."""

from collections.abc import Callable, Iterator

import torch

from starktrack.config.training import Recipe, StageConfig
from starktrack.data.samples.batch import Batch
from starktrack.data.samples.drawing import Mixture
from starktrack.data.samples.loader import BatchKeys
from starktrack.data.samples.sample import Samples
from starktrack.training.batches import finish, load_batches
from starktrack.training.distributed import Processes

BatchSource = Callable[[int, int], Iterator[Batch]]
"""Called with an epoch (over all stages) and a step, yields this process's micro-batches from there to the
end of the epoch: micro-batch `n` of all processes holds samples `n * micro_batch` onwards, and falls to
process `n % count`."""


def loader_batches(
    mixture: Mixture, recipe: Recipe, stage: StageConfig, *, device: torch.device, processes: Processes
) -> BatchSource:
    """Return the source that reads a stage's samples with worker processes."""
    run, model = recipe.run, recipe.config.model.at_resolution(stage.resolution)
    keys = BatchKeys(
        run.steps_per_epoch * run.batch_size,
        run.micro_batch * processes.count,
        processes.rank,
        processes.count,
    )
    samples = Samples(mixture, model, stage.data, run.seed)
    loader = load_batches(samples, keys, stage.data.loader, device)
    per_step = run.batch_size // (run.micro_batch * processes.count)

    def batches(epoch: int, step: int) -> Iterator[Batch]:
        keys.begin(epoch, step * per_step)
        for raw in loader:
            yield finish(raw, device, model.crops.geometry)

    return batches
