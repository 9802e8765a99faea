"""Reads a live source in a thread: connects again, drops old frames where asked, and reports how the source does."""

import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from starktrack.data.video.frame_stream import Picture
from starktrack.data.video.live import LiveEvent, LiveEventKind, LiveHealth, LiveSettings, OnEvent, OnHealth
from starktrack.data.video.live_clock import LiveClock
from starktrack.errors import SourceWarning, VideoError

_MOST_WAITING = 8
"""Decoded frames that wait for a slow tracker; 25 MB in Full HD."""

_STEADY_SECONDS = 10.0
"""A connection that lasted so long makes the next wait the first one again."""

_MOST_OF_ANOTHER_SIZE = 50
"""So many frames in a row of another size are a source that changed; fewer are damage."""

_RATE_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_SAME_GREY_LEVELS = 2
"""A still picture that is encoded again differs by so much; the noise of a camera is larger somewhere."""

_SAMPLES_PER_SIDE = 128
_STREAM_ENDED = "the stream ended"

LivePicture: TypeAlias = tuple[float | None, tuple[int, int], Callable[[], np.ndarray]]
"""Seconds as the source says them, the size as coded, and the function that makes the image; None for a packet or
frame that was damaged."""


@dataclass(frozen=True)
class Connection:
    """A live source that was opened.

    Attributes:
        pictures: Its frames; None for each that was damaged. Closing it closes the source.
        frame_rate: Frames per second, where the source says so.
        largest_step: Seconds between two frames above which the source's clock jumped.
    """

    pictures: Generator[LivePicture | None, None, None]
    frame_rate: float | None
    largest_step: float


@dataclass(frozen=True)
class _Waiting:
    seconds: float
    decode: Callable[[], np.ndarray]
    num_dropped: int


@dataclass
class _Outage:
    """A time without frames: since when, and how often a connection was tried."""

    since: float
    num_tries: int = 0


