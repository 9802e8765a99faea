"""Writes a video with the clock and size of its source; the file appears when it is complete."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path
from types import TracebackType

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from starktrack.arrays import Image
from starktrack.data.video.clock import DEFAULT_FRAME_RATE, Clock
from starktrack.errors import VideoBrokenError, VideoError
from starktrack.files import OutputFile, check_output_path

_H264 = ("libx264", {"preset": "veryfast", "crf": "20"})
_VP9 = ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"})
_CODECS = {".mp4": _H264, ".mov": _H264, ".mkv": _H264, ".webm": _VP9}

_TICKS_PER_SECOND = 90_000
"""The clock is at least this fine, and a multiple of the frame rate so that no frame is rounded."""


def check_video_path(path: Path) -> None:
    """Check that a video can be written there, before the work that fills it.

    Raises:
        InputError: Not .mp4, .mov, .mkv or .webm, or a place that cannot be written to.
    """
    check_output_path(path, _CODECS, "a video to write")


class VideoWriter:
    """A video being written: H.264 in .mp4, .mov and .mkv, VP9 in .webm.

    The `with` block keeps the file at its end and after a `VideoBrokenError` of the source, and removes it after any
    other error. A video without frames leaves no file.

    Convention: pictures of even size are stored as 4:2:0, which every player shows; an odd width or height
    needs 4:4:4, which keeps the size to the pixel but which some browsers do not play. Every frame is shown: one
    with a time not later than the frame before it is shown one frame later.

    Args:
        path: Its suffix chooses the codec.
        size_hw: Size of every image.
        frame_rate: Frames per second; None for sources without a clock.
        pixel_aspect: Width of a pixel over its height. H.264 says so to the player; VP9 cannot, so that a
            .webm is made as wide as it is shown.

    Raises:
        InputError: The path cannot be written to.
        VideoError: The codec is missing or refuses the size.
    """

    def __init__(
        self,
        path: Path,
        size_hw: tuple[int, int],
        frame_rate: float | None = None,
        *,
        pixel_aspect: Fraction = Fraction(1),
    ) -> None:
        check_video_path(path)
        self.path = path
        self.size_hw = size_hw
        rate = Fraction(frame_rate or DEFAULT_FRAME_RATE).limit_denominator(1001)
        self._time_base = Fraction(1, rate.numerator * ceil(_TICKS_PER_SECOND / rate.numerator))
        self._ticks_per_frame = int(1 / rate / self._time_base)
        self._clock = Clock(None, frame_rate)
        self._first_seconds: float | None = None
        self._last_ticks = -1
        self._reformatter = VideoReformatter()
        self._file = OutputFile(path)
        self._container: OutputContainer | None = None
        try:
            self._container = av.open(f"file:{self._file.partial}", "w")
            self._stream = _add_stream(
                self._container, path.suffix.lower(), size_hw, rate, self._time_base, pixel_aspect
            )
            self._container.start_encoding()
        except (FFmpegError, ValueError) as error:  # ValueError: the codec is not in this build of FFmpeg
            self.discard()
            shown = f"{path} of {size_hw[1]} x {size_hw[0]} pixels"
            raise VideoError(f"{shown} cannot be written, got: {error}") from error

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the file, or remove it after an error other than `VideoBrokenError`."""
        if error is None or isinstance(error, VideoBrokenError):
            self.close()
        else:
            self.discard()

    def write(self, image: Image, seconds: float | None = None) -> None:
        """Append an image.

        Args:
            image: RGB of the size given at the start.
            seconds: When it is shown, on the source's clock, where the first image counts as 0. None: one
                frame after the image before it.

        Raises:
            VideoError: Another size, or the disk refuses.
        """
        if image.shape[:2] != self.size_hw:
            raise VideoError(
                f"an image to write must be {self.size_hw} (height, width), got {image.shape[:2]}"
            )
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            width=self._stream.width,
            height=self._stream.height,
            format=self._stream.pix_fmt,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self._next_ticks(seconds), self._time_base
        with self._errors_named():
            self._mux(frame)

    @property
    def num_bytes(self) -> int:
        """Size of what was written so far."""
        return self._file.num_bytes

    def close(self) -> None:
        """Complete the file and move it to its place; a second call has no effect."""
        if self._container is None:
            return
        if self._last_ticks < 0:
            self.discard()
            return
        with self._errors_named():
            self._mux(None)
            self._container.close()
        self._container = None
        self._file.keep()

    def discard(self) -> None:
        """Remove the incomplete file; an older file of that name stays."""
        if self._container is not None:
            with contextlib.suppress(FFmpegError):
                self._container.close()
        self._container = None
        self._file.discard()

    def _next_ticks(self, seconds: float | None) -> int:
        if seconds is None:
            ticks = self._last_ticks + self._ticks_per_frame if self._last_ticks >= 0 else 0
        else:
            shown = self._clock.read(seconds, 0) or 0.0  # a time that is given is never None
            if self._first_seconds is None:
                self._first_seconds = shown
            ticks = round((shown - self._first_seconds) / self._time_base)
        self._last_ticks = max(ticks, self._last_ticks + 1)
        return self._last_ticks

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            packet.duration = self._ticks_per_frame  # without it the last frame would last no time
            assert self._container is not None, "nothing is written after close"
            self._container.mux(packet)

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except FFmpegError as error:
            self.discard()
            raise VideoError(f"{self.path} cannot be written, got: {error.strerror}") from error


def _add_stream(
    container: OutputContainer,
    suffix: str,
    size_hw: tuple[int, int],
    rate: Fraction,
    time_base: Fraction,
    pixel_aspect: Fraction,
) -> av.VideoStream:
    codec, options = _CODECS[suffix]
    stream = container.add_stream(codec, rate=rate, options=options)
    stream.height, stream.width = size_hw
    context = stream.codec_context
    if suffix == ".webm":
        stream.width = max(1, round(size_hw[1] * pixel_aspect))
    else:
        context.sample_aspect_ratio = pixel_aspect
    stream.pix_fmt = "yuv444p" if stream.height % 2 or stream.width % 2 else "yuv420p"
    context.time_base = time_base
    context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
    return stream
