import itertools

import pytest

from starktrack.cli.batch_progress import SumOfShards, batch_progress
from starktrack.tracking.batch_runner import BatchProgress
from starktrack.tracking.sharding import Shard

FIRST, SECOND = Shard(0, 2), Shard(1, 2)


@pytest.fixture
def clock(monkeypatch):
    """A clock that says how often it was asked, times ten seconds."""
    ticks = itertools.count(0, 10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))


def test_workers_are_added_up_and_the_rest_takes_as_long_as_what_is_done(clock):
    progress = SumOfShards("fox", 10)
    assert progress.remaining() == "?"
    progress.update(FIRST, BatchProgress(1.0, 100))
    progress.update(SECOND, BatchProgress(1.5, 140))
    assert (progress.clips, progress.frames) == (2.5, 240)
    # 20 seconds for 2.5 of 10 sequences: 60 more for the other 7.5.
    assert progress.remaining() == "0:01:00"
    assert progress.rate == 240 / 30


def test_without_a_terminal_a_line_comes_every_ten_seconds(clock, capsys):
    with batch_progress("fox", 4) as progress:
        progress.update(FIRST, BatchProgress(2.0, 60))
    line = capsys.readouterr().err
    assert line.startswith("fox: 2.0 of 4 sequences, ")
    assert line.endswith(" left\n")
