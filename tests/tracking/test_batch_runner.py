import threading
from typing import ClassVar

import numpy as np
import pytest

from starktrack.data.track_output import TrackOutput
from starktrack.data.video.frame_stream import Frame
from starktrack.errors import DatasetError, InputError, VideoBrokenError
from starktrack.tracking.batch_runner import BatchProgress, Clip, Failed, Finished, Task, VideoClip, run_batch
from starktrack.tracking.batch_tracker import NetworkTracker, PluginAdapter


class Numbered:
    """Frames whose every pixel is the frame's number; remembers who reads and how far ahead."""

    def __init__(self, count, broken=None):
        self.count, self.broken, self.reads = count, broken, []

    def __len__(self):
        return self.count

    def read(self, index):
        if index == self.broken:
            raise DatasetError(f"frame {index} is broken")
        self.reads.append((index, threading.current_thread()))
        return np.full((20, 30, 3), index, np.uint8)


class FakeTracker:
    """A target's box is the frame it sees, plus the number that its first box carried."""

    stage_seconds: ClassVar = {}

    def __init__(self, capacity, poison=None):
        self.capacity, self.poison = capacity, poison
        self.sizes = []

    def start(self, image, box_xywh):
        return float(box_xywh[0])

    def advance(self, targets, images):
        self.sizes.append(len(targets))
        if self.poison in targets:
            raise RuntimeError("out of memory")
        return [
            TrackOutput(box_xywh=np.array([t, float(i[0, 0, 0]), 5.0, 5.0]), score=0.5)
            for t, i in zip(targets, images, strict=True)
        ]


def task(name, count, *, number=0.0, broken=None, order=None):
    frames = Numbered(count, broken)
    clip = Clip(frames, order or range(count), np.array([number, 1.0, 5.0, 5.0]))
    return Task(name, lambda: clip)


def outcomes(tracker, tasks):
    return {event.name: event for event in run_batch(tracker, tasks) if not isinstance(event, BatchProgress)}


@pytest.mark.parametrize("capacity", [1, 2, 3, 16])
def test_every_clip_gets_its_own_boxes_however_many_are_in_work(capacity):
    lengths = [5, 1, 9, 2, 7, 3, 3]
    tasks = [task(f"s{i}", length, number=float(i)) for i, length in enumerate(lengths)]
    found = outcomes(FakeTracker(capacity), tasks)
    assert len(found) == 7
    for i, length in enumerate(lengths):
        boxes = found[f"s{i}"].trajectory.boxes_xywh
        np.testing.assert_array_equal(boxes[0], [i, 1, 5, 5])
        np.testing.assert_array_equal(boxes[1:, 0], np.full(length - 1, i))
        np.testing.assert_array_equal(boxes[1:, 1], range(1, length))


def test_a_place_that_gets_free_is_filled_at_once():
    tracker = FakeTracker(2)
    outcomes(tracker, [task("a", 3), task("b", 7), task("c", 5)])
    # a: steps 1-2, c takes over: steps 3-6, b: steps 1-6.
    assert tracker.sizes == [2] * 6


def test_a_clip_may_run_backwards_from_the_middle():
    found = outcomes(FakeTracker(1), [task("back", 9, order=range(4, -1, -1))])
    np.testing.assert_array_equal(found["back"].trajectory.boxes_xywh[1:, 1], [3, 2, 1, 0])


def test_a_frame_that_cannot_be_read_fails_its_clip_and_no_other():
    found = outcomes(FakeTracker(2), [task("good", 6), task("bad", 6, broken=4), task("later", 3)])
    assert isinstance(found["bad"], Failed)
    assert found["bad"].frame == 4
    assert "frame 4 is broken" in str(found["bad"].error)
    assert isinstance(found["good"], Finished)
    assert isinstance(found["later"], Finished)


def test_a_clip_that_cannot_be_opened_is_reported_with_the_reason():
    def explode():
        raise DatasetError("groundtruth.txt is missing")

    found = outcomes(FakeTracker(2), [Task("bad", explode), task("good", 3)])
    assert str(found["bad"].error) == "groundtruth.txt is missing"
    assert isinstance(found["good"], Finished)


