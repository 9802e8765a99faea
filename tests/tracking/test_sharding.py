import os
import signal

import pytest

from starktrack.errors import ConfigError
from starktrack.tracking.sharding import LostWorker, Shard, local_shards, run_shards


def test_shares_divide_the_names_and_lose_none():
    names = [f"s{i}" for i in range(10)]
    parts = [Shard(index, 3).of(names) for index in range(3)]
    assert parts[1] == ["s1", "s4", "s7"]
    assert sorted(name for part in parts for name in part) == names


def test_machines_come_before_workers():
    here = local_shards(2, {"RANK": "1", "WORLD_SIZE": "3"})
    assert here == [Shard(2, 6), Shard(3, 6)]
    assert local_shards(1, {}) == [Shard(0, 1)]


@pytest.mark.parametrize("environment", [{"RANK": "3", "WORLD_SIZE": "3"}, {"RANK": "x"}])
def test_a_rank_that_cannot_be_is_refused(environment):
    with pytest.raises(ConfigError, match="unset them"):
        local_shards(1, environment)


def work(shard):
    yield f"hello from {shard.index}"
    if shard.index == 1:
        raise RuntimeError("broken worker")
    if shard.index == 2:
        # The queue's thread has to get rid of the greeting first.
        import time

        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)


def test_workers_report_and_those_that_die_are_told_as_lost():
    told = list(run_shards(work, [Shard(index, 3) for index in range(3)]))
    assert sorted(event for _, event in told if isinstance(event, str)) == [
        f"hello from {index}" for index in range(3)
    ]
    lost = {shard.index: event.reason for shard, event in told if isinstance(event, LostWorker)}
    assert sorted(lost) == [1, 2]
    assert "RuntimeError: broken worker" in lost[1]
    assert "ended with code -9" in lost[2]
