import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.distributed_run import RECIPE, fixed_scores
from tests.training.tiny import losses, tiny_job, tiny_network

from starktrack.training.distributed import Processes, add_up, average_, processes_of_environment
from starktrack.training.loop import train
from starktrack.training.metrics_log import read_metrics

SCRIPT = Path(__file__).parent / "distributed_run.py"


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1")


def run_two_processes(out, *arguments, launcher=()):
    done = subprocess.run(
        [sys.executable, *launcher, SCRIPT, out, *map(str, arguments)],
        check=False,
        timeout=240,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    train(tiny_job(RECIPE, out, validate=fixed_scores), tiny_network(RECIPE))
    return out


def validations(out):
    records = read_metrics(out / "metrics.jsonl")
    return [(r["epoch"], r["success"]) for r in records if r["kind"] == "validation"]


def test_two_processes_give_the_loss_curve_of_one_also_where_one_dies(tmp_path, alone):
    # Waiting for a gloo peer that died is over when torchrun ends the rest.
    run_two_processes(tmp_path, "--dies-at", 3, launcher=TORCHRUN)
    assert len(losses(alone)) == 9
    # Gradients of the halves are added in another order; dropout and batch norm are the same (see step.py).
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=2e-4)
    expected, found = (load_file(out / "weights.safetensors") for out in (alone, tmp_path))
    statistic = "box_head.top_left.0.1.running_mean"
    torch.testing.assert_close(found[statistic], expected[statistic], rtol=1e-3, atol=1e-5)


def test_a_request_to_one_process_in_its_validation_stops_both_and_loses_nothing(tmp_path, alone):
    run_two_processes(tmp_path, "--asked-at", 1, "--forks")
    ended = [int((tmp_path / f"ended-{rank}").read_text()) for rank in (0, 1)]
    assert ended == [signal.SIGTERM, signal.SIGTERM]
    assert len(losses(tmp_path)) == 3 and validations(tmp_path) == [], "stopped after the first epoch"
    run_two_processes(tmp_path, "--forks")
    np.testing.assert_allclose(losses(tmp_path), losses(alone), rtol=2e-4)
    assert validations(tmp_path) == validations(alone) == [(0, 0.25), (1, 0.25), (2, 0.25)]


def test_without_torchrun_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert processes_of_environment() == Processes(0, 1, 0)


def test_torchrun_says_who_we_are(monkeypatch):
    values = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert processes_of_environment() == Processes(5, 8, 1)


def test_sums_and_means_of_one_process_are_its_own():
    values = torch.tensor([1.0, 2.0])
    assert add_up(values, Processes()).tolist() == [1, 2]
    average_([values], Processes())
    assert values.tolist() == [1, 2]
