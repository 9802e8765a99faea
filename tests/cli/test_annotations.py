"""Annotations in the command: shown, converted, tracked from, saved to, and imported as training data."""

import json

import cv2
import numpy as np
import pytest

from starktrack import interchange
from starktrack.data.sources.registry import open_dataset
from starktrack.interchange import Observation, Rectangle, Track, VideoTracks


@pytest.fixture
def two_targets(tmp_path):
    """Return a CVAT file of two targets of the clip, the second of which starts in frame 4."""
    duck = tuple(Observation(frame, Rectangle((40.0 + frame, 30.0, 20.0, 24.0))) for frame in range(0, 9))
    boat = tuple(Observation(frame, Rectangle((70.5, 20.25, 30.0, 18.0))) for frame in (4, 5, 7))
    video = VideoTracks((Track(3, "duck", duck), Track(8, "赤い 船", boat)), "clip", (96, 128), 12)
    (path,) = interchange.write(tmp_path / "two.xml", video)
    return path


def test_tracks_are_shown_and_converted_with_what_is_lost(starktrack, two_targets, tmp_path):
    shown = starktrack("annotations", two_targets)
    assert shown.code == 0 and "赤い 船" in shown.out and "12 frames, 128 x 96 pixels" in shown.out
    done = starktrack("annotations", two_targets, tmp_path / "gt", "--to", "mot")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines() == [f"wrote {tmp_path / 'gt'}"], "nothing is lost"
    lossy = starktrack("annotations", two_targets, tmp_path / "boxes.csv")
    lost = "what the targets are, the name of the video, the size of the frames, the number of frames"
    assert lossy.err.endswith(f"; csv does not keep: {lost}\n")
    found = interchange.read(tmp_path / "gt")
    assert [(track.id, track.label, len(track)) for track in found.tracks] == [
        (3, "duck", 9),
        (8, "赤い 船", 3),
    ]


def test_long_labels_are_folded_and_never_cut(starktrack, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "60")
    seen = (Observation(0, Rectangle((40.0, 30.0, 20.0, 24.0))),)
    (path,) = interchange.write(
        tmp_path / "a.xml", VideoTracks((Track(0, "d" * 70, seen),), "clip", (96, 128), 1)
    )
    shown = starktrack("annotations", path).out
    assert "…" not in shown and shown.count("d" * 5) >= 5 and max(map(len, shown.splitlines())) <= 60


def test_formats_in_shares_take_the_size_from_the_video_or_by_hand(
    starktrack, two_targets, clip_file, tmp_path
):
    assert starktrack("annotations", two_targets, tmp_path / "yolo", "--to", "yolo").code == 0
    refused = starktrack("annotations", tmp_path / "yolo", tmp_path / "x.csv")
    assert refused.code == 1 and "give the video or its size" in refused.err
    for number, option in enumerate((("--video", clip_file), ("--size", "128x96"))):
        done = starktrack("annotations", tmp_path / "yolo", tmp_path / f"{number}.csv", *option)
        assert done.code == 0, done.err
    assert (tmp_path / "0.csv").read_text() == (tmp_path / "1.csv").read_text()
    assert starktrack("annotations", tmp_path / "yolo", tmp_path / "x.csv", "--size", "12").code == 1


def test_thinned_tracks_have_few_key_boxes(starktrack, two_targets, tmp_path):
    done = starktrack("annotations", two_targets, tmp_path / "thin.xml", "--thin", 0.5)
    assert done.code == 0, done.err
    duck, boat = interchange.read(tmp_path / "thin.xml").tracks
    assert [seen.frame for seen in duck.observations if seen.key] == [0, 8], "it moves on a straight line"
    assert [seen.frame for seen in boat.observations if seen.key] == [4, 5, 7]
    assert len(duck) == 9


def test_targets_of_a_file_start_where_they_are_seen_first(
    starktrack, clip_file, small_checkpoint, two_targets, tmp_path
):
    save = tmp_path / "tracked.xml"
    arguments = ("--boxes", two_targets, "--weights", small_checkpoint, "--save", save)
    done = starktrack("track", clip_file, *arguments)
    assert done.code == 0, done.err
    found = interchange.read(save)
    duck, boat = found.tracks
    assert (found.name, found.size_hw, found.num_frames) == ("clip.mp4", (96, 128), 12)
    assert [(track.id, track.label) for track in found.tracks] == [(3, "duck"), (8, "赤い 船")]
    assert [seen.frame for seen in duck.observations] == list(range(12))
    assert [seen.frame for seen in boat.observations] == list(range(4, 12))
    assert boat.at(4).box_xywh == (70.5, 20.25, 30, 18), "the given box comes first, unchanged"


