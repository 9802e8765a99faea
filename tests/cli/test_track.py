import csv
import fcntl
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import termios
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import starktrack as package
from starktrack.config.schema import Config
from starktrack.data.formats.result_files import COLUMNS, read_boxes
from starktrack.data.video.writer import VideoWriter
from starktrack.models.build import build_network
from starktrack.models.weights import read_weights, save_weights

BOX, OTHER = "40,30,20,24", "70.5,20.25,30,18"


def rows_of(text):
    return list(csv.DictReader(text.splitlines()))


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_boxes_of_every_frame_go_to_a_text_file_the_given_one_first(
    starktrack, clip_file, small_checkpoint, out
):
    done = starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", out / "boxes.txt"
    )
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("tracked 12 frames, ") and done.err.endswith(f"wrote {out / 'boxes.txt'}\n")
    assert done.err.count("\n") == 1
    boxes = read_boxes(out / "boxes.txt")
    assert boxes.shape == (12, 4) and boxes[0].tolist() == [40.0, 30.0, 20.0, 24.0]
    assert np.abs(np.diff(boxes, axis=0)).max() > 0


def test_the_command_and_python_give_the_same_boxes(starktrack, clip_file, small_checkpoint, out):
    starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", out / "boxes.txt")
    box = tuple(map(float, BOX.split(",")))
    run = package.track(clip_file, box, weights=small_checkpoint, device="cpu")
    outputs = [tracked.output for tracked in run]
    np.testing.assert_allclose(read_boxes(out / "boxes.txt"), [o.box_xywh for o in outputs], atol=1e-3)
    assert outputs[0].score is None and 0 < outputs[1].score < 1


def test_csv_carries_frame_time_target_box_score_and_update(starktrack, clip_file, small_checkpoint, out):
    path = out / "boxes.csv"
    arguments = ("--box", BOX, "--box", OTHER, "--weights", small_checkpoint, "--save", path)
    assert starktrack("track", clip_file, *arguments, "--model", "stark_s50").code == 1
    assert starktrack("track", clip_file, *arguments).code == 0
    rows = rows_of(path.read_text())
    assert tuple(rows[0]) == COLUMNS and len(rows) == 24
    assert [row["target"] for row in rows[:4]] == ["0", "1", "0", "1"]
    assert (rows[1]["x"], rows[1]["y"], rows[1]["score"]) == ("70.5", "20.25", "")
    assert float(rows[6]["seconds"]) == pytest.approx(3 / 12.5, abs=1e-3)
    assert rows[6]["frame"] == "3" and 0 < float(rows[6]["score"]) < 1
    assert {row["frame"] for row in rows if row["template_updated"] == "true"} == {"3", "6", "9"}


def test_until_lost_stops_where_the_target_counts_as_lost(starktrack, clip_file, small_checkpoint, out):
    config, state = read_weights(small_checkpoint)
    never_sure = replace(config.tracking, tracked_score=1.0, lost_score=1.0)
    save_weights(out / "w.safetensors", state, replace(config, tracking=never_sure))
    arguments = ("--weights", out / "w.safetensors", "--save", out / "b.json", "--until-lost")
    done = starktrack("track", clip_file, "--box", BOX, *arguments)
    entries = json.loads((out / "b.json").read_text())
    assert done.code == 0 and "lost in frame 5" in done.err
    assert [entry["state"] for entry in entries] == [None, *["uncertain"] * 4, "lost"]


def test_until_lost_with_redetect_stops_when_the_search_has_not_found_the_target_either(
    starktrack, clip_file, small_checkpoint, out
):
    config, state = read_weights(small_checkpoint)
    never_sure = replace(config.tracking, tracked_score=1.0, lost_score=1.0)
    save_weights(out / "w.safetensors", state, replace(config, tracking=never_sure))
    arguments = ("--weights", out / "w.safetensors", "--save", out / "b.json", "--until-lost")
    done = starktrack("track", clip_file, "--box", BOX, *arguments, "--redetect", 4)
    entries = json.loads((out / "b.json").read_text())
    assert done.code == 0 and "lost in frame 8" in done.err
    assert [entry["state"] for entry in entries] == [None, *["uncertain"] * 4, *["lost"] * 4]


