import itertools

import pytest

from starktrack.cli.progress import JobsProgress, progress_of
from starktrack.workflows.jobs import JobProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that says how often it was asked, times ten seconds."""
    ticks = itertools.count(0, 10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))


def test_the_rest_takes_as_long_as_what_is_done(clock, capsys):
    with JobsProgress() as show:
        show(JobProgress("fox", 10, 0))
        capsys.readouterr()
        show(JobProgress("fox", 10, 0, 2.5, 240))
    # Begun at 0 s; shown at 20, 40, with the clock's own reading in between: 40 s for 2.5 of 10 sequences.
    assert capsys.readouterr().err == "fox: 2.5 of 10 sequences, 6.0 frames/s, 0:02:00 left\n"


def test_a_job_that_was_finished_before_says_so(capsys):
    with JobsProgress("{progress.title}: all {progress.finished_before} were there\n") as show:
        show(JobProgress("fox", 0, 7))
        show(JobProgress("owl", 2, 5, 1.0, 10))
    assert capsys.readouterr().err == "fox: all 7 were there\n"


def test_ctrl_c_ends_with_130_and_a_remedy(capsys):
    import typer

    with pytest.raises(typer.Exit) as ended, JobsProgress():
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_frames_are_counted_and_shown_every_ten_seconds(clock, capsys):
    with progress_of(3, "clip") as progress:
        progress.advance()
        progress.advance()
    assert progress.count == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("frame 1 of 3, ") and second.startswith("frame 2 of 3, ")
    assert second.endswith(" frames/s")
