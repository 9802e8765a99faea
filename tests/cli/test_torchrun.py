"""`torchrun --nproc_per_node 2 -m starktrack evaluate …` for real: two processes, their shares and their failures."""

import os
import signal
import subprocess
import sys
import time

from tests.cli.mini_otb import LENGTHS, NAMES, command, environment, results, run

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]


def launch(work, *arguments, **more):
    """Start the command as two processes."""
    return subprocess.Popen(
        [*TORCHRUN, *command(*arguments)[2:]],
        cwd=work,
        env={**environment(work), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two(work, *arguments, **more):
    process = launch(work, *arguments, **more)
    out, err = process.communicate(timeout=180)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def row(text):
    """Return the line of the tracker without its speed."""
    (line,) = [line.split() for line in text.splitlines() if " mine." in line]
    return line[:-1]


def num_calls(work):
    return (work / "calls").stat().st_size if (work / "calls").exists() else 0


def test_two_processes_do_every_sequence_once_and_print_the_table_of_one(work):
    alone = run(work, "--tracker", "mine:Still", "--out", "alone")
    assert alone.returncode == 0, alone.stderr
    (work / "calls").unlink()
    shared = two(work, "--tracker", "mine:Still")
    assert shared.returncode == 0, shared.stderr
    assert row(shared.stdout) == row(alone.stdout)
    assert "4 sequences" in shared.stdout
    assert num_calls(work) == sum(LENGTHS) - len(LENGTHS), "a frame was tracked twice or never"


def test_a_failing_sequence_ends_in_an_error_and_the_others_are_done(work):
    ended = two(work, "--tracker", "mine:Fails", FAILS="1", SECONDS_A_FRAME="0.05")
    assert ended.returncode != 0
    assert "mine.Fails on BlurBody, frame 1: RuntimeError: lost my mind" in ended.stderr
    assert "3 of 4 sequences are finished" in ended.stderr
    assert "3 sequences" in ended.stdout
    assert sorted(results(work, "mine.Fails")) == sorted(NAMES[:3])
    assert "lost my mind" in (work / "results/otb_test/mine.Fails/failed/BlurBody.txt").read_text()


def test_a_failure_of_an_earlier_run_is_not_one_of_this(work):
    failed = run(work, "--tracker", "mine:Fails", FAILS="1")
    assert failed.returncode == 1
    mended = two(work, "--tracker", "mine:Fails", LATE_SECONDS="4")
    assert mended.returncode == 0, mended.stderr
    assert "4 sequences" in mended.stdout
    assert not (work / "results/otb_test/mine.Fails/failed/BlurBody.txt").exists()


def test_a_killed_launch_is_resumed_and_gives_the_same_table(work):
    whole = run(work, "--tracker", "mine:Fails", "--out", "whole")
    (work / "pids").unlink()
    process = launch(work, "--tracker", "mine:Fails", SECONDS_A_FRAME="0.3")
    deadline = time.monotonic() + 120
    while not results(work, "mine.Fails"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    # torchrun first, or it would end the run as one in which a process failed.
    for pid in (process.pid, *map(int, (work / "pids").read_text().split())):
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    finished = results(work, "mine.Fails")
    assert 1 <= len(finished) < 4
    (work / "calls").unlink()
    resumed = two(work, "--tracker", "mine:Fails")
    assert resumed.returncode == 0, resumed.stderr
    assert num_calls(work) == sum(
        length - 1 for name, length in zip(NAMES, LENGTHS, strict=True) if name not in finished
    )
    assert row(resumed.stdout) == row(whole.stdout)
    assert [path.name for path in (work / "results").rglob(".*")] == []
