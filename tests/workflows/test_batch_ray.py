"""A batch on a real Ray cluster of several nodes on this machine, of which one is killed during the run."""

import json
import os
import socket
import time
from pathlib import Path

import pytest
from tests.workflows.test_batch import NUM_FRAMES, row, tracks_of, write_clips, write_manifest

import starktrack
from starktrack.errors import MissingExtraError

NUM_ROWS = 10

AGENT_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with clips and trackers that the workers of the cluster find."""
    write_clips(tmp_path, NUM_ROWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(starktrack.__file__).parents[1]}{os.pathsep}{tmp_path}")
    monkeypatch.setenv("SECONDS_A_FRAME", "0.1")
    return tmp_path


def node(num_cpus):
    """Return how a node is started: small, and with ports of its own, for which it otherwise waits 15 seconds."""
    free = [socket.create_server(("127.0.0.1", 0)) for _ in AGENT_PORTS]
    ports = {name: each.getsockname()[1] for name, each in zip(AGENT_PORTS, free, strict=True)}
    for each in free:
        each.close()
    return {"num_cpus": num_cpus, "object_store_memory": 80 * 2**20, **ports}


PATIENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "5",
}
"""Ray gives processes 30 seconds to start, which busy old cores exceed; a node that is killed refuses at once."""


@pytest.fixture
def cluster(work, monkeypatch):
    """A cluster whose head only schedules, and two nodes of one core."""
    pytest.importorskip("ray")
    from ray._private import services
    from ray.cluster_utils import Cluster

    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    get_node = services.get_node

    def wait_for_node(*arguments):
        for _ in range(600):
            try:
                return get_node(*arguments)
            except RuntimeError:
                time.sleep(0.5)
        return get_node(*arguments)

    monkeypatch.setattr(services, "get_node", wait_for_node)
    head = {**node(0), "include_dashboard": False, "no_monitor": True}
    running = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield running, [running.add_node(wait=False, **node(1)) for _ in range(2)]
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
            running.add_node(wait=False, **node(1))

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
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)  # of another test
    manifest = write_manifest(work, [row(0)])
    with pytest.raises(MissingExtraError, match=r"a batch on Ray needs the package ray.*starktrack\[ray\]"):
        starktrack.batch(manifest, work / "out", tracker="mine:Right", on="ray")
