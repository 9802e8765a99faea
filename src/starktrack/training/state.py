"""All values that a run needs to resume bit for bit, and their form as named tensors and JSON.

It holds no random state: every sample and every micro-batch has a seed of its own, derived from
`(seed, epoch, index)`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from starktrack.errors import CheckpointError
from starktrack.models.stark import AUXILIARY
from starktrack.models.weights import fill
from starktrack.training.optim import start_average
from starktrack.training.step import Trainer


@dataclass
class Progress:
    """The position of a run, and its counters.

    Attributes:
        stage: The stage of `epoch`; before the first step of a stage, the stage before it.
        epoch: Over all stages, from 0.
        step: Optimiser steps done in this epoch.
        num_steps: Optimiser steps done in all epochs.
        num_skipped: Number of unreadable samples.
        best: Highest validation score of this stage so far, or None.
        sums: Sums of the measurements of the steps since the last record of the metrics log.
        num_summed: Number of these steps.
        validation_due: Whether the current weights are still to be validated.
        recent_skipped: Number of unreadable samples in each of the latest steps.
        num_overflows: Number of latest steps in a row with a gradient that overflowed in fp16.
    """

    stage: str = ""
    epoch: int = 0
    step: int = 0
    num_steps: int = 0
    num_skipped: int = 0
    best: float | None = None
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0
    validation_due: bool = False
    recent_skipped: list[int] = field(default_factory=list)
    num_overflows: int = 0

    def count_step(self, means: Mapping[str, float], num_recent: int) -> None:
        """Count a step and add its measurements; `num_recent` is the length of `recent_skipped`."""
        self.step, self.num_steps = self.step + 1, self.num_steps + 1
        num_skipped = round(means["skipped"])
        self.num_skipped += num_skipped
        self.recent_skipped = [*self.recent_skipped, num_skipped][-num_recent:]
        self.num_overflows = 0 if math.isfinite(means["gradient_norm"]) else self.num_overflows + 1
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in means.items()}
        self.num_summed += 1

    def read_means(self) -> dict[str, float]:
        """Return the means of the steps since the last call."""
        means = {name: total / self.num_summed for name, total in self.sums.items()}
        self.sums, self.num_summed = {}, 0
        return means


@dataclass(frozen=True)
class Snapshot:
    """The content of a checkpoint."""

    tensors: Mapping[str, Tensor]
    progress: Progress
    scaler: Mapping[str, float | int]


@dataclass
class LoopState:
    """All values of a run that change while it trains.

    Attributes:
        trainer: Network, optimiser and gradient scaler of the current stage.
        average: Averaged weights by name; empty if the stage keeps none.
        progress: The position of the run, and its counters.
    """

    trainer: Trainer
    average: dict[str, Tensor]
    progress: Progress

    def final_weights(self) -> dict[str, Tensor]:
        """Return the weights to validate and to publish: averaged if there are any, without an auxiliary head."""
        return without_auxiliary(self.whole())

    def whole(self) -> dict[str, Tensor]:
        """Return all weights, averaged if there are any."""
        return {**self.trainer.network.state_dict(), **self.average}


def enter_stage(trainer: Trainer, progress: Progress, stage_name: str, saved: Snapshot | None) -> LoopState:
    """Return the state at the start of a stage, or at the position of `saved` in the middle of it.

    A new stage starts from the averaged weights of the stage before.
    """
    network = trainer.network
    if saved is not None and progress.stage == stage_name and trainer.stage.optim.ema_decay:
        own = network.state_dict()
        average = {
            name: torch.empty_like(own[name]).copy_(value)
            for name, value in _below("average.", saved.tensors).items()
        }
    else:
        average = start_average(network) if trainer.stage.optim.ema_decay else {}
    if saved is not None and progress.stage == stage_name:
        _restore_optimiser(trainer, saved)
    if progress.stage != stage_name:
        progress.best = None  # weights of the stage before lack the parts that this one trains
    progress.stage = stage_name
    return LoopState(trainer, average, progress)


def take_snapshot(state: LoopState) -> Snapshot:
    """Return the state of a run as named tensors and plain values."""
    trainer = state.trainer
    names: dict[Tensor, str] = {parameter: name for name, parameter in trainer.network.named_parameters()}
    tensors = {f"network.{name}": value for name, value in trainer.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for parameter, moments in trainer.optimiser.state.items():
        tensors |= {f"optimiser.{key}.{names[parameter]}": value for key, value in moments.items()}
    return Snapshot(tensors, Progress(**asdict(state.progress)), trainer.scaler.state_dict())


def restore_network(network: nn.Module, saved: Snapshot) -> None:
    """Copy the saved weights into the network.

    Raises:
        CheckpointError: They are of another network.
    """
    fill(network, _below("network.", saved.tensors), source="the checkpoint")


def finish_stage(state: LoopState) -> None:
    """Copy the averaged weights into the network; the next stage starts from them."""
    state.trainer.network.load_state_dict(state.whole())


def without_auxiliary(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without those of the auxiliary head, which only training uses."""
    return {name: value for name, value in weights.items() if not name.startswith(AUXILIARY)}


def _restore_optimiser(trainer: Trainer, saved: Snapshot) -> None:
    names = {name: parameter for name, parameter in trainer.network.named_parameters()}
    for key in ("step", "exp_avg", "exp_avg_sq"):
        for name, value in _below(f"optimiser.{key}.", saved.tensors).items():
            if name not in names or not names[name].requires_grad:
                raise CheckpointError(
                    f"a checkpoint must hold moments of what is trained, got some of {name!r}; "
                    "run with the recipe it was written with"
                )
            # In the parameter's memory order, which fused optimiser steps require.
            moved = value if key == "step" else torch.empty_like(names[name]).copy_(value)
            trainer.optimiser.state[names[name]][key] = moved
    if saved.scaler:
        trainer.scaler.load_state_dict(dict(saved.scaler))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
