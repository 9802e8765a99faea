"""What a run would take: memory and time, measured on a few samples."""

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from starktrack.data.batch import Batch
from starktrack.training.job import Job
from starktrack.training.pictures import first_samples
from starktrack.training.step import Trainer

NUM_MEASURED = 4
"""Samples of a micro-batch that are measured; memory and time are scaled to all of them."""


@dataclass(frozen=True)
class Estimate:
    """What one stage would take in each process.

    Attributes:
        num_parameters: Of the network.
        num_trainable: Of them, those that the stage trains.
        state_bytes: Weights, gradients, moments and averages.
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
    few = first_samples(batch, NUM_MEASURED)
    kept = _kept_bytes(trainer, few) * job.recipe.run.micro_batch // len(few)
    _timed(job, trainer, few)
    return Estimate(
        num_parameters=_count(list(network.parameters())),
        num_trainable=_count(trainer.trainable),
        state_bytes=_state_bytes(network, trainer),
        activation_bytes=kept,
        step_seconds=_timed(job, trainer, few) / len(few),
        load_seconds=load_seconds,
    )


def _load(job: Job, stage_name: str) -> tuple[Batch, float]:
    stage = job.recipe.stages[stage_name]
    loader = replace(stage.data.loader, num_workers=0)
    batches = job.open_feed(replace(stage, data=replace(stage.data, loader=loader)))(0, 0)
    next(batches)
    before = time.perf_counter()
    batch = next(batches)
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


def _timed(job: Job, trainer: Trainer, batch: Batch) -> float:
    _synchronise(job.device)
    before = time.perf_counter()
    trainer.step([batch], [0])
    _synchronise(job.device)
    return time.perf_counter() - before


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _state_bytes(network: nn.Module, trainer: Trainer) -> int:
    weights = sum(value.nbytes for value in network.state_dict().values())
    trained = sum(parameter.nbytes for parameter in trainer.trainable)
    return weights + 3 * trained + (weights if trainer.stage.optim.ema_decay else 0)


def _count(parameters: list[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)
