"""A camera as an endless stream of frames."""

import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import cv2

from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.live import RECONNECT_SECONDS, LiveSettings, OnEvent, OnHealth
from starktrack.data.video.live_reader import Connection, LivePicture, LiveReader
from starktrack.errors import VideoError

LARGEST_INDEX = 9999
"""Highest camera number; OpenCV uses larger numbers for other backends."""


def open_camera(
    index: int,
    *,
    start_frame: int = 0,
    live: LiveSettings | None = None,
    on_event: OnEvent | None = None,
    on_health: OnHealth | None = None,
) -> FrameStream:
    """Return the frames of a camera, timed from the first one.

    Args:
        index: Number of the camera, from 0.
        start_frame: Frames to skip while the camera adjusts its exposure.
        live, on_event, on_health: As `data.frames.open_frames`.

    Raises:
        VideoError: There is no such camera.
    """
    if index > LARGEST_INDEX:
        raise VideoError(f"a camera must have a number of at most {LARGEST_INDEX}, got {index}")
    settings = live or LiveSettings()
    first = _connect(index)
    reader = LiveReader(
        f"camera {index}",
        first,
        partial(_connect, index),
        settings,
        reconnect_seconds=RECONNECT_SECONDS
        if settings.reconnect_seconds is None
        else settings.reconnect_seconds,
        on_event=on_event,
        on_health=on_health,
    )
    return FrameStream(
        f"camera {index}",
        reader.pictures(),
        start_frame=start_frame,
        frame_rate=first.frame_rate,
        health=reader.health,
    )


def _connect(index: int) -> Connection:
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        capture.release()
        raise VideoError(
            f"camera {index} must be connected and free, got no answer; cameras count from 0, "
            "and a folder whose name is a number is given as ./NAME"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    frame_rate = capture.get(cv2.CAP_PROP_FPS)
    return Connection(
        _pictures(capture.read, capture.release, index), frame_rate if frame_rate > 0 else None, float("inf")
    )


def _pictures(
    read: Callable[[], tuple[bool, Any]], release: Callable[[], None], index: int
) -> Generator[LivePicture, None, None]:
    started: float | None = None
    try:
        while True:
            taken, image = read()
            if not taken:
                raise VideoError(f"camera {index} gives no more frames; check its cable")
            now = time.monotonic()
            started = now if started is None else started
            yield now - started, image.shape[:2], partial(cv2.cvtColor, image, cv2.COLOR_BGR2RGB)
    finally:
        release()