@pytest.mark.parametrize("name", sorted(set(interchange.FORMATS) - {"got10k", "otb"}))
def test_tracks_are_saved_in_every_format_by_its_name(
    starktrack, clip_file, small_checkpoint, two_targets, tmp_path, name
):
    save = tmp_path / f"out{interchange.FORMATS[name].suffixes[0]}"
    arguments = ("--boxes", two_targets, "--weights", small_checkpoint, "--start-frame", 6)
    done = starktrack("track", clip_file, *arguments, "--save", save, "--format", name)
    assert done.code == 0 and done.err.endswith(f"wrote {save}\n"), done.err
    found = interchange.read(save, size_hw=(96, 128))
    assert [len(track) for track in found.tracks] == [6, 5]
    assert found.tracks[0].at(6).box_xywh == pytest.approx((46, 30, 20, 24), abs=1e-3)


def test_what_cannot_be_saved_or_started_is_refused_first(starktrack, clip_file, two_targets, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    cases = {
        ("--box", "1,2,3,4", "--boxes", two_targets): "give one of --box X,Y,W,H",
        ("--boxes", tmp_path / "none.xml"): "which is not there",
        ("--boxes", two_targets, "--start-frame", 10): "must hold a box in frame 10 or later",
        (
            "--boxes",
            two_targets,
            "--save",
            tmp_path / "x.xml",
            "--format",
            "mto",
        ): "unknown annotation format 'mto'",
        ("--boxes", two_targets, "--save", tmp_path / "full", "--format", "yolo"): "must be new or empty",
        ("--boxes", two_targets, "--format", "yolo"): "add --save FILE",
    }
    for arguments, message in cases.items():
        done = starktrack("track", clip_file, *arguments)
        assert done.code == 1 and message in done.err, (arguments, done.err)


def test_annotations_of_another_video_are_refused(starktrack, two_targets, tmp_path):
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "0.png"), np.zeros((10, 20, 3), np.uint8))
    done = starktrack("track", tmp_path / "frames", "--boxes", two_targets)
    assert done.code == 1 and "must be of a video of 20 x 10 pixels as frames, got 128 x 96" in done.err


def test_an_annotated_video_becomes_folders_that_train(starktrack, clip_file, two_targets, tmp_path):
    out = tmp_path / "data"
    done = starktrack("data", "import", clip_file, two_targets, out)
    assert done.code == 0, done.err
    assert f"wrote {out / 'clip_3'} (duck): 9 frames, 9 boxes" in done.err
    dataset = open_dataset("videos", out, "all")
    assert list(dataset.names) == ["clip_3", "clip_8"]
    duck, boat = dataset["clip_3"], dataset["clip_8"]
    assert (duck.object_class, boat.object_class) == ("duck", "赤い 船")
    assert duck.boxes_xywh[2].tolist() == [42, 30, 20, 24]
    assert boat.visible.tolist() == [True, True, False, True]
    assert (duck.frames.read(4) == boat.frames.read(0)).all(), "frame 4 of the video"
    marks = [
        each.frames.folder.fingerprint(each.frames.name(index)) for each, index in ((duck, 4), (boat, 0))
    ]
    assert marks[0] == marks[1], "one video: neither target is taken for an absence of the other"
    again = starktrack("data", "import", clip_file, two_targets, out)
    assert again.code == 1 and "must be new or empty" in again.err


def test_a_part_of_a_video_is_imported_and_gaps_are_filled(starktrack, clip_file, two_targets, tmp_path):
    out = tmp_path / "data"
    done = starktrack(
        "data", "import", clip_file, two_targets, out, "--start", 5, "--end", 8, "--interpolate"
    )
    assert done.code == 0, done.err
    dataset = open_dataset("videos", out, "all")
    assert dataset["clip_3"].boxes_xywh[:, 0].tolist() == [45, 46, 47]
    assert dataset["clip_8"].visible.tolist() == [True] * 3
    nothing = starktrack("data", "import", clip_file, two_targets, tmp_path / "x", "--start", 10)
    assert nothing.code == 1 and "must hold a box in frames 10 to the end" in nothing.err
    assert not (tmp_path / "x").exists()


def test_boxes_past_the_end_of_the_video_are_refused_and_leave_nothing(starktrack, clip_file, tmp_path):
    rows = [{"frame": frame, "target": 0, "x": 1, "y": 2, "w": 3, "h": 4} for frame in (0, 40)]
    (tmp_path / "long.json").write_text(json.dumps(rows))
    done = starktrack("data", "import", clip_file, tmp_path / "long.json", tmp_path / "out")
    assert done.code == 1 and "which has 12 frames, got a box in frame 40" in done.err
    assert list((tmp_path / "out").iterdir()) == []
