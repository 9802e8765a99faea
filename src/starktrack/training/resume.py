"""Resuming a run: the choice of the checkpoint, and the check that the recipe is the same."""

import json
from pathlib import Path

from starktrack.config.comparison import different_settings
from starktrack.config.loading import to_mapping
from starktrack.config.recipes import recipe_from_mapping
from starktrack.config.training import Recipe
from starktrack.errors import ConfigError
from starktrack.training.checkpoint import load_newest, load_snapshot, snapshot_path
from starktrack.training.distributed import from_first
from starktrack.training.job import Job
from starktrack.training.state import Snapshot

FREE: tuple[str, ...] = (
    "config.name",
    "config.tracking.*",
    "validation.*",
    "run.compile",
    "run.channels_last",
    "run.log_every",
    "run.picture_every",
    "run.checkpoint_every",
    "run.keep",
    "run.max_corrupt",
    "run.tensorboard",
    "run.backbone_weights",
    "run.imagenet",
    "stages.*.validate_every",
    "stages.*.data.loader.*",
)
"""Settings that do not affect the weights, so that a resumed run may change them."""

_NONE = -1


def checkpoint_to_go_on_from(job: Job) -> Snapshot | None:
    """Return the newest checkpoint that can be read, the same in every process, or None for a fresh run.

    The first process decides: after a crash other processes may see another newest checkpoint.

    Raises:
        CheckpointError: All checkpoints are damaged, or another process cannot read the chosen one.
        ConfigError: The recipe differs in a setting that affects the weights.
    """
    saved = None
    if job.processes.is_first:
        saved = load_newest(job.checkpoints)
        if saved is not None:
            check_same_recipe(job.recipe, job.recipe_file)
    own = _NONE if saved is None else saved.progress.num_steps
    chosen = from_first(own, job.processes, job.device)
    if chosen == _NONE or job.processes.is_first:
        return saved
    return load_snapshot(snapshot_path(job.checkpoints, chosen))


def check_same_recipe(recipe: Recipe, file: Path) -> None:
    """Check that a recipe gives the same weights as the one in a run's `recipe.json`.

    Raises:
        ConfigError: The file is missing, damaged or of another version, or the recipes differ; the error lists every
            difference.
    """
    try:
        before = recipe_from_mapping(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise ConfigError(
            f"a run that goes on must have the recipe it was started with in {file}, got: {error}; "
            "start a new run from its weights with --weights and another --out"
        ) from error
    different = differences(before, recipe)
    if different:
        raise ConfigError(
            f"a run must go on with the recipe it was started with ({file}), got {'; '.join(different)}; "
            f"use {file} itself as the recipe, or start a new run from its weights with --weights and another --out"
        )


def differences(before: Recipe, now: Recipe) -> list[str]:
    """Return `key = new value, not old value` for every different setting that affects the weights.

    The last stage may get more epochs, if its learning rate does not depend on their number and it keeps no averaged
    weights, which replace the network's at its end.
    """
    free = list(FREE)
    last = list(now.stages)[-1]
    optim = now.stages[last].optim
    if optim.schedule == "step" and not optim.ema_decay:
        free.append(f"stages.{last}.epochs")
    return different_settings(to_mapping(before), to_mapping(now), free)
