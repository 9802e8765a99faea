"""Stops a run after a loss that is not finite or too many unreadable samples."""

import math
from collections.abc import Mapping, Sequence

import torch
from safetensors.torch import save_file

from starktrack.config.training import RunConfig
from starktrack.data.samples.batch import Batch
from starktrack.errors import TrainingError
from starktrack.files import atomic_write
from starktrack.training.job import Job
from starktrack.training.state import Progress
from starktrack.training.step import StepResult

FEWEST_SAMPLES, MOST_SAMPLES = 1000, 10_000
"""Number of latest samples over which the share of unreadable ones is taken. A window, so that a disk that fails late
in a long run is noticed as soon as one that fails at its start."""

MOST_OVERFLOWS = 50
"""Most steps in a row that fp16 may skip: each halves the scale, and nothing overflows at 2^-50 of its start."""


def check_finite(
    job: Job, progress: Progress, means: Mapping[str, float], result: StepResult, own: Sequence[Batch]
) -> None:
    """Save and name the batch of a loss or gradient that is not finite.

    In fp16 a gradient may overflow: the scaler skips such a step and lowers its scale, so that only many in a row are
    an error. A gradient belongs to all micro-batches: if every loss is finite, all are saved.

    Raises:
        TrainingError: The loss of any process, or the gradient, is not finite; every process raises.
    """
    norm = means["gradient_norm"]
    may_overflow = job.recipe.run.precision == "fp16" and progress.num_overflows + 1 < MOST_OVERFLOWS
    if math.isfinite(means["loss"]) and (math.isfinite(norm) or may_overflow):
        return
    where = f"epoch {progress.epoch}, step {progress.step}"
    broken = [number for number, loss in enumerate(result.losses) if not torch.isfinite(loss)]
    if not broken and not math.isfinite(means["loss"]):
        raise TrainingError(f"a loss must be finite, another process got NaN in {where} and saved its batch")
    saved = [_save_batch(job, progress, number, own[number]) for number in broken[:1] or range(len(own))]
    number, choice = (broken[0], "") if broken else (0, "one of this process's ")
    raise TrainingError(
        f"loss and gradient must be finite, got {result.losses[number].item()} and {norm} in {where}, "
        f"{choice}{'; '.join(saved)}; the weights before it are in {job.checkpoints}; lower the learning rate or use "
        f"run.precision=fp32"
    )


def _save_batch(job: Job, progress: Progress, number: int, batch: Batch) -> str:
    """Write one micro-batch of this process; return a text with its samples and its path."""
    first = job.micro_batch_index(progress.step, number) * job.recipe.run.micro_batch
    path = job.out / f"bad-batch-epoch-{progress.epoch}-sample-{first}.safetensors"
    fields = ("templates", "template_masks", "search", "search_mask", "box_cxcywh", "label")
    names = ", ".join(batch.names)
    tensors = {name: getattr(batch, name).cpu().contiguous() for name in fields}
    with atomic_write(path) as partial:
        save_file(tensors, partial, metadata={"names": names})
    return f"samples {first} to {first + len(batch) - 1} ({names}) in {path}"


def check_skipped(job: Job, progress: Progress) -> None:
    """Stop a run that reads too many broken files.

    Raises:
        TrainingError: The share of unreadable samples among the latest ones is above `run.max_corrupt`.
    """
    limit, num_skipped = job.recipe.run.max_corrupt, sum(progress.recent_skipped)
    num_samples = len(progress.recent_skipped) * job.recipe.run.batch_size
    if num_skipped > limit * max(num_samples, FEWEST_SAMPLES):
        raise TrainingError(
            f"at most {limit:.1%} of the samples may be unreadable (run.max_corrupt), got "
            f"{num_skipped} of the latest {num_samples}; the log names them, starktrack data check looks at all"
        )


def recent_steps(run: RunConfig) -> int:
    """Return over how many steps the share of unreadable samples is taken."""
    return -(-MOST_SAMPLES // run.batch_size)
