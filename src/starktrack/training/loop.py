"""The training loop, all of it: stages, epochs, steps, and what is done between them."""

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from starktrack.config.loading import to_mapping
from starktrack.config.training import StageConfig
from starktrack.data.batch import Batch
from starktrack.errors import ConfigError
from starktrack.models.stark import Stark
from starktrack.models.weights import save_weights
from starktrack.training.checkpoint import load_newest, save_snapshot
from starktrack.training.distributed import add_up
from starktrack.training.failure import check_finite, check_skipped
from starktrack.training.interrupt import Stop
from starktrack.training.job import Job
from starktrack.training.journal import Journal, Stopwatch
from starktrack.training.optim import learning_rate_factor, set_learning_rate, update_average
from starktrack.training.pictures import draw_batch, first_samples, write_picture
from starktrack.training.state import (
    LoopState,
    Progress,
    Snapshot,
    enter_stage,
    finish_stage,
    restore_network,
    take_snapshot,
    without_auxiliary,
)
from starktrack.training.step import StepResult, Trainer

NUM_PICTURED = 8

_LOG = logging.getLogger(__name__)


def train(job: Job, network: Stark, *, resume: bool = False) -> int:
    """Run the recipe to its end; return 0, or the number of the signal that asked to stop before.

    Whatever stops it, the run goes on from its last checkpoint with `resume`, as if it had never stopped.

    Args:
        job: The run.
        network: On `job.device`, fresh or with the weights to start from.
        resume: Go on from the newest checkpoint in `job.out`, if there is one.

    Raises:
        TrainingError: A loss is not finite, too many samples are unreadable, or a disk is full.
        CheckpointError: The checkpoints are damaged or of another network.
        ConfigError: The micro-batches of a step cannot be shared evenly.
    """
    _check_shares(job)
    saved = load_newest(job.checkpoints) if resume else None
    progress = replace(saved.progress) if saved else Progress()
    if saved:
        restore_network(network, saved)
    with Stop.listening() as stop, _journal(job, progress) as journal:
        for start, name, stage in job.recipe.stage_starts():
            if progress.epoch < start + stage.epochs and not stop.signal:
                _run_stage(job, network, progress, (start, name, stage), saved, journal, stop)
    if job.processes.is_first and not stop.signal:
        save_weights(job.weights, without_auxiliary(network.state_dict()), job.recipe.config)
    return stop.signal


def _run_stage(
    job: Job,
    network: Stark,
    progress: Progress,
    place: tuple[int, str, StageConfig],
    saved: Snapshot | None,
    journal: Journal | None,
    stop: Stop,
) -> None:
    start, name, stage = place
    trainer = Trainer(
        network, job.recipe, stage, device=job.device, processes=job.processes, teacher=job.teacher
    )
    state = enter_stage(trainer, progress, name, saved)
    feed = job.open_feed(stage)
    end = start + stage.epochs
    while progress.epoch < end and not stop.signal:
        _run_epoch(job, state, start, feed(progress.epoch, progress.step), journal, stop)
        if progress.step < job.recipe.run.steps_per_epoch:
            return
        progress.epoch, progress.step = progress.epoch + 1, 0
        if progress.epoch == end:
            finish_stage(state)
        if job.validate and _is_due(job.recipe.validation.every, progress.epoch, end):
            _validate(job, state, journal)
        _save(job, state)


def _run_epoch(
    job: Job, state: LoopState, start: int, batches: Iterator[Batch], journal: Journal | None, stop: Stop
) -> None:
    """Run to the end of the epoch, or save and return where the process was asked to stop."""
    run, progress, trainer = job.recipe.run, state.progress, state.trainer
    watch = Stopwatch()
    while progress.step < run.steps_per_epoch:
        epoch = progress.epoch - start
        rate = learning_rate_factor(trainer.stage, epoch, progress.step, run.steps_per_epoch)
        set_learning_rate(trainer.optimiser, rate)
        own = watch.wait_for(lambda: list(islice(batches, job.micro_batches_per_step)))
        result = trainer.step(own, _seeds(job, progress))
        means = _exchange(job, result, own, stop)
        check_finite(job, progress, means, result, own)
        if state.average:
            done = epoch * run.steps_per_epoch + progress.step
            update_average(state.average, trainer.network, trainer.stage.optim.ema_decay, done)
        progress.count_step(means)
        watch.num_samples += run.batch_size
        check_skipped(job, progress)
        at_end = progress.step == run.steps_per_epoch
        if journal and (at_end or progress.num_steps % run.log_every == 0):
            journal.write(
                "train", **_where(progress), **progress.read_means(), **_rates(trainer), **watch.read()
            )
        if journal and at_end and _is_due(run.picture_every, progress.epoch + 1):
            _draw(job, state, own[-1])
        if not at_end and (stop.signal or _is_due(run.checkpoint_every, progress.num_steps)):
            _save(job, state)
            if stop.signal:
                return


