"""A list of videos, tracked in processes: results, failures, kills, and going on."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import starktrack
from starktrack.data.synthetic.clip import synthetic_clip
from starktrack.data.video.writer import VideoWriter
from starktrack.errors import BoxError, ConfigError, DeviceError, InputError
from starktrack.pretrained import pretrained_weights
from starktrack.workflows.batch_folder import BatchFolder

TRACKERS = '''
import os, time

class Still:
    def start(self, image, box_xywh):
        self.box = box_xywh
    def update(self, image):
        with open(os.environ["CALLS"], "a") as file:
            file.write("x")
        time.sleep(float(os.environ.get("SECONDS_A_FRAME", "0")))
        return self.box

class Right(Still):
    def update(self, image):
        self.box = super().update(image) + [2, 0, 0, 0]
        return self.box

class Deadly(Right):
    """Ends its process in the second frame of a box that began at 13."""
    def start(self, image, box_xywh):
        super().start(image, box_xywh)
        self.is_deadly = box_xywh[0] == 13
    def update(self, image):
        if self.is_deadly:
            os._exit(9)
        return super().update(image)

def broken():
    raise RuntimeError("no weights")
'''

NUM_FRAMES = 6


def write_clips(folder, count):
    for index in range(count):
        with VideoWriter(folder / f"v{index}.mp4", (48, 64), 10.0) as writer:
            for number in range(NUM_FRAMES):
                writer.write(np.full((48, 64, 3), 20 * index + number, np.uint8))
    (folder / "mine.py").write_text(TRACKERS)


def write_manifest(folder, rows, name="videos.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def row(index, **more):
    return {"video": f"v{index}.mp4", "boxes": f"{10 + index},10,14,12", "id": f"r{index}", **more}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with four clips of six frames and trackers, as the current one."""
    write_clips(tmp_path, 4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path


def num_calls(work):
    return (work / "calls").stat().st_size if (work / "calls").exists() else 0


def tracks_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "tracks").iterdir()}


def read_rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_rows_are_done_once_and_again_when_their_content_or_the_tracker_changes(work):
    steps = []
    manifest = write_manifest(work, [row(0), row(1, end=4), row(2, label="a duck")])
    options = {"tracker": "mine:Right", "workers": 1, "on_status": steps.append}
    run = starktrack.batch(manifest, work / "out", **options)
    assert not run.has_failed and [each.frames for each in run.rows] == [6, 4, 6]
    assert (steps[0].total, steps[-1].done, steps[-1].failed) == (3, 3, 0)
    assert num_calls(work) == 5 + 3 + 5
    found = read_rows(work / "out/tracks/r1.csv")
    assert [(each["frame"], each["x"], each["seconds"]) for each in found] == [
        (str(index), str(11.0 + 2 * index), str(index / 10)) for index in range(4)
    ]
    summary = read_rows(run.summary)
    assert [each["id"] for each in summary] == ["r0", "r1", "r2"]
    assert (summary[2]["label"], summary[2]["state"], summary[2]["file"]) == (
        "a duck",
        "done",
        "tracks/r2.csv",
    )
    assert (summary[0]["targets"], summary[0]["mean_score"], summary[0]["error"]) == ("1", "", "")
    # Nothing is left to do, whatever the order of the rows.
    manifest = write_manifest(work, [row(2, label="a duck"), row(0), row(1, end=4)])
    run = starktrack.batch(manifest, work / "out", **options)
    assert (run.finished_before, num_calls(work)) == (3, 13)
    # One row has another end, the file of another was deleted.
    manifest = write_manifest(work, [row(2, label="a duck"), row(0), row(1, end=3)])
    (work / "out/tracks/r0.csv").unlink()
    run = starktrack.batch(manifest, work / "out", **options)
    assert (run.finished_before, num_calls(work)) == (1, 13 + 2 + 5)
    # Another tracker.
    (work / "mine.py").write_text(TRACKERS + "\n")
    assert starktrack.batch(manifest, work / "out", **options).finished_before == 0


