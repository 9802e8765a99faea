"""The progress of a batch: a live table on a terminal, lines elsewhere."""

import io
import sys

from starktrack.cli import batch_table
from starktrack.cli.batch_table import MOST_WORKERS, BatchTable
from starktrack.workflows.batch import BatchStatus

STATUS = BatchStatus(
    total=20,
    finished_before=3,
    done=4,
    failed=1,
    frames=120,
    running={number: f"clip{number:02d}" for number in range(MOST_WORKERS + 2)},
    failures=(("lost", "lost.mp4 must be a video file, got no such file"),),
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def open_terminal(monkeypatch, columns):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    return terminal


def test_a_terminal_shows_speed_time_left_workers_and_failures(monkeypatch):
    terminal = open_terminal(monkeypatch, 150)
    with BatchTable("videos.csv") as table:
        table(STATUS)
        assert table.is_live
    shown = terminal.getvalue()
    assert "4 of 20 videos (3 before), 1 failed, 120 frames in " in shown
    assert " frames/s, " in shown and " left" in shown
    assert "clip00" in shown and "clip15" in shown and "clip16" not in shown and "and 2 more" in shown
    assert "failed: lost: lost.mp4 must be a video file, got no such file" in shown


def test_long_names_of_videos_are_folded(monkeypatch):
    terminal = open_terminal(monkeypatch, 60)
    with BatchTable("videos.csv") as table:
        table(BatchStatus(2, 0, running={0: "a_video_with_a_long_name_" * 4 + "end"}))
    assert "…" not in terminal.getvalue() and "end" in terminal.getvalue()


def test_without_a_terminal_a_failure_is_a_line_when_it_happens_and_progress_is_one_now_and_then(
    monkeypatch, capsys
):
    with BatchTable("videos.csv") as table:
        table(BatchStatus(20, 3))
        table(STATUS)
        table(STATUS)
        assert not table.is_live
        monkeypatch.setattr(batch_table, "PLAIN_INTERVAL_SECONDS", 0.0)
        table(STATUS)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "failed: lost: lost.mp4 must be a video file, got no such file"
    assert len(lines) == 2 and lines[1].startswith("videos.csv: 4 of 20 videos (3 before), 1 failed, ")


def test_names_of_videos_cannot_drive_the_terminal(monkeypatch, capsys):
    status = BatchStatus(
        2, 0, failed=1, running={0: "a\x1b[5mb"}, failures=(("c\x1b[5md", "no such \x1b[5mfile"),)
    )
    with BatchTable("videos.csv") as table:
        table(status)
    assert "failed: c\\x1b[5md: no such \\x1b[5mfile" in capsys.readouterr().err
    terminal = open_terminal(monkeypatch, 150)
    with BatchTable("videos.csv") as table:
        table(status)
    assert "\x1b[5m" not in terminal.getvalue() and "a\\x1b[5mb" in terminal.getvalue()
