"""Video files: decoded in threads, turned upright; a file cut short is an error."""

import math
import re
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError
from av.format import Flags
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from starktrack.data.video import matroska
from starktrack.data.video.container import open_file
from starktrack.data.video.frame_stream import FrameStream, Picture
from starktrack.data.video.intensity import IntensityRange
from starktrack.data.video.pipe import Pipe
from starktrack.errors import VideoError

_TEXT_DEMUXER = "tty"
"""FFmpeg's demuxer that reads any text file as terminal art."""

_MISSING_SECONDS = 1.0
"""A Matroska track may end this much before the time in its tag, since its last frame may be shown longer."""

_COUNT_FORMATS = re.compile(r"gray(9|10|12|14|16|f32)[bl]e|gbrp(9|10|12|14|16|f32)[bl]e|rgb48[bl]e")
"""Pixel formats that hold counts of more than 8 bits, which one scale maps; YUV of 10 and 12 bits holds colours."""

_FILE_REMEDY = "copy or download it again"

DISCONTINUITY_SECONDS = 10.0
"""In broadcast formats, whose clocks may jump, a larger step between two frames is a jump; FFmpeg's limit."""


@runtime_checkable
class BinaryFile(Protocol):
    """An open file that FFmpeg reads through Python."""

    def read(self, size: int = -1, /) -> bytes: ...  # noqa: D102

    def seek(self, offset: int, whence: int = 0, /) -> int: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


def open_video(
    path: Path, *, start_frame: int = 0, intensity_range: IntensityRange | None = None, threads: int = 0
) -> FrameStream:
    """Return the frames of a video file.

    Raises:
        VideoError: The file is empty, unreadable, truncated before its index, or not a video.
    """
    if path.stat().st_size == 0:
        raise VideoError(f"{path} must be a video, got an empty file")
    try:
        container = open_file(str(path))
    except InvalidDataError as error:
        raise VideoError(
            f"{path} must be a whole video that FFmpeg can read, got something else or a file cut short "
            "before its index; copy or download it again"
        ) from error
    except ArgumentError as error:
        raise VideoError(
            f"{path} must hold the video itself, got a playlist or something else; give the address of the stream, "
            "or the video"
        ) from error
    except FFmpegError as error:
        raise VideoError(f"{path} must be a video that can be opened, got: {error.strerror}") from error
    return stream_of(
        container, path.name, path, start_frame, intensity_range, remedy=_FILE_REMEDY, threads=threads
    )


def address_options(address: str) -> dict[str, str]:
    """Return FFmpeg's options for an address."""
    scheme = urlsplit(address).scheme.lower()
    # Without it FFmpeg loses the first packet of an MP4 with its index at the end where the server keeps connections.
    of_http = {"multiple_requests": "1"}
    by_tcp = {"rtsp_transport": "tcp"}
    return {"rtsp": by_tcp, "rtsps": by_tcp, "http": of_http, "https": of_http}.get(scheme, {})


def stream_of(
    container: InputContainer,
    name: str,
    path: Path | None,
    start_frame: int,
    intensity_range: IntensityRange | None,
    *,
    remedy: str,
    threads: int = 0,
    file: BinaryFile | Pipe | None = None,
) -> FrameStream:
    """Return the frames of an open container, which is closed with them, as `file` is, through which it reads.

    Raises:
        VideoError: It holds no video, or no frame.
    """
    try:
        video = first_video(container)
    except VideoError as error:
        container.close()
        raise VideoError(f"{name} {error}") from None
    video.thread_type = "AUTO"
    video.thread_count = threads
    rate = video.guessed_rate or video.average_rate
    to_array = ToArray()
    pictures = _pictures(container, video, path, remedy, to_array, file)
    # The index of a trimmed video holds packets that are not shown, and headers may be estimates.
    num_shown = sum(not entry.is_discard for entry in video.index_entries)
    stream = FrameStream(
        name,
        file.interruptible(pictures) if isinstance(file, Pipe) else pictures,
        start_frame=start_frame,
        frame_rate=float(rate) if rate else None,
        num_frames=min(video.frames, num_shown) or None,
        intensity_range=intensity_range,
        largest_step=DISCONTINUITY_SECONDS if container.format.flags & Flags.ts_discont.value else math.inf,
        cancel=file.cancel if isinstance(file, Pipe) else None,
    )
    stream.pixel_aspect = pixel_aspect(video, to_array)
    return stream


def pixel_aspect(video: av.VideoStream, to_array: "ToArray") -> Fraction:
    """Return the width of a pixel over its height, upright; a frame was converted before."""
    aspect = Fraction(video.sample_aspect_ratio or 1)
    return 1 / aspect if to_array.is_on_its_side else aspect


def first_video(container: InputContainer) -> av.VideoStream:
    """Return the video track of an open file; a cover image does not count.

    Raises:
        VideoError: There is none.
    """
    videos = [video for video in container.streams.video if not video.disposition & Disposition.attached_pic]
    if not videos or container.format.name == _TEXT_DEMUXER:
        raise VideoError("must hold a video track, got none; is it sound, text, or cut short?")
    return videos[0]


