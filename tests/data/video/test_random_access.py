import random

import numpy as np
import pytest

from starktrack.data.frames import open_frames
from starktrack.data.video.file import ToArray
from starktrack.data.video.random_access import RandomFrames
from starktrack.errors import InputError, VideoError


def in_order(path):
    with open_frames(path) as frames:
        return [frame.image for frame in frames]


CODECS = {
    "clip.mp4": {"codec": "libx264", "options": {"g": "7", "bf": "3"}},
    "open_gop.mkv": {"codec": "libx264", "options": {"g": "6", "bf": "2", "x264-params": "open-gop=1"}},
    "clip.avi": {"codec": "mjpeg"},
    "clip.webm": {"codec": "libvpx-vp9", "options": {"g": "9"}},
    "clip.ts": {"codec": "libx264", "options": {"g": "8"}},
}


@pytest.mark.parametrize("cache_bytes", [1, 5 * 48 * 64 * 3])
@pytest.mark.parametrize("name", CODECS)
def test_any_order_gives_the_frames_of_the_stream(make_clip, noise, name, cache_bytes):
    path = make_clip(name, noise, **CODECS[name])
    expected = in_order(path)
    order = [len(expected) - 1, 0, *range(len(expected)), *reversed(range(len(expected)))]
    order += random.Random(0).choices(range(len(expected)), k=40)
    with RandomFrames(path, cache_bytes=cache_bytes) as frames:
        assert len(frames) == len(expected) > 30 and frames.size_hw == expected[0].shape[:2]
        for index in order:
            assert np.array_equal(frames.read(index), expected[index]), index


def test_rotation_and_folders_are_read_as_in_order(make_clip, make_folder, noise):
    turned = make_clip("turned.mp4", noise, rotation=90)
    folder = make_folder(["b10.png", "b2.png", "b1.png"])
    for source in (turned, folder):
        expected = in_order(source)
        with RandomFrames(source) as frames:
            assert len(frames) == len(expected)
            for index in (2, 0, 1):
                assert np.array_equal(frames.read(index), expected[index])


@pytest.mark.parametrize("name", ["clip.mp4", "open_gop.mkv", "clip.avi", "clip.ts"])
def test_frames_are_timed_as_in_order(make_clip, noise, name):
    path = make_clip(name, noise, **CODECS[name])
    with open_frames(path) as stream, RandomFrames(path) as frames:
        assert frames.pixel_aspect == stream.pixel_aspect
        for frame in stream:
            assert frames.seconds(frame.index) == pytest.approx(frame.seconds, abs=1e-6)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_another_decoder_of_the_same_frames(make_clip, noise, name):
    path = make_clip(name, noise, **CODECS[name])
    expected = in_order(path)
    with RandomFrames(path) as frames, frames.again() as others:
        assert len(others) == len(expected)
        for index in (9, 3, 20):
            assert np.array_equal(others.read(index), expected[index])
            assert np.array_equal(frames.read(index + 1), expected[index + 1])


def test_frames_that_were_read_are_at_hand(make_clip):
    with RandomFrames(make_clip()) as frames:
        assert frames.cached(7) is None
        read = frames.read(7)
        assert frames.cached(7) is read


def test_a_frame_that_is_not_there_is_an_error(make_clip):
    with RandomFrames(make_clip()) as frames:
        for index, message in ((20, "below the 20 frames"), (-1, "0 or more, got -1")):
            with pytest.raises(InputError, match=message):
                frames.read(index)


def test_what_comes_only_once_is_refused():
    with pytest.raises(VideoError, match="need a file or a folder, got rtsp"):
        RandomFrames("rtsp://host/stream")


def test_few_pictures_are_kept(make_clip):
    with RandomFrames(make_clip(), cache_bytes=3 * 48 * 64 * 3) as frames:
        for index in range(20):
            frames.read(index)
        assert len(frames._cache) == 3
        assert frames.read(19) is frames.read(19)
        with pytest.raises(ValueError, match="read-only"):
            frames.read(19)[0, 0] = 0


def test_reading_backwards_decodes_each_frame_once(make_clip, noise, monkeypatch):
    decoded = []
    made = ToArray.__call__
    monkeypatch.setattr(
        ToArray, "__call__", lambda self, frame: decoded.append(frame.pts) or made(self, frame)
    )
    with RandomFrames(make_clip("clip.mp4", noise, options={"g": "40"})) as frames:
        frames.read(39)
        decoded.clear()
        for index in reversed(range(39)):
            frames.read(index)
    assert len(decoded) < 45