@pytest.mark.parametrize("option", [("--until-lost",), ("--search-growth", "2")])
def test_what_depends_on_the_state_needs_a_model_with_a_score(
    starktrack, clip_file, tmp_path, small_model, option
):
    path = tmp_path / "plain.safetensors"
    model = small_model()
    save_weights(path, build_network(model).state_dict(), Config(name="plain", model=model))
    done = starktrack("track", clip_file, "--box", BOX, "--weights", path, *option)
    assert done.code == 1 and f"{option[0]} needs a model with a score, plain has none" in done.err


def test_the_search_region_of_a_lost_target_grows_only_when_asked(
    starktrack, clip_file, small_checkpoint, out
):
    config, state = read_weights(small_checkpoint)
    never_sure = replace(config.tracking, tracked_score=1.0, lost_score=1.0, lost_after=2)
    save_weights(out / "w.safetensors", state, replace(config, tracking=never_sure))
    tracked = {}
    for name, option in {"plain": (), "off": ("--search-growth", 1), "on": ("--search-growth", 2)}.items():
        path = out / f"{name}.csv"
        done = starktrack(
            "track", clip_file, "--box", BOX, "--weights", out / "w.safetensors", "--save", path, *option
        )
        assert done.code == 0, done.err
        tracked[name] = rows_of(path.read_text())
    assert tracked["plain"] == tracked["off"]
    # Lost from frame 2 on: the frame after is the first to be searched elsewhere.
    assert tracked["plain"][:3] == tracked["on"][:3] and tracked["plain"][3] != tracked["on"][3]


def test_the_share_of_the_box_fit_is_an_option(starktrack, clip_file, small_checkpoint, out):
    tracked = {}
    for share in (None, 0, 1):
        option = () if share is None else ("--box-fit", share)
        path = out / f"{share}.csv"
        done = starktrack(
            "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", path, *option
        )
        assert done.code == 0, done.err
        tracked[share] = rows_of(path.read_text())
    assert tracked[None] == tracked[0]
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--box-fit", 2)
    assert done.code == 1 and "--box-fit must be" in done.err


def test_a_search_region_that_shrinks_is_refused(starktrack, clip_file, small_checkpoint):
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--search-growth", 0.5)
    assert done.code == 1 and done.err == "error: --search-growth must be at least 1, got 0.5\n"


def test_json_holds_the_same_as_csv(starktrack, clip_file, small_checkpoint, out):
    for suffix in ("csv", "json"):
        path = out / f"boxes.{suffix}"
        starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", path)
    entries, rows = json.loads((out / "boxes.json").read_text()), rows_of((out / "boxes.csv").read_text())
    assert len(entries) == len(rows) == 12
    assert [str(entry["x"]) for entry in entries] == [row["x"] for row in rows]
    assert entries[0]["score"] is None and entries[3]["template_updated"] is True


def test_several_targets_make_a_text_file_each(starktrack, clip_file, small_checkpoint, out):
    arguments = ("--box", BOX, "--box", OTHER, "--weights", small_checkpoint, "--save", out / "b.txt")
    done = starktrack("track", clip_file, *arguments)
    assert files_in(out) == ["b_0.txt", "b_1.txt"]
    assert all(str(out / name) in done.err for name in files_in(out))
    starktrack("track", clip_file, "--box", OTHER, "--weights", small_checkpoint, "--save", out / "alone.txt")
    np.testing.assert_allclose(read_boxes(out / "b_1.txt"), read_boxes(out / "alone.txt"), atol=1e-3)


def test_without_files_the_boxes_go_to_standard_output(starktrack, clip_file, small_checkpoint):
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint)
    assert done.code == 0 and len(rows_of(done.out)) == 12
    assert tuple(rows_of(done.out)[0]) == COLUMNS