def _exchange(job: Job, result: StepResult, own: list[Batch], stop: Stop) -> dict[str, float]:
    """Return the step's means over all processes; where one was asked to stop, all stop."""
    skipped = [text for batch in own for text in batch.skipped]
    for text in skipped:
        _LOG.warning("skipped: %s", text)
    values = [*result.terms.values(), torch.tensor(float(len(skipped))), torch.tensor(float(stop.signal))]
    total = add_up(torch.stack([value.float().to(job.device) for value in values]), job.processes)
    *terms, num_skipped, signals = total.tolist()
    if signals and not stop.signal:
        stop.signal = signal.SIGTERM
    means = {name: value / job.processes.count for name, value in zip(result.terms, terms, strict=True)}
    return {**means, "gradient_norm": result.gradient_norm.item(), "skipped": num_skipped}


def _save(job: Job, state: LoopState) -> None:
    if job.processes.is_first:
        save_snapshot(job.checkpoints, take_snapshot(state), keep=job.recipe.run.keep)


def _validate(job: Job, state: LoopState, journal: Journal | None) -> None:
    shipped, progress = state.shipped(), state.progress
    scores = job.validate(shipped)
    sums = torch.tensor([float(len(scores)), *scores.sum(axis=0).tolist()], device=job.device)
    count, overlap, success = add_up(sums, job.processes).tolist()
    if not count:
        raise ConfigError("validation must have at least one sequence, got none; set validation.every=0")
    is_best = progress.best is None or success / count > progress.best
    if journal:
        values = {"overlap": overlap / count, "success": success / count, "best": is_best}
        journal.write("validation", **_where(progress), **values)
    if is_best:
        progress.best = success / count
        if job.processes.is_first:
            save_weights(job.out / "best.safetensors", shipped, job.recipe.config)


def _draw(job: Job, state: LoopState, batch: Batch) -> None:
    few, network = first_samples(batch, NUM_PICTURED), state.trainer.network
    modes = {module: module.training for module in network.modules()}
    network.eval()
    with torch.no_grad():
        output = network(few.templates, few.template_masks, few.search, few.search_mask)
    for module, mode in modes.items():
        module.training = mode
    path = job.out / "pictures" / f"epoch-{state.progress.epoch + 1:04d}.jpg"
    write_picture(path, draw_batch(few, output.box_cxcywh))


@contextmanager
def _journal(job: Job, progress: Progress) -> Iterator[Journal | None]:
    if not job.processes.is_first:
        yield None
        return
    journal = Journal(job.out, progress.num_steps, tensorboard=job.recipe.run.tensorboard, tell=job.tell)
    (job.out / "recipe.json").write_text(json.dumps(to_mapping(job.recipe), indent=2), encoding="utf-8")
    try:
        yield journal
    finally:
        journal.close()


def _check_shares(job: Job) -> None:
    num_micro_batches = job.recipe.run.batch_size // job.recipe.run.micro_batch
    if num_micro_batches % job.processes.count:
        raise ConfigError(
            f"run.batch_size / run.micro_batch = {num_micro_batches} micro-batches must be a multiple of the "
            f"{job.processes.count} processes; use a smaller run.micro_batch, or fewer processes"
        )


def _seeds(job: Job, progress: Progress) -> list[int]:
    places = (job.micro_batch_index(progress.step, number) for number in range(job.micro_batches_per_step))
    keys = ([job.recipe.run.seed, progress.epoch, place] for place in places)
    return [int(np.random.SeedSequence(key).generate_state(1)[0]) for key in keys]


def _where(progress: Progress) -> dict[str, str | int]:
    return {"stage": progress.stage, "epoch": progress.epoch, "step": progress.num_steps}


def _rates(trainer: Trainer) -> dict[str, float]:
    return {f"lr_{group['name']}": group["lr"] for group in trainer.optimiser.param_groups if group["params"]}


def _is_due(every: int, done: int, end: int | None = None) -> bool:
    return every > 0 and (done % every == 0 or done == end)
