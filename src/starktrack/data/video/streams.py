"""Stream addresses and pipes: what is live is read as `LiveSettings` say, the rest as a file."""

import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.format import Flags

from starktrack.data.video.container import formats_that_hold_video, open_source
from starktrack.data.video.file import (
    DISCONTINUITY_SECONDS,
    ToArray,
    address_options,
    first_video,
    pixel_aspect,
    stream_of,
)
from starktrack.data.video.frame_stream import FrameStream
from starktrack.data.video.intensity import IntensityRange
from starktrack.data.video.live import RECONNECT_SECONDS, LiveSettings, OnEvent, OnHealth
from starktrack.data.video.live_reader import Connection, LivePicture, LiveReader
from starktrack.data.video.pipe import Pipe
from starktrack.errors import VideoError

_LIVE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "srt", "udp", "rtp")
"""Their end is the end of a connection, not of a video."""

_PIPE_REMEDY = "an MP4 in a pipe needs its index first (ffmpeg -movflags faststart), or save it as a file"


def open_pipe(
    path: Path,
    *,
    start_frame: int = 0,
    intensity_range: IntensityRange | None = None,
    live: LiveSettings | None = None,
    on_event: OnEvent | None = None,
    on_health: OnHealth | None = None,
) -> FrameStream:
    """Return the frames of a video that a pipe brings, such as standard input; it is read once, forwards.

    With `live` the pipe is read as a live source. It cannot be opened again, so that its end is the end.

    Raises:
        VideoError: The pipe cannot be read, or what it brings is not a video that can be read so.
    """
    pipe: Pipe | None = None
    try:
        pipe = Pipe(path)
        container = open_source(pipe, {"format_whitelist": formats_that_hold_video()})
        pipe.raise_interrupt()
    except (OSError, FFmpegError) as error:
        if pipe is not None:
            pipe.close()
            pipe.raise_interrupt()
        raise VideoError(
            f"{path} must bring a video that can be read forwards, got: {error.strerror}; {_PIPE_REMEDY}"
        ) from error
    if live is None:
        return stream_of(
            container, str(path), None, start_frame, intensity_range, remedy=_PIPE_REMEDY, file=pipe
        )
    return live_stream(
        str(path),
        container,
        None,
        live,
        0.0,
        start_frame,
        intensity_range,
        on_event,
        on_health,
        cancel=pipe.cancel,
    )


def open_address(
    address: str,
    *,
    start_frame: int = 0,
    intensity_range: IntensityRange | None = None,
    live: LiveSettings | None = None,
    on_event: OnEvent | None = None,
    on_health: OnHealth | None = None,
    threads: int = 0,
) -> FrameStream:
    """Return the frames of a stream address; one that says how long it lasts is read like a file.

    Raises:
        VideoError: Nothing answers within the time, or what answers is not a video.
    """
    settings = live or LiveSettings()
    parts = urlsplit(address)
    name = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without the password

    def open_container() -> InputContainer:
        try:
            return open_source(address, address_options(address), float(settings.timeout_seconds))
        except FFmpegError as error:
            got = "no answer" if isinstance(error, ExitError) else error.strerror
            raise VideoError(
                f"{name} must answer with a video within {settings.timeout_seconds:g} seconds, got: {got}; "
                "check the address and the network"
            ) from error

    container = open_container()
    if container.duration is not None:
        return stream_of(
            container, name, None, start_frame, intensity_range, remedy="check the network", threads=threads
        )
    default = RECONNECT_SECONDS if parts.scheme in _LIVE_SCHEMES else 0.0
    reconnect_seconds = default if settings.reconnect_seconds is None else settings.reconnect_seconds
    return live_stream(
        name,
        container,
        open_container,
        settings,
        reconnect_seconds,
        start_frame,
        intensity_range,
        on_event,
        on_health,
    )


def live_stream(
    name: str,
    container: InputContainer,
    open_container: Callable[[], InputContainer] | None,
    settings: LiveSettings,
    reconnect_seconds: int | float,
    start_frame: int,
    intensity_range: IntensityRange | None,
    on_event: OnEvent | None,
    on_health: OnHealth | None,
    cancel: Callable[[], object] | None = None,
) -> FrameStream:
    """Return the frames of an open container that may come back after it ends.

    Args:
        open_container: Opens it again; None where it comes once.
        cancel: Ends a read that waits for a silent source.

    Raises:
        VideoError: It holds no video.
    """
    first, video, to_array = _connection(container, name, settings.timeout_seconds)

    def connect() -> Connection:
        assert open_container is not None, "what comes once has no time to come back"
        return _connection(open_container(), name, settings.timeout_seconds)[0]

    reader = LiveReader(
        name,
        first,
        connect,
        settings,
        reconnect_seconds=reconnect_seconds,
        on_event=on_event,
        on_health=on_health,
    )
    stream = FrameStream(
        name,
        reader.pictures(),
        start_frame=start_frame,
        frame_rate=first.frame_rate,
        intensity_range=intensity_range,
        health=reader.health,
        cancel=cancel,
    )
    stream.pixel_aspect = pixel_aspect(video, to_array)
    return stream


def _connection(
    container: InputContainer, name: str, timeout_seconds: int | float
) -> tuple[Connection, av.VideoStream, ToArray]:
    try:
        video = first_video(container)
    except VideoError as error:
        container.close()
        raise VideoError(f"{name} {error}") from None
    video.thread_type = "SLICE"  # threads by frame would hold back a frame each
    rate = video.guessed_rate or video.average_rate
    to_array = ToArray()
    pictures = _live_pictures(container, video, to_array, timeout_seconds)
    largest_step = max(DISCONTINUITY_SECONDS, timeout_seconds)
    return Connection(pictures, float(rate) if rate else None, largest_step), video, to_array


def _live_pictures(
    container: InputContainer, video: av.VideoStream, to_array: ToArray, timeout_seconds: int | float
) -> Generator[LivePicture | None, None, None]:
    """Yield the frames of one connection, and None for each packet that is damaged.

    Raises:
        VideoError: Nothing came, or nothing that can be decoded, for too long; or the connection broke.
    """
    # Formats without times get made-up ones from FFmpeg: then the time at which a frame comes is nearer to the truth.
    has_times = not container.format.flags & Flags.no_timestamps.value
    silence = f"no picture came for {timeout_seconds:g} seconds; check the source and the network"
    came_at = time.monotonic()
    with container:
        try:
            # All packets, because sound alone would keep a loop over those of the video waiting without an end.
            for packet in container.demux():
                now = time.monotonic()
                if now - came_at > timeout_seconds:
                    raise VideoError(silence)
                if packet.stream_index != video.index:
                    continue
                try:
                    frames = packet.decode()
                except FFmpegError:
                    yield None
                    continue
                for frame in frames:
                    if not isinstance(frame, av.VideoFrame):
                        continue
                    if not has_times:
                        seconds = now
                    elif frame.pts is None or frame.time_base is None:
                        seconds = None
                    else:
                        seconds = float(frame.pts * frame.time_base)
                    yield seconds, (frame.height, frame.width), partial(to_array, frame)
                    # Not before: a consumer that takes its time is no silence of the source.
                    came_at = time.monotonic()
        except ExitError as error:
            raise VideoError(silence) from error
        except FFmpegError as error:
            raise VideoError(
                f"the data cannot be read there ({error.strerror}); check the network"
            ) from error