def test_the_annotated_video_has_rate_size_and_frames_of_its_source(
    starktrack, clip_file, small_checkpoint, small_clip, out
):
    path = out / "shown.mp4"
    assert (
        starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--video", path).code == 0
    )
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert float(stream.average_rate) == pytest.approx(12.5)
    assert len(frames) == 12 and frames[0].shape == (96, 128, 3)
    difference = np.abs(frames[0].astype(int) - small_clip[0].image).max(axis=2)
    assert difference[29:32, 40:60].max() > 60, "the box is drawn on its upper edge"
    assert np.median(difference) < 20, "the rest of the picture stays"
    assert files_in(out) == ["shown.mp4"]


def test_a_later_start_frame_begins_there_and_keeps_the_true_frame_numbers(
    starktrack, clip_file, small_checkpoint, out
):
    path = out / "late.csv"
    starktrack(
        "track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", path, "--start-frame", 9
    )
    rows = rows_of(path.read_text())
    assert [row["frame"] for row in rows] == ["9", "10", "11"] and rows[0]["x"] == "40.0"


def test_folders_and_globs_of_images_are_videos(starktrack, image_folder, small_checkpoint, out):
    whole = starktrack("track", image_folder, "--box", BOX, "--weights", small_checkpoint)
    half = starktrack("track", image_folder / "000[0-5].png", "--box", BOX, "--weights", small_checkpoint)
    assert len(rows_of(whole.out)) == 12 and len(rows_of(half.out)) == 6
    assert half.out.splitlines() == whole.out.splitlines()[:7]


def test_counts_of_a_thermal_camera_are_tracked_on_one_scale_that_is_said(
    starktrack, small_clip, small_checkpoint, tmp_path
):
    folder = tmp_path / "thermal"
    folder.mkdir()
    for index, frame in enumerate(small_clip):
        cv2.imwrite(str(folder / f"{index}.png"), frame.image[..., 1].astype(np.uint16) + 7300)
    arguments = ("track", folder, "--box", BOX, "--weights", small_checkpoint)
    measured = starktrack(*arguments)
    assert measured.code == 0 and len(rows_of(measured.out)) == 12
    assert measured.err.startswith("warning: thermal: pictures of type uint16 are mapped to 8 bits from 73")
    for index, frame in enumerate(small_clip):
        cv2.imwrite(str(folder / f"{index}.png"), frame.image[..., 1])
    plain = starktrack(*arguments)
    for index, frame in enumerate(small_clip):
        cv2.imwrite(str(folder / f"{index}.png"), frame.image[..., 1].astype(np.uint16) + 7300)
    given = starktrack(*arguments, "--range", "7300,7555")
    assert given.out == plain.out and "warning" not in given.err
    outputs = package.track(folder, (40, 30, 20, 24), weights=small_checkpoint, intensity_range=(7300, 7555))
    last = [float(rows_of(plain.out)[-1][side]) for side in "xywh"]
    np.testing.assert_allclose(list(outputs)[-1].output.box_xywh, last, atol=1e-3)


@pytest.mark.parametrize("text", ["7300", "a,b", "1,2,3", "5,4", "nan,4"])
def test_a_range_that_is_none_is_refused(starktrack, clip_file, small_checkpoint, text):
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--range", text)
    assert done.code == 1 and "range must be two numbers LOW,HIGH" in done.err


