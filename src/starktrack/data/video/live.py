"""Live sources: how to read them, and what is reported about them."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from starktrack.errors import ConfigError

RECONNECT_SECONDS = 300.0
"""How long cameras and addresses of live protocols are tried again where nothing else is set."""


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How to read a camera, a stream address or a pipe. Files and folders are read without these settings.

    Attributes:
        latest: Give the newest frame and drop older ones that wait, for trackers that are slower than the stream.
            By default no frame is dropped: at most 8 decoded frames wait, and the sender is slowed down.
        reconnect_seconds: For how long to try to connect again after a stream breaks off, ends or falls silent; 0
            to end there, `inf` for ever. None: 300 for cameras and live protocols (rtsp, rtmp, srt, udp, rtp), 0 for
            other addresses, whose end is taken for the end.
        first_delay_seconds: Wait before the first try; each further wait is twice as long.
        longest_delay_seconds: Longest wait between two tries.
        timeout_seconds: How long a connection may bring no picture.
        freeze_seconds: For how long the same picture may be repeated before this is reported; 0 for no report.
        health_seconds: Time between two calls of `on_health`; 0 for none.

    Example:
        >>> import starktrack
        >>> starktrack.LiveSettings(latest=True, reconnect_seconds=3600).longest_delay_seconds
        30.0
    """

    latest: bool = False
    reconnect_seconds: int | float | None = None
    first_delay_seconds: int | float = 0.5
    longest_delay_seconds: int | float = 30.0
    timeout_seconds: int | float = 10.0
    freeze_seconds: int | float = 10.0
    health_seconds: int | float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name == "latest" or value is None:
                continue
            needs_time = name in ("first_delay_seconds", "longest_delay_seconds", "timeout_seconds")
            may_be_endless = name == "reconnect_seconds"
            if (
                not isinstance(value, int | float)
                or math.isnan(value)
                or value < 0
                or (needs_time and value == 0)
                or (math.isinf(value) and not may_be_endless)
            ):
                rule = "above 0" if needs_time else "0 or more"
                raise ConfigError(f"{name} must be a number of seconds {rule}, got {value!r}")


class LiveEventKind(StrEnum):
    """What happened to a live source.

    Example:
        >>> LiveEventKind.RECONNECTED == "reconnected"
        True
    """

    LOST = "lost"
    RECONNECTED = "reconnected"
    FROZEN = "frozen"
    MOVING = "moving"


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened to a live source.

    Attributes:
        kind: `lost`, `reconnected`, `frozen` (the same picture is repeated) or `moving` (it is not any more).
        message: The same in words, with the name of the source and the reason.
        unix_seconds: When it happened, on the clock of this machine.

    Example:
        >>> event = LiveEvent(LiveEventKind.FROZEN, "camera 0: the same picture has been repeated for 10.0 s", 1.8e9)
        >>> event.kind == "frozen"
        True
    """

    kind: LiveEventKind
    message: str
    unix_seconds: float


@dataclass(frozen=True)
class LiveHealth:
    """How a live source does.

    Attributes:
        num_frames: Frames that were given so far.
        frames_per_second: Frames given in the last 5 seconds, per second.
        lag_seconds: How late the latest frame was given, compared with the frame that came with the least delay.
        num_dropped: Frames that were dropped because newer ones had come (`latest`).
        num_damaged: Packets and frames that could not be used.
        num_reconnects: How often the source came back.
        silent_seconds: Time since the latest frame came.
        frozen_seconds: For how long the same picture has been repeated; 0 unless that is longer than allowed.
        is_connected: Whether frames can come.
        unix_seconds: When this was measured, on the clock of this machine.

    Example:
        >>> health = LiveHealth(250, 24.96, 0.04, 0, 0, 1, 0.02, 0.0, True, 1.8e9)
        >>> str(health)
        '250 frames, 25.0 frames/s, lag 0.0 s, 0 dropped, 0 damaged, 1 reconnects'
    """

    num_frames: int
    frames_per_second: float
    lag_seconds: float
    num_dropped: int
    num_damaged: int
    num_reconnects: int
    silent_seconds: float
    frozen_seconds: float
    is_connected: bool
    unix_seconds: float

    def __str__(self) -> str:
        """Return the numbers in one line."""
        text = (
            f"{self.num_frames} frames, {self.frames_per_second:.1f} frames/s, lag {self.lag_seconds:.1f} s, "
            f"{self.num_dropped} dropped, {self.num_damaged} damaged, {self.num_reconnects} reconnects"
        )
        if not self.is_connected:
            text += f", no connection for {self.silent_seconds:.0f} s"
        elif self.frozen_seconds:
            text += f", frozen for {self.frozen_seconds:.0f} s"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON knows them."""
        return asdict(self)


OnEvent: TypeAlias = Callable[[LiveEvent], object]
"""Called with each event, between two frames or while waiting for one, in the thread that reads the frames."""

OnHealth: TypeAlias = Callable[[LiveHealth], object]
"""Called every `health_seconds`, in the same way."""
