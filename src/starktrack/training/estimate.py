"""What a run would take: memory and time, measured on a micro-batch."""

import statistics
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from starktrack.data.samples.batch import Batch
from starktrack.training.job import Job
from starktrack.training.step import Trainer

MAX_STEPS = 5
"""Steps that are timed at the most; the first one, which warms up, is not."""

MAX_SECONDS = 10.0
"""No further step is timed after this long: one of a large network on a CPU says enough."""


@dataclass(frozen=True)
class Estimate:
    """What one stage would take in each process.

    Attributes:
        num_parameters: Of the network.
        num_trainable: Of them, those that the stage trains.
        state_bytes: Weights, gradients, moments and averages; the teacher's weights.
        activation_bytes: What one micro-batch keeps for its backward pass.
        step_seconds: One sample in the network, forward and backward.
        load_seconds: One sample in the loader, by one worker.
    """

    num_parameters: int
    num_trainable: int
    state_bytes: int
    activation_bytes: int
    step_seconds: float
    load_seconds: float


def estimate_stage(job: Job, network: nn.Module, stage_name: str) -> Estimate:
    """Return what a stage would take; the network's weights change."""
    stage = job.recipe.stages[stage_name]
    trainer = Trainer(
        network, job.recipe, stage, device=job.device, processes=job.processes, teacher=job.teacher
    )
    batch, load_seconds = _load(job, stage_name)
    return Estimate(
        num_parameters=_count(list(network.parameters())),
        num_trainable=_count(trainer.trainable),
        state_bytes=_state_bytes(job, trainer),
        activation_bytes=_kept_bytes(trainer, batch),
        step_seconds=_step_seconds(job, trainer, batch) / len(batch),
        load_seconds=load_seconds,
    )


def _load(job: Job, stage_name: str) -> tuple[Batch, float]:
    """Return a micro-batch and the seconds that a sample of it took; the first one opens files, and is not timed."""
    stage = job.recipe.stages[stage_name]
    loader = replace(stage.data.loader, num_workers=0)
    batches = job.open_batches(replace(stage, data=replace(stage.data, loader=loader)))
    next(batches(0, 0))
    before = time.perf_counter()
    batch = next(batches(1, 0))
    return batch, (time.perf_counter() - before) / len(batch)


def _kept_bytes(trainer: Trainer, batch: Batch) -> int:
    own = {parameter.untyped_storage().data_ptr() for parameter in trainer.network.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = trainer.loss(batch)
    del loss
    return sum(sizes.values())


def _step_seconds(job: Job, trainer: Trainer, batch: Batch) -> float:
    """Return the median time of a step."""
    _timed(job, trainer, batch)
    seconds: list[float] = []
    while not seconds or (len(seconds) < MAX_STEPS and sum(seconds) < MAX_SECONDS):
        seconds.append(_timed(job, trainer, batch))
    return statistics.median(seconds)


def _timed(job: Job, trainer: Trainer, batch: Batch) -> float:
    _synchronise(job.device)
    before = time.perf_counter()
    trainer.step([batch], [0])
    _synchronise(job.device)
    return time.perf_counter() - before


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _state_bytes(job: Job, trainer: Trainer) -> int:
    weights, taught = (_bytes_of(network) for network in (trainer.network, job.teacher))
    trained = sum(parameter.nbytes for parameter in trainer.trainable)
    return weights + taught + 3 * trained + (weights if trainer.stage.optim.ema_decay else 0)


def _bytes_of(network: nn.Module | None) -> int:
    return sum(value.nbytes for value in network.state_dict().values()) if network is not None else 0


def _count(parameters: list[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