def test_when_a_step_of_several_raises_only_the_guilty_clip_fails():
    tasks = [task(f"s{i}", 5, number=float(i)) for i in range(5)]
    found = outcomes(FakeTracker(3, poison=1.0), tasks)
    assert [name for name, outcome in sorted(found.items()) if isinstance(outcome, Failed)] == ["s1"]
    assert str(found["s1"].error) == "out of memory"
    np.testing.assert_array_equal(found["s2"].trajectory.boxes_xywh[1:, 1], [1, 2, 3, 4])


def test_frames_are_decoded_in_other_threads_and_never_far_ahead():
    frames = Numbered(200)
    furthest = []

    class Watching(FakeTracker):
        def advance(self, targets, images):
            furthest.append(max(index for index, _ in list(frames.reads)) - int(images[0][0, 0, 0]))
            return super().advance(targets, images)

    clip = Clip(frames, range(200), np.ones(4))
    outcomes(Watching(1), [Task("s", lambda: clip)])
    assert all(thread is not threading.main_thread() for _, thread in frames.reads)
    assert 0 <= max(furthest) <= 8


def video_task(name, starts, *, first=0, count=6, broken=None, closed=None):
    """A stream of frames whose pixels are the frame's number; `closed` gets its name when the source is closed."""

    def frames():
        try:
            for index in range(first, first + count):
                if index == broken:
                    raise VideoBrokenError(f"{name} broke off after {index} frames", index)
                yield Frame(np.full((20, 30, 3), index, np.uint8), index, index / 10)
        finally:
            if closed is not None:
                closed.append(name)

    boxes = {
        index: {i: np.array([number, 1.0, 5.0, 5.0]) for i, number in targets.items()}
        for index, targets in starts.items()
    }
    return Task(name, lambda: VideoClip(frames(), boxes))


@pytest.mark.parametrize("capacity", [1, 3])
def test_targets_of_a_video_start_at_different_frames(capacity):
    closed = []
    tasks = [
        video_task("two", {2: {4: 40.0}, 5: {1: 10.0, 7: 70.0}}, first=2, closed=closed),
        video_task("one", {0: {0: 3.0}}, count=4, closed=closed),
        video_task("short", {0: {0: 5.0}}, count=1, closed=closed),
    ]
    found = outcomes(FakeTracker(capacity), tasks)
    rows = [(o.frame_index, o.target_id, o.seconds, o.box_xywh[0], o.score) for o in found["two"].rows]
    assert rows[:3] == [(index, 4, index / 10, 40.0, None if index == 2 else 0.5) for index in (2, 3, 4)]
    assert rows[3:6] == [(5, 1, 0.5, 10.0, None), (5, 4, 0.5, 40.0, 0.5), (5, 7, 0.5, 70.0, None)]
    assert [row[:2] for row in rows[6:]] == [(index, i) for index in (6, 7) for i in (1, 4, 7)]
    assert found["two"].rows.boxes_xywh[-1].tolist() == [70.0, 7.0, 5.0, 5.0]
    assert (len(found["one"].rows), len(found["short"].rows)) == (4, 1)
    assert len(found["two"].frame_seconds) == 6
    assert sorted(closed) == ["one", "short", "two"]


def test_a_video_that_breaks_off_fails_alone_and_is_closed():
    closed = []
    tasks = [
        video_task("bad", {0: {0: 1.0}}, broken=3, closed=closed),
        video_task("good", {0: {0: 2.0}}, closed=closed),
        video_task("absent", {0: {0: 2.0}, 9: {1: 2.0}}, closed=closed),
    ]
    found = outcomes(FakeTracker(2), tasks)
    assert isinstance(found["bad"], Failed) and found["bad"].frame == 3
    assert isinstance(found["good"], Finished)
    assert "which has 6 from the first box on, got one on frame 9" in str(found["absent"].error)
    assert sorted(closed) == ["absent", "bad", "good"]


def test_a_stream_is_read_a_little_ahead_and_in_order():
    read = []

    def frames():
        for index in range(50):
            read.append(index)
            yield Frame(np.full((20, 30, 3), index, np.uint8), index, None)

    class Watching(FakeTracker):
        def advance(self, targets, images):
            furthest.append(len(read) - int(images[0][0, 0, 0]))
            return super().advance(targets, images)

    furthest = []
    clip = VideoClip(frames(), {0: {0: np.ones(4)}})
    found = outcomes(Watching(1), [Task("s", lambda: clip)])["s"]
    np.testing.assert_array_equal(found.rows.boxes_xywh[1:, 1], range(1, 50))
    assert 1 <= max(furthest) <= 10