def test_files_of_boxes_and_directions_are_followed(work):
    boxes = [
        {"frame": frame, "target": i, "x": x, "y": 9, "w": 12, "h": 10}
        for frame, i, x in ((2, 4, 20), (3, 1, 5))
    ]
    nothing = {"seconds": None, "score": None, "template_updated": False, "state": None}
    (work / "boxes.json").write_text(json.dumps([{**each, **nothing} for each in boxes]))
    rows = [
        {"video": "v0.mp4", "boxes": "boxes.json", "id": "file", "start": 1},
        {
            "video": "v1.mp4",
            "boxes": "10,10,14,12;20,10,14,12",
            "id": "two",
            "start": 3,
            "direction": "backward",
        },
        {
            "video": "v2.mp4",
            "boxes": "boxes.json",
            "id": "back",
            "start": 4,
            "end": 0,
            "direction": "backward",
        },
        {"video": "v3.mp4", "boxes": "boxes.json", "id": "none", "start": 4},
        {"video": "v3.mp4", "boxes": "10,10,14,12", "id": "late", "start": 40},
    ]
    run = starktrack.batch(write_manifest(work, rows), work / "out", tracker="mine:Right", workers=1)
    found = {
        name: [
            (int(r["frame"]), int(r["target"]), float(r["x"]))
            for r in read_rows(work / f"out/tracks/{name}.csv")
        ]
        for name in ("file", "two", "back")
    }
    assert found["file"] == [(2, 4, 20), (3, 1, 5), (3, 4, 22), (4, 1, 7), (4, 4, 24), (5, 1, 9), (5, 4, 26)]
    assert found["two"] == [(i, t, 10 + 10 * t + 2 * (3 - i)) for i in range(4) for t in (0, 1)]
    assert found["back"] == [(1, 1, 9), (1, 4, 22), (2, 1, 7), (2, 4, 20), (3, 1, 5)]
    by_id = {each.id: each for each in run.rows}
    assert "boxes.json must hold a box in frame 4 or later, before end, got none" in by_id["none"].error
    assert (by_id["none"].tries, by_id["late"].tries) == (1, 3)
    assert "start_frame must be below the 6 frames of v3.mp4, got 40" in by_id["late"].error


def test_a_broken_video_and_one_that_kills_its_worker_stop_no_other(work):
    (work / "v1.mp4").write_bytes(b"no video")
    rows = [row(0), row(1), row(2), row(3)]
    manifest = write_manifest(work, rows)
    run = starktrack.batch(manifest, work / "out", tracker="mine:Deadly", workers=2, retries=1)
    states = {each.id: (each.state, each.tries) for each in run.rows}
    assert states == {"r0": ("done", 1), "r1": ("failed", 2), "r2": ("done", 1), "r3": ("failed", 2)}
    assert run.has_failed and "v1.mp4 must be" in run.rows[1].error and "\n" not in run.rows[1].error
    assert run.rows[3].error == "the worker process ended with code 9 (a crash, or out of memory)"
    assert "Traceback" in (work / "out/failed/r1.txt").read_text()
    # Mended, they are done by the next run, and nothing else is.
    write_clips(work, 2)
    run = starktrack.batch(manifest, work / "out", tracker="mine:Deadly", workers=2, retries=0)
    states = [(each.state, each.error) for each in run.rows]
    assert (run.finished_before, [state for state, _ in states]) == (2, ["done", "done", "done", "failed"]), (
        states
    )
    assert [path.name for path in (work / "out/failed").iterdir()] == ["r3.txt"]


def test_formats_of_annotations_are_written(work):
    manifest = write_manifest(work, [row(0, label="duck"), row(1)])
    for name, suffix in (("cvat", ".xml"), ("yolo", ""), ("txt", ".txt")):
        run = starktrack.batch(manifest, work / name, tracker="mine:Still", workers=1, format=name)
        assert not run.has_failed and run.rows[0].file == f"tracks/r0{suffix}", name
        again = starktrack.batch(manifest, work / name, tracker="mine:Still", workers=1, format=name)
        assert again.finished_before == 2
    tracks = starktrack_read(work / "cvat/tracks/r0.xml")
    assert tracks.labels == ["duck"] and tracks.tracks[0].observations[5].box_xywh == (10, 10, 14, 12)
    # The same folder with another format: results of the former stay, and every row is done again.
    assert (
        starktrack.batch(
            manifest, work / "yolo", tracker="mine:Still", workers=1, format="txt"
        ).finished_before
        == 0
    )