def test_an_annotated_video_of_joined_broadcasts_lasts_as_long_as_both(
    starktrack, small_clip, small_checkpoint, out, tmp_path
):
    path = tmp_path / "part.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = 96, 128
        for frame in small_clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
        container.mux(stream.encode())
    path.write_bytes(2 * path.read_bytes())
    files = ("--save", out / "b.csv", "--video", out / "b.mp4")
    done = starktrack("track", path, "--box", BOX, "--weights", small_checkpoint, *files)
    assert done.code == 0 and done.err.startswith("warning: part.ts: frame 12 is timed 0.00 s after one at")
    seconds = [float(row["seconds"]) for row in rows_of((out / "b.csv").read_text())]
    np.testing.assert_allclose(seconds, 0.04 * np.arange(24), atol=1e-3)
    with av.open(str(out / "b.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(shown, seconds, atol=1e-3)


def test_a_video_whose_pixels_are_not_square_is_written_as_it_is_shown(
    starktrack, small_clip, small_checkpoint, out, tmp_path
):
    with VideoWriter(tmp_path / "wide.mp4", (96, 128), 12.5, pixel_aspect=Fraction(2)) as writer:
        for frame in small_clip:
            writer.write(frame.image)
    path = out / "shown.mp4"
    arguments = ("track", tmp_path / "wide.mp4", "--box", BOX, "--weights", small_checkpoint)
    assert starktrack(*arguments, "--video", path).code == 0
    with av.open(str(path)) as container:
        assert container.streams.video[0].display_aspect_ratio == Fraction(8, 3)


@pytest.fixture
def bad(tmp_path, small_checkpoint, clip_file):
    """Return inputs that cannot be used, by name."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "empty").mkdir()
    (folder / "text.mp4").write_text("not a video")
    (folder / "nothing.mp4").write_bytes(b"")
    (folder / "half.mp4").write_bytes(clip_file.read_bytes()[:200])
    data = small_checkpoint.read_bytes()
    (folder / "truncated.safetensors").write_bytes(data[: len(data) // 2])
    (folder / "pickle.safetensors").write_bytes(b"\x80\x04N.")
    return folder


BAD_INPUT = {
    "missing video": ({"video": "{bad}/none.mp4"}, "none.mp4 must be a video file, an image folder"),
    "text as video": ({"video": "{bad}/text.mp4"}, "text.mp4"),
    "empty video": ({"video": "{bad}/nothing.mp4"}, "nothing.mp4"),
    "video without an end": ({"video": "{bad}/half.mp4"}, "half.mp4"),
    "empty name": ({"video": ""}, "got an empty name"),
    "number of no camera": ({"video": "99999999999999"}, "a camera must have a number of at most 9999"),
    "box of a universe": ({"--box": "0,0,1e200,1e200"}, "a box must lie within 1e+06 pixels"),
    "empty folder": ({"video": "{bad}/empty"}, "empty"),
    "glob of nothing": ({"video": "{bad}/*.png"}, "*.png"),
    "start frame beyond the end": (
        {"--start-frame": "12"},
        "error: --start-frame must be below the 12 frames of clip.mp4, got 12",
    ),
    "box outside": (
        {"--box": "500,5,10,10"},
        "a box must overlap the frame of 128 x 96 pixels, got 500,5,10,10",
    ),
    "box in shares of the frame": (
        {"--box": "0.1,0.2,0.3,0.4"},
        "a box must be at least 1 pixel wide and high, got 0.1,0.2,0.3,0.4; these are shares of the frame",
    ),
    "box of no size": ({"--box": "5,5,0,10"}, "a box must have positive width and height, got 5,5,0,10"),
    "box of negative size": (
        {"--box": "5,5,10,-3"},
        "a box must have positive width and height, got 5,5,10,-3",
    ),
    "negative box outside": ({"--box": "-50,-50,10,10"}, "a box must overlap the frame"),
    "box with nan": ({"--box": "5,nan,10,10"}, "a box must be finite, got 5,nan,10,10"),
    "box of three": ({"--box": "5,5,10"}, "--box must be four numbers X,Y,W,H, got 3: '5,5,10'"),
    "box of five": ({"--box": "5,5,10,10,1"}, "--box must be four numbers X,Y,W,H, got 5"),
    "box of words": ({"--box": "a,b,c,d"}, "--box must be four numbers X,Y,W,H, got 'a,b,c,d'"),
    "box of nothing": ({"--box": ""}, "--box must be four numbers X,Y,W,H, got ''"),
    "no box": ({"--box": None}, "--boxes FILE and --select, got none of them"),
    "no weights": (
        {"--weights": None, "--model": "stark_s50"},
        "needs weights, got none; train some (starktrack train), or convert",
    ),
    "missing weights": (
        {"--weights": "{bad}/none.safetensors"},
        "weights must be a file written by starktrack, ",
    ),
    "truncated weights": ({"--weights": "{bad}/truncated.safetensors"}, "is not or is truncated"),
    "pickled weights": (
        {"--weights": "{bad}/pickle.safetensors"},
        "for a file of the authors run: starktrack convert",
    ),
    "weights of another model": (
        {"--model": "stark_st50"},
        "weights must be of stark_st50, {weights} is of small; leave the model out, or give small",
    ),
    "unknown model": ({"--model": "stark_st5"}, "got 'stark_st5'; did you mean 'stark_st50'?"),
    "unknown kind of result": ({"--save": "{out}/boxes.xls"}, "a result file must end in .txt, .csv, .json"),
    "result in no folder": (
        {"--save": "{out}/no/boxes.txt"},
        "a result file must lie in a folder that exists",
    ),
    "result is a folder": ({"--save": "{out}"}, "a result file must end in .txt, .csv, .json"),
    "unknown kind of video": ({"--video": "{out}/shown.doc"}, "must end in"),
    "missing device": (
        {"--device": "cuda"},
        "device cuda is not available on this machine; use auto or cpu",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_clear_line_a_failed_exit_and_no_file(
    case, starktrack, bad, out, clip_file, small_checkpoint, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    changes, text = BAD_INPUT[case]
    given = {
        "video": clip_file,
        "--box": BOX,
        "--weights": small_checkpoint,
        "--save": out / "boxes.csv",
        "--video": out / "shown.mp4",
    } | changes
    names = {"bad": bad, "out": out, "weights": small_checkpoint}
    values = {key: str(value).format(**names) for key, value in given.items() if value is not None}
    options = [word for key, value in values.items() if key != "video" for word in (key, value)]
    done = starktrack("track", values["video"], *options)
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert text.format(**names) in done.err
    assert files_in(out) == []


def test_an_output_never_replaces_the_video_that_is_tracked(starktrack, clip_file, small_checkpoint):
    before = clip_file.read_bytes()
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--video", clip_file)
    assert done.code == 1 and "an output must not replace the video that is tracked" in done.err
    assert clip_file.read_bytes() == before


def test_an_output_never_replaces_the_boxes_that_are_read(starktrack, clip_file, small_checkpoint, tmp_path):
    boxes = tmp_path / "boxes.csv"
    options = ("--weights", small_checkpoint, "--save", boxes)
    assert starktrack("track", clip_file, "--box", BOX, *options).code == 0
    before = boxes.read_bytes()
    done = starktrack("track", clip_file, "--boxes", boxes, *options)
    assert done.code == 1 and "an output must not replace the file of boxes" in done.err
    assert boxes.read_bytes() == before


def test_an_output_never_replaces_the_file_that_an_address_names(starktrack, clip_file, small_checkpoint):
    before = clip_file.read_bytes()
    source = f"file://{clip_file}"
    done = starktrack("track", source, "--box", BOX, "--weights", small_checkpoint, "--video", clip_file)
    assert done.code == 1 and "an output must not replace the video that is tracked" in done.err
    assert clip_file.read_bytes() == before


def test_select_and_box_exclude_each_other(starktrack, clip_file):
    done = starktrack("track", clip_file, "--box", BOX, "--select")
    assert done.code == 1 and "got --box and --select" in done.err


def test_select_without_a_display_says_what_to_use(starktrack, clip_file, small_checkpoint, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    done = starktrack("track", clip_file, "--select", "--weights", small_checkpoint)
    assert done.code == 1 and done.err.startswith("error: --select needs ")
    assert "use --box X,Y,W,H" in done.err and done.err.count("\n") == 1


def test_an_older_result_stays_where_a_run_fails(starktrack, clip_file, small_checkpoint, out):
    (out / "boxes.txt").write_text("1,2,3,4\n")
    starktrack(
        "track", clip_file, "--box", "500,5,5,5", "--weights", small_checkpoint, "--save", out / "boxes.txt"
    )
    assert (out / "boxes.txt").read_text() == "1,2,3,4\n" and files_in(out) == ["boxes.txt"]


def test_a_video_that_breaks_off_keeps_what_was_tracked_and_fails(
    starktrack, image_folder, small_checkpoint, out
):
    cv2.imwrite(str(image_folder / "0005.png"), np.zeros((40, 40, 3), np.uint8))
    files = ("--save", out / "boxes.txt", "--video", out / "shown.mp4")
    done = starktrack("track", image_folder, "--box", BOX, "--weights", small_checkpoint, *files)
    assert done.code == 1
    summary, error = done.err.splitlines()
    assert (
        summary.startswith("tracked 5 frames, ")
        and str(out / "boxes.txt") in summary
        and "shown.mp4" in summary
    )
    assert error.startswith("error: frames broke off after 5 frames: ")
    assert len(read_boxes(out / "boxes.txt")) == 5
    with av.open(str(out / "shown.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5
    assert files_in(out) == ["boxes.txt", "shown.mp4"]


def many_pictures(small_clip, tmp_path):
    """Write 1500 pictures, enough to be interrupted among them."""
    many = tmp_path / "many"
    many.mkdir()
    picture = cv2.imencode(".png", small_clip[0].image)[1].tobytes()
    for index in range(1500):
        (many / f"{index:05d}.png").write_bytes(picture)
    return many


def wait_for_output(folder):
    """Wait until rows were written."""
    wait_until(lambda: any(path.stat().st_size for path in folder.glob(".boxes*")))


def wait_until(is_so):
    deadline = time.monotonic() + 300
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)


def heed_signals():
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # what runs the tests may ignore them


def process(*arguments):
    """Start the command as a process of its own; exported networks spare it the import of PyTorch, which takes long."""
    return subprocess.Popen(
        [sys.executable, "-m", "starktrack", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )


def test_nothing_but_our_own_lines_is_said_of_half_a_picture(image_folder, out):
    frame = image_folder / "0005.png"
    frame.write_bytes(frame.read_bytes()[:500])
    files = ("--save", out / "boxes.txt")
    running = process("track", image_folder, "--box", BOX, *files)
    _, err = running.communicate(timeout=120)
    summary, error = err.splitlines()
    assert running.returncode == 1 and summary.startswith("tracked 5 frames, ")
    assert (
        error.startswith("error: frames broke off after 5 frames: ") and "0005.png must be a whole" in error
    )
    assert len(read_boxes(out / "boxes.txt")) == 5


@pytest.mark.parametrize(
    ("asked", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_keeps_what_was_tracked(asked, code, exported, small_clip, out, tmp_path):
    many = many_pictures(small_clip, tmp_path)
    running = process("track", many, "--box", BOX, "--weights", exported, "--save", out / "boxes.csv")
    wait_for_output(out)
    running.send_signal(asked)
    _, err = running.communicate(timeout=60)
    assert running.returncode == code, err
    assert files_in(out) == ["boxes.csv"] and "tracked " in err and "Traceback" not in err
    rows = rows_of((out / "boxes.csv").read_text())
    assert 0 < len(rows) < 1500 and [int(row["frame"]) for row in rows] == list(range(len(rows)))
    assert all(None not in row.values() for row in rows)


@pytest.mark.parametrize("saves", [True, False])
def test_a_signal_ends_a_silent_pipe_and_keeps_what_was_tracked(saves, small_clip, out, tmp_path):
    video, pipe = tmp_path / "clip.mkv", tmp_path / "pipe"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "bgr0"
        for index in range(60):
            image = small_clip[index % len(small_clip)].image
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))
    os.mkfifo(pipe)
    files = ("--save", out / "boxes.csv") if saves else ()
    running = process("track", pipe, "--box", BOX, *files)
    with pipe.open("wb", buffering=0) as writer:
        writer.write(video.read_bytes()[:-1000])  # ends in the last frame
        if saves:
            wait_until(lambda: any(out.iterdir()))
            time.sleep(5)
        else:
            rows = [running.stdout.readline() for _ in range(30)]
        running.send_signal(signal.SIGTERM)
        try:
            rest, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 143 and "tracked " in err and "Traceback" not in err
    assert files_in(out) == (["boxes.csv"] if saves else [])
    text = (out / "boxes.csv").read_text() if saves else "".join(rows) + rest
    frames = [int(row["frame"]) for row in rows_of(text)]
    assert frames == list(range(len(frames))) and len(frames) > 20


def test_a_later_signal_ends_a_command_that_hangs():
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "from starktrack.cli.interrupts import interruptible\n"
        "with interruptible():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        print('asked', flush=True); time.sleep(60)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.readline() == "asked\n"
        running.send_signal(signal.SIGTERM)
        time.sleep(2.5)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == -signal.SIGTERM
    finally:
        running.kill()


def test_a_second_ctrl_c_leaves_whole_files(exported, small_clip, out, tmp_path):
    many = many_pictures(small_clip, tmp_path)
    files = ("--save", out / "boxes.csv", "--video", out / "shown.mp4")
    running = process("track", many, "--box", BOX, "--weights", exported, *files)
    wait_for_output(out)
    for _ in range(20):
        running.send_signal(signal.SIGINT)
        time.sleep(0.005)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in err
    assert files_in(out) == ["boxes.csv", "shown.mp4"]
    with av.open(str(out / "shown.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


def test_a_closed_terminal_keeps_what_was_tracked(exported, small_clip, out, tmp_path):
    many = many_pictures(small_clip, tmp_path)
    terminal, inside = pty.openpty()

    def own_terminal():
        os.setsid()
        fcntl.ioctl(inside, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    arguments = ("track", many, "--box", BOX, "--weights", exported, "--save", out / "boxes.csv")
    running = subprocess.Popen(
        [sys.executable, "-m", "starktrack", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        preexec_fn=own_terminal,
    )
    os.close(inside)
    reader = threading.Thread(target=lambda: wait_for_output(out))
    reader.start()
    while reader.is_alive():
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 4096)
    os.close(terminal)
    assert running.wait(timeout=60) == 129
    assert files_in(out) == ["boxes.csv"]
    assert 0 < len(rows_of((out / "boxes.csv").read_text())) < 1500


@pytest.mark.parametrize(("target", "code"), [("> /dev/full", 1), (">&-", 0), ("| head -1 > /dev/null", 0)])
def test_an_output_that_takes_nothing_is_no_traceback(exported, clip_file, target, code):
    command = [sys.executable, "-m", "starktrack", "track", clip_file, "--box", BOX, "--weights", exported]
    source = str(Path(package.__file__).parents[1])
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(map(str, command))} {target}"],
        env={**os.environ, "PYTHONPATH": source},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code and "Traceback" not in done.stderr and "Exception" not in done.stderr
    if code:
        assert done.stderr == "error: standard output must take the rows, got: No space left on device\n"


def test_rows_come_one_by_one_through_a_pipe_and_in_blocks_to_a_file(tmp_path):
    from starktrack.cli.track import _line_writer

    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        for row in ("0,1\n", "1,2\n"):
            _line_writer(stream)(row)
            assert os.read(reader, 4096).decode() == row
    with (tmp_path / "rows.csv").open("w") as stream:
        _line_writer(stream)("0,1\n")
        assert not (tmp_path / "rows.csv").stat().st_size


@pytest.mark.parametrize("length", [246, 300])
def test_long_names_of_outputs_work_or_are_refused_before_the_work(
    starktrack, clip_file, small_checkpoint, out, length
):
    path = out / ("a" * length + ".csv")
    done = starktrack("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", path)
    if length == 246:
        assert done.code == 0 and files_in(out) == [path.name]
    else:
        assert done.code == 1 and "a result file must have a name of at most 250 bytes, got 304" in done.err


def test_an_output_that_was_there_before_is_replaced_with_a_word(
    starktrack, clip_file, small_checkpoint, out
):
    arguments = ("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", out / "b.csv")
    assert "replaced" not in starktrack(*arguments).err
    assert starktrack(*arguments).err.endswith(f"replaced an older {out / 'b.csv'}\n")
    # Where nothing was written nothing is said.
    assert "replaced" not in starktrack(*arguments, "--start-frame", 12).err


def test_one_of_two_files_is_never_left_out_silently(starktrack, clip_file, small_checkpoint, out):
    arguments = ("track", clip_file, "--box", BOX, "--weights", small_checkpoint, "--save", out / "b.csv")
    done = starktrack(*arguments, "--save", out / "b.json")
    assert done.code == 2 and "--save takes one place, got 2; leave out the others" in done.err
    assert files_in(out) == []
    assert starktrack(*arguments, "--start-frame", 50, "--start-frame", 11).code == 0, "the last one counts"
    assert len(rows_of((out / "b.csv").read_text())) == 1


def test_a_pattern_that_the_shell_expanded_is_met_with_a_hint(starktrack, image_folder):
    pictures = sorted(image_folder.iterdir())
    done = starktrack("track", *pictures, "--box", BOX)
    assert done.code == 2 and "got too many arguments" in done.err and "and 8 more" in done.err
    assert "put a pattern in quotes" in " ".join(done.err.replace("│", " ").split())
    done = starktrack("track", pictures[0], "more", "--box", BOX)
    assert done.code == 2 and "got too many arguments: more" in done.err and "quotes" not in done.err


def test_errors_name_options_and_not_what_python_calls_them(starktrack, clip_file):
    done = starktrack("track", clip_file, "--box", BOX, "--latest", "--timeout", "-1")
    assert done.err == "error: --timeout must be a number of seconds above 0, got -1.0\n"


def test_a_source_whose_name_is_too_long_is_one_clear_line(starktrack):
    done = starktrack("track", "a" * 300, "--box", BOX)
    assert done.code == 1 and "must be a place that can be looked at, got: " in done.err
    assert done.err.startswith("error: ") and done.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["doctor", "models"])
def test_tables_are_folded_and_never_cut_in_a_window_of_80_columns(starktrack, monkeypatch, verb):
    monkeypatch.setenv("COLUMNS", "80")
    shown = starktrack(verb).out
    assert "…" not in shown and max(map(len, shown.splitlines())) <= 80


def test_the_files_of_weights_are_never_cut(starktrack, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    for suffix in (".safetensors", ".onnx"):
        (tmp_path / f"stark_mobile{suffix}").touch()
    shown = starktrack("models", "--weights", tmp_path).out
    assert "…" not in shown and ".onnx" in "".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("arguments", [("doctor",), ("models", "--card", "stark_mobile")])
def test_a_terminal_without_our_letters_shows_what_it_can(encoding, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "starktrack", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(package.__file__).parents[1]),
            "PYTHONIOENCODING": encoding,
            "PYTHONUTF8": "0",
        },
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert done.stdout.decode(encoding)


def test_outlines_go_to_a_folder_and_into_the_video(starktrack, clip_file, small_checkpoint, out):
    import torch
    from tests.data.samples.test_outline import MODEL

    from starktrack.config.schema import Config
    from starktrack.models.refine import build_refiner
    from starktrack.models.weights import save_weights

    torch.manual_seed(0)
    network = build_refiner(MODEL)
    torch.nn.init.constant_(network.outline.bias, 9.0)
    refiner = out / "refiner.safetensors"
    save_weights(refiner, network.state_dict(), Config(name="small", model=MODEL))
    arguments = ("track", clip_file, "--box", BOX, "--box", OTHER, "--weights", small_checkpoint)
    done = starktrack(*arguments, "--refine", refiner, "--masks", out / "masks", "--video", out / "a.mp4")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(f"wrote {out / 'a.mp4'}, {out / 'masks'}\n")
    assert len(list((out / "masks").glob("*.png"))) == 12
    entries = json.loads((out / "masks" / "masks.json").read_text())
    assert [(entry["frame"], entry["target"]) for entry in entries[:3]] == [(0, 0), (0, 1), (1, 0)]
    assert len(entries) == 24 and all(sum(entry["counts"]) == 96 * 128 for entry in entries)
    starktrack(*arguments, "--video", out / "b.mp4")
    outlined, plain = (
        next(av.open(str(out / name)).decode(video=0)).to_ndarray() for name in ("a.mp4", "b.mp4")
    )
    assert np.abs(outlined.astype(int) - plain).max() > 50
