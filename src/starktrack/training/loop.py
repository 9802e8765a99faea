"""The whole training loop: stages, epochs, steps, and the work between them.

It uses no training framework. A run must resume bit for bit from the middle of an epoch, with any number of processes,
so this file and one record (`training.state`) hold every seed, every average and every position in the data.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import nn

from starktrack.config.loading import to_mapping
from starktrack.data.samples.batch import Batch
from starktrack.errors import ConfigError
from starktrack.files import atomic_write
from starktrack.models.weights import save_weights
from starktrack.training.checkpoint import save_snapshot
from starktrack.training.distributed import add_up
from starktrack.training.failure import check_finite, check_skipped, recent_steps
from starktrack.training.interrupt import Stop
from starktrack.training.job import Job
from starktrack.training.metrics_log import MetricsLog, Stopwatch
from starktrack.training.optim import learning_rate_factor, set_learning_rate, update_average
from starktrack.training.pictures import draw_batch, first_samples, write_picture
from starktrack.training.resume import checkpoint_to_go_on_from
from starktrack.training.state import (
    LoopState,
    Progress,
    enter_stage,
    finish_stage,
    restore_network,
    take_snapshot,
    without_auxiliary,
)
from starktrack.training.step import StepResult, Trainer
from starktrack.training.validation import final_config, keep_if_best, score_weights

NUM_PICTURED = 8

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A job while it runs.

    Attributes:
        job: The run's inputs, outputs and callbacks.
        metrics_log: The log, in the first process; else None.
        stop: Signals that ask the run to stop.
    """

    job: Job
    metrics_log: MetricsLog | None
    stop: Stop


def train(job: Job, network: nn.Module, *, resume: bool = False) -> int:
    """Run the recipe to its end; return 0, or the number of the signal that stopped it.

    With `resume`, a stopped or killed run continues from its last checkpoint and gives the same weights.

    Args:
        job: The run.
        network: On `job.device`, fresh or with the weights to start from.
        resume: Continue from the newest checkpoint in `job.out`, if there is one.

    Raises:
        TrainingError: A loss is not finite, too many samples are unreadable, or a disk is full.
        CheckpointError: The checkpoints are damaged or of another network.
        ConfigError: The processes cannot share the micro-batches of a step evenly, or the recipe differs from the
            run's.
    """
    num_micro_batches = job.recipe.run.batch_size // job.recipe.run.micro_batch
    if num_micro_batches % job.processes.count:
        raise ConfigError(
            f"run.batch_size / run.micro_batch = {num_micro_batches} micro-batches must be a multiple of the "
            f"{job.processes.count} processes; use a smaller run.micro_batch, or fewer processes"
        )
    saved = checkpoint_to_go_on_from(job) if resume else None
    progress = replace(saved.progress) if saved else Progress()
    progress.validation_due &= job.validate is not None
    if saved:
        restore_network(network, saved)
    with Stop.listening() as stop, _metrics_log(job, progress) as metrics_log:
        for start, name, stage in job.recipe.stage_starts():
            is_open = progress.epoch < start + stage.epochs or (
                progress.validation_due and progress.stage == name
            )
            if is_open and not stop.agreed:
                trainer = Trainer.of(job, network, stage)
                _run_stage(Run(job, metrics_log, stop), enter_stage(trainer, progress, name, saved), start)
    if job.processes.is_first and not stop.agreed:
        save_weights(
            job.weights, without_auxiliary(network.state_dict()), final_config(job.recipe, progress.stage)
        )
    return stop.agreed


def _run_stage(run: Run, state: LoopState, start: int) -> None:
    """Run to the end of the stage, or until the processes agree to stop.

    It saves the end of an epoch before and after its validation: after a kill in between, the resumed run validates
    again and repeats no epoch.
    """
    job, progress, stage = run.job, state.progress, state.trainer.stage
    batches = job.open_batches(stage)
    while not run.stop.agreed and (progress.validation_due or progress.epoch < start + stage.epochs):
        if progress.validation_due:
            _validate(run, state)
        else:
            _run_epoch(run, state, start, batches(progress.epoch, progress.step))
            if progress.step == job.recipe.run.steps_per_epoch:
                _end_epoch(job, state, start)


def _end_epoch(job: Job, state: LoopState, start: int) -> None:
    progress, stage = state.progress, state.trainer.stage
    progress.epoch, progress.step = progress.epoch + 1, 0
    done = progress.epoch - start
    if done == stage.epochs:
        finish_stage(state)
    every = job.recipe.validation.every if stage.validate_every is None else stage.validate_every
    progress.validation_due = job.validate is not None and _is_due(every, done, stage.epochs)
    _save(job, state)


