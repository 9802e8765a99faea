"""Times of frames that never fall: corrects contradictory times of a source."""

import math
import warnings

from starktrack.errors import SourceWarning

DEFAULT_FRAME_RATE = 30.0
"""Frames per second of sources without a clock, such as image folders."""

_LARGEST_FRAME_RATE = 1000.0
"""A higher frame rate in a header is the rate of its clock, not of its frames."""

_RESTART_SECONDS = 1.0
"""A clock that falls by more than this has restarted: later times are counted on from there."""


class Clock:
    """The time of each frame on one clock that starts at 0 or later and always rises.

    A frame whose time is missing, not later than the one before it, or too far away is shown one frame later
    than the one before it. A `SourceWarning` names the first such frame.

    Args:
        name: Name of the source in the warning; None for no warning.
        frame_rate: Frames per second; None if unknown.
        largest_step: Seconds between two frames above which the clock jumped.
    """

    def __init__(self, name: str | None, frame_rate: float | None, *, largest_step: float = math.inf) -> None:
        self._name = name
        self._largest_step = largest_step
        rate = frame_rate if frame_rate and frame_rate <= _LARGEST_FRAME_RATE else DEFAULT_FRAME_RATE
        self._step = 1 / rate
        self._offset = 0.0
        self._last: float | None = None

    def read(self, seconds: float | None, index: int) -> float | None:
        """Return the time of the next frame; None as long as the source has given none.

        Args:
            seconds: The time from the source.
            index: Number of the frame, for the warning.

        Example:
            >>> clock = Clock(None, 25.0)
            >>> [clock.read(seconds, 0) for seconds in (0.0, 0.04, 0.04, 0.12)]
            [0.0, 0.04, 0.08, 0.12]
        """
        if self._last is None:
            if seconds is not None:
                self._offset = max(0.0, -seconds)
                self._last = seconds + self._offset
            return self._last
        shown = None if seconds is None else seconds + self._offset
        if shown is None or not self._last < shown <= self._last + self._largest_step:
            self._warn(seconds, index)
            following = self._last + self._step
            if shown is not None and (shown > self._last or self._last - shown > _RESTART_SECONDS):
                self._offset += following - shown
            shown = following
        self._last = shown
        return shown

    def _warn(self, seconds: float | None, index: int) -> None:
        if self._name is None:
            return
        got = (
            "has no time" if seconds is None else f"is timed {seconds:.2f} s after one at {self._last:.2f} s"
        )
        warnings.warn(
            f"{self._name}: frame {index} {got}; it is shown one frame later than the frame before it, "
            "and so is every further one of its kind",
            SourceWarning,
            stacklevel=2,
        )
        self._name = None