def _pictures(
    container: InputContainer,
    video: av.VideoStream,
    path: Path | None,
    remedy: str,
    to_array: "ToArray",
    file: BinaryFile | Pipe | None,
) -> Generator[Picture, None, None]:
    is_avi = container.format.name == "avi"
    start = None if is_avi else video.start_time
    ticks: int | None = None
    num_untimed: int | None = 0
    spans = _Spans()
    with closing(file) if file else nullcontext(), container:
        try:
            for frame in _frames(container, video, spans):
                # AVI says when a frame is decoded, not when it is shown: what FFmpeg makes of it is in disorder,
                # but the decoder gives the frames in order. Those that it held back have no such time.
                if is_avi:
                    ticks = (
                        ticks + (frame.duration or 1)
                        if frame.dts is None and ticks is not None
                        else frame.dts
                    )
                else:
                    ticks = frame.pts
                if start is None:
                    start = ticks
                # Matroska loses times below zero. Other frames have one, so that these begin the clock.
                if num_untimed is not None and start is not None:
                    if ticks is not None:
                        start -= num_untimed * _ticks_per_frame(frame, video)
                        num_untimed = None
                    else:
                        ticks = start if num_untimed == 0 else None
                        num_untimed += 1
                if ticks is None or start is None or frame.time_base is None:
                    seconds = None
                else:
                    seconds = (ticks - start) * float(frame.time_base)
                yield seconds, partial(to_array, frame)
        except (OSError, FFmpegError) as error:  # OSError of what Python reads
            reason = error.strerror or error
            raise VideoError(f"the data cannot be read there ({reason}); {remedy}") from error
        if container.format.name.startswith("matroska"):
            _check_matroska(video, path, spans)


def _ticks_per_frame(frame: av.VideoFrame, video: av.VideoStream) -> int:
    rate = video.guessed_rate
    if frame.duration or not rate or frame.time_base is None:
        return frame.duration
    return round(1 / (rate * frame.time_base))


class _Spans:
    """The display times of a video's packets.

    Attributes:
        end: End of the last one, seconds.
        longest_step: Largest time between two, seconds.
    """

    def __init__(self) -> None:
        self.end: float | None = None
        self.longest_step = 0.0

    def add(self, packet: av.Packet) -> None:
        """Count one packet."""
        if packet.pts is None or packet.time_base is None:
            return
        start = float(packet.pts * packet.time_base)
        end = start + float((packet.duration or 0) * packet.time_base)
        if self.end is not None:
            self.longest_step = max(self.longest_step, end - self.end)
        self.end = end if self.end is None else max(self.end, end)


def _frames(container: InputContainer, video: av.VideoStream, spans: _Spans) -> Iterator[av.VideoFrame]:
    any_frame = False
    for packet in _whole_packets(container, video):
        spans.add(packet)
        try:
            frames = packet.decode()
        except InvalidDataError:
            if any_frame:
                raise
            continue  # a recording may start between key frames
        any_frame = any_frame or bool(frames)
        yield from frames


def _whole_packets(container: InputContainer, video: av.VideoStream) -> Iterator[av.Packet]:
    """Yield packets; a damaged one only if another follows, since a damaged last one means a file cut short.

    Raises:
        VideoError: The file ends within a packet, or before the last packet of its index.
    """
    num_packets, begin = 0, 0
    damaged: av.Packet | None = None
    for packet in container.demux(video):
        if packet.size == 0 and packet.dts is None:
            yield packet  # flushes the decoder
            break
        if num_packets == 0 and container.format.name == "flv":
            begin = packet.pos or 0  # FLV's index counts the header of the codec before it
        num_packets += 1
        if damaged is not None:
            yield damaged
        damaged = packet if packet.is_corrupt else None
        if damaged is None:
            yield packet
    num_expected = sum(entry.pos >= begin for entry in video.index_entries)
    if damaged is not None or num_packets < num_expected:
        raise _cut_short()


def _check_matroska(video: av.VideoStream, path: Path | None, spans: _Spans) -> None:
    declared = matroska.declared_seconds(video.metadata)
    missing = max(_MISSING_SECONDS, spans.longest_step)
    if declared is not None and spans.end is not None and spans.end < declared - missing:
        raise VideoError(f"it ends at {spans.end:.2f} of {declared:.2f} seconds; copy or download it again")
    if path is not None and matroska.segment_is_cut(path):
        raise _cut_short()


def _cut_short() -> VideoError:
    return VideoError("the file ends before its own end; copy or download it again")


class ToArray:
    """Converts the frames of one video; its orientation is that of its first frame.

    One converter serves all frames, since each keeps megabytes. The matrix is read once, since reading the side data
    of a frame keeps the frame in memory.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._matrix: bytes | None = None

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the picture upright, RGB or grey."""
        if self._matrix is None:
            self._matrix = bytes(frame.side_data.get("DISPLAYMATRIX") or b"")
        if not _COUNT_FORMATS.fullmatch(frame.format.name):
            frame = self._reformatter.reformat(frame, format="rgb24")
        image = frame.to_ndarray()
        return turn_upright(image, self._matrix) if self._matrix else image

    @property
    def is_on_its_side(self) -> bool:
        """Return whether rows are shown as columns."""
        return bool(self._matrix) and _swaps_axes(self._matrix)


def turn_upright(image: np.ndarray, display_matrix: bytes) -> np.ndarray:
    """Return the image turned and mirrored by its display matrix, to the nearest quarter turn.

    Args:
        image: As it was coded, [height, width] or [height, width, 3].
        display_matrix: Nine 32-bit integers a b u c d v x y w, by which a coded point (p, q) is shown at
            (a p + c q, b p + d q).

    Source: FFmpeg, libavutil/display.h.
    """
    a, b, _, c, d = np.frombuffer(display_matrix, np.int32)[:5].tolist()
    if _swaps_axes(display_matrix):
        image, a, d = image.swapaxes(0, 1), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _swaps_axes(display_matrix: bytes) -> bool:
    a, b = np.frombuffer(display_matrix, np.int32)[:2].tolist()
    return abs(b) > abs(a)