def _run_epoch(run: Run, state: LoopState, start: int, batches: Iterator[Batch]) -> None:
    """Run to the end of the epoch, or save and return as soon as the processes agree to stop."""
    job, metrics_log, progress, trainer = run.job, run.metrics_log, state.progress, state.trainer
    config, epoch = job.recipe.run, progress.epoch - start
    watch = Stopwatch()
    while progress.step < config.steps_per_epoch:
        rate = learning_rate_factor(trainer.stage, epoch, progress.step, config.steps_per_epoch)
        set_learning_rate(trainer.optimiser, rate)
        own = watch.wait_for(lambda: list(islice(batches, job.micro_batches_per_step)))
        result = trainer.step(own, _seeds(job, progress))
        means = _exchange(run, result, own)
        check_finite(job, progress, means, result, own)
        if state.average:
            done = epoch * config.steps_per_epoch + progress.step
            update_average(state.average, trainer.network, trainer.stage.optim.ema_decay, done)
        progress.count_step(means, recent_steps(config))
        watch.num_samples += config.batch_size
        check_skipped(job, progress)
        at_end = progress.step == config.steps_per_epoch
        if metrics_log and (at_end or progress.num_steps % config.log_every == 0):
            where = _where(progress, progress.epoch)
            groups = trainer.optimiser.param_groups
            rates = {f"lr_{group['name']}": group["lr"] for group in groups if group["params"]}
            metrics_log.write("train", **where, **progress.read_means(), **rates, **watch.read())
        if metrics_log and at_end and _is_due(config.picture_every, progress.epoch + 1):
            _draw(job, state, own[-1])
        if not at_end and (run.stop.agreed or _is_due(config.checkpoint_every, progress.num_steps)):
            _save(job, state)
            if run.stop.agreed:
                return


def _exchange(run: Run, result: StepResult, own: list[Batch]) -> dict[str, float]:
    """Return the step's means over all processes; if one received a signal, all agree to stop."""
    job = run.job
    skipped = [text for batch in own for text in batch.skipped]
    for text in skipped:
        _LOG.warning("skipped: %s", text)
    counts = torch.tensor([float(len(skipped)), float(run.stop.requested)])
    values = torch.cat([torch.stack([*result.terms.values()]).float(), counts.to(job.device)])
    *terms, num_skipped, num_requests = add_up(values, job.processes).tolist()
    run.stop.agree(num_requests)
    means = {name: value / job.processes.count for name, value in zip(result.terms, terms, strict=True)}
    return {**means, "gradient_norm": result.gradient_norm.item(), "skipped": num_skipped}


def _save(job: Job, state: LoopState) -> None:
    if job.processes.is_first:
        save_snapshot(job.checkpoints, take_snapshot(state), keep=job.recipe.run.keep)


def _validate(run: Run, state: LoopState) -> None:
    scores = score_weights(run.job, state, run.stop)
    if scores is None:
        return
    is_best = keep_if_best(run.job, state, scores["success"])
    if run.metrics_log:
        # The epoch that has just ended, as in the records of its steps.
        where = _where(state.progress, state.progress.epoch - 1)
        run.metrics_log.write("validation", **where, **scores, best=is_best)
    state.progress.validation_due = False
    _save(run.job, state)


def _draw(job: Job, state: LoopState, batch: Batch) -> None:
    few, network, kind = first_samples(batch, NUM_PICTURED), state.trainer.network, state.trainer.kind
    modes = {module: module.training for module in network.modules()}
    network.eval()
    with torch.no_grad():
        values = kind.values(kind.forward(network, few))
    for module, mode in modes.items():
        module.training = mode
    path = job.out / "pictures" / f"epoch-{state.progress.epoch:04d}.jpg"
    # A network without a part, such as a score head, lacks the last outputs.
    write_picture(path, draw_batch(few, dict(zip(kind.graph.outputs, values, strict=False))))


@contextmanager
def _metrics_log(job: Job, progress: Progress) -> Iterator[MetricsLog | None]:
    if not job.processes.is_first:
        yield None
        return
    metrics_log = MetricsLog(
        job.out,
        progress.num_steps,
        unfinished="validation" if progress.validation_due else "",
        tensorboard=job.recipe.run.tensorboard,
        callback=job.callback,
    )
    with atomic_write(job.recipe_file) as partial:
        partial.write_text(json.dumps(to_mapping(job.recipe), indent=2), encoding="utf-8")
    try:
        yield metrics_log
    finally:
        metrics_log.close()


def _seeds(job: Job, progress: Progress) -> list[int]:
    places = (job.micro_batch_index(progress.step, number) for number in range(job.micro_batches_per_step))
    keys = ([job.recipe.run.seed, progress.epoch, place] for place in places)
    return [int(np.random.SeedSequence(key).generate_state(1)[0]) for key in keys]


def _where(progress: Progress, epoch: int) -> dict[str, str | int]:
    return {"stage": progress.stage, "epoch": epoch, "step": progress.num_steps}


def _is_due(every: int, done: int, end: int | None = None) -> bool:
    return every > 0 and (done % every == 0 or done == end)
