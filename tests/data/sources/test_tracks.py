"""Annotated videos with several targets: every layout, what is known of the others, and every refusal."""

import json

import cv2
import numpy as np
import pytest

from starktrack.config.training import DatasetConfig
from starktrack.data.check import check
from starktrack.data.frames import open_frames
from starktrack.data.sources import open_dataset
from starktrack.data.sources.tracks import VideoFileFrames
from starktrack.errors import DatasetError
from starktrack.training.datasets import open_collections


def track(identity, *boxes, **values):
    return {"id": identity, "category": "person", "boxes_xywh": list(boxes), **values}


HERE, THERE, FAR = [10, 10, 8, 8], [20, 10, 8, 8], [50, 30, 8, 8]


def write_frames(root, name, count=4):
    (root / name).mkdir(parents=True)
    for number in range(1, count + 1):
        picture = np.random.default_rng(number).integers(0, 255, (48, 64, 3), np.uint8)
        assert cv2.imwrite(str(root / name / f"{number:08d}.jpg"), picture)


@pytest.fixture
def clips(tmp_path):
    write_frames(tmp_path, "park")
    write_frames(tmp_path, "road")
    park = [
        track(0, HERE, HERE, None, HERE, raw_track=7),
        track(1, THERE, None, THERE, FAR, raw_track=8),
        track(2, None, None, None, FAR, raw_track=7),
    ]
    road = [track(0, HERE, HERE, HERE, HERE, start=1, end=2, category="car")]
    records = [{"clip": "park", "tracks": park}, {"clip": "road", "tracks": road}]
    (tmp_path / "tracks.json").write_text(json.dumps(records))
    return tmp_path


def test_every_track_is_a_sequence_that_knows_the_other_objects_of_its_video(clips):
    dataset = open_dataset("tracks", clips, "all")
    assert dataset.names == ("park_0", "park_1", "park_2", "road_0")
    own = dataset["park_0"]
    assert own.object_class == "person" and own.origins == dataset["park_1"].origins == {"park"}
    assert len(own.others) == 1  # not the piece of the same raw track
    np.testing.assert_array_equal(own.others_in(0), [THERE])
    assert own.others_in(1).shape == (0, 4)
    assert len(dataset["park_1"].others) == 2
    np.testing.assert_array_equal(dataset["park_1"].others_in(3), [HERE, FAR])
    assert own.frames.read(3).shape == (48, 64, 3)
    assert dataset.target_classes().names == ("person", "car")


def test_frames_outside_a_track_say_nothing_of_its_target(clips):
    dataset = open_dataset("tracks", clips, "all")
    assert dataset["park_0"].visible.tolist() == [True, True, False, True]
    assert dataset["road_0"].visible.tolist() == [False, True, True, False]
    assert not dataset["road_0"].is_absent.any()


def test_how_far_the_nearest_other_is(clips):
    distances = open_dataset("tracks", clips, "all")["park_0"].distance_to_others()
    np.testing.assert_allclose(distances, [10 / 8, np.inf, np.inf, np.hypot(40, 20) / 8])
    assert np.isinf(open_dataset("tracks", clips, "all")["road_0"].distance_to_others()).all()


def test_a_folder_of_annotated_videos_is_recognised_and_checked(clips):
    (finding,) = check(clips)
    assert (finding.dataset, finding.num_found, finding.problems) == ("tracks", 4, ())


def test_a_video_file_with_lines_of_the_mot_challenge(make_clip, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip = make_clip()
    (clip.parent / "clip.txt").write_text("1,1,5,5,8,8,1\n2,1,6,5,8,8,1\n2,2,30,20,8,8,1\n4,1,7,5,8,8,1\n")
    seen = []
    opened = open_collections(
        {"own": DatasetConfig(source="tracks", split="all")},
        clip.parent,
        0,
        lambda name, done, total: seen.append((name, done, total)),
    )
    assert seen == [("own", 1, 1)]
    assert list(opened["own"].names) == ["clip_1", "clip_2"]
    first = opened["own"][0]
    assert first.visible.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(first.others_in(1), [[30, 20, 8, 8]])
    assert isinstance(first.frames, VideoFileFrames)
    levels = [first.frames.read(index).mean() for index in range(4)]
    np.testing.assert_allclose(levels, [10, 14, 18, 22], atol=2)
    written = first.frames.folder.stat().st_mtime_ns
    assert first.frames.unpack().stat().st_mtime_ns == written  # once


def test_a_video_shorter_than_its_tracks_is_refused_and_leaves_nothing(make_clip, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clip = make_clip()
    (clip.parent / "clip.json").write_text(json.dumps({"tracks": [track(0, *[HERE] * 30)]}))
    sequence = open_dataset("tracks", clip.parent, "all")[0]
    with pytest.raises(DatasetError, match="must have the 30 frames that its tracks speak of, got 20"):
        sequence.frames.read(0)
    assert not list((tmp_path / "cache/starktrack/videos").iterdir())


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(make_clip, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        DatasetError, match=r"clip\.mp4 must be unpacked, .*set XDG_CACHE_HOME to another folder"
    ):
        VideoFileFrames(make_clip(), 20).unpack()


def test_of_two_processes_that_unpack_a_video_the_first_one_to_end_counts(make_clip, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    frames = VideoFileFrames(make_clip(), 20)

    def open_while_another_ends(path):
        frames.folder.mkdir()
        (frames.folder / "of the other").write_bytes(b"")
        return open_frames(path)

    monkeypatch.setattr("starktrack.data.frames.open_frames", open_while_another_ends)
    assert [path.name for path in frames.unpack().iterdir()] == ["of the other"]
    assert list(frames.folder.parent.iterdir()) == [frames.folder], "nothing is left half written"


def test_a_video_that_is_missing_is_named(clips):
    for picture in (clips / "road").iterdir():
        picture.unlink()
    (clips / "road").rmdir()
    with pytest.raises(DatasetError, match="1 are missing: road_0"):
        open_dataset("tracks", clips, "all")
    assert len(open_dataset("tracks", clips, "all", allow_missing=True)) == 3


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is not valid JSON"),
        ("[1]", "must be a list of records"),
        ('[{"clip": "park"}]', "KeyError: 'tracks'"),
        ('[{"clip": "park", "tracks": [{"id": 0, "boxes_xywh": [[1, 2, 3]]}]}]', "four numbers or null"),
        ('[{"clip": "park", "tracks": [{"id": 0, "boxes_xywh": "x"}]}]', "four numbers or null"),
        ('[{"clip": "park", "tracks": [{"boxes_xywh": []}]}]', "four numbers or null"),
    ],
)
def test_a_malformed_annotation_is_refused(clips, content, text):
    (clips / "tracks.json").write_text(content)
    with pytest.raises(DatasetError, match=text):
        open_dataset("tracks", clips, "all")


def test_tracks_of_different_lengths_and_too_few_frames_are_refused(clips):
    records = [{"clip": "park", "tracks": [track(0, HERE), track(1, HERE, HERE)]}]
    (clips / "tracks.json").write_text(json.dumps(records))
    with pytest.raises(DatasetError, match=r"an entry for each frame, got lengths \[1, 2\]"):
        open_dataset("tracks", clips, "all")
    (clips / "tracks.json").write_text(json.dumps([{"clip": "park", "tracks": [track(0, *[HERE] * 5)]}]))
    with pytest.raises(DatasetError, match="must hold the 5 frames that its tracks speak of, got 4"):
        open_dataset("tracks", clips, "all")
