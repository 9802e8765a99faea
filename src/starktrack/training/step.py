"""One optimiser step: micro-batches in, gradients, clipping, new weights.

Convention: a step has the same micro-batches for any number of processes. Each micro-batch has its own random numbers
(dropout) and batch statistics; gradients and running statistics are averaged. So neither the number of processes nor a
restart changes a run, except for the order in which floats are added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from starktrack.config.training import Recipe, StageConfig
from starktrack.data.samples.batch import Batch
from starktrack.kinds import kind_of
from starktrack.models.folding import fold_backbones
from starktrack.training.distributed import (
    Processes,
    average_,
    replicate,
    without_exchange,
)
from starktrack.training.job import Job
from starktrack.training.losses import LossTerms
from starktrack.training.optim import build_optimiser
from starktrack.training.resolution import at_resolution
from starktrack.training.trainable import prepare

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class StepResult:
    """The measurements of a step.

    Attributes:
        losses: Loss of each of this process's micro-batches.
        terms: Mean of every term over this process's micro-batches.
        gradient_norm: Norm before clipping, over all processes.
    """

    losses: Sequence[Tensor]
    terms: dict[str, Tensor]
    gradient_norm: Tensor


class Trainer:
    """A network and its optimiser; every stage has its own."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        stage: StageConfig,
        *,
        device: torch.device,
        processes: Processes,
        teacher: nn.Module | None = None,
    ) -> None:
        prepare(fold_backbones(network), stage)
        self.kind, self.network, self.teacher = kind_of(recipe.config), network, teacher
        self.recipe, self.stage = recipe, stage
        self.device, self.processes = device, processes
        self.optimiser = build_optimiser(network, stage.optim)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.run.precision == "fp16")
        self.trainable = [p for group in self.optimiser.param_groups for p in group["params"]]
        self._replica = replicate(network, processes)
        trained = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
        self._statistics = [m.get_buffer(name) for m in trained for name in ("running_mean", "running_var")]

    @classmethod
    def of(cls, job: Job, network: nn.Module, stage: StageConfig) -> "Trainer":
        """Return the trainer of a stage of a run, at that stage's resolution."""
        return cls(
            at_resolution(network, job.recipe, stage),
            job.recipe,
            stage,
            device=job.device,
            processes=job.processes,
            teacher=job.teacher,
        )

    def step(self, micro_batches: Sequence[Batch], seeds: Iterable[int]) -> StepResult:
        """Take one optimiser step on this process's micro-batches, each with its own seed.

        If a loss or the gradient is not finite, the weights do not change; in fp16 the scaler handles such gradients.
        """
        before: list[Tensor] = []
        after = self._statistics
        if len(micro_batches) > 1:  # else the statistics of the one micro-batch are those of the step
            before = [statistic.clone() for statistic in self._statistics]
            after = [torch.zeros_like(statistic, dtype=torch.float32) for statistic in self._statistics]
        losses = []
        for number, (batch, seed) in enumerate(zip(micro_batches, seeds, strict=True), start=1):
            # Statistics of batch norm start alike in each micro-batch and are averaged, and the seed belongs to the
            # micro-batch: so a step is the same however many processes share it.
            if before:
                _restore(self._statistics, before)
            torch.manual_seed(seed)
            # Gradients add up, so they are exchanged once, with the last micro-batch.
            with without_exchange(self._replica, active=number < len(micro_batches)):
                loss = self.loss(batch)
                self.scaler.scale(loss.total / len(micro_batches)).backward()
            if before:
                for total, statistic in zip(after, self._statistics, strict=True):
                    total += statistic / len(micro_batches)
            losses.append(loss)
        average_(after, self.processes)
        if before:
            _restore(self._statistics, after)
        norm = self._update([loss.total.detach() for loss in losses])
        terms = {name: torch.stack([loss.terms[name] for loss in losses]).mean() for name in losses[0].terms}
        return StepResult([loss.total.detach() for loss in losses], terms, norm)

    def loss(self, batch: Batch) -> LossTerms:
        """Return the loss of one micro-batch."""
        precision = self.recipe.run.precision
        with torch.autocast(self.device.type, _DTYPES.get(precision), enabled=precision in _DTYPES):
            return self.kind.loss(self._replica, batch, self.recipe, self.stage, self.teacher)

    def _update(self, losses: Sequence[Tensor]) -> Tensor:
        self.scaler.unscale_(self.optimiser)
        limit = self.stage.optim.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.trainable, limit)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimiser)
            self.scaler.update()
        elif torch.isfinite(norm) and torch.isfinite(torch.stack(list(losses))).all():
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return norm.detach()


def _restore(statistics: list[Tensor], values: list[Tensor]) -> None:
    for statistic, value in zip(statistics, values, strict=True):
        statistic.copy_(value)
