"""The clock of a live source over all of its connections, and how late a frame is."""

from starktrack.data.video.clock import DEFAULT_FRAME_RATE, Clock

_SAME_CLOCK_SECONDS = 2.0
"""A clock that is this near to the time that passed went on while the connection was broken."""

_DRIFT = 1e-4
"""A clock that runs slower than ours by up to this share makes no lag."""


class LiveClock:
    """Seconds that start at 0, never fall, and go on over reconnects as time does.

    Within a connection the steps are the source's own. The first frame of a further connection has the source's time
    if its clock went on, else the time that passed here.
    """

    def __init__(self, name: str) -> None:
        self._name: str | None = name
        self._clock = Clock(name, None)
        self._step = 1 / DEFAULT_FRAME_RATE
        self._is_new = True
        self._offset = 0.0
        self._last: float | None = None
        self._origin = 0.0
        self._origin_at = 0.0

    def connect(self, frame_rate: float | None, largest_step: float) -> None:
        """Begin a connection.

        Args:
            frame_rate: Frames per second, where the source says so.
            largest_step: Seconds between two frames above which the source's clock jumped.
        """
        self._clock = Clock(self._name, frame_rate, largest_step=largest_step)
        self._name = None  # one warning is enough
        self._step = 1 / (frame_rate or DEFAULT_FRAME_RATE)
        self._is_new = True

    def read(self, seconds: float | None, now: float, index: int) -> float:
        """Return the time of the next frame.

        Args:
            seconds: What the source says.
            now: When it came, on a clock of this machine.
            index: Number of the frame, for a warning.

        Example:
            >>> clock = LiveClock("camera")
            >>> [clock.read(0.0, 100.0, 0), clock.read(0.04, 100.04, 1)]
            [0.0, 0.04]
            >>> clock.connect(None, 10.0)
            >>> round(clock.read(0.0, 103.0, 2), 2)
            3.0
        """
        own = self._clock.read(seconds, index)
        passed = 0.0 if self._last is None else now - self._origin
        if own is None:
            shown = passed
        else:
            if self._is_new:
                self._is_new = False
                going_on = own + self._offset
                is_same = self._last is not None and going_on > self._last
                if not is_same or abs(going_on - passed) > _SAME_CLOCK_SECONDS:
                    self._offset = passed - own
            shown = own + self._offset
        if self._last is not None and shown <= self._last:
            shown = self._last + self._step
        late = now - shown
        self._origin = (
            late if self._last is None else min(late, self._origin + _DRIFT * (now - self._origin_at))
        )
        self._origin_at = now
        self._last = shown
        return shown

    def lag(self, seconds: float, now: float) -> float:
        """Return how late a frame is, compared with the one that came with the least delay."""
        return max(0.0, now - seconds - self._origin)
