from itertools import pairwise
from typing import ClassVar

import cv2
import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.live import LiveSettings
from starktrack.errors import VideoBrokenError, VideoError


class FakeCamera:
    """Three pictures, blue brightest, and then the cable is pulled."""

    opened: ClassVar = []

    def __init__(self, index):
        self.index = index
        self.left = 3
        self.released = False
        FakeCamera.opened.append(self)

    def isOpened(self):
        return True

    def set(self, what, value):
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FPS: 30.0}[what]

    def read(self):
        if self.left == 0:
            return False, None
        self.left -= 1
        return True, np.full((6, 8, 3), (200, 100, 50), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def camera(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    monkeypatch.setattr(FakeCamera, "opened", [])
    return FakeCamera


@pytest.mark.parametrize("source", [2, "2"])
def test_a_number_opens_that_camera_and_gives_rgb(camera, source):
    with open_frames(source) as frames:
        assert (frames.name, frames.size_hw, frames.frame_rate, frames.num_frames) == (
            "camera 2",
            (6, 8),
            30.0,
            None,
        )
        assert next(frames).image[0, 0].tolist() == [50, 100, 200]
    assert [(fake.index, fake.released) for fake in camera.opened] == [(2, True)]


def test_time_runs_from_the_first_frame(camera):
    with open_frames(0) as frames:
        first, second = next(frames), next(frames)
    assert first.seconds == 0.0
    assert 0 < second.seconds < 5


def test_a_camera_that_is_pulled_breaks_off(camera):
    frames = open_frames(0, live=LiveSettings(reconnect_seconds=0))
    with pytest.raises(
        VideoBrokenError, match=r"camera 0 broke off after 3 frames: .* check its cable"
    ) as caught:
        list(frames)
    assert caught.value.num_frames == 3
    assert camera.opened[0].released


def test_a_camera_that_is_plugged_in_again_goes_on(camera):
    events = []
    with open_frames(0, live=LiveSettings(first_delay_seconds=0.01), on_event=events.append) as frames:
        got = [next(frames) for _ in range(7)]
        assert frames.health().num_reconnects >= 2
    assert [frame.index for frame in got] == list(range(7))
    assert all(later.seconds > earlier.seconds for earlier, later in pairwise(got))
    assert [str(event.kind) for event in events][:4] == ["lost", "reconnected"] * 2
    assert "camera 0 broke off after 3 frames: camera 0 gives no more frames" in events[0].message
    assert len(camera.opened) >= 3 and camera.opened[0].released


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(VideoError, match="camera 99 must be connected and free, got no answer"):
        open_frames(99)
