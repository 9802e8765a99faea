"""Live sources: real MPEG-TS over TCP and HTTP, a real RTSP server, and what may happen to them."""

import math
import os
import threading
import time
import tracemalloc
import warnings
from functools import partial
from itertools import pairwise

import av
import numpy as np
import pytest
from tests.data.video.live_servers import (
    FRAME_RATE,
    Proxy,
    Sender,
    missing_rtsp,
    pictures,
    rtsp_server,
    transport_stream,
)

from starktrack.data.frames import open_frames
from starktrack.data.video import streams
from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.live import LiveSettings
from starktrack.data.video.live_reader import Connection, LiveReader
from starktrack.errors import ConfigError, SourceWarning, VideoBrokenError, VideoError

HASTE = {"first_delay_seconds": 0.05, "timeout_seconds": 2.0}


@pytest.fixture(scope="session")
def take():
    """Return a second of MPEG-TS at 50 frames/s, one piece a frame."""
    return transport_stream(pictures(50))


@pytest.fixture
def events():
    return []


def kinds(events):
    return [str(event.kind) for event in events]


def read(frames, count):
    return [next(frames) for _ in range(count)]


def assert_rising(frames):
    assert all(later.seconds > earlier.seconds for earlier, later in pairwise(frames))


# Every frame, or the latest.


def test_all_frames_come_with_the_times_of_the_source(take):
    with Sender(take) as sender, open_frames(sender.address) as frames:
        assert frames.is_live and frames.frame_rate == FRAME_RATE and frames.num_frames is None
        got = list(frames)
    assert [frame.index for frame in got] == list(range(50))
    assert [frame.seconds for frame in got] == pytest.approx([index / FRAME_RATE for index in range(50)])


def test_a_slow_reader_gets_every_frame_by_default_and_lags(take):
    with Sender(take) as sender, open_frames(sender.address) as frames:
        got = []
        for frame in frames:
            got.append(frame.index)
            time.sleep(0.04)
        health = frames.health()
    assert got == list(range(50))
    assert health.num_dropped == 0 and health.lag_seconds > 0.3


def test_a_slow_reader_gets_the_latest_frames_and_how_many_were_dropped(take):
    settings = LiveSettings(latest=True)
    with Sender(take) as sender, open_frames(sender.address, live=settings) as frames:
        got, lags = [], []
        for frame in frames:
            got.append(frame)
            lags.append(frames.health().lag_seconds)
            time.sleep(0.1)
        health = frames.health()
    assert got[0].index == 0 and got[-1].index == 49 and len(got) < 30
    assert health.num_dropped == 50 - len(got) == health.num_dropped
    assert health.num_frames == len(got)
    assert [frame.seconds for frame in got] == pytest.approx([frame.index / FRAME_RATE for frame in got])
    assert max(lags) < 0.5


def test_a_start_frame_counts_dropped_frames_too(take):
    with Sender(take) as sender, open_frames(sender.address, start_frame=10) as frames:
        assert next(frames).index == 10


