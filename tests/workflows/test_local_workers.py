import os
import signal

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
    told = list(run_shards(work, [Shard(index, 3) for index in range(3)]))
    assert sorted(event for _, event in told if isinstance(event, str)) == [
        f"hello from {index}" for index in range(3)
    ]
    lost = {shard.index: event.reason for shard, event in told if isinstance(event, Lost)}
    assert sorted(lost) == [1, 2]
    assert "RuntimeError: broken worker" in lost[1]
    assert "was killed by signal 9" in lost[2]
