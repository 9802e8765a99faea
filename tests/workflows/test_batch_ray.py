"""A batch on a real Ray cluster of several nodes on this machine, of which one is killed during the run."""

import json
import os
from pathlib import Path

import pytest
from tests.workflows.test_batch import NUM_FRAMES, row, tracks_of, write_clips, write_manifest

import starktrack
from starktrack.errors import MissingExtraError

NUM_ROWS = 10


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with clips and trackers that the workers of the cluster find."""
    write_clips(tmp_path, NUM_ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(starktrack.__file__).parents[1]}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("SECONDS_A_FRAME", "0.1")
    return tmp_path


@pytest.fixture
def cluster(work):
    """A cluster whose head only schedules, and two nodes of one core."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    options = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    running = Cluster(initialize_head=True, head_node_args={**options, "num_cpus": 0})
    try:
        nodes = [running.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
        yield running, nodes
    finally:
        import ray

        ray.shutdown()
        running.shutdown()


def test_a_node_that_is_killed_loses_doubles_and_changes_nothing(work, cluster):
    running, nodes = cluster
    (work / "v4.mp4").write_bytes(b"no video")
    manifest = write_manifest(work, [row(index) for index in range(NUM_ROWS)])
    seen, killed = [], []

    def watch(status):
        seen.append(status)
        # Both nodes have a row in hand, and some of the first are written.
        if status.done >= 2 and not killed:
            killed.append(status.done)
            running.remove_node(nodes[0], allow_graceful=False)
            running.add_node(num_cpus=1, object_store_memory=80 * 2**20)

    options = {"tracker": "mine:Right", "retries": 3}
    run = starktrack.batch(
        manifest, work / "ray", on="ray", address=running.address, workers=2, on_status=watch, **options
    )
    assert killed and killed[0] < NUM_ROWS - 2
    states = {each.id: each.state for each in run.rows}
    assert states == {f"r{index}": "failed" if index == 4 else "done" for index in range(NUM_ROWS)}
    ended = [json.loads(line)["id"] for line in (work / "ray/journal.jsonl").read_text().splitlines()]
    assert sorted(ended) == sorted(states), "each row ended exactly once"
    local = starktrack.batch(manifest, work / "local", workers=1, **options)
    assert tracks_of(work / "ray") == tracks_of(work / "local")
    assert len(tracks_of(work / "ray")) == NUM_ROWS - 1
    assert [each.frames for each in run.rows] == [each.frames for each in local.rows]
    assert {each.frames for each in run.rows} == {0, NUM_FRAMES}
    # The same folder goes on, here or there.
    (work / "ray/tracks/r0.csv").unlink()
    calls = (work / "calls").stat().st_size
    again = starktrack.batch(
        manifest, work / "ray", on="ray", address=running.address, workers=1, tracker="mine:Right", retries=0
    )
    assert (again.finished_before, (work / "calls").stat().st_size - calls) == (NUM_ROWS - 2, NUM_FRAMES - 1)
    assert tracks_of(work / "ray") == tracks_of(work / "local")


def test_without_ray_the_extra_is_named(work, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    manifest = write_manifest(work, [row(0)])
    with pytest.raises(MissingExtraError, match=r"a batch on Ray needs the package ray.*starktrack\[ray\]"):
        starktrack.batch(manifest, work / "out", tracker="mine:Right", on="ray")
