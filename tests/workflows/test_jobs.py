"""What every worker is given: the inference settings of the data set that each sequence is from."""

import dataclasses

import cv2
import numpy as np
import pytest

from starktrack.data.formats.result_folder import ResultFolder
from starktrack.tracking.batch_runner import BatchProgress
from starktrack.tracking.sharding import Shard
from starktrack.workflows.evaluate import DataPlace, EvaluationJob, describe
from starktrack.workflows.jobs import run_shard
from starktrack.workflows.trackers import RunSettings, TrackerSpec


@pytest.fixture
def two_sets(tmp_path):
    """A folder with one OTB sequence and one VOT sequence, of four frames each."""
    for folder, pattern in (("otb/Dog/img", "{:04d}.jpg"), ("vot/sequences/ball/color", "{:08d}.jpg")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        for number in range(1, 5):
            picture = np.random.default_rng(number).integers(0, 255, (96, 128, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "data" / folder / pattern.format(number)), picture)
    (tmp_path / "data/otb/Dog/groundtruth_rect.txt").write_text("30,30,24,24\n" * 4)
    (tmp_path / "data/vot/sequences/list.txt").write_text("ball\n")
    (tmp_path / "data/vot/sequences/ball/groundtruth.txt").write_text("30,30,24,24\n" * 4)
    return tmp_path


@pytest.fixture
def paper_weights(tmp_path):
    """A tiny network that bears the name of one of the paper's models, whose settings the table has."""
    import torch
    from tests.training.tiny import tiny_config

    from starktrack.models.build import build_network
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    config = dataclasses.replace(tiny_config(), name="stark_st50")
    save_weights(tmp_path / "w.safetensors", build_network(config.model).state_dict(), config)
    return tmp_path / "w.safetensors"


def job(two_sets, weights, *overrides):
    place = DataPlace("all", two_sets / "data", None, True)
    settings = RunSettings(device="cpu", batch=1, overrides=overrides)
    return EvaluationJob(
        place, TrackerSpec("ours", weights), settings, two_sets / "results", tuple(place.open().names)
    )


def test_every_part_of_a_union_is_tracked_with_its_own_update_interval(two_sets, paper_weights, monkeypatch):
    from starktrack.workflows import jobs

    used = []

    def spy(tracker, tasks):
        tasks = list(tasks)
        used.append((tracker.settings.update_interval, [task.name for task in tasks]))
        yield from run_batch(tracker, tasks)

    run_batch = jobs.run_batch
    monkeypatch.setattr(jobs, "run_batch", spy)
    whole = job(two_sets, paper_weights)
    ResultFolder(whole.folder).claim(describe(whole, whole.data.open()))
    events = list(run_shard(whole, Shard(0, 1)))
    assert used == [(200, ["otb_Dog"]), (10, ["vot_ball"])]
    steps = [event for event in events if isinstance(event, BatchProgress)]
    assert (steps[-1].clips, steps[-1].frames) == (2, 6)
    assert [event.id for event in events if not isinstance(event, BatchProgress)] == ["otb_Dog", "vot_ball"]


def test_the_metadata_of_a_union_tell_the_interval_of_every_part(two_sets, paper_weights):
    whole = job(two_sets, paper_weights)
    assert describe(whole, whole.data.open())["update_intervals"] == {"otb": 200, "vot": 10}
    some = dataclasses.replace(whole, items=("otb_Dog",))
    assert describe(some, whole.data.open()) == describe(whole, whole.data.open())
    own = job(two_sets, paper_weights, "tracking.update_interval=7")
    assert describe(own, own.data.open())["update_intervals"] == {"otb": 7, "vot": 7}
