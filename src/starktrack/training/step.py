"""One optimiser step: micro-batches in, gradients, clipping, new weights.

Convention: a step sees the same micro-batches however many processes share them, each with its own random
numbers (dropout) and its own batch statistics; gradients and running statistics are averaged. So neither the
number of processes nor a restart changes a run, up to the order in which floats are added.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from starktrack.config.training import DistillationConfig, Recipe, StageConfig
from starktrack.data.samples.batch import Batch
from starktrack.models.folding import fold_backbones
from starktrack.models.refine import RefineOutput
from starktrack.models.stark import StarkOutput
from starktrack.training.distill import add_distillation
from starktrack.training.distributed import (
    Processes,
    average_,
    replicate,
    without_exchange,
)
from starktrack.training.joint import joint_loss
from starktrack.training.losses import LossTerms, box_loss, score_loss
from starktrack.training.optim import build_optimiser
from starktrack.training.refine_loss import refine_loss
from starktrack.training.trainable import prepare

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class StepResult:
    """What a step did.

    Attributes:
        losses: Loss of each of this process's micro-batches.
        terms: Mean of every term over this process's micro-batches.
        gradient_norm: Before clipping, over all processes.
    """

    losses: Sequence[Tensor]
    terms: dict[str, Tensor]
    gradient_norm: Tensor


class Trainer:
    """A network, its optimiser and how they take a step; made anew for every stage."""

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
        self.network, self.teacher = network, teacher
        self.recipe, self.stage = recipe, stage
        self.device, self.processes = device, processes
        self.optimiser = build_optimiser(network, stage.optim)
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.run.precision == "fp16")
        self.trainable = [p for group in self.optimiser.param_groups for p in group["params"]]
        self._replica = replicate(network, processes)
        self._statistics = _running_statistics(network)

    def step(self, micro_batches: Sequence[Batch], seeds: Iterable[int]) -> StepResult:
        """Take one optimiser step on this process's micro-batches, each with its own seed.

        Weights stay as they were where a loss or (but for fp16, which expects it) the gradient is not finite.
        """
        before = [statistic.clone() for statistic in self._statistics]
        after = [torch.zeros_like(statistic, dtype=torch.float32) for statistic in self._statistics]
        losses = []
        for number, (batch, seed) in enumerate(zip(micro_batches, seeds, strict=True), start=1):
            _restore(self._statistics, before)
            torch.manual_seed(seed)
            with without_exchange(self._replica, active=number < len(micro_batches)):
                loss = self.loss(batch)
                self.scaler.scale(loss.total / len(micro_batches)).backward()
            for total, statistic in zip(after, self._statistics, strict=True):
                total += statistic / len(micro_batches)
            losses.append(loss)
        average_(after, self.processes)
        _restore(self._statistics, after)
        norm = self._update([loss.total.detach() for loss in losses])
        return StepResult([loss.total.detach() for loss in losses], _mean_terms(losses), norm)

    def loss(self, batch: Batch) -> LossTerms:
        """Return the loss of one micro-batch."""
        with self._autocast():
            output = forward(self._replica, batch)
            if batch.outlines is not None:
                return refine_loss(output, batch.box_cxcywh, batch.outlines, self.stage.loss)
            if self.stage.trains == "score":
                return score_loss(output.score_logit, batch.label)
            cell_offset = self.recipe.config.model.box_head.cell_offset
            if self.stage.trains == "joint":
                return joint_loss(
                    output, batch.box_cxcywh, batch.label, self.stage.loss, cell_offset, batch.others
                )
            loss = box_loss(output, batch.box_cxcywh, self.stage.loss, cell_offset, batch.others)
            return (
                loss if self.teacher is None else self._taught(loss, output, batch, self.recipe.distillation)
            )

    def _taught(
        self, loss: LossTerms, output: StarkOutput, batch: Batch, weights: DistillationConfig
    ) -> LossTerms:
        with torch.no_grad():
            taught = forward(self.teacher, batch)
        return add_distillation(loss, output, taught, weights)

    def _autocast(self) -> AbstractContextManager:
        precision = self.recipe.run.precision
        return torch.autocast(self.device.type, _DTYPES.get(precision), enabled=precision in _DTYPES)

    def _update(self, losses: Sequence[Tensor]) -> Tensor:
        self.scaler.unscale_(self.optimiser)
        limit = self.stage.optim.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.trainable, limit)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimiser)
            self.scaler.update()
        elif torch.isfinite(norm) and torch.isfinite(torch.stack(losses)).all():
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return norm.detach()


def forward(network: nn.Module, batch: Batch) -> StarkOutput | RefineOutput:
    """Return what a network says of a batch; batches with outlines are a refiner's."""
    if batch.outlines is not None:
        return network(batch.templates[:, 0], batch.outlines.template_boxes, batch.search)
    return network(batch.templates, batch.template_masks, batch.search, batch.search_mask)


def _running_statistics(network: nn.Module) -> list[Tensor]:
    trained = (m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.training)
    return [statistic for module in trained for statistic in (module.running_mean, module.running_var)]


def _restore(statistics: list[Tensor], values: list[Tensor]) -> None:
    for statistic, value in zip(statistics, values, strict=True):
        statistic.copy_(value)


def _mean_terms(losses: Sequence[LossTerms]) -> dict[str, Tensor]:
    return {name: torch.stack([loss.terms[name] for loss in losses]).mean() for name in losses[0].terms}
