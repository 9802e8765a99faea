"""Checkpoints of a run: safetensors with JSON in their header, written whole or not at all.

They hold the weights, the optimiser, the averaged weights and the position in the epoch, so that a run resumes bit for
bit. A weights file of the library holds the weights alone.
"""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from starktrack.errors import CheckpointError, InputError, TrainingError
from starktrack.files import atomic_write, discard_leftovers
from starktrack.training.state import Progress, Snapshot

_KEY = "starktrack.progress"
_SCALER_KEY = "starktrack.scaler"
_LOG = logging.getLogger(__name__)


def save_snapshot(folder: Path, snapshot: Snapshot, *, keep: int) -> Path:
    """Write a checkpoint, delete all but the newest `keep`, and return its path.

    Raises:
        TrainingError: It could not be written; the earlier ones are kept.
    """
    path = snapshot_path(folder, snapshot.progress.num_steps)
    tensors = {name: value.detach().cpu().contiguous() for name, value in snapshot.tensors.items()}
    texts = {_KEY: json.dumps(asdict(snapshot.progress)), _SCALER_KEY: json.dumps(dict(snapshot.scaler))}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        discard_leftovers([path])
        with atomic_write(path) as partial:
            save_file(tensors, partial, metadata=texts)
    except (OSError, InputError, SafetensorError) as error:
        raise TrainingError(
            f"a checkpoint must be written, {path} could not be: {error}; those before it are kept, "
            "make room and start again with --resume"
        ) from error
    others = [other for other in snapshot_paths(folder) if other != path]
    for old in others[keep - 1 :]:
        old.unlink()
    return path


def snapshot_path(folder: Path, num_steps: int) -> Path:
    """Return the path of a run's checkpoint after this number of optimiser steps."""
    return folder / f"step-{num_steps:09d}.safetensors"


def snapshot_paths(folder: Path) -> list[Path]:
    """Return the paths of a run's checkpoints, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def load_newest(folder: Path) -> Snapshot | None:
    """Return the newest checkpoint that can be read, or None without any checkpoint.

    Newer, damaged ones are renamed to `*.damaged`, so that they do not count among those to keep.

    Raises:
        CheckpointError: There are some, and every one is damaged.
    """
    paths = snapshot_paths(folder)
    for position, path in enumerate(paths):
        try:
            snapshot = load_snapshot(path)
        except CheckpointError as error:
            _LOG.warning("%s; trying the one before", error)
        else:
            for damaged in paths[:position]:
                damaged.rename(f"{damaged}.damaged")
            return snapshot
    if paths:
        raise CheckpointError(
            f"a run must have a checkpoint that can be read, every one in {folder} is damaged"
        )
    return None


def load_snapshot(path: Path) -> Snapshot:
    """Return a checkpoint, on the CPU.

    Raises:
        CheckpointError: The file is damaged or is not a checkpoint of a run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Snapshot(tensors, Progress(**json.loads(texts[_KEY])), json.loads(texts[_SCALER_KEY]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} must be a checkpoint of a run, it is damaged or something else: {error}"
        ) from error
