import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from starktrack.tracking.sharding import Shard
from starktrack.workflows.dispatch import Lost
from starktrack.workflows.local_workers import run_shards


def work(shard):
    yield f"hello from {shard.index}"
    if shard.index == 1:
        raise RuntimeError("broken worker")
    if shard.index == 2:
        os.kill(os.getpid(), signal.SIGKILL)


def test_workers_report_and_those_that_die_are_told_as_lost():
    received = list(run_shards(work, [Shard(index, 3) for index in range(3)]))
    assert sorted(event for _, event in received if isinstance(event, str)) == [
        f"hello from {index}" for index in range(3)
    ]
    lost = {shard.index: event.reason for shard, event in received if isinstance(event, Lost)}
    assert sorted(lost) == [1, 2]
    assert "RuntimeError: broken worker" in lost[1]
    assert "was killed by signal 9" in lost[2]


def wait_for_work(number, receive, send):
    send(os.getpid())
    receive()


def has_ended(process_id):
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def test_a_worker_whose_parent_is_killed_ends():
    parent = (
        "import os, signal\n"
        "from starktrack.workflows.local_workers import LocalWorkers\n"
        f"from {wait_for_work.__module__} import wait_for_work\n"
        "workers = LocalWorkers(wait_for_work, 1)\n"
        "workers.fill(1)\n"
        "while not (events := workers.receive(1.0)):\n"
        "    pass\n"
        "print(events[0][1], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root / "src", root)))}
    done = subprocess.run(
        [sys.executable, "-c", parent], env=environment, stdout=subprocess.PIPE, check=False, timeout=120
    )
    worker = int(done.stdout)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while not has_ended(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    if not has_ended(worker):
        os.kill(worker, signal.SIGKILL)
        raise AssertionError("the worker outlived its parent")