def test_a_pipe_is_read_as_live_where_asked(take, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def feed():
        with pipe.open("wb", buffering=0) as out:
            for piece in take:
                out.write(piece)
                time.sleep(0.01)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open_frames(pipe, live=LiveSettings(latest=True)) as frames:
        got = []
        for frame in frames:
            got.append(frame.index)
            time.sleep(0.1)
        assert frames.is_live
        assert got[-1] == 49 and frames.health().num_dropped == 50 - len(got) > 0
    feeder.join()


def test_a_silent_pipe_is_closed_and_its_reader_ends(take, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opener = threading.Thread(target=lambda: writers.append(pipe.open("wb", buffering=0)))
    writers = []
    opener.start()

    def feed():
        opener.join()
        writers[0].write(b"".join(take))

    feeder = threading.Thread(target=feed)
    feeder.start()
    frames = open_frames(pipe, live=LiveSettings())
    read(frames, 40)  # the last ones are held back until others follow
    frames.close()
    feeder.join()
    assert not [thread for thread in threading.enumerate() if thread.name == f"reader of {pipe}"]
    writers[0].close()


def test_a_slow_consumer_is_no_silence_of_the_source(take, tmp_path):
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(take))
    container = av.open(str(path))
    connection, _, _ = streams._connection(container, "clip", timeout_seconds=0.2)
    shown = 0
    for _ in connection.pictures:
        shown += 1
        if shown == 5:
            time.sleep(0.5)
    assert shown == 50


def test_a_slow_consumer_is_no_silence_in_the_numbers(take):
    with Sender(take, pace=0.001) as sender, open_frames(sender.address) as frames:
        read(frames, 1)
        time.sleep(1.0)
        assert frames.health().silent_seconds == 0.0
        assert len(list(frames)) == 49


def test_a_file_goes_without_live_settings(tmp_path, take):
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(take))
    with open_frames(path, live=LiveSettings(latest=True)) as frames:
        assert not frames.is_live and frames.health() is None
        assert len(list(frames)) == 50


# Sources that end, break, come back.


def test_a_stream_over_http_ends_where_it_ends(take):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*take, b"")]
    with Sender(chunks, head=head) as sender:
        with open_frames(f"http://127.0.0.1:{sender.port}/live.ts") as frames:
            assert len(list(frames)) == 50
        assert sender.num_clients == 1


def test_a_source_that_comes_back_goes_on_and_its_times_too(take, events):
    settings = LiveSettings(reconnect_seconds=60, **HASTE)
    started = time.monotonic()
    with (
        Sender(take) as sender,
        open_frames(sender.address, live=settings, on_event=events.append) as frames,
    ):
        got = read(frames, 120)
        passed = time.monotonic() - started
        assert frames.health().num_reconnects == 2
        assert sender.num_clients == 3
    assert [frame.index for frame in got] == list(range(120))
    assert_rising(got)
    assert got[-1].seconds == pytest.approx(passed, abs=1.0)
    assert got[50].seconds - got[49].seconds > 0.04  # the time without a connection
    assert kinds(events) == ["lost", "reconnected"] * 2
    assert events[0].message.startswith(
        "tcp://127.0.0.1 broke off after 50 frames: the stream ended; connecting again"
    )
    assert "tcp://127.0.0.1 is back after" in events[1].message


def test_a_source_whose_clock_went_on_keeps_it(events):
    later = transport_stream(pictures(20), first_frame=75)  # half a second after the first take
    settings = LiveSettings(reconnect_seconds=60, **HASTE)
    with (
        Sender(transport_stream(pictures(50)), later) as sender,
        open_frames(sender.address, live=settings, on_event=events.append) as frames,
    ):
        got = read(frames, 60)
    assert got[49].seconds == pytest.approx(0.98) and got[50].seconds == pytest.approx(1.5)


def test_a_source_that_does_not_come_back_breaks_off(take, events):
    settings = LiveSettings(reconnect_seconds=1.0, first_delay_seconds=0.2, timeout_seconds=2.0)
    sender = Sender(take)
    with open_frames(sender.address, live=settings, on_event=events.append) as frames:
        got = read(frames, 10)
        sender.close()
        with pytest.raises(
            VideoBrokenError,
            match=r"broke off after \d+ frames: it did not come back in 1 seconds and [23] tries",
        ) as caught:
            got += frames
    assert "must answer with a video" in str(caught.value)
    assert caught.value.num_frames >= 10
    assert kinds(events) == ["lost"]


def test_a_server_that_answers_but_brings_nothing_is_given_up(take):
    settings = LiveSettings(reconnect_seconds=0.8, first_delay_seconds=0.1, timeout_seconds=1.0)
    with Sender(take, []) as sender:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SourceWarning)
            with (
                open_frames(sender.address, live=settings) as frames,
                pytest.raises(VideoBrokenError, match="did not come back"),
            ):
                list(frames)
        assert sender.num_clients < 10


