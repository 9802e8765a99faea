import os
import signal

import pytest

from starktrack.errors import ConfigError
from starktrack.tracking.shares import Lost, Share, shares_here, work_here


def test_shares_divide_the_names_and_lose_none():
    names = [f"s{i}" for i in range(10)]
    parts = [Share(index, 3).of(names) for index in range(3)]
    assert parts[1] == ["s1", "s4", "s7"]
    assert sorted(name for part in parts for name in part) == names


def test_machines_come_before_workers():
    here = shares_here(2, {"RANK": "1", "WORLD_SIZE": "3"})
    assert here == [Share(2, 6), Share(3, 6)]
    assert shares_here(1, {}) == [Share(0, 1)]


@pytest.mark.parametrize("environment", [{"RANK": "3", "WORLD_SIZE": "3"}, {"RANK": "x"}])
def test_a_rank_that_cannot_be_is_refused(environment):
    with pytest.raises(ConfigError, match="unset them"):
        shares_here(1, environment)


def work(share):
    yield f"hello from {share.index}"
    if share.index == 1:
        raise RuntimeError("broken worker")
    if share.index == 2:
        # The queue's thread has to get rid of the greeting first.
        import time

        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)


def test_workers_report_and_those_that_die_are_told_as_lost():
    told = list(work_here(work, [Share(index, 3) for index in range(3)]))
    assert sorted(event for _, event in told if isinstance(event, str)) == [
        f"hello from {index}" for index in range(3)
    ]
    lost = {share.index: event.reason for share, event in told if isinstance(event, Lost)}
    assert sorted(lost) == [1, 2]
    assert "RuntimeError: broken worker" in lost[1]
    assert "ended with code -9" in lost[2]
