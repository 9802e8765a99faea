"""Frames in order: the record of a frame, and the stream with the same rules for every kind of source."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import TypeAlias

import numpy as np

from starktrack.arrays import Image
from starktrack.data.video.clock import Clock
from starktrack.data.video.intensity import IntensityRange, IntensityScale
from starktrack.data.video.live import LiveHealth
from starktrack.errors import InputError, VideoBrokenError, VideoError


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        image: RGB, upright.
        index: Position in the source, from 0.
        seconds: Display time on the clock of the source, never earlier than the frame before it; None if the source
            has no clock.

    Example:
        >>> Frame(image=np.zeros((48, 64, 3), np.uint8), index=7, seconds=0.28).seconds
        0.28
    """

    image: Image
    index: int
    seconds: float | None


Picture: TypeAlias = tuple[float | None, Callable[[], np.ndarray]]
"""Time from the source, and the function that makes the image, upright RGB or grey of any real type. Skipped
pictures are never converted.
"""


class FrameStream:
    """The frames of an open source, once and in order; use it in a `with` block.

    Attributes:
        name: Name of the source in messages.
        size_hw: Size of every frame, upright.
        frame_rate: Frames per second, or None if the source has no clock.
        num_frames: Frames in the whole source, or None if unknown.
        pixel_aspect: Width of a pixel over its height, as the frames are to be shown.

    Args:
        pictures: The pictures of the source, in order of presentation. An integer is a number of dropped frames; they
            are counted, so that frames keep their true index.
        start_frame: Index of the first frame to give.
        intensity_range: See `IntensityScale`.
        largest_step: See `Clock`.
        health: Measures how a live source does.
        cancel: Ends a read that waits for a silent source.

    Raises:
        VideoError: On opening: there is no frame to give.
        VideoBrokenError: While iterating, after the good frames: the source broke off or changed its size.
            Its `num_frames` is the index of the frame that could not be had.

    Example:
        >>> import starktrack
        >>> with starktrack.open_frames("dog.mp4") as frames:
        ...     frames.size_hw, frames.frame_rate, [frame.index for frame in frames]
        ((240, 320), 25.0, [0, 1, 2])
    """

    def __init__(
        self,
        name: str,
        pictures: Generator[Picture | int, None, None] | Generator[Picture, None, None],
        *,
        start_frame: int = 0,
        frame_rate: float | None = None,
        num_frames: int | None = None,
        pixel_aspect: Fraction = Fraction(1),
        intensity_range: IntensityRange | None = None,
        largest_step: float = math.inf,
        health: Callable[[], LiveHealth] | None = None,
        cancel: Callable[[], object] | None = None,
    ) -> None:
        self.name = name
        self.frame_rate = frame_rate
        self.num_frames = num_frames
        self.pixel_aspect = pixel_aspect
        self._pictures = pictures
        self._clock = Clock(name, frame_rate, largest_step=largest_step)
        self._scale = IntensityScale(name, intensity_range)
        self._health = health
        self._cancel = cancel
        self._next_index = 0
        self._held: Frame | None = self._first(start_frame)
        self.size_hw: tuple[int, int] = self._held.image.shape[:2]

    def __iter__(self) -> "FrameStream":
        return self

    def __next__(self) -> Frame:
        if self._held is not None:
            frame, self._held = self._held, None
            return frame
        frame = self._read()
        if frame.image.shape[:2] != self.size_hw:
            raise self._broken(
                f"frame {frame.index} must be {_shown(self.size_hw)} pixels like the frames before it, "
                f"got {_shown(frame.image.shape[:2])}; split the video there",
                frame.index,
            )
        return frame

    def peek(self) -> Frame:
        """Return the first frame without taking it.

        Raises:
            InputError: It was taken already.
        """
        if self._held is None:
            raise InputError(
                f"only the first frame of {self.name} can be seen ahead, got a stream that began"
            )
        return self._held

    @property
    def is_live(self) -> bool:
        """Whether the source is read as `LiveSettings` say: a camera, a stream address or a pipe."""
        return self._health is not None

    def health(self) -> LiveHealth | None:
        """Return how a live source does; None for other sources."""
        return None if self._health is None else self._health()

    def __enter__(self) -> "FrameStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def cancel(self) -> None:
        """End the source where it is, if it is a pipe: a thread that waits for its next frame waits no longer."""
        if self._cancel is not None:
            self._cancel()

    def close(self) -> None:
        """Close the source; there are no frames afterwards."""
        self.cancel()
        self._held = None
        self._pictures.close()

    def _first(self, start_frame: int) -> Frame:
        if start_frame < 0:
            raise InputError(f"start_frame must be 0 or more, got {start_frame}; frames count from 0")
        try:
            while self._next_index < start_frame:
                self._advance()
            return self._read()
        except StopIteration:
            count = self._next_index
            if count == 0:
                raise VideoError(f"{self.name} must hold at least one frame, got none") from None
            raise VideoError(
                f"start_frame must be below the {count} frames of {self.name}, got {start_frame}"
            ) from None

    def _read(self) -> Frame:
        seconds, decode = self._advance()
        index = self._next_index - 1
        try:
            return Frame(self._scale.to_rgb(decode()), index, seconds)
        except InputError as error:
            raise self._broken(str(error), index) from error

    def _advance(self) -> Picture:
        try:
            while isinstance(picture := next(self._pictures), int):
                self._next_index += picture
        except InputError as error:
            raise self._broken(str(error), self._next_index) from error
        seconds, decode = picture
        seconds = self._clock.read(seconds, self._next_index)
        self._next_index += 1
        return seconds, decode

    def _broken(self, reason: str, num_frames: int) -> VideoError:
        self.close()
        if num_frames == 0:
            return VideoError(f"{self.name} cannot be read: {reason}")
        return VideoBrokenError(f"{self.name} broke off after {num_frames} frames: {reason}", num_frames)


def _shown(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]} x {size_hw[0]}"
