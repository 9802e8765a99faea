"""When a run cannot go on: losses that are not finite, samples that cannot be read."""

import math
from collections.abc import Mapping, Sequence

import torch
from safetensors.torch import save_file

from starktrack.config.training import RunConfig
from starktrack.data.batch import Batch
from starktrack.errors import TrainingError
from starktrack.training.job import Job
from starktrack.training.state import Progress
from starktrack.training.step import StepResult

FEWEST_SAMPLES, MOST_SAMPLES = 1000, 10_000
"""Samples that the share of unreadable ones is taken of: the latest ones, so that a disk that goes bad late in a
long run is noticed as soon as one at its start."""


def check_finite(
    job: Job, progress: Progress, means: Mapping[str, float], result: StepResult, own: Sequence[Batch]
) -> None:
    """Save and name the batch of a loss or gradient that is not finite.

    A gradient may overflow in fp16: the scaler leaves such a step out.

    Raises:
        TrainingError: The loss of any process, or the gradient, is not finite; every process raises.
    """
    norm = means["gradient_norm"]
    if math.isfinite(means["loss"]) and (math.isfinite(norm) or job.recipe.run.precision == "fp16"):
        return
    where = f"epoch {progress.epoch}, step {progress.step}"
    broken = [number for number, loss in enumerate(result.losses) if not torch.isfinite(loss)]
    if not broken and not math.isfinite(means["loss"]):
        raise TrainingError(f"a loss must be finite, another process got NaN in {where} and saved its batch")
    number = broken[0] if broken else 0
    first = job.micro_batch_index(progress.step, number) * job.recipe.run.micro_batch
    path = job.out / f"bad-batch-epoch-{progress.epoch}-sample-{first}.safetensors"
    fields = ("templates", "template_masks", "search", "search_mask", "box_cxcywh", "label")
    tensors = {name: getattr(own[number], name).cpu().contiguous() for name in fields}
    names = ", ".join(own[number].names)
    save_file(tensors, path, metadata={"names": names})
    raise TrainingError(
        f"loss and gradient must be finite, got {result.losses[number].item()} and {norm} in {where}, "
        f"samples {first} to {first + len(own[number]) - 1} ({names}); the batch is in {path}, the weights before it "
        f"in {job.checkpoints}; lower the learning rate or use run.precision=fp32"
    )


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
    """Return how many steps the share of unreadable samples is taken of."""
    return -(-MOST_SAMPLES // run.batch_size)