class LiveReader:
    """The frames of a live source over all of its connections.

    Args:
        name: What the source is called in messages.
        first: The first connection.
        connect: Makes a further one; raises `VideoError` where that fails.
        settings: How to read.
        reconnect_seconds: For how long to connect again; 0 to end where the first connection ends.
        on_event, on_health: See `OnEvent`, `OnHealth`. Without `on_event` events are `SourceWarning`s.
    """

    def __init__(
        self,
        name: str,
        first: Connection,
        connect: Callable[[], Connection],
        settings: LiveSettings,
        *,
        reconnect_seconds: int | float,
        on_event: OnEvent | None = None,
        on_health: OnHealth | None = None,
    ) -> None:
        self._name, self._settings, self._connect = name, settings, connect
        self._reconnect_seconds = reconnect_seconds
        self._on_event, self._on_health = on_event or _warn, on_health

        self._changed = threading.Condition()  # guards what both threads touch, down to _end
        self._clock = LiveClock(name)
        self._waiting: deque[_Waiting] = deque()
        self._events: deque[LiveEvent] = deque()
        self._num_dropped = self._num_damaged = self._num_reconnects = 0
        self._came_at = time.monotonic()
        self._is_connected = True
        self._end: list[VideoError | SourceWarning | None] = []  # what the source ended with, once it did

        # Of the thread that reads alone.
        self._is_closed = threading.Event()
        self._size_hw: tuple[int, int] | None = None
        self._num_read = 0
        self._thread = threading.Thread(
            target=self._run, args=(first,), name=f"reader of {name}", daemon=True
        )

        self._started_at = time.monotonic()
        self._num_given = 0
        self._given_at: deque[float] = deque(maxlen=10_000)
        self._lag = 0.0
        self._next_health = time.monotonic() + settings.health_seconds
        self._still: np.ndarray | None = None
        self._still_since = self._shown_at = 0.0
        self._is_frozen = False

    def pictures(self) -> Generator[Picture | int, None, None]:
        """Yield the frames, and before a frame how many were dropped, as a number.

        Raises:
            VideoError: The source broke off and did not come back.
        """
        self._thread.start()
        try:
            while (item := self._take()) is not None:
                if item.num_dropped:
                    yield item.num_dropped
                yield item.seconds, partial(self._decode, item)
        finally:
            self.close()

    def health(self) -> LiveHealth:
        """Return how the source does now."""
        now = time.monotonic()
        while self._given_at and now - self._given_at[0] > _RATE_SECONDS:
            self._given_at.popleft()
        with self._changed:
            # While the tracker keeps the reader waiting, nobody knows whether the source is silent.
            silent_since = now if len(self._waiting) >= _MOST_WAITING else self._came_at
            return LiveHealth(
                num_frames=self._num_given,
                frames_per_second=len(self._given_at) / max(1e-9, min(_RATE_SECONDS, now - self._started_at)),
                lag_seconds=self._lag,
                num_dropped=self._num_dropped,
                num_damaged=self._num_damaged,
                num_reconnects=self._num_reconnects,
                silent_seconds=max(0.0, now - silent_since),
                frozen_seconds=self._shown_at - self._still_since if self._is_frozen else 0.0,
                is_connected=self._is_connected,
                unix_seconds=time.time(),
            )

    def close(self) -> None:
        """End the thread; one that waits for a silent source ends when its time is over."""
        self._is_closed.set()
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    # What the thread of the caller does.

    def _take(self) -> _Waiting | None:
        """Return the next frame, or None at the end; meanwhile report."""
        while True:
            with self._changed:
                if not (self._waiting or self._events or self._end):
                    self._changed.wait(self._seconds_to_health())
                events = list(self._events)
                self._events.clear()
                item = self._waiting.popleft() if self._waiting else None
                end = self._end[:] if item is None else []
                self._changed.notify_all()
            for event in events:
                self._on_event(event)
            now = time.monotonic()
            if item is not None:
                self._num_given += 1
                self._given_at.append(now)
                with self._changed:
                    self._lag = self._clock.lag(item.seconds, now)
            if self._on_health is not None and self._settings.health_seconds and now >= self._next_health:
                self._next_health = now + self._settings.health_seconds
                self._on_health(self.health())
            if item is not None:
                return item
            if end and end[0] is not None:
                raise end[0]
            if end:
                return None

    def _seconds_to_health(self) -> float | None:
        if self._on_health is None or not self._settings.health_seconds:
            return None
        return max(0.0, self._next_health - time.monotonic())

    def _decode(self, item: _Waiting) -> np.ndarray:
        image = item.decode()
        self._shown_at = item.seconds
        if self._settings.freeze_seconds:
            self._look_for_freeze(image, item.seconds)
        return image

    def _look_for_freeze(self, image: np.ndarray, seconds: float) -> None:
        rows, columns = (max(1, side // _SAMPLES_PER_SIDE) for side in image.shape[:2])
        sample = image[::rows, ::columns].astype(np.float32)
        is_same = (
            self._still is not None
            and sample.shape == self._still.shape
            and bool(np.abs(sample - self._still).max() <= _SAME_GREY_LEVELS)
        )
        lasted = seconds - self._still_since
        if not is_same:
            if self._is_frozen:
                self._is_frozen = False
                self._on_event(
                    _event(
                        LiveEventKind.MOVING, f"{self._name}: the picture moves again after {lasted:.1f} s"
                    )
                )
            self._still, self._still_since = sample, seconds
        elif not self._is_frozen and lasted >= self._settings.freeze_seconds:
            self._is_frozen = True
            self._on_event(
                _event(
                    LiveEventKind.FROZEN,
                    f"{self._name}: the same picture has been repeated for {lasted:.1f} s; is the source frozen?",
                )
            )

    # What the thread that reads does.

    def _run(self, connection: Connection | None) -> None:
        # Raised where the thread ends by an error that nobody foresaw.
        end: VideoError | SourceWarning | None = VideoError("reading it failed; please report this")
        try:
            outage: _Outage | None = None
            delay = self._settings.first_delay_seconds
            while connection is not None:
                opened_at, num_before = time.monotonic(), self._num_read
                reason = self._read(connection, outage)
                if (
                    self._is_closed.is_set()
                    or not self._reconnect_seconds
                    or isinstance(reason, _ChangedSizeError)
                ):
                    end = reason
                    return
                if outage is None or self._num_read > num_before:
                    outage = _Outage(time.monotonic())
                    self._report_loss(reason)
                if time.monotonic() - opened_at > _STEADY_SECONDS:
                    delay = self._settings.first_delay_seconds
                connection, delay, given_up = self._connect_again(outage, delay, reason)
                end = given_up or end
        except SourceWarning as warning:  # warnings were asked to be errors
            end = warning
        finally:
            with self._changed:
                self._is_connected = False
                self._end.append(end)
                self._changed.notify_all()

    def _read(self, connection: Connection, outage: "_Outage | None") -> VideoError | None:
        """Read a connection to its end; return what it ended with."""
        with self._changed:
            self._clock.connect(connection.frame_rate, connection.largest_step)
        num_of_another_size = 0
        try:
            for picture in connection.pictures:
                if self._is_closed.is_set():
                    return None
                now = time.monotonic()
                if picture is None:
                    self._count_damaged()
                    continue
                seconds, size_hw, decode = picture
                self._size_hw = self._size_hw or size_hw
                if size_hw != self._size_hw:
                    self._count_damaged()
                    num_of_another_size += 1
                    if num_of_another_size == _MOST_OF_ANOTHER_SIZE:
                        wanted, got = (f"{w} x {h}" for h, w in (self._size_hw, size_hw))
                        return _ChangedSizeError(
                            f"frames must be {wanted} pixels like those before them, got {got}; start again on the new "
                            "size"
                        )
                    continue
                num_of_another_size = 0
                if outage is not None:
                    self._report_return(now - outage.since)
                    outage = None
                with self._changed:
                    seconds = self._clock.read(seconds, now, self._num_read)
                self._num_read += 1
                self._put(seconds, decode)
        except VideoError as error:
            return error
        finally:
            connection.pictures.close()
        return None

    def _count_damaged(self) -> None:
        with self._changed:
            self._num_damaged += 1

    def _put(self, seconds: float, decode: Callable[[], np.ndarray]) -> None:
        with self._changed:
            num_dropped = 0
            # The first frame stays: targets are given on it.
            if self._settings.latest and len(self._waiting) > (0 if self._num_given else 1):
                num_dropped = 1 + self._waiting.pop().num_dropped
                self._num_dropped += 1
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING or self._is_closed.is_set())
            self._came_at = time.monotonic()
            self._waiting.append(_Waiting(seconds, decode, num_dropped))
            self._changed.notify_all()

    def _connect_again(
        self, outage: "_Outage", delay: int | float, reason: VideoError | None
    ) -> tuple[Connection | None, int | float, VideoError | None]:
        """Return a connection, or None and the error where time is over; and the wait before the next try."""
        deadline = outage.since + self._reconnect_seconds
        while not self._is_closed.wait(max(0.0, min(delay, deadline - time.monotonic()))):
            if outage.num_tries and time.monotonic() >= deadline:
                break
            outage.num_tries += 1
            delay = min(2 * delay, self._settings.longest_delay_seconds)
            try:
                return self._connect(), delay, None
            except VideoError as error:
                reason = error
        end = VideoError(
            f"it did not come back in {self._reconnect_seconds:g} seconds and {outage.num_tries} tries, "
            f"at last: {_STREAM_ENDED if reason is None else reason}; check the source and the network"
        )
        return None, delay, end

    def _report_loss(self, reason: VideoError | None) -> None:
        why = _STREAM_ENDED if reason is None else reason
        text = f"{self._name} broke off after {self._num_read} frames: {why}; connecting again"
        with self._changed:
            self._is_connected = False
            self._events.append(_event(LiveEventKind.LOST, text))
            self._changed.notify_all()

    def _report_return(self, seconds: float) -> None:
        with self._changed:
            self._num_reconnects += 1
            self._is_connected = True
            self._events.append(
                _event(LiveEventKind.RECONNECTED, f"{self._name} is back after {seconds:.1f} s")
            )
            self._changed.notify_all()


class _ChangedSizeError(VideoError):
    """A source of which another connection would not help."""


def _event(kind: LiveEventKind, message: str) -> LiveEvent:
    return LiveEvent(kind, message, time.time())


def _warn(event: LiveEvent) -> None:
    warnings.warn(event.message, SourceWarning, stacklevel=2)