def test_a_source_that_falls_silent_is_found_and_opened_again(events):
    take = transport_stream(pictures(200))
    settings = LiveSettings(reconnect_seconds=60, first_delay_seconds=0.05, timeout_seconds=0.5)
    with (
        Sender(take) as sender,
        Proxy(sender.port) as proxy,
        open_frames(f"tcp://127.0.0.1:{proxy.port}", live=settings, on_event=events.append) as frames,
    ):
        read(frames, 5)
        proxy.is_silent = True
        timer = threading.Timer(1.5, setattr, (proxy, "is_silent", False))
        timer.start()
        got = read(frames, 150)
        timer.join()
    assert_rising(got)
    assert kinds(events)[:1] == ["lost"] and "reconnected" in kinds(events)
    assert "no picture came for 0.5 seconds" in events[0].message


def test_a_source_that_is_silent_is_closed_at_once(take):
    with Sender(take, stays_open=True) as sender:
        frames = open_frames(sender.address, live=LiveSettings(timeout_seconds=30.0))
        read(frames, 45)  # the last ones are held back until others follow
        started = time.monotonic()
        frames.close()
        assert time.monotonic() - started < 5


def test_data_without_pictures_are_silence(events):
    noise = [np.random.default_rng(0).bytes(1400) for _ in range(200)]
    good = transport_stream(pictures(20))
    settings = LiveSettings(reconnect_seconds=60, **HASTE)
    with (
        Sender([*good, *noise], good, stays_open=True) as sender,
        open_frames(sender.address, live=settings, on_event=events.append) as frames,
    ):
        got = read(frames, 30)
    assert_rising(got)
    assert kinds(events) == ["lost", "reconnected"]


def test_a_stream_with_flipped_bytes_goes_on(events):
    long = transport_stream(pictures(400))
    with Sender(long, pace=0.005) as sender, Proxy(sender.port) as proxy:
        settings = LiveSettings(reconnect_seconds=60, **HASTE)
        with open_frames(f"tcp://127.0.0.1:{proxy.port}", live=settings, on_event=events.append) as frames:
            read(frames, 5)
            proxy.flips = 0.3
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SourceWarning)
                got = read(frames, 250)
    assert_rising(got)
    assert got[-1].seconds < 60
    assert {frame.image.shape for frame in got} == {(48, 64, 3)}


def test_frames_of_another_size_end_it_and_name_both_sizes(take):
    settings = LiveSettings(reconnect_seconds=60, **HASTE)
    other = transport_stream(pictures(60, size_hw=(96, 128)))
    with Sender(take, other, pace=0.005) as sender, warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)
        with (
            open_frames(sender.address, live=settings) as frames,
            pytest.raises(
                VideoBrokenError, match="frames must be 64 x 48 pixels like those before them, got 128 x 96"
            ),
        ):
            list(frames)


def test_without_a_callback_events_are_warnings(take):
    settings = LiveSettings(reconnect_seconds=60, **HASTE)
    with (
        Sender(take) as sender,
        open_frames(sender.address, live=settings) as frames,
        pytest.warns(SourceWarning) as caught,
    ):
        read(frames, 60)
    assert ["broke off after 50 frames" in str(caught[0].message), "is back" in str(caught[1].message)] == [
        True,
        True,
    ]


# What is reported.


def test_a_picture_that_is_repeated_is_found_and_its_end_too(events):
    moving, still = pictures(30), pictures(1)
    take = transport_stream([*moving, *(still * 60), *moving])
    settings = LiveSettings(freeze_seconds=0.5)
    frozen = []
    with (
        Sender(take, pace=0.002) as sender,
        open_frames(sender.address, live=settings, on_event=events.append) as frames,
    ):
        for _ in frames:
            frozen.append(frames.health().frozen_seconds)
    assert kinds(events) == ["frozen", "moving"]
    assert "the same picture has been repeated for 0.5" in events[0].message
    assert "moves again after 1.2" in events[1].message
    assert frozen[40] == 0.0 and max(frozen) == pytest.approx(1.18, abs=0.03) and frozen[-1] == 0.0


