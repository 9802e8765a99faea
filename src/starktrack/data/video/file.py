"""Video files and stream addresses: decoded in threads, turned upright, never shorter than they say."""

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from starktrack.arrays import Image
from starktrack.data.video import matroska
from starktrack.data.video.frame_stream import FrameStream, Picture
from starktrack.errors import VideoError

_TEXT_DEMUXER = "tty"
"""FFmpeg plays any text file as terminal art."""

_MISSING_SECONDS = 1.0
"""A Matroska track may end this much before its tag says, for its last frame may be shown longer."""


def open_video(path: Path, *, start_frame: int = 0) -> FrameStream:
    """Return the frames of a video file.

    Raises:
        VideoError: The file is empty, unreadable, truncated before its index, or not a video.
    """
    if path.stat().st_size == 0:
        raise VideoError(f"{path} must be a video, got an empty file")
    try:
        # "file:" because FFmpeg would read "10:30.mp4" as the address of a protocol named 10.
        container = av.open(f"file:{path}")
    except av.error.InvalidDataError as error:
        raise VideoError(
            f"{path} must be a whole video that FFmpeg can read, got something else or a file cut short "
            "before its index; copy or download it again"
        ) from error
    except av.FFmpegError as error:
        raise VideoError(f"{path} must be a video that can be opened, got: {error.strerror}") from error
    return _stream(container, path.name, path, start_frame)


def open_address(address: str, *, start_frame: int = 0, timeout_seconds: float = 10.0) -> FrameStream:
    """Return the frames of a stream address; damaged packets of a live stream are passed over.

    Raises:
        VideoError: Nothing answers within the time, or what answers is not a video.
    """
    parts = urlsplit(address)
    name = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without the password
    options = {"rtsp_transport": "tcp"} if parts.scheme == "rtsp" else {}
    try:
        container = av.open(address, options=options, timeout=timeout_seconds)
    except av.FFmpegError as error:
        raise VideoError(
            f"{name} must answer with a video within {timeout_seconds:g} seconds, got: {error.strerror}; "
            "check the address and the network"
        ) from error
    return _stream(container, name, None, start_frame)


def _stream(container: InputContainer, name: str, path: Path | None, start_frame: int) -> FrameStream:
    # A cover image is no video.
    videos = [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]
    if not videos or container.format.name == _TEXT_DEMUXER:
        container.close()
        raise VideoError(f"{name} must hold a video track, got none; is it sound, text, or cut short?")
    video = videos[0]
    video.thread_type = "AUTO"
    rate = video.guessed_rate or video.average_rate
    return FrameStream(
        name,
        _pictures(container, video, path),
        start_frame=start_frame,
        frame_rate=float(rate) if rate else None,
        num_frames=_num_frames(video),
    )


def _num_frames(video: av.VideoStream) -> int | None:
    """Return the packets of the index that are shown: a trimmed video holds more, headers may only guess."""
    return min(video.frames, sum(not entry.is_discard for entry in video.index_entries)) or None


def _pictures(
    container: InputContainer, video: av.VideoStream, path: Path | None
) -> Generator[Picture, None, None]:
    is_live = path is None and container.duration is None
    seconds: float | None = None
    to_rgb = _ToRgb()
    with container:
        try:
            for frame in _frames(container, video, is_live):
                seconds = _seconds(frame, video)
                yield seconds, partial(to_rgb, frame)
        except av.FFmpegError as error:
            remedy = "check the network" if path is None else "copy or download it again"
            raise VideoError(f"the data cannot be read there ({error.strerror}); {remedy}") from error
        if container.format.name.startswith("matroska"):
            _check_matroska(video, path, seconds)


def _frames(container: InputContainer, video: av.VideoStream, is_live: bool) -> Iterator[av.VideoFrame]:
    any_frame = False
    for packet in _whole_packets(container, video):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            if any_frame and not is_live:
                raise
            continue  # a recording may start between key frames, a live stream loses packets
        any_frame = any_frame or bool(frames)
        yield from frames


def _whole_packets(container: InputContainer, video: av.VideoStream) -> Iterator[av.Packet]:
    """Yield packets; a damaged one only when another follows, for a damaged last one is where a file was cut.

    Raises:
        VideoError: The file ends within a packet, or before the last packet of its index.
    """
    num_packets = 0
    damaged: av.Packet | None = None
    for packet in container.demux(video):
        if packet.size == 0 and packet.dts is None:
            yield packet  # flushes the decoder
            break
        num_packets += 1
        if damaged is not None:
            yield damaged
        damaged = packet if packet.is_corrupt else None
        if damaged is None:
            yield packet
    if damaged is not None or num_packets < len(video.index_entries):
        raise _cut_short()


def _check_matroska(video: av.VideoStream, path: Path | None, seconds: float | None) -> None:
    declared = matroska.declared_seconds(video.metadata)
    if declared is not None and seconds is not None and seconds < declared - _MISSING_SECONDS:
        raise VideoError(f"it ends at {seconds:.2f} of {declared:.2f} seconds; copy or download it again")
    if path is not None and matroska.segment_is_cut(path):
        raise _cut_short()


def _cut_short() -> VideoError:
    return VideoError("the file ends before its own end; copy or download it again")


def _seconds(frame: av.VideoFrame, video: av.VideoStream) -> float | None:
    if frame.pts is None:
        return None
    return (frame.pts - (video.start_time or 0)) * float(frame.time_base)


class _ToRgb:
    """Converts the frames of one video; its orientation is that of its first frame.

    One converter for all frames: each would keep megabytes. The matrix is read once: a frame whose side data
    was looked at outlives its use.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._matrix: bytes | None = None

    def __call__(self, frame: av.VideoFrame) -> Image:
        if self._matrix is None:
            self._matrix = bytes(frame.side_data.get("DISPLAYMATRIX") or b"")
        image = self._reformatter.reformat(frame, format="rgb24").to_ndarray()
        return turn_upright(image, self._matrix) if self._matrix else image


def turn_upright(image: Image, display_matrix: bytes) -> UInt8[np.ndarray, "upright_height upright_width 3"]:
    """Return the image turned and mirrored as its display matrix asks, to the nearest quarter turn.

    Args:
        image: As it was coded.
        display_matrix: Nine 32-bit integers a b u c d v x y w, by which a coded point (p, q) is shown at
            (a p + c q, b p + d q).

    Source: FFmpeg, libavutil/display.h.
    """
    a, b, _, c, d = np.frombuffer(display_matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
