import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from starktrack import files
from starktrack.errors import CheckpointError, TrainingError
from starktrack.training import checkpoint
from starktrack.training.checkpoint import (
    load_newest,
    load_snapshot,
    save_snapshot,
    snapshot_path,
    snapshot_paths,
)
from starktrack.training.state import Progress, Snapshot


def snapshot(num_steps, size=10):
    progress = Progress("localise", 3, 2, num_steps, 1, 0.1 + 0.2, {"loss": 1 / 3}, 2)
    tensors = {"network.w": torch.full((size,), float(num_steps)), "optimiser.step.w": torch.tensor(3.0)}
    return Snapshot(tensors, progress, {"scale": 2.0})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    saved = snapshot(7)
    back = load_snapshot(save_snapshot(tmp_path, saved, keep=1))
    assert back.progress == saved.progress and back.scaler == saved.scaler
    assert all(torch.equal(back.tensors[name], value) for name, value in saved.tensors.items())
    assert back.tensors["optimiser.step.w"].shape == ()


def test_the_newest_are_kept(tmp_path):
    for number in (9, 10, 100, 11):
        save_snapshot(tmp_path, snapshot(number), keep=2)
    assert [path.name for path in snapshot_paths(tmp_path)] == [
        "step-000000100.safetensors",
        "step-000000011.safetensors",
    ]
    assert load_newest(tmp_path).progress.num_steps == 100


def test_a_folder_without_checkpoints_gives_none(tmp_path):
    assert load_newest(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("I/O error: no space")]
)
def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch, error):
    save_snapshot(tmp_path, snapshot(1), keep=1)

    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half a file")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match=r"could not be: .*space.*those before it are kept"):
        save_snapshot(tmp_path, snapshot(2), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.safetensors"]
    assert load_newest(tmp_path).progress.num_steps == 1


def test_a_file_that_may_not_grow_keeps_the_checkpoint_before(tmp_path):
    save_snapshot(tmp_path, snapshot(1), keep=1)
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save_snapshot(tmp_path, snapshot(2, size=100_000), keep=1)
        except TrainingError:
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert load_newest(tmp_path).progress.num_steps == 1
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.safetensors"]


def test_a_disk_that_fails_at_the_last_moment_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    save_snapshot(tmp_path, snapshot(1), keep=1)

    def failing(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "_sync", failing)
    with pytest.raises(TrainingError, match="Input/output error"):
        save_snapshot(tmp_path, snapshot(2), keep=1)
    assert load_newest(tmp_path).progress.num_steps == 1


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, caplog):
    for number in (1, 2):
        save_snapshot(tmp_path, snapshot(number), keep=2)
    newest = snapshot_paths(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:60])
    assert load_newest(tmp_path).progress.num_steps == 1
    assert "step-000000002.safetensors must be a checkpoint of a run" in caplog.text


def test_a_damaged_newest_checkpoint_costs_none_of_those_written_after_going_on(tmp_path):
    for number in (1, 5):
        save_snapshot(tmp_path, snapshot(number), keep=2)
    snapshot_path(tmp_path, 5).write_bytes(b"half")
    load_newest(tmp_path)
    assert snapshot_path(tmp_path, 5).with_suffix(".safetensors.damaged").read_bytes() == b"half"
    for number in (2, 3):
        save_snapshot(tmp_path, snapshot(number), keep=1)
        assert snapshot_paths(tmp_path) == [snapshot_path(tmp_path, number)]


def test_the_checkpoint_just_written_is_kept_even_where_another_has_a_higher_number(tmp_path):
    save_snapshot(tmp_path, snapshot(5), keep=1)
    assert save_snapshot(tmp_path, snapshot(2), keep=1).exists()


def test_only_damaged_checkpoints_are_an_error_and_not_a_fresh_start(tmp_path):
    save_snapshot(tmp_path, snapshot(1), keep=2).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"every one in .* is damaged"):
        load_newest(tmp_path)


def test_half_a_file_of_a_killed_process_is_no_checkpoint(tmp_path):
    save_snapshot(tmp_path, snapshot(1), keep=2)
    child = os.fork()
    if child == 0:
        files._sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        save_snapshot(tmp_path, snapshot(2), keep=1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(list(tmp_path.glob(".step-000000002.*.partial.safetensors"))) == 1
    assert load_newest(tmp_path).progress.num_steps == 1
    save_snapshot(tmp_path, snapshot(2), keep=2)
    assert load_newest(tmp_path).progress.num_steps == 2
    assert not list(tmp_path.glob(".*"))