def starktrack_read(path):
    from starktrack.interchange import read

    return read(path)


def test_the_network_gives_what_track_gives(tmp_path):
    clip = list(synthetic_clip(5, size_hw=(96, 128)))
    with VideoWriter(tmp_path / "v.mp4", (96, 128), 10.0) as writer:
        for frame in clip:
            writer.write(frame.image)
    box = ",".join(f"{value:g}" for value in clip[0].box_xywh)
    manifest = write_manifest(tmp_path, [{"video": "v.mp4", "boxes": f"{box};30,20,20,30", "id": "v"}])
    run = starktrack.batch(manifest, tmp_path / "out", workers=1, threads=1)
    from starktrack.data.formats.result_files import ResultWriter

    boxes = [tuple(map(float, box.split(","))), (30.0, 20.0, 20.0, 30.0)]
    with ResultWriter(tmp_path / "alone.csv") as writer:
        for tracked in starktrack.track(str(tmp_path / "v.mp4"), boxes, engine="onnx"):
            for output in tracked.outputs.values():
                writer.write(output)
    assert (tmp_path / "out/tracks/v.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert 0 < run.rows[0].mean_score <= 1 and 0 <= run.rows[0].lost_share <= 1


def command(work, *arguments):
    return [sys.executable, "-m", "starktrack", "batch", "videos.jsonl", "--out", "out", *arguments]


def environment(work, **more):
    source = str(Path(starktrack.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": source, "CALLS": str(work / "calls"), "COLUMNS": "200", **more}


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_and_gives_the_same_files(work, how):
    write_manifest(work, [row(index) for index in range(4)])
    arguments = ("--weights", "mine:Right", "--workers", "2")
    process = subprocess.Popen(
        command(work, *arguments),
        cwd=work,
        env=environment(work, SECONDS_A_FRAME="0.3"),
        stderr=subprocess.PIPE,
        text=True,
        # A starter in the background leaves its children an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    # The first two are written and in the journal, the others are in work.
    journal = work / "out/journal.jsonl"
    wait_for(
        lambda: journal.exists() and len(journal.read_text().splitlines()) > 1 and num_calls(work) > 11,
        process,
    )
    process.send_signal(how)
    _, shown = process.communicate()
    assert process.returncode == (-9 if how == signal.SIGKILL else 128 + how), shown
    if how != signal.SIGKILL:
        assert "stopped; the same command goes on where it was" in shown
        states = [each["state"] for each in read_rows(work / "out/summary.csv")]
        assert "open" in states and "done" in states
    written = tracks_of(work / "out")
    calls = num_calls(work)
    ended = subprocess.run(
        command(work, *arguments),
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "4 of 4 videos are done, " in ended.stderr and " of them before; " in ended.stderr
    assert num_calls(work) - calls == 5 * (4 - len([name for name in written if name.startswith("r")]))
    straight = starktrack.batch("videos.jsonl", work / "straight", tracker="mine:Right", workers=1)
    assert not straight.has_failed
    assert tracks_of(work / "out") == tracks_of(work / "straight")
    assert {name: data for name, data in written.items() if name.startswith("r")}.items() <= tracks_of(
        work / "out"
    ).items()


def test_a_failure_is_one_line_with_its_reason_and_the_remedy_comes_once(work):
    (work / "none.csv").write_text("frame,target,x,y,w,h\n0,0,1,2,3\n")
    write_manifest(work, [row(0), row(7), row(1, boxes="none.csv")])
    ended = subprocess.run(
        command(work, "--weights", "mine:Still", "--workers", "1", "--retries", "0"),
        cwd=work,
        env=environment(work),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1 and ended.stdout == ""
    # A slow machine shows lines of progress in between.
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("videos.jsonl: ")]
    assert len(lines) == 3, ended.stderr
    assert lines[0].startswith("failed: r7: ") and lines[0].count("v7.mp4") == 1
    assert lines[1].startswith("failed: r1: ") and "none.csv line 2: must hold 6 values" in lines[1]
    assert lines[2].startswith("1 of 3 videos are done; 2 failed, the same command tries them again; ")
    assert lines[2].endswith("wrote out/summary.csv")


def test_a_journal_that_was_cut_and_half_written_files_are_no_results(work):
    manifest = write_manifest(work, [row(0), row(1)])
    starktrack.batch(manifest, work / "out", tracker="mine:Still", workers=1)
    journal = work / "out/journal.jsonl"
    first, second = journal.read_text().splitlines()
    journal.write_text(f"{first}\nnonsense\n[]\n{second[:40]}")
    (work / "out/tracks/.r1.0123456789ab.partial.csv").write_text("half")
    run = starktrack.batch(manifest, work / "out", tracker="mine:Still", workers=1)
    assert (run.finished_before, run.has_failed) == (1, False)
    assert sorted(tracks_of(work / "out")) == ["r0.csv", "r1.csv"]
    assert starktrack.batch(manifest, work / "out", tracker="mine:Still", workers=1).finished_before == 2


def test_two_batches_do_not_write_to_one_folder(work):
    with BatchFolder(work / "out", {}), pytest.raises(InputError, match="one batch at a time may write to"):
        BatchFolder(work / "out", {})
    BatchFolder(work / "out", {}).__exit__(None, None, None)


def test_a_summary_in_parquet_holds_the_same(work):
    parquet = pytest.importorskip("pyarrow.parquet")
    manifest = write_manifest(work, [row(0), row(7)])
    run = starktrack.batch(manifest, work / "out", tracker="mine:Still", workers=1, retries=0, parquet=True)
    found = parquet.read_table(work / "out/summary.parquet").to_pylist()
    assert [each["id"] for each in found] == ["r0", "r7"]
    assert found[0]["mean_score"] is None and found[0]["frames"] == 6
    assert found[1]["error"] == run.rows[1].error


def test_what_cannot_be_done_is_refused_at_once(work):
    manifest = write_manifest(work, [row(0)])
    with pytest.raises(ConfigError, match="workers must be 0 or more, got -1"):
        starktrack.batch(manifest, work / "out", workers=-1)
    with pytest.raises(ConfigError, match="together must be 0 or more, got -1"):
        starktrack.batch(manifest, work / "out", together=-1)
    with pytest.raises(ConfigError, match="an address is that of a Ray cluster"):
        starktrack.batch(manifest, work / "out", address="auto")
    with pytest.raises(
        starktrack.AnnotationError, match="unknown annotation format 'cvta'; did you mean 'cvat'"
    ):
        starktrack.batch(manifest, work / "out", format="cvta")
    (work / "file").touch()
    with pytest.raises(InputError, match="a batch must go to a folder you may write to"):
        starktrack.batch(manifest, work / "file", tracker="mine:Still")
    assert issubclass(BoxError, InputError) and num_calls(work) == 0


def test_a_device_that_workers_do_not_have_is_named(work):
    manifest = write_manifest(work, [row(0)])
    with pytest.raises(DeviceError, match="got device 'toaster'"):
        starktrack.batch(manifest, work / "out", workers=2, device="toaster")
    assert [each["state"] for each in read_rows(work / "out/summary.csv")] == ["open"]


def test_workers_get_absolute_paths_of_weights(work, monkeypatch):
    shutil.copy(pretrained_weights("stark_mobile", "onnx"), work / "mine.onnx")
    shutil.copy(pretrained_weights("refine_mobile", "onnx"), work / "finer.onnx")
    jobs = []

    def workers(serve, count):
        jobs.append(serve.__self__)
        raise ConfigError("enough")

    monkeypatch.setattr("starktrack.workflows.batch.LocalWorkers", workers)
    manifest = write_manifest(work, [row(0)])
    with pytest.raises(ConfigError, match="enough"):
        starktrack.batch(manifest, work / "out", tracker="mine.onnx", refine="finer.onnx", workers=1)
    assert (jobs[0].tracker, jobs[0].refine) == (str(work / "mine.onnx"), str(work / "finer.onnx"))