def test_seconds_of_each_stage_are_kept():
    found = outcomes(FakeTracker(2), [task("a", 4), task("b", 4)])["a"]
    assert found.trajectory.seconds.shape == (4,)
    assert (found.trajectory.seconds >= 0).all()
    assert found.stage_seconds["decode"] > 0
    assert found.stage_seconds["wait"] >= 0
    assert set(found.stage_seconds) == {"decode", "wait", "track"}
    assert np.isnan(found.trajectory.scores[0])
    assert found.trajectory.scores[1:].tolist() == [0.5, 0.5, 0.5]


def test_the_standing_rises_to_the_number_of_clips():
    events = run_batch(FakeTracker(2), [task(f"s{i}", 3 + i) for i in range(4)])
    progress_events = [event for event in events if isinstance(event, BatchProgress)]
    clips = [progress.clips for progress in progress_events]
    assert clips == sorted(clips)
    assert clips[-1] == 4
    assert progress_events[-1].frames == 2 + 3 + 4 + 5


class Drifting:
    """A tracker of somebody's own."""

    def start(self, image, box_xywh):
        self.box = box_xywh

    def update(self, image):
        self.box = np.add(self.box, [1, 0, 0, 0])
        return self.box


def test_a_tracker_with_two_methods_can_be_plugged_in():
    found = outcomes(PluginAdapter(Drifting), [task("a", 4, number=7.0), task("b", 3, number=2.0)])
    np.testing.assert_array_equal(found["a"].trajectory.boxes_xywh[:, 0], [7, 8, 9, 10])
    np.testing.assert_array_equal(found["b"].trajectory.boxes_xywh[:, 0], [2, 3, 4])
    assert np.isnan(found["a"].trajectory.scores).all()


@pytest.mark.parametrize("answer", [None, (1, 2, 3), (1, 2, 3, float("nan")), "left"])
def test_an_answer_that_is_no_box_fails_with_what_was_got(answer):
    class Bad(Drifting):
        def update(self, image):
            return answer

    failed = outcomes(PluginAdapter(Bad), [task("a", 3)])["a"]
    assert isinstance(failed.error, InputError)
    assert f"must return four finite numbers x,y,w,h, got {answer!r}" in str(failed.error)


@pytest.fixture(scope="module")
def tiny_engine():
    import torch
    from tests.training.tiny import tiny_config

    from starktrack.engines.torch_engine import TorchEngine
    from starktrack.models.build import build_network

    torch.manual_seed(0)
    config = tiny_config()
    return TorchEngine(build_network(config.model), config, device=torch.device("cpu"))


class ClipFrames:
    def __init__(self, clip):
        self.images = [frame.image for frame in clip]

    def __len__(self):
        return len(self.images)

    def read(self, index):
        return self.images[index]


def test_a_network_gives_the_same_boxes_for_many_clips_as_for_one(tiny_engine):
    from starktrack.data.synthetic.clip import synthetic_clip
    from starktrack.tracking.tracker import Tracker

    clips = {f"s{seed}": list(synthetic_clip(6 + seed, seed=seed, size_hw=(90, 120))) for seed in range(4)}

    def as_task(name):
        frames = clips[name]
        clip = Clip(ClipFrames(frames), range(len(frames)), frames[0].box_xywh)
        return Task(name, lambda: clip)

    found = outcomes(NetworkTracker(tiny_engine, 3), [as_task(name) for name in clips])
    assert len(found) == 4
    for name, frames in clips.items():
        tracker = Tracker(tiny_engine)
        tracker.start(frames[0].image, box_xywh=frames[0].box_xywh)
        alone = [tracker.update(frame.image).box_xywh for frame in frames[1:]]
        # The arithmetic of a larger batch is summed in another order.
        np.testing.assert_allclose(found[name].trajectory.boxes_xywh[1:], alone, atol=1e-3)
        stages = found[name].stage_seconds
        assert 0 < stages["crop"] < stages["network"]
        assert stages["crop"] + stages["network"] <= stages["track"] == found[name].trajectory.seconds.sum()


def test_a_first_box_outside_the_frame_fails_that_clip(tiny_engine):
    clip = Clip(Numbered(3), range(3), np.array([500.0, 1.0, 5.0, 5.0]))
    failed = outcomes(NetworkTracker(tiny_engine, 2), [Task("out", lambda: clip)])["out"]
    assert "a box must overlap the frame of 30 x 20 pixels" in str(failed.error)
