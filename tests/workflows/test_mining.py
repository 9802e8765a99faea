"""Rounds of hard examples: what a tracker does wrong is written down, and nothing else."""

import numpy as np
from tests.memory import MemoryCollection, moving_video

from starktrack.data.samples.mistakes import read_mistakes
from starktrack.tracking.tracker import Tracker
from starktrack.workflows.mining import FRAMES_OFF, mine, mistakes_of


class Output:
    def __init__(self, box_xywh):
        self.box_xywh = box_xywh


class Drifting(Tracker):
    """Stays where the target was when it was started, but for a number of frames after which it is away."""

    def __init__(self, sequence, *, lost_after):
        self.boxes, self.lost_after, self.starts, self.seen = sequence.boxes_xywh, lost_after, [], 0

    def start(self, image, *, box_xywh):
        self.first = int(np.flatnonzero((self.boxes == box_xywh).all(axis=1))[0])
        self.starts.append(self.first)
        self.seen = 0

    def update(self, image):
        self.seen += 1
        offset = 100.0 if self.seen > self.lost_after else 0.0
        return Output(self.boxes[self.first + self.seen] + np.array([offset, 0, 0, 0]))


def test_every_loss_is_written_down_for_some_frames_and_the_tracker_starts_anew():
    sequence = moving_video(1, length=20)
    tracker = Drifting(sequence, lost_after=3)
    found = list(mistakes_of(tracker, "own", sequence))
    assert tracker.starts == [0, 9, 18] and FRAMES_OFF == 5
    assert [mistake.frame for mistake in found] == [4, 5, 6, 7, 8, 13, 14, 15, 16, 17]
    assert found[0].box_xywh == tuple(sequence.boxes_xywh[4] + [100, 0, 0, 0])
    assert {(mistake.dataset, mistake.sequence) for mistake in found} == {("own", "video-1")}


def test_frames_that_do_not_show_the_target_are_no_mistakes():
    sequence = moving_video(1, length=12, hidden=(5, 6, 11))
    found = list(mistakes_of(Drifting(sequence, lost_after=3), "own", sequence))
    assert [mistake.frame for mistake in found] == [4, 7, 8, 9, 10]
    assert not list(mistakes_of(Drifting(sequence, lost_after=30), "own", sequence))
    assert not list(mistakes_of(Drifting(sequence, lost_after=0), "own", moving_video(1, length=1)))


def test_a_file_of_mistakes_is_written_of_some_sequences_and_broken_ones_are_left_out(tmp_path, caplog):
    first = moving_video(1, length=10)
    collections = {
        "own": MemoryCollection([first, moving_video(2, length=10, broken=(3,))]),
        "other": MemoryCollection([moving_video(3, length=10)]),
    }
    seen = []
    path = tmp_path / "mistakes.json"
    count = mine(
        Drifting(first, lost_after=3), collections, path, progress=lambda *numbers: seen.append(numbers)
    )
    written = read_mistakes(path)
    assert count == len(written) == 10 and "left out of the mining: video-2" in caplog.text
    assert [(each.dataset, each.sequence) for each in written[::5]] == [
        ("own", "video-1"),
        ("other", "video-3"),
    ]
    assert seen == [(1, 3, 5), (2, 3, 5), (3, 3, 10)]
    assert mine(Drifting(first, lost_after=3), collections, path, max_sequences=1) in (5, 10)
    sequences = {(each.dataset, each.sequence) for each in read_mistakes(path)}
    assert len({dataset for dataset, _ in sequences}) == len(sequences)
