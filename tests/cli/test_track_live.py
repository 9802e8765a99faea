"""`starktrack track` on live sources, and outputs in parts."""

import csv
import json
from itertools import pairwise

import av
import pytest
from tests.data.video.live_servers import Sender, transport_stream

from starktrack.data.formats.result_files import COLUMNS
from starktrack.errors import ConfigError
from starktrack.interchange import read
from starktrack.workflows.rotation import Rotation

BOX = "30,20,30,25"


@pytest.fixture(scope="session")
def take(small_clip):
    """Return the small clip five times as MPEG-TS, one piece a frame."""
    return transport_stream([frame.image for frame in small_clip] * 5)


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_stream_that_comes_back_is_tracked_on_and_said(starktrack, small_clip, small_checkpoint, out):
    short = transport_stream([frame.image for frame in small_clip])
    with Sender(short, short, pace=0.01, ends=True) as sender:
        run = starktrack(
            "track", sender.address, "--box", BOX, "--weights", small_checkpoint, "--reconnect", "1",
            "--save", out / "boxes.csv", "--health", "0.05",
        )  # fmt: skip
    assert run.code == 1
    assert "live: tcp://127.0.0.1 broke off after 12 frames: the stream ended; connecting again" in run.err
    assert "live: tcp://127.0.0.1 is back after" in run.err
    assert "health: " in run.err and "\ntracked 24 frames, " in run.err
    assert ", 0 dropped, 1 reconnects; wrote " in run.err
    assert "error: tcp://127.0.0.1 broke off after 24 frames: it did not come back in 1 seconds" in run.err
    assert [int(row["frame"]) for row in rows_of(out / "boxes.csv")] == list(range(24))


def test_the_latest_frames_are_tracked_and_dropped_ones_counted(starktrack, take, small_checkpoint, out):
    with Sender(take, pace=0.001) as sender:
        run = starktrack(
            "track", sender.address, "--box", BOX, "--weights", small_checkpoint, "--latest",
            "--save", out / "boxes.csv",
        )  # fmt: skip
    assert run.code == 0, run.err
    rows = rows_of(out / "boxes.csv")
    frames = [int(row["frame"]) for row in rows]
    assert frames[0] == 0 and all(later > earlier for earlier, later in pairwise(frames))
    dropped = len(take) - len(frames)
    assert dropped > 0
    assert f", {dropped} dropped, 0 reconnects; wrote " in run.err


def test_json_lines_go_to_standard_output(starktrack, clip_file, small_checkpoint):
    run = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--format", "jsonl")
    rows = [json.loads(line) for line in run.out.splitlines()]
    assert run.code == 0 and len(rows) == 12
    assert tuple(rows[0]) == COLUMNS and rows[0]["frame"] == 0 and rows[0]["score"] is None


def test_json_lines_in_a_file_are_read_again(starktrack, clip_file, small_checkpoint, out):
    arguments = ("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save")
    assert starktrack(*arguments, out / "boxes.jsonl").code == 0
    assert starktrack(*arguments, out / "boxes.json").code == 0
    assert read(out / "boxes.jsonl") == read(out / "boxes.json")


def test_standard_output_has_no_other_formats(starktrack, clip_file, small_checkpoint):
    run = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--format", "cvat")
    assert run.code == 1 and "standard output has the formats csv and jsonl, got cvat" in run.err


def test_the_health_file_holds_the_latest_numbers(starktrack, take, small_checkpoint, out):
    with Sender(take, pace=0.005) as sender:
        run = starktrack(
            "track", sender.address, "--box", BOX, "--weights", small_checkpoint, "--save", out / "boxes.csv",
            "--health", "0.05", "--health-file", out / "health.json",
        )  # fmt: skip
    assert run.code == 0 and "health: " not in run.err
    health = json.loads((out / "health.json").read_text(encoding="utf-8"))
    assert 0 < health["num_frames"] <= len(take) and health["num_dropped"] == 0


@pytest.mark.parametrize("option", ["--latest", "--reconnect=5", "--health=1", "--freeze=3", "--timeout=3"])
def test_live_options_are_refused_for_a_file(starktrack, clip_file, small_checkpoint, option):
    run = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, option)
    assert run.code == 1 and "are for cameras, streams and pipes, got" in run.err


def test_latest_is_refused_for_text_without_frame_numbers(starktrack, clip_file, small_checkpoint, out):
    run = starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--latest", "--save", out / "a.txt"
    )
    assert run.code == 1 and "--latest drops frames, and .txt does not number its lines" in run.err


# Parts.


def test_parts_by_time_hold_all_frames_once_and_videos_the_same_ones(
    starktrack, clip_file, small_checkpoint, out
):
    # 12 frames at 12.5 frames/s: 0.4 s are 5 frames.
    run = starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--rotate", "0.4s",
        "--save", out / "boxes.csv", "--video", out / "shown.mp4",
    )  # fmt: skip
    assert run.code == 0, run.err
    boxes, videos = sorted(out.glob("boxes-*.csv")), sorted(out.glob("shown-*.mp4"))
    assert [path.stem[-5:] for path in boxes] == ["00001", "00002", "00003"]
    assert len(list(out.iterdir())) == 6
    parts = [[int(row["frame"]) for row in rows_of(path)] for path in boxes]
    assert parts == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    for path, frames in zip(videos, parts, strict=True):
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == len(frames)
    assert str(boxes[2]) in run.err


def test_parts_by_size_end_once_they_are_full(starktrack, clip_file, small_checkpoint, out):
    run = starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--rotate", "1kB",
        "--video", out / "shown.mkv", "--save", out / "boxes.jsonl",
    )  # fmt: skip
    assert run.code == 0, run.err
    parts = sorted(out.glob("boxes-*.jsonl"))
    frames = [json.loads(line)["frame"] for path in parts for line in path.read_text().splitlines()]
    assert frames == list(range(12)) and len(parts) >= 1
    assert len(list(out.glob("shown-*.mkv"))) == len(parts)


def test_every_part_of_an_annotation_format_is_whole(starktrack, clip_file, small_checkpoint, out):
    run = starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--rotate", "0.5s",
        "--save", out / "boxes.xml",
    )  # fmt: skip
    assert run.code == 0, run.err
    frames = [
        seen.frame
        for path in sorted(out.glob("*.xml"))
        for track in read(path).tracks
        for seen in track.observations
    ]
    assert frames == list(range(12))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rotate", "soon"), "a rotation must be a time such as 90s"),
        (("--rotate", "0h", "--save", "a.csv"), "a rotation must be a time such as 90s"),
        (("--rotate", "1h"), "a rotation needs a file to rotate, got none"),
        (("--rotate", "1MB", "--save", "a.xml"), "a rotation by size needs a video"),
    ],
)
def test_rotations_that_cannot_be_meant_are_refused(
    starktrack, clip_file, small_checkpoint, arguments, message, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    run = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, *arguments)
    assert run.code == 1 and message in run.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", Rotation(90.0, None)),
        ("1.5 h", Rotation(5400.0, None)),
        ("2GiB", Rotation(None, 2**31)),
        ("1d,500MB", Rotation(86_400.0, 500_000_000)),
    ],
)
def test_rotations_are_read(text, expected):
    assert Rotation.parse(text) == expected


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1h,", "1 week", "1e9s"])
def test_what_is_no_rotation_is_refused(text):
    with pytest.raises(ConfigError, match="a rotation must be a time"):
        Rotation.parse(text)
