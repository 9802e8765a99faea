"""Estimates the memory and time of a run from one micro-batch."""

import statistics
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from starktrack.data.samples.batch import Batch
from starktrack.training.job import Job
from starktrack.training.step import Trainer

MAX_STEPS = 5
"""Most steps to time, after one step of warm-up."""

MAX_SECONDS = 10.0
"""Time after which no further step is timed: one step of a large network on a CPU is enough."""


@dataclass(frozen=True)
class Estimate:
    """Memory and time of one stage in each process.

    Attributes:
        num_parameters: Parameters of the network.
        num_trainable: Parameters that the stage trains.
        state_bytes: Weights, gradients, moments and averages; the teacher's weights.
        activation_bytes: Activations of one micro-batch, kept for its backward pass.
        step_seconds: Time of one sample in the network, forward and backward.
        load_seconds: Time of one sample in the loader, by one worker.
    """

    num_parameters: int
    num_trainable: int
    state_bytes: int
    activation_bytes: int
    step_seconds: float
    load_seconds: float


def estimate_stage(job: Job, network: nn.Module, stage_name: str) -> Estimate:
    """Return the memory and time of a stage; the network's weights change."""
    stage = job.recipe.stages[stage_name]
    trainer = Trainer.of(job, network, stage)
    loader = replace(stage.data.loader, num_workers=0)
    batches = job.open_batches(replace(stage, data=replace(stage.data, loader=loader)))
    next(batches(0, 0))  # opens files, so it is not timed
    before = time.perf_counter()
    batch = next(batches(1, 0))
    load_seconds = (time.perf_counter() - before) / len(batch)
    _timed(job, trainer, batch)
    seconds: list[float] = []
    while not seconds or (len(seconds) < MAX_STEPS and sum(seconds) < MAX_SECONDS):
        seconds.append(_timed(job, trainer, batch))
    weights, taught = (
        0 if each is None else sum(value.nbytes for value in each.state_dict().values())
        for each in (trainer.network, job.teacher)
    )
    gradients_and_moments = 3 * sum(parameter.nbytes for parameter in trainer.trainable)
    average = weights if stage.optim.ema_decay else 0
    return Estimate(
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        num_trainable=sum(parameter.numel() for parameter in trainer.trainable),
        state_bytes=weights + taught + gradients_and_moments + average,
        activation_bytes=_kept_bytes(trainer, batch),
        step_seconds=statistics.median(seconds) / len(batch),
        load_seconds=load_seconds,
    )


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


def _timed(job: Job, trainer: Trainer, batch: Batch) -> float:
    _synchronise(job.device)
    before = time.perf_counter()
    trainer.step([batch], [0])
    _synchronise(job.device)
    return time.perf_counter() - before


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