def test_noise_of_a_camera_is_no_freeze(events):
    noise = np.random.default_rng(0)
    still = pictures(1)[0].astype(int)
    frames = [np.clip(still + noise.normal(0, 3, still.shape), 0, 255).astype(np.uint8) for _ in range(60)]
    with (
        Sender(transport_stream(frames), pace=0.002) as sender,
        open_frames(sender.address, live=LiveSettings(freeze_seconds=0.3), on_event=events.append) as stream,
    ):
        assert len(list(stream)) == 60
    assert events == []


def test_health_is_measured_also_while_nothing_comes(take):
    reports = []
    settings = LiveSettings(health_seconds=0.2, timeout_seconds=2.0)
    with (
        Sender(take, stays_open=True) as sender,
        open_frames(sender.address, live=settings, on_health=reports.append) as frames,
        pytest.raises(VideoBrokenError, match="no picture came for 2 seconds"),
    ):
        list(frames)
    assert len(reports) >= 8
    assert [health.num_frames for health in reports] == sorted(health.num_frames for health in reports)
    assert 45 <= reports[-1].num_frames <= 50 and reports[-1].silent_seconds > 1.0
    assert (
        f"{reports[-1].num_frames} frames, " in str(reports[-1])
        and reports[-1].to_dict()["num_reconnects"] == 0
    )


# Settings, tries, memory: with a source of the test's own.


def fake_connection(count, *, moving=True, size_hw=(4, 4)):
    def frames():
        for index in range(count):
            image = np.full((*size_hw, 3), index % 200 if moving else 7, np.uint8)
            yield index / 25, size_hw, partial(np.copy, image)

    return Connection(frames(), 25.0, 10.0)


def fake_stream(first, connect=None, **settings):
    reconnect_seconds = settings.pop("reconnect_seconds", 0.0)
    reader = LiveReader(
        "fake", first, connect, LiveSettings(**settings), reconnect_seconds=reconnect_seconds, on_event=str
    )
    return FrameStream("fake", reader.pictures(), health=reader.health)


@pytest.mark.parametrize(
    ("latest", "expected"), [(False, [2 * step for step in range(1, 11)]), (True, [0] * 10)]
)
def test_the_lag_in_frames_grows_without_latest_and_stays_at_none_with_it(latest, expected):
    """Three frames are taken by the camera for each that is tracked; counted, not timed."""
    taken, put = threading.Semaphore(0), []

    def camera():
        for index in range(31):
            taken.acquire()
            yield index / 25, (4, 4), partial(np.zeros, (4, 4, 3), np.uint8)
            put.append(index)

    taken.release()  # the first frame, which opening reads
    connection, lags = Connection(camera(), 25.0, 10.0), []
    with fake_stream(connection, lambda: fake_connection(1), latest=latest) as frames:
        assert next(frames).index == 0
        for step in range(1, 11):
            taken.release(3)
            newest = 3 * step
            # All are with the reader, or as many as it lets wait.
            wanted = newest if latest else min(newest, step - 1 + 8)
            while not put or put[-1] < wanted:
                time.sleep(0.001)
            lags.append(newest - next(frames).index)
    assert lags == expected


def test_each_wait_is_twice_as_long_up_to_the_longest():
    tried = []

    def connect():
        tried.append(time.monotonic())
        if len(tried) < 6:
            raise VideoError("no answer")
        return fake_connection(2)

    started = time.monotonic()
    delays = {"first_delay_seconds": 0.05, "longest_delay_seconds": 0.2, "reconnect_seconds": math.inf}
    with fake_stream(fake_connection(2), connect, **delays) as frames:
        read(frames, 4)
    waits = [later - earlier for earlier, later in pairwise([started, *tried[:6]])]
    assert waits[:6] == pytest.approx([0.05, 0.1, 0.2, 0.2, 0.2, 0.2], abs=0.08)


def test_memory_stays_flat_over_many_frames_and_reconnects():
    with fake_stream(
        fake_connection(100),
        lambda: fake_connection(100),
        first_delay_seconds=0.001,
        longest_delay_seconds=0.001,
        reconnect_seconds=60,
    ) as frames:
        read(frames, 200)
        tracemalloc.start()
        try:
            read(frames, 100)
            before = tracemalloc.get_traced_memory()[0]
            read(frames, 1000)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert frames.health().num_reconnects >= 12
    # Times of the frames of the last 5 seconds are kept, 32 bytes each.
    assert after - before < 1000 * 64


def test_frames_that_wait_are_few():
    made = []

    def frames():
        for index in range(100):
            made.append(index)
            yield index / 25, (4, 4), partial(np.zeros, (4, 4, 3), np.uint8)

    with fake_stream(
        Connection(frames(), 25.0, 10.0), lambda: fake_connection(1), freeze_seconds=0
    ) as stream:
        next(stream)
        time.sleep(0.3)
        assert len(made) <= 11
        assert len(list(stream)) == 99


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reconnect_seconds": -1}, "reconnect_seconds must be a number of seconds 0 or more, got -1"),
        ({"timeout_seconds": 0}, "timeout_seconds must be a number of seconds above 0, got 0"),
        ({"first_delay_seconds": math.inf}, "first_delay_seconds must be"),
        ({"health_seconds": math.nan}, "health_seconds must be"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        LiveSettings(**values)


# RTSP.

RTSP = pytest.mark.skipif(missing_rtsp() is not None, reason=missing_rtsp() or "")


def camera_at(port):
    return f"rtsp://127.0.0.1:{port}/camera"


@RTSP
def test_an_rtsp_camera_is_read_at_its_pace_and_with_its_times():
    with rtsp_server() as (_, port), open_frames(camera_at(port)) as frames:
        assert frames.size_hw == (120, 160) and frames.frame_rate == 25.0
        got = read(frames, 40)
        assert frames.health().lag_seconds < 5
    assert [frame.index for frame in got] == list(range(40))
    assert np.diff([frame.seconds for frame in got]) == pytest.approx(0.04, abs=0.01)


@RTSP
def test_an_rtsp_server_that_is_killed_and_started_again_is_read_on(events):
    settings = LiveSettings(reconnect_seconds=120, first_delay_seconds=0.1, timeout_seconds=10.0)
    with rtsp_server() as (server, port):
        frames = open_frames(camera_at(port), live=settings, on_event=events.append)
        got = read(frames, 20)
        server.kill()
        server.wait()
    with rtsp_server(port), frames:
        got += read(frames, 40)
        assert frames.health().num_reconnects == 1
    assert_rising(got)
    assert [frame.index for frame in got] == list(range(60))
    assert kinds(events)[:2] == ["lost", "reconnected"]


@RTSP
def test_an_rtsp_stream_that_is_slowed_and_damaged_goes_on(events):
    settings = LiveSettings(reconnect_seconds=120, latest=True, first_delay_seconds=0.1, timeout_seconds=5.0)
    with rtsp_server() as (_, port), Proxy(port) as proxy, warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)
        with open_frames(camera_at(proxy.port), live=settings, on_event=events.append) as frames:
            got = read(frames, 10)
            proxy.delay = 0.05
            got += read(frames, 10)
            proxy.delay, proxy.flips = 0.0, 0.02
            got += read(frames, 50)
            proxy.flips = 0.0
            proxy.cut()
            got += read(frames, 20)
            health = frames.health()
    assert_rising(got)
    assert got[-1].seconds < 300
    assert health.num_reconnects >= 1 and "lost" in kinds(events)
    assert {frame.image.shape for frame in got} == {(120, 160, 3)}
